"""What an earlier engine of a session left running, found and ended."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import orjson

from autoresearch.engine.process import descendants
from autoresearch.engine.process.descendants import Found
from autoresearch.engine.process.seen import Seen, table, variable

SESSION = "AUTORESEARCH_SESSION"
"""In the environment of each command: whose it is on this machine."""


def end_leftovers(
    session_id: str, folders: Iterable[Path], pid_files: Iterable[Path], grace_s: float = 5.0
) -> dict[int, str]:
    """End what an earlier engine of this session left running; the engine that recovers calls it first.

    Returns how each was recognised, by its pid.

    Found by a pid file whose start time still holds, by AUTORESEARCH_SESSION in the environment, or by a working
    directory inside `folders` (the session's trees); with all descendants. A process with a controlling terminal is
    never taken for its working directory alone: that is a person's shell who looked in. Never this process, its
    ancestors, or another user's.
    """
    recorded = {pair for path in pid_files if (pair := _recorded(path))}
    inside = [os.path.realpath(folder) for folder in folders]
    why: dict[tuple[int, int], str] = {}

    def find() -> Found:
        processes = table()
        spared = _ancestors(os.getpid(), processes) | descendants.own_children
        roots: dict[int, str] = {}
        for pid, seen in processes.items():
            if pid in spared or seen.state == "Z":
                continue
            if (pid, seen.start) in why:
                roots[pid] = why[pid, seen.start]
            elif (pid, seen.start) in recorded:
                roots[pid] = "pid file"
            elif session_id and variable(pid, SESSION) == session_id:
                roots[pid] = "environment"
            elif seen.tty == 0 and _is_inside(pid, inside):
                roots[pid] = "working directory"
        alive: dict[int, Seen] = {}
        for pid in descendants.with_descendants(roots, processes):
            seen = processes[pid]
            if pid not in spared and seen.state != "Z":
                why.setdefault((pid, seen.start), roots.get(pid, "descendant"))
                alive[pid] = seen
        ours = [pid for (pid, start) in why if pid in processes and processes[pid].parent == os.getpid()]
        return Found(alive, sum(descendants.reap(pid) for pid in ours if processes[pid].state == "Z"))

    descendants.end(find, grace_s)
    return {pid: reason for (pid, _), reason in why.items()}


def _ancestors(pid: int, processes: dict[int, Seen]) -> set[int]:
    """`pid` and everything above it."""
    chain: set[int] = set()
    while pid in processes and pid not in chain:
        chain.add(pid)
        pid = processes[pid].parent
    return chain | {1}


def _recorded(path: Path) -> tuple[int, int] | None:
    """pid and start time in a pid file; None when it is missing or was cut off by a power cut."""
    try:
        data = orjson.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError, orjson.JSONDecodeError):
        return None
    if not isinstance(data, dict):
        return None
    pid, start = data.get("pid"), data.get("start")
    return (pid, start) if isinstance(pid, int) and isinstance(start, int) else None


def _is_inside(pid: int, folders: list[str]) -> bool:
    import psutil

    try:
        cwd = psutil.Process(pid).cwd()
    except (psutil.Error, OSError):
        return False
    return any(cwd == folder or cwd.startswith(folder + os.sep) for folder in folders)
