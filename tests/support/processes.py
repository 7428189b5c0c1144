"""Processes that tests start and look for."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autoresearch.engine.process import seen

ESCAPES = {
    "grandchild": "sleep 300 & echo $! > pid; wait",
    "setsid": "setsid bash -c 'echo $$ > pid; exec sleep 300' & wait; sleep 300",
    "double fork": "(setsid bash -c 'echo $$ > pid; exec sleep 300' &) ; sleep 300",
    "ignores TERM": "trap '' TERM; (trap '' TERM; echo $BASHPID > pid; while :; do sleep 0.2; done) & wait",
    "stopped": "sleep 300 & kill -STOP $!; echo $! > pid; wait",
    "cleared environment": "(setsid env -i bash -c 'echo $$ > pid; exec sleep 300' &) ; sleep 300",
}


def until(condition: Callable[[], Any], limit_s: float = 20) -> Any:
    deadline = time.monotonic() + limit_s
    while not (answer := condition()):
        assert time.monotonic() < deadline, "the condition never came true"
        time.sleep(0.01)
    return answer


def runs(pid: int) -> bool:
    found = seen.look(pid)
    return found is not None and found.state != "Z"


def pid_in(path: Path) -> int:
    until(lambda: has_pid(path))
    return int(path.read_text())


def has_pid(path: Path) -> bool:
    return path.exists() and bool(path.read_text().strip())


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]
