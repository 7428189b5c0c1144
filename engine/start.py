"""Start an engine as a process of its own, which outlives whoever starts it."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from autoresearch.engine import files
from autoresearch.engine.process import cap_engine_log
from autoresearch.engine.sessions import RunOptions, opened_for
from autoresearch.state.session import Locked, Place, Session, SessionError

START_TIMEOUT_S = 60.0


def start_detached(place: Place, options: RunOptions) -> Session:
    """Start `run --headless` in a session of its own and return once it holds the lock.

    Raises SessionError with the engine's last words when it ends before that.
    """
    options, _, opened = opened_for(place, options)
    running = opened.engine_pid()
    if running is not None:
        raise Locked(opened.name, running)
    command = [
        sys.executable,
        "-P",
        "-m",
        "autoresearch",
        "run",
        "--headless",
        *_flags(replace(options, session=opened.name, trust=True)),
    ]
    cap_engine_log(opened.engine_log)
    with opened.engine_log.open("ab") as log:
        start = log.tell()
        child = subprocess.Popen(
            command, cwd=place.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        live = opened.read_live()
        if live is not None and live.pid == child.pid:
            return opened
        if child.poll() is not None:
            break
        time.sleep(0.02)
    words = _last_words(opened.engine_log, start) or f"it ended with exit code {child.returncode}"
    raise SessionError(words, code=child.returncode or 1)


def _flags(options: RunOptions) -> list[str]:
    flags = []
    for name, value in (
        ("--session", options.session),
        ("--max-experiments", options.max_experiments),
        ("--agent", options.agent),
        ("--replay", options.replay),
        ("--budget", options.budget_s),
    ):
        if value is not None:
            flags += [name, str(value)]
    if options.trust:
        flags.append("--trust")
    return flags


def _last_words(log: Path, start: int) -> str:
    lines = [line for line in files.tail(log, start=start).splitlines() if line.strip()]
    return lines[-1].removeprefix("autoresearch: ").removeprefix("Error: ") if lines else ""
