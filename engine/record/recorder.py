"""The writing hand: journal first, then the read model, then whoever watches; and live.json beside it.

Whatever is put on record passes here, and here what must not be quoted is struck out of it.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, TypeVar

from autoresearch.engine.git import GitError
from autoresearch.engine.secrets import NONE, Secrets
from autoresearch.state.journal import History, Journal, records
from autoresearch.state.journal.records import now_ms
from autoresearch.state.session import Live, Session, write_live

Observe = Callable[[records.Record, History], None]
OnLive = Callable[[Live], None]

HEARTBEAT_MS = 2000
_R = TypeVar("_R", bound=records.Record)
_AS_CONFIGURED = (records.Header, records.Settings)
"""What stands in them is no run's and no agent's."""


class Recorder:
    """Owns a session's journal while its lock is held."""

    def __init__(
        self,
        session: Session,
        journal: Journal,
        history: History,
        observe: Observe,
        on_live: OnLive,
        pid: int,
        secrets: Secrets = NONE,
    ) -> None:
        self.session = session
        self.history = history
        self.secrets = secrets
        self._journal = journal
        self._observers = [observe]
        self._on_live = on_live
        self._changed = True
        now = now_ms()
        self.live = Live(pid=pid, host=socket.gethostname(), phase="starting", since=now, updated=now)

    def write(self, *lines: records.Record) -> None:
        """Append the records as one unit. Returns once they are durable and folded. Raises JournalLost."""
        lines = tuple(map(self.struck, lines))
        for at, line in self._journal.append(*lines):
            self.history.feed(at, line[:-1])
        for record in lines:
            for observe in self._observers:
                observe(record, self.history)

    def struck(self, record: _R) -> _R:
        """The record as it is written: without what must not be quoted."""
        if isinstance(record, _AS_CONFIGURED):
            return record
        held = {each.name: getattr(record, each.name) for each in fields(record) if each.name not in records.COMMITS}
        return replace(record, **{name: self._struck(value) for name, value in held.items()})

    def _struck(self, value: Any) -> Any:
        match value:
            case str():
                return self.secrets.scrub(value)
            case tuple() | list():
                return type(value)(map(self._struck, value))
            case dict():
                return {self._struck(key): self._struck(item) for key, item in value.items()}
        return value

    def also(self, observe: Observe) -> None:
        """Let somebody else see every line too."""
        self._observers.append(observe)

    def warn(self, text: str, code: str = "") -> None:
        """A line for people, once per text while it stays among the recent ones."""
        text = self.secrets.scrub(text)
        if not any(notice.text == text for notice in self.history.notices):
            self.write(records.Warn(text=text, code=code))

    def phase(self, phase: str, **changes: Any) -> None:
        """Say what the engine does now. Keys not named keep their value.

        It is written by the next beat, within a quarter of a second: a rename per phase would cost a short experiment
        more than its measurement.
        """
        now = now_ms()
        if phase != self.live.phase or changes.get("k", self.live.k) != self.live.k:
            self.live.since = now
        self.live.phase = phase
        for key, value in changes.items():
            setattr(self.live, key, self._struck(value))
        self._changed = True

    def beat(self) -> None:
        """Replace live.json when something changed or the heartbeat is due."""
        now = now_ms()
        if self._changed or now - self.live.updated >= HEARTBEAT_MS:
            self._changed = False
            self.live.updated = now
            self.attempt("live.json", lambda: write_live(self.session, self.live))
            self._on_live(self.live)

    def attempt(self, what: str, step: Callable[[], None]) -> None:
        """Do what is done again soon: a file that cannot be read or written for a while is no reason to end.

        The journal is the only one without which the loop stops.
        """
        try:
            step()
        except (OSError, GitError) as error:
            why = error.strerror if isinstance(error, OSError) else error.stderr.partition("\n")[0]
            self.warn(f"{what} cannot be used now ({why}); it is tried again.", code="files")
