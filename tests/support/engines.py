"""Run the real engine as a real process, kill it where a test says, and check what must be true afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import lives
from repos import git

from autoresearch.engine.workspace import SavedState, machine_name
from autoresearch.state.journal import History, Reader, records
from autoresearch.state.session import Place, Session, find_place, open_session

TIMEOUT_S = 120.0


def command(*args: str) -> list[str]:
    return [sys.executable, "-P", "-m", "autoresearch", *args]


def environment(fault: str = "", **more: str) -> dict[str, str]:
    env = {**os.environ, "AUTORESEARCH_MIN_FREE_MB": "1", "PYTHONFAULTHANDLER": "1", **more}
    if fault:
        env["AUTORESEARCH_FAULT"] = f"kill@{fault}"
    return env


def run(
    folder: Path, *args: str, fault: str = "", expect: int | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    """`autoresearch run --headless ARGS` in `folder`; checks the exit code when one is expected."""
    return autoresearch(folder, "run", "--headless", *args, fault=fault, expect=expect, **env)


def autoresearch(
    folder: Path, *args: str, fault: str = "", expect: int | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    """`autoresearch ARGS` in `folder`, in an interpreter of its own where `env` speaks to Python."""
    world = environment(fault, **env)
    if any(name.startswith("PYTHON") for name in env):
        done = subprocess.run(
            command(*args), cwd=folder, env=world, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    else:
        done = lives.call(folder, list(args), world, TIMEOUT_S)
    if expect is not None:
        assert done.returncode == expect, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def start(folder: Path, *args: str, **env: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command("run", "--headless", *args),
        cwd=folder, env=environment(**env), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def until(condition: Callable[[], object], what: str, timeout_s: float = TIMEOUT_S) -> None:
    """Wait for a condition, never for a time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never happened: {what}")
        time.sleep(0.01)


def place(folder: Path) -> Place:
    return find_place(folder)


def session(folder: Path, name: str | None = None) -> Session:
    return open_session(find_place(folder), name)


def lines(folder: Path) -> list[records.Record]:
    return [records.decode(line) for _, line in Reader(session(folder).journal).lines()]


def refs(folder: Path) -> dict[str, str]:
    found = session(folder)
    answer = git(folder, "for-each-ref", "--format=%(refname) %(objectname)", found.refs.rstrip("/"))
    return {name.removeprefix(found.refs): sha for name, sha in (line.split(" ") for line in answer.splitlines())}


def saved(folder: Path) -> SavedState:
    """What is saved of the repository's latest session."""
    return SavedState(place(folder), session(folder).name)


def save_as_earlier(folder: Path) -> str:
    """What is saved of its latest session lies where earlier versions had it: among the user's objects; its ref."""
    found = saved(folder)
    git(folder, "fetch", "-q", str(found.folder), f"{found.ref}:{found.ref}")
    shutil.rmtree(found.folder.parent)
    return found.ref


def processes_of(repo: Path) -> list[int]:
    """Measured processes of the repository's latest session that are still alive, by their environment."""
    found = []
    mark = f"AUTORESEARCH_SESSION={machine_name(place(repo), session(repo).name)}".encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            env = (folder / "environ").read_bytes()
            state = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            continue
        if mark in env.split(b"\0") and state != "Z":
            found.append(int(folder.name))
    return found


def check_agreement(folder: Path) -> History:
    """Journal, branch, refs, numbering and notebook agree; gives the history for more."""
    found = session(folder)
    history = found.history()
    assert history.problems == []
    numbers = sorted([*(row.number for row in history.rows), *history.parked])
    assert numbers == list(range(1, len(numbers) + 1)), "numbers have no gap and no repeat"
    intents = {line.experiment: line for line in lines(folder) if isinstance(line, records.Intent)}
    assert set(intents) >= set(numbers)
    have = refs(folder)
    for row in history.rows:
        assert have[str(row.number)] == row.sha
    kept = [row for row in history.rows if row.status == "keep"]
    if kept:
        branch = git(folder, "rev-parse", found.branch).strip()
        assert branch == kept[-1].sha, "the branch stands at the last keep"
        on_branch = git(folder, "rev-list", "--first-parent", found.branch).split()
        distinct = list(dict.fromkeys(row.sha for row in reversed(kept)))  # a new segment's baseline is the old best
        assert distinct == on_branch[: len(distinct)], "its history is exactly the keeps"
    assert {name for name in have if name.startswith("p")} == {f"p{id}" for id in history.waiting}
    samples = [line for line in lines(folder) if isinstance(line, records.Sample)]
    keys = [(s.experiment, s.sha, s.arm, s.k) for s in samples if s.arm != "holdout"]
    assert len(keys) == len(set(keys)), "no sample is recorded twice"
    assert processes_of(folder) == []
    return history
