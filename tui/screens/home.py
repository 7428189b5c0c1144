"""Home: every session of the repository in two lines each, read one by one while the screen is already there."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static
from textual.worker import get_current_worker

from autoresearch.state.session import Heartbeat, Place, Session, list_sessions, target_of
from autoresearch.state.text import safe_line
from autoresearch.tui.facts.engine import Engine
from autoresearch.tui.facts.overview import Overview, overview_of
from autoresearch.tui.look.keys import Reasoned, line_of
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.screens.delete_session import ask_to_delete
from autoresearch.tui.screens.modals import LeftOnce
from autoresearch.tui.screens.start_engine import begin, begin_new
from autoresearch.tui.screens.viewer import READS_ONLY
from autoresearch.tui.widgets.key_line import KeyLine
from autoresearch.tui.widgets.session_list import SessionList, is_starred

_EVERY_S = 2.0
_SHOWN_EVERY_S = 0.25
_REST_S = 0.01
"""Between two sessions: reading is work of Python's, and the screen has to get a turn."""
_STARTING_MS = 15_000
_Batch = dict[str, "tuple[tuple[object, ...], Overview | str]"]
"""By name: what a session's files looked like, and what they said."""


class HomeScreen(Reasoned, LeftOnce[None]):
    OF_SESSION = False
    """What the app can ask of a session is not offered here: none is chosen by being behind."""
    AUTO_FOCUS = "#sessions"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("n", "new", "new", id="home.new", tooltip="Start a new session of this target, or set it up"),
        Binding("r", "resume", "resume", id="home.resume", tooltip="Go on with this paused or stopped session"),
        Binding("a", "archive", "archive", id="home.archive", tooltip="Hide this session from the list, or not"),
        Binding("d,delete", "delete", "delete", show=False, id="home.delete",
                tooltip="Remove this session, after asking"),
        Binding("A", "show_archived", "archived", id="home.archived", tooltip="Show archived sessions too, or not"),
        Binding("escape", "back", "back", id="home.back", tooltip="Back to the session"),
    ]  # fmt: skip

    def __init__(self, place: Place, palette: Palette) -> None:
        super().__init__()
        self.place = place
        self.palette = palette
        self.read: dict[str, Overview | str] = {}
        self.all: list[Session] | None = None
        """Every session there is; None until they are listed."""
        self.with_archived = False
        self._asked: dict[str, int] = {}
        """When an engine was asked for, by name."""
        self._stamps: dict[str, tuple[object, ...]] = {}

    @property
    def listing(self) -> SessionList:
        return self.query_one(SessionList)

    def compose(self) -> ComposeResult:
        yield Static("", id="home-title", markup=False)
        yield SessionList(self.palette, self.viewer.now_ms)
        yield Static("", id="home-empty", markup=False)
        yield KeyLine(self.palette, id="keys")

    def on_mount(self) -> None:
        self.listing.message = "Looking for sessions …"
        self.refresh_list()
        self.call_after_refresh(self._look)
        self.set_interval(_EVERY_S, self._look)

    def on_screen_resume(self) -> None:
        self._look()

    # -- reading

    def _look(self) -> None:
        if self.is_current:
            self.run_worker(self._read_all, thread=True, exclusive=True, group="reading", name="sessions")

    def _read_all(self) -> None:
        """In a thread: list, then read one after the other what has changed, the newest first."""
        worker = get_current_worker()
        found = list_sessions(self.place)
        self.app.call_from_thread(self._listed, found)
        read: _Batch = {}
        shown_at = 0.0
        for session in found:
            if worker.is_cancelled:
                break
            beat = self.viewer.heartbeat(session)
            stamp = self._stamp(session, beat)
            if self._stamps.get(session.name) == stamp:
                continue
            try:
                known: Overview | str = overview_of(
                    session, session.history(), self.viewer.now_ms(), beat, can_start=not self.viewer.read_only
                )
            except OSError as error:
                known = f"It cannot be read: {error.strerror or error}."
            read[session.name] = (stamp, known)
            if time.monotonic() - shown_at >= _SHOWN_EVERY_S:
                shown_at = time.monotonic()
                self.app.call_from_thread(self._known, read)
                read = {}
            time.sleep(_REST_S)
        if read:
            self.app.call_from_thread(self._known, read)

    def _stamp(self, session: Session, heart: Heartbeat) -> tuple[object, ...]:
        """What an overview depends on; an engine's heartbeat counts, so what runs is read again each time."""
        try:
            journal = session.journal.stat()
            pid = session.engine_pid()
            beating = pid is not None or (heart.shared and heart.live is not None and heart.live.phase != "ended")
            beat = session.live.stat().st_mtime_ns if beating else 0
        except OSError as error:
            return (str(error),)
        fresh = self.viewer.now_ms() // 5000 if beating else 0  # a hung engine writes nothing: look anyway
        return journal.st_size, journal.st_mtime_ns, pid, beat, fresh, session.archived

    def _listed(self, found: list[Session]) -> None:
        self.all = found
        names = {session.name for session in found}
        self.read = {name: known for name, known in self.read.items() if name in names}
        self._stamps = {name: stamp for name, stamp in self._stamps.items() if name in names}
        self.refresh_list()

    def _known(self, read: _Batch) -> None:
        for name, (stamp, known) in read.items():
            self._stamps[name], self.read[name] = stamp, known
        self.refresh_list()

    # -- showing

    def refresh_list(self) -> None:
        sessions = self.all or []
        hidden = [session for session in sessions if session.archived]
        shown = sessions if self.with_archived else [session for session in sessions if session not in hidden]
        known = {name: self._starting(name, each) for name, each in self.read.items()}
        empty = self.all is not None and not shown
        self.set_class(empty, "-empty")
        self.query_one("#home-empty", Static).update(self._nothing(len(hidden)) if empty else "")
        self.listing.show(shown, known)
        name = self.place.top.name
        words = f" {safe_line(name)}  {len(shown)} session{'s' if len(shown) != 1 else ''}"
        if hidden:
            words += f", {len(hidden)} archived" + ("" if self.with_archived else " and not shown (A)")
        if any(is_starred(self.read.get(session.name)) for session in shown):
            words += " · * reported by its own run"
        self.query_one("#home-title", Static).update(words, layout=False)
        self.refresh_keys()

    def refresh_keys(self) -> None:
        self.query_one(KeyLine).keys = line_of(self)

    def _starting(self, name: str, known: Overview | str) -> Overview | str:
        asked = self._asked.get(name)
        if asked is None or isinstance(known, str):
            return known
        if known.engine.alive or self.viewer.now_ms() - asked > _STARTING_MS:
            del self._asked[name]
            return known
        return replace(known, engine=Engine("starting"), doing="the engine is starting")

    def _nothing(self, hidden: int) -> str:
        if hidden:
            which = "The only session is" if hidden == 1 else f"All {hidden} sessions are"
            return f"{which} archived; A shows archived ones, n starts another."
        if self.place.config_file.is_file():
            return "No session yet; n starts the first one.\n`autoresearch doctor` proves the target before."
        return f"There is no autoresearch.toml in {safe_line(str(self.place.folder))}.\nn sets this target up."

    # -- acting

    def _chosen(self) -> Overview | None:
        session = self.listing.chosen if self.query(SessionList) else None
        known = self.read.get(session.name) if session is not None else None
        return known if isinstance(known, Overview) else None

    def refusal(self, action: str, parameters: tuple[object, ...]) -> str:
        changing = action in ("new", "resume", "archive", "delete")
        if changing and self.viewer.read_only:
            return READS_ONLY
        if action == "back":
            return "" if self.viewer.has_session else "There is no session behind this list; enter opens one."
        if action == "show_archived":
            return "" if any(session.archived for session in self.all or ()) else "No session is archived."
        if action not in ("resume", "archive", "delete"):
            return ""
        chosen = self._chosen()
        if chosen is None:
            return "No session is chosen." if self.listing.chosen is None else "That session is still being read."
        if action == "delete" and self.viewer.has_session and self.viewer.session.name == chosen.session.name:
            return "It is open behind this list; open another one first, or `autoresearch delete` outside."
        if chosen.engine.alive:
            return {
                "resume": "Its engine is running.",
                "archive": "Its engine is running; pause or stop it first.",
                "delete": "Its engine is running; stop it first.",
            }[action]
        if action == "resume" and not self.viewer.starter.can_resume(self.place_of(chosen), chosen.session):
            return (
                f"There is no autoresearch.toml in {self.place_of(chosen).folder} any more, so nothing can be measured."
            )
        return ""

    def place_of(self, known: Overview) -> Place:
        """Where the session's target lies: it may be another folder of the repository."""
        return replace(self.place, prefix=known.target)

    def on_session_list_moved(self) -> None:
        self.refresh_keys()

    def on_session_list_chosen(self) -> None:
        self.open_chosen()

    def open_chosen(self) -> None:
        session = self.listing.chosen
        if session is None:
            return
        try:
            place = replace(self.place, prefix=target_of(session))
        except OSError as error:
            self.notify(f"Session {safe_line(session.name)} cannot be read: {error.strerror}.", severity="error")
            return
        self.viewer.open_session(place, session)

    def action_back(self) -> None:
        self.dismiss()

    def action_show_archived(self) -> None:
        self.with_archived = not self.with_archived
        self.refresh_list()

    def action_archive(self) -> None:
        chosen = self._chosen()
        if chosen is None:
            return
        mark = chosen.session.archive_mark
        try:
            if chosen.archived:
                mark.unlink(missing_ok=True)
            else:
                mark.touch()
        except OSError as error:
            self.notify(
                f"Session {safe_line(chosen.session.name)} cannot be archived: {error.strerror}.", severity="error"
            )
            return
        said = "is in the list again" if chosen.archived else "is archived; all of it is kept, and A shows it"
        self.notify(f"{safe_line(chosen.session.name)} {said}.", timeout=5)
        self.read[chosen.session.name] = replace(chosen, archived=not chosen.archived)
        self.refresh_list()

    def action_delete(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            ask_to_delete(self.viewer, self.place_of(chosen), chosen.session, self._deleted)

    def _deleted(self, name: str) -> None:
        self.notify(f"Session {name} is deleted.", timeout=5)
        self._look()

    def action_resume(self) -> None:
        chosen = self._chosen()
        if chosen is None:
            return
        if chosen.held:
            self.open_chosen()
            self.notify(f"An engine would pause at once: {chosen.held}. l sets a limit.", timeout=8)
            return
        place, session = self.place_of(chosen), chosen.session
        self._asked[session.name] = self.viewer.now_ms()
        self.refresh_list()
        resume = partial(self.viewer.starter.resume, place, session)
        begin(self.viewer, place, session.name, resume, failed=partial(self._not_started, session.name))

    def action_new(self) -> None:
        if self.place.config_file.is_file():
            begin_new(self.viewer, self.place)
        else:
            self.viewer.open_setup()

    def _not_started(self, name: str) -> None:
        self._asked.pop(name, None)
        self.refresh_list()
