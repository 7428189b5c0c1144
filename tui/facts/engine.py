"""What is known about a session's engine at one moment, for commands and screens alike; imports no screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from autoresearch.state.journal import Control, History
from autoresearch.state.session import Heartbeat, Live, Session, watch_heartbeat

State = Literal["new", "starting", "running", "looking", "silent", "paused", "stopped", "lost", "gone"]


@dataclass(frozen=True, slots=True)
class Engine:
    state: State
    since: int = 0
    """ms of the engine's own clock; when this state began, where that is known."""
    reason: str = ""
    fix: str = ""
    limit: str = ""
    pid: int | None = None
    host: str = ""
    """The other machine it runs, or ran, on; "" for this one."""
    behind_ms: int = 0
    """How far its clock is behind the reader's, as far as that was seen."""

    @property
    def alive(self) -> bool:
        return self.state in ("starting", "running", "looking", "silent")

    def clock(self, now_ms: int) -> int:
        """A time of the reader's clock on the engine's: that is what its journal and its heartbeat are written in."""
        return now_ms - self.behind_ms


def engine_of(control: Control, beat: Heartbeat, pid: int | None, now_ms: int, begun: bool = True) -> Engine:
    """The lock says whether an engine lives, the heartbeat whether it responds, the journal why it ended.

    Where the lock cannot be seen from here, a heartbeat that changes says both.
    """
    live = beat.live
    quiet = beat.quiet_ms(now_ms) > beat.patience_ms
    host, behind = beat.host, beat.behind_ms(now_ms)
    if pid is not None:
        if live is None or (pid and live.pid != pid):
            return Engine("starting", pid=pid)
        if quiet:
            return Engine("silent", since=live.updated, pid=pid, host=host, behind_ms=behind)
        return Engine("running", since=live.since, pid=pid, host=host, behind_ms=behind)
    if control.state != "running":
        return Engine(control.state, control.since, control.reason, control.fix, control.limit)
    if live is None and not begun:
        return Engine("new")
    if live is not None and live.phase == "ended":  # its last line is in the journal, which was read too early for it
        return Engine("paused", since=live.updated, reason=live.reason)
    if live is not None and beat.shared and not quiet:
        state: State = "running" if beat.moved or beat.seems_fresh(now_ms) else "looking"
        return Engine(state, since=live.since, pid=live.pid, host=host, behind_ms=behind)
    return _lost(control, beat, now_ms)


def _lost(control: Control, beat: Heartbeat, now_ms: int) -> Engine:
    live = beat.live
    reason, fix = "the engine ended without a word", "`autoresearch resume` goes on; nothing that was measured is lost"
    if beat.shared:
        reason = f"no sign of the engine{f' on {beat.host}' if beat.host else ''}, whose lock cannot be seen from here"
        fix = f"see on {beat.host or 'its machine'} that none runs, then `autoresearch resume` goes on"
    since = live.updated if live else control.since
    return Engine("lost", since, reason, fix, host=beat.host, behind_ms=beat.behind_ms(now_ms))


def engine_now(session: Session, history: History, now_ms: int, beat: Heartbeat) -> tuple[Engine, Live | None]:
    """`beat` takes in what live.json says now."""
    live = beat.saw(session.read_live(), now_ms)
    engine = engine_of(history.control, beat, session.engine_pid(), now_ms, begun=history.lines > 1)
    return engine, live if engine.alive else None


def look(session: Session) -> Heartbeat:
    """The heartbeat for a command that looks only once."""
    return watch_heartbeat([session])[session.name]
