"""Which log the dashboard shows: the one that is being written, or the kind that a person picked."""

from __future__ import annotations

from autoresearch.state.journal import History
from autoresearch.state.session import Live, Session
from autoresearch.tui.facts import logs
from autoresearch.tui.facts.engine import Engine
from autoresearch.tui.widgets.log_view import LogView


class LogSource:
    def __init__(self, session: Session) -> None:
        self.session = session
        self.picked = ""
        """The kind of log a person wants to see; "": the one that is being written."""

    def aim(self, view: LogView, history: History, engine: Engine, live: Live | None) -> None:
        """Point the view at the log that matters. `live`: of an engine, running or not."""
        running = live if engine.state == "running" else None
        path = logs.logs_of(self.session, history, running).get(self.picked) if self.picked else None
        before = view.file.path if view.file else None
        view.aim(path or logs.log_of(self.session, history, engine, live, before))

    def pick(self, view: LogView, history: History, running: Live | None, by: int) -> None:
        """Go through the run's logs, and past either end back to the one that is being written."""
        there = ["", *logs.logs_of(self.session, history, running)]
        now = self.picked or (view.file.path.name if view.file is not None else "")
        self.picked = there[((there.index(now) if now in there else 0) + by) % len(there)]

    def words(self, view: LogView, history: History, running: Live | None) -> str:
        """The title."""
        number = running.experiment if running is not None else None
        name = logs.title_of(self.session, view.file.path, number or logs.last(history)) if view.file else ""
        said = f"{name}, picked" if self.picked else name
        if not view.following:
            said = f"{view.unread:,} new, f follows" if view.unread else "f follows"
        return " · ".join(filter(None, (view.searched, said))) if view.searched else said
