"""What is known of the shown session. The feed brings it to the dashboard; every screen reads it here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autoresearch.engine import verdict
from autoresearch.state.journal import History
from autoresearch.state.session import Heartbeat, Live, Request, Session
from autoresearch.tui.facts import documents
from autoresearch.tui.facts.engine import Engine, engine_of

_GONE = Engine("gone", reason="this session's folder was deleted or moved; ctrl+o shows the others")


class Watched:
    def __init__(self, session: Session, heading: str, beat: Heartbeat) -> None:
        self.session = session
        self.heading = heading
        self.history = History()
        self.opened = False
        """The journal is read."""
        self.gone = False
        """The session's folder is not there any more."""
        self.problem = ""
        self.archived = session.archived
        self.engine: Engine | None = None
        """None until the journal is read."""
        self.beat = beat
        self.live: Live | None = None
        self.pid: int | None = None
        self.inbox: list[Request] = []
        """What people asked for and the engine has not taken yet."""
        self.gain: dict[str, Any] = {}
        self._gain_of: tuple[object, ...] = ()
        self._bounds: dict[str, Any] = {}

    @property
    def alive(self) -> bool:
        return self.engine is not None and self.engine.alive

    @property
    def running(self) -> bool:
        return self.engine is not None and self.engine.state == "running"

    @property
    def beating(self) -> Live | None:
        """The heartbeat of an engine that runs."""
        return self.live if self.running else None

    @property
    def pausing(self) -> bool:
        """Whether a pause is asked for, by whomever, and not yet done."""
        if not self.alive or self.live is None:
            return False
        asked = [request.kind for request in self.inbox if request.kind in ("pause", "unpause")]
        return asked[-1] == "pause" if asked else self.live.pausing == "pause"

    @property
    def host(self) -> str:
        """Where the engine runs or ran; "" where that is not known."""
        header = self.history.header
        return self.live.host if self.live is not None else header.host if header is not None else ""

    @property
    def bounds(self) -> dict[str, Any]:
        """The config's limits, what people have set since, and those of the call that runs."""
        return self._bounds | (self.beating.limits if self.beating is not None else {})

    def seen(self, now_ms: int) -> Engine:
        if self.gone:
            return _GONE
        return engine_of(self.history.control, self.beat, self.pid, now_ms, begun=self.history.lines > 1)

    def series(self) -> tuple[Path | None, Path | None]:
        """The live series of the open experiment, and of the best beside it."""
        opened, best = self.history.open, self.history.incumbent
        return (
            self.session.run(opened.number) / "progress.jsonl" if opened else None,
            self.session.run(best.number) / "progress.jsonl" if best and opened and opened.proposal else None,
        )

    def measure(self) -> None:
        """The journal said something new: limits, and the best against the baseline.

        The gain reads their samples, so only when one of the two or the noise is another.
        """
        history = self.history
        self._bounds = documents.limits(self.session, history, {})
        stamp = (history.incumbent and history.incumbent.number, history.segment, history.spread.nu)
        if stamp != self._gain_of and history.incumbent is not None:
            self.gain = verdict.gain_of(self.session, history)
            self._gain_of = stamp
