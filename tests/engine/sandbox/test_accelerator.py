"""Whether the accelerator opens in a run's view as outside, with a library that stands in for the driver's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from engines import lines, run, session
from repos import TOML, make_target, patch, write

from autoresearch.engine import sandbox
from autoresearch.engine.sandbox import open_accelerator
from autoresearch.state.journal import records

needs_views = pytest.mark.skipif(not sandbox.this_kernel().processes, reason="no process namespaces here")
LIBRARY = """
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
int cuInit(unsigned flags) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/task/%ld/comm", (long)syscall(SYS_gettid));
    FILE *file = fopen(path, "wb");
    if (!file || fclose(file)) return 304;
    file = fopen(NEEDED, "rb");
    return file && !fclose(file) ? 0 : 999;
}
int cuDeviceGetCount(int *count) { *count = 2; return 0; }
int cuCtxCreate_v2(void **context, unsigned flags, int device) { *context = (void *)1; return 0; }
"""


def library(folder: Path, needed: str) -> dict[str, str]:
    """One that starts where this file can be read, as an environment that finds it."""
    folder.mkdir()
    (folder / "cuda.c").write_text(LIBRARY)
    command = ["cc", "-shared", "-fPIC", f'-DNEEDED="{needed}"', "-o", str(folder / "libcuda.so.1"), "cuda.c"]
    try:
        subprocess.run(command, cwd=folder, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no C compiler")
    return {"LD_LIBRARY_PATH": str(folder)}


def test_without_a_library_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    assert open_accelerator(tmp_path) is None


@needs_views
def test_what_opens_outside_and_inside_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = library(tmp_path / "cuda", "/etc/passwd")
    monkeypatch.setenv("LD_LIBRARY_PATH", env["LD_LIBRARY_PATH"])
    assert str(open_accelerator(tmp_path)) == "CUDA opens 2 devices"
    repo = make_target(tmp_path / "r")
    patches = tmp_path / "patches"
    write(patches, {"1.patch": patch("x", "VALUE = 10.0", "VALUE = 9.0")})
    run(repo, "--replay", str(patches), expect=0, **env)
    assert session(repo).history().baseline is not None


@needs_views
def test_what_opens_outside_alone_is_an_error_that_names_the_difference(tmp_path: Path) -> None:
    """The user's own repository is out of a run's sight where something in it is hidden."""
    repo = make_target(tmp_path / "r", TOML.replace("[measure]", '[measure]\nhidden = ["key.txt"]'))
    write(repo, {"key.txt": "x"})
    env = library(tmp_path / "cuda", str(repo / "key.txt"))
    done = run(repo, "--replay", str(repo), expect=1, **env)
    said = done.stdout + done.stderr
    assert "CUDA opens 2 devices outside, and in a run's view CUDA refuses (error 999)" in said
    assert 'measure.confine = "off"' in said
    assert not [line for line in lines(repo) if isinstance(line, records.Sample)]
