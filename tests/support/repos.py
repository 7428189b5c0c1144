"""Real repositories for tests: a user's repo with a target in it, and a picture of everything that must not change."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

TOML = """\
name = "knob"
objective = "The lowest score."

[metric]
name = "score"

[scope]
edit = ["knob.py"]

[measure]
run = "python bench.py"
budget_s = 0

[agent]
kind = "replay"
patience_s = 0
"""

BENCH = """\
import os, random
from knob import VALUE
seed = int(os.environ.get("AUTORESEARCH_SEED", "1"))
noise = random.Random(f"{seed}").gauss(0, 0.01)
print(f"METRIC score={VALUE + noise:.6f}")
"""

GATED = """\
import os, pathlib, time
print("started", os.environ["AUTORESEARCH_SEED"], flush=True)
while not pathlib.Path({gate!r}).exists():
    time.sleep(0.01)
"""
"""Before `BENCH`: a run waits until a file is there, in a folder that it sees as it is now (`shown`)."""


def shown(toml: str, *folders: Path) -> str:
    """The target's toml, with folders that its commands see and write in place: /tmp, where tests are, is their own."""
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    names = ", ".join(f'"{folder}"' for folder in folders)
    return toml.replace("[measure]\n", f"[measure]\nwritable = [{names}]\n")


def git(folder: Path, *args: str, check: bool = True) -> str:
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    env |= {
        "GIT_AUTHOR_NAME": "A User",
        "GIT_AUTHOR_EMAIL": "user@example.org",
        "GIT_COMMITTER_NAME": "A User",
        "GIT_COMMITTER_EMAIL": "user@example.org",
        "GIT_CONFIG_GLOBAL": "/dev/null",
    }
    done = subprocess.run(["git", "-C", str(folder), *args], capture_output=True, text=True, env=env, check=False)
    if check and done.returncode:
        raise AssertionError(f"git {args}: {done.stderr}")
    return done.stdout


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def make_repo(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "-b", "main")
    write(folder, files)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "start")
    return folder


def make_target(folder: Path, toml: str = TOML, bench: str = BENCH, value: str = "10.0", prefix: str = "") -> Path:
    """A repository whose target's score is `VALUE` of knob.py plus noise by seed (sd 0.01)."""
    at = f"{prefix}/" if prefix else ""
    return make_repo(
        folder,
        {
            f"{at}autoresearch.toml": toml,
            f"{at}bench.py": bench,
            f"{at}knob.py": f"# the knob\nVALUE = {value}\n# the end\n",
            "README.md": "a user's project\n",
        },
    )


def patch(subject: str, old: str, new: str, body: str = "") -> str:
    """A patch that changes knob.py's value line."""
    return (
        f"Subject: [PATCH] {subject}\n\n{body}\n---\n"
        "diff --git a/knob.py b/knob.py\n--- a/knob.py\n+++ b/knob.py\n"
        f"@@ -1,3 +1,3 @@\n # the knob\n-{old}\n+{new}\n # the end\n"
    )


def snapshot(repo: Path, *, session: str = "") -> dict[str, str]:
    """Everything of the user's that must stay byte for byte: files, index, stash, branches, tags, config, hooks, HEAD.

    Of the session nothing is in it: neither its branch and refs nor its folders.
    """
    seen: dict[str, str] = {}
    for path in sorted(repo.rglob("*")):
        relative = path.relative_to(repo).as_posix()
        if relative.startswith(".git/") or relative == ".git" or relative.startswith(".autoresearch"):
            continue
        info = path.lstat()
        content = str(path.readlink()) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        data = content if isinstance(content, bytes) else content.encode()
        stamp = 0 if path.is_dir() else info.st_mtime_ns  # a folder's changes when .autoresearch is made in it
        seen[relative] = f"{info.st_mode:o} {stamp} {hashlib.sha256(data).hexdigest()}"
    git_dir = Path(git(repo, "rev-parse", "--absolute-git-dir").strip())
    common = (repo / git(repo, "rev-parse", "--git-common-dir").strip()).resolve()
    for path in (git_dir / "index", git_dir / "HEAD", common / "config", common / "description"):
        if path.is_file():
            seen[f"git:{path.name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    for path in sorted((common / "hooks").glob("*")):
        seen[f"hook:{path.name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    refs = git(repo, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    seen["refs"] = "\n".join(line for line in refs if "autoresearch/" not in line)
    seen["stash"] = git(repo, "stash", "list")
    return seen


@contextmanager
def small_disk(folder: Path, options: str = "size=40m") -> Iterator[Path]:
    """A file system of a few megabytes at `folder`, which nobody else fills; the test is skipped where none can be."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no rights to mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
