"""An engine that died or hangs: its last words, and ending one that no longer answers. No screen is imported."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from autoresearch.engine import files
from autoresearch.state.session import Session, SessionError
from autoresearch.state.text import safe_line

_PATIENCE_S = 5.0


def last_words(session: Session, count: int = 12) -> list[str]:
    """The last lines of engine.log, safe to show; empty when there is none."""
    lines = [safe_line(line.rpartition("\r")[2]).rstrip() for line in files.tail(session.engine_log).split("\n")]
    return [line for line in lines if line][-count:]


def end_engine(session: Session, patience_s: float = _PATIENCE_S) -> None:
    """End the process that holds the session's lock: asked first, then killed. Raises SessionError when it stays.

    What was measured is on disk; the next engine ends what this one leaves running.
    """
    for number in (signal.SIGTERM, signal.SIGKILL):
        pid = session.engine_pid()
        if not pid:
            break
        try:
            os.kill(pid, number)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)  # a stopped process hears nothing else
        except ProcessLookupError:
            pass
        except PermissionError:
            raise SessionError(f"Process {pid} belongs to another user; ask them to end it.") from None
        deadline = time.monotonic() + patience_s
        while session.engine_pid() == pid and time.monotonic() < deadline:
            time.sleep(0.05)
    pid = session.engine_pid()
    if pid is not None:
        raise SessionError(
            f"Process {pid or '?'} does not end: it waits in the kernel, for a disk or a driver. "
            "When that answers again it ends, then r goes on."
        )
