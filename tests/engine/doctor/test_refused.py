"""The path that a command was not allowed to touch, in the words of many languages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from autoresearch.engine.doctor.refused import refused_path

SAID = [
    "PermissionError: [Errno 13] Permission denied: '{}'",
    "OSError: [Errno 30] Read-only file system: '{}'",
    "/bin/bash: line 3: {}: Read-only file system",
    "bench.sh: line 2: {}: Permission denied",
    "mkdir: cannot create directory '{}': Read-only file system",
    "touch: cannot touch ‘{}’: Permission denied",
    "Error: EROFS: read-only file system, open '{}'",
    "Error: EACCES: permission denied, mkdir '{}'",
    "panic: open {}: read-only file system",
    "java.io.FileNotFoundException: {} (Read-only file system)",
    "java.nio.file.AccessDeniedException: {}",
    "rb_sysopen: Read-only file system @ rb_sysopen - {} (Errno::EROFS)",
    "cannot open file '{}': Read-only file system",
    'SystemError: opening file "{}": Read-only file system',
    "Fatal error: can't create {}: Operation not permitted",
]


def nothing(path: Path) -> bool:
    return False


@pytest.mark.parametrize("said", SAID)
def test_the_path_is_found_in_any_language(said: str, tmp_path: Path) -> None:
    out = tmp_path / "out.log"
    found = refused_path(f"start\n{said.format(out)}\nat the end\n", nothing, [])
    assert found is not None
    assert found.path == out
    assert f'make it and name it: measure.writable = ["{out}"]' in found.fix
    out.touch()
    assert f'or name it: measure.writable = ["{out}"]' in found.fix


def test_what_the_confinement_did_not_refuse_is_not_put_down_to_it(tmp_path: Path) -> None:
    said = "OSError: [Errno 30] Read-only file system: '{}'"
    assert refused_path(said.format(tmp_path / "out"), tmp_path.is_relative_to, []) is not None
    assert refused_path(said.format(tmp_path / "out"), lambda path: path.is_relative_to(tmp_path), []) is None
    assert refused_path("bash: ./bench.sh: Permission denied", nothing, []) is None
    assert refused_path("/usr/bin/bash: line 1: train.py: Permission denied", nothing, []) is None
    assert refused_path(f"wrote {tmp_path}/out\nstep 1", nothing, []) is None
    assert refused_path("open /proc/self/oom_adj: permission denied", nothing, []) is None


@pytest.mark.skipif(os.getuid() == 0, reason="modes refuse nothing to root")
def test_what_modes_refuse_by_hand_too_is_not_put_down_to_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert refused_path(f"Permission denied: '{tmp_path}/out'", nothing, []) is None


def test_what_holds_keys_is_not_to_be_read(tmp_path: Path) -> None:
    found = refused_path(f"Permission denied: '{tmp_path}/keys/id'", nothing, [tmp_path / "keys"])
    assert found is not None
    assert found.reading
    assert "writable" not in found.fix
