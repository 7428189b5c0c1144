"""What is to be run, within which limits, and how it ended; and how it is started where nothing confines it.

The command gets a session of its own, an empty stdin, default signal dispositions, and the log file itself as stdout
and stderr: nothing of ours is in its data path, so a descendant that keeps the file open cannot block us.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from autoresearch.engine.process.child import Child
from autoresearch.engine.process.descendants import MARKER
from autoresearch.engine.process.seen import LINUX

Cause = Literal[
    "timeout", "stalled", "output_limit", "out_of_memory", "process_limit", "disk_limit", "interrupted", "nonzero_exit"
]

MOST_PROCESSES = min(max(512, 32 * (os.cpu_count() or 1)), 4096)
"""Of one command at a time: far more than workers and compilers need, far less than a machine can bear. Watched,
because no limit of the kernel's binds root."""
OOM_SCORE = 500
"""When memory runs out, the kernel ends a command before the engine, or the SSH server it is reached by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What to run, where, and within which limits; 0 means no limit."""

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    output: Path
    """stdout and stderr are appended here."""
    timeout_s: float
    stall_s: float = 0.0
    """No output and (nearly) no CPU time of the whole tree for this long."""
    memory_mb: float = 0.0
    """Of the whole tree."""
    output_mb: float = 1024.0
    processes: int = MOST_PROCESSES
    free_mb: float = 0.0
    """It ends when less is free where it works or where its output goes."""
    grace_s: float = 5.0
    """Between TERM and KILL."""
    pid_file: Path | None = None
    """Holds pid, kernel start time and `label` while the command runs: recovery finds it by them."""
    label: Mapping[str, str | int] = field(default_factory=dict)
    """Goes into the pid file and into each progress line."""
    progress: Mapping[str, re.Pattern[str]] = field(default_factory=dict)
    progress_file: Path | None = None
    watch: Callable[[Collection[int]], None] | None = None
    """Called at each look, at most twice a second, with the pids of the tree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    code: int | None
    """Negative: the signal that ended it. None: it was never started."""
    cause: Cause | None
    detail: str
    """One clause for people when there is a cause."""
    duration_s: float = 0.0
    """Until the main process had ended; ending what it left behind is not counted."""
    peak_rss_mb: float | None = None
    """The most the tree held at a look (shared pages count once per process), with its own /dev/shm, or its largest
    process if that is more. None when it was over before a look and no larger than this process."""
    output_from: int
    output_to: int
    """The command's own part of the log."""
    leftovers: int = 0
    """Processes that outlived the main process and were ended."""
    survivors: tuple[int, ...] = ()
    """Processes that could not be ended."""


class Halt:
    """Asks a running command to end, from any thread, and wakes its runner at once."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        self._set = False

    def set(self) -> None:
        if not self._set:
            self._set = True
            os.write(self._writer, b"x")

    def is_set(self) -> bool:
        return self._set

    def fileno(self) -> int:
        return self._reader

    def close(self) -> None:
        os.close(self._reader)
        os.close(self._writer)


Spawn = Callable[[Command, Mapping[str, str], int], Child]
"""Starts the command with this environment and this file as its output; where a confinement puts its own."""


def spawn(command: Command, env: Mapping[str, str], output: int) -> Child:
    """Start the command, unconfined."""
    return start_unconfined(command, env, (subprocess.DEVNULL, output, output))


def start_unconfined(command: Command, env: Mapping[str, str], files: tuple[int, int, int]) -> Child:
    """With these as its stdin, stdout and stderr. vfork costs half a millisecond; `preexec_fn` would forbid it."""
    stdin, stdout, stderr = files
    popen = subprocess.Popen(
        list(command.argv),
        cwd=command.cwd,
        env=env,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
        preexec_fn=_default_signals if _ignored() else None,
    )
    if LINUX:
        # Gone already, or one that changed its user.
        with contextlib.suppress(OSError), open(f"/proc/{popen.pid}/oom_score_adj", "wb", 0) as file:  # noqa: PTH123 - hot
            file.write(b"%d" % OOM_SCORE)
    return Child(popen.pid, env.get(MARKER, ""), popen)


# What a parent may have set to be ignored and exec would hand on. Python's own SIGPIPE is restored by subprocess.
_HANDED_ON = [
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGCHLD,
]


def _ignored() -> bool:
    """Whether a signal is ignored here. An engine that *handles* SIGHUP with a no-op starts commands faster."""
    return any(signal.getsignal(number) is signal.SIG_IGN for number in _HANDED_ON)


def _default_signals() -> None:
    for number in _HANDED_ON:
        signal.signal(number, signal.SIG_DFL)
