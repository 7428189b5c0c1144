"""What is known about a session's engine at one moment, for commands and screens alike; imports no screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from autoresearch.state.history import Control, History
from autoresearch.state.session import Live, Session

SILENT_MS = 8_000
"""A heartbeat comes every 2 s; an engine this long without one does not respond, and people see it within 10 s."""

State = Literal["new", "starting", "running", "silent", "paused", "stopped", "lost", "gone"]


@dataclass(frozen=True, slots=True)
class Engine:
    state: State
    since: int = 0
    """ms; when this state began, where that is known."""
    reason: str = ""
    fix: str = ""
    limit: str = ""
    pid: int | None = None

    @property
    def alive(self) -> bool:
        return self.state in ("starting", "running", "silent")


def engine_of(control: Control, live: Live | None, pid: int | None, now_ms: int, begun: bool = True) -> Engine:
    """The lock says whether an engine lives, the heartbeat whether it responds, the journal why it ended."""
    if pid is not None:
        if live is None or (pid and live.pid != pid):
            return Engine("starting", pid=pid)
        if now_ms - live.updated > SILENT_MS:
            return Engine("silent", since=live.updated, pid=pid)
        return Engine("running", since=live.since, pid=pid)
    if control.state != "running":
        return Engine(control.state, control.since, control.reason, control.fix, control.limit)
    if live is None and not begun:
        return Engine("new")
    if live is not None and live.phase == "ended":  # its last line is in the journal, which was read too early for it
        return Engine("paused", since=live.updated, reason=live.reason)
    return Engine(
        "lost",
        since=live.updated if live else control.since,
        reason="the engine ended without a word",
        fix="`autoresearch resume` goes on; nothing that was measured is lost",
    )


def engine_now(session: Session, history: History, now_ms: int) -> tuple[Engine, Live | None]:
    live = session.read_live()
    engine = engine_of(history.control, live, session.engine_pid(), now_ms, begun=history.lines > 1)
    return engine, live if engine.alive else None
