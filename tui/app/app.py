"""The viewer: a process of its own that reads the sessions' files and puts requests into their inboxes.

Nothing that happens here, a crash or a closed terminal included, concerns the engine.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

# Read when textual is first imported: five page-ups cost 54 kB to the terminal, 346 kB with smooth scrolling.
os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
os.environ.setdefault("TEXTUAL_SMOOTH_SCROLL", "0")

from textual.binding import Binding, BindingType
from textual.events import Key
from textual.screen import Screen

from autoresearch.state.journal import JournalLost, records
from autoresearch.state.session import Heartbeat, Place, Session, SessionError, heartbeat_of
from autoresearch.tui.actions import requests
from autoresearch.tui.actions.engines import Starter
from autoresearch.tui.app import questions
from autoresearch.tui.app.engine_watch import EngineWatch
from autoresearch.tui.app.pages import Pages
from autoresearch.tui.facts import documents
from autoresearch.tui.facts.engine import Engine
from autoresearch.tui.facts.text import fitted
from autoresearch.tui.facts.watched import Watched
from autoresearch.tui.live.bell import Bell
from autoresearch.tui.live.feed import Feed
from autoresearch.tui.look import keys
from autoresearch.tui.look.key_queue import Typed
from autoresearch.tui.look.palette import LIGHT_THEME, THEME, palette_of, textual_theme
from autoresearch.tui.look.plain_text import AsciiOnly, NoControls
from autoresearch.tui.look.preferences import THEMES, Preferences
from autoresearch.tui.screens.dashboard import DashboardScreen
from autoresearch.tui.screens.help import help_of
from autoresearch.tui.screens.modals import Page
from autoresearch.tui.screens.viewer import READS_ONLY


def run_dashboard(
    place: Place,
    session: Session | None,
    *,
    demo: bool = False,
    starter: Starter | None = None,
    preferences: Preferences | None = None,
    read_only: bool = False,
) -> tuple[int, tuple[Place, Session, Heartbeat] | None]:
    """Show the session, or all of them, until the person leaves.

    Returns the process's exit code, 0 or 1 after an error of the viewer, and what was on the screen last.
    """
    # A closed terminal ends the viewer at once and quietly, even under nohup: with SIGHUP ignored its event loop would
    # hang in a write to the terminal that is gone.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    preferences = preferences or Preferences()
    if not _writes_unicode():
        preferences = replace(preferences, ascii=True)
    app = ViewerApp(
        place,
        session,
        demo=demo,
        starter=starter,
        terminal=0,
        preferences=preferences,
        read_only=read_only,
    )
    app.returning = True
    app.run(mouse=app.preferences.mouse)
    return app.return_code or 0, (app.place, app.session, app.watched.beat) if app.has_session else None


def _writes_unicode() -> bool:
    """Whether the terminal's locale has the characters that we draw with; textual would write `\\u256d` for them."""
    encoding = getattr(sys.__stdout__, "encoding", None) or "utf-8"
    try:
        "╭✓⣿".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


class ViewerApp(Typed, Pages, inherit_bindings=False):
    CSS_PATH = "app.tcss"
    TITLE = "autoresearch"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("p", "pause", "pause", id="app.pause", tooltip="Pause after this experiment; again: take it back"),
        Binding("r,p", "resume", "resume", id="app.resume", tooltip="Start an engine that goes on where it was"),
        Binding("s", "stop", "stop", id="app.stop", tooltip="Stop now; the open experiment goes on at the next resume"),
        Binding("i", "idea", "idea", id="app.idea", tooltip="Add an idea to the notebook"),
        Binding("m", "steer", "message", id="app.steer", tooltip="Give the agent a message with its next brief"),
        Binding("d", "ideas", "dead ends", id="app.ideas",
                tooltip="Ideas and dead ends: in order, why they failed, search"),
        Binding("M", "messages", "messages", show=False, id="app.messages",
                tooltip="Messages to the agent, and when read"),
        Binding("B", "returning", "before a restart", show=False, id="app.returning",
                tooltip="Why it stopped, what was in flight, what is left"),
        Binding("ctrl+p", "palette", "commands", id="app.palette", tooltip="Find a command by typing"),
        Binding("question_mark,f1", "help", "help", key_display="?", id="app.help", tooltip="Help for this pane"),
        Binding("ctrl+o", "home", "sessions", show=False, id="app.home", tooltip="Every session of this repository"),
        Binding("ctrl+c", "copy", "copy", show=False, id="app.copy", tooltip="Copy the selected text"),
        Binding("ctrl+r", "redraw", "redraw", show=False, id="app.redraw", tooltip="Draw the whole screen again"),
        Binding("q", "leave", "quit", id="app.leave", tooltip="Quit; the engine can go on"),
    ]  # fmt: skip

    def __init__(
        self,
        place: Place,
        session: Session | None,
        *,
        demo: bool = False,
        starter: Starter | None = None,
        clock: Callable[[], int] = records.now_ms,
        terminal: int | None = None,
        preferences: Preferences | None = None,
        read_only: bool = False,
    ) -> None:
        self.plain = "NO_COLOR" in os.environ  # textual removes it from the environment
        self.preferences = preferences or Preferences()
        self.palette = palette_of(self.preferences.theme, self.plain)
        # The filter for NO_COLOR is chosen here, before the theme is known: ours would turn default colours into black.
        super().__init__(ansi_color=True if self.plain else None)
        self.place = place
        self.repository = place
        self.demo = demo
        self.read_only = read_only
        """Nothing is asked of the session and nothing is started."""
        self.now_ms = clock
        self.starter: Starter = starter or Starter()
        self._watch = EngineWatch(self)
        self._terminal = terminal
        self._obeying = threading.Lock()
        self.notices = Bell(self._write_raw, self.set_timer)
        self.feed: Feed | None = None
        self._beats: dict[Path, Heartbeat] = {}
        self._dashboard = self._dashboard_of(place, session) if session is not None else None
        self.register_theme(THEME)
        self.register_theme(LIGHT_THEME)
        self.theme = textual_theme(self.preferences.theme, self.plain)
        self.set_keymap(self.preferences.keys)
        self._filters.append(NoControls())
        if self.preferences.ascii:
            self._filters.append(AsciiOnly())

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Variables of our style sheet; our theme overrides them, an ANSI theme has no colours of its own."""
        names = ("rule", "rule-focus", "quiet", "tab-on", "tab-off")
        return dict.fromkeys(names, "ansi_default")

    def get_default_screen(self) -> Screen[Any]:
        screen = self._dashboard if self._dashboard is not None else self.home()
        screen._push_result_callback(self, None)  # as for a pushed one: another session's may take its place
        return screen

    # -- what is shown

    @property
    def has_session(self) -> bool:
        return self._dashboard is not None

    @property
    def dashboard(self) -> DashboardScreen:
        assert self._dashboard is not None, "no session is open"
        return self._dashboard

    @property
    def watched(self) -> Watched:
        return self.dashboard.watched

    @property
    def showing_dashboard(self) -> bool:
        return self.screen is self._dashboard

    @property
    def session(self) -> Session:
        return self.dashboard.session

    def _dashboard_of(self, place: Place, session: Session) -> DashboardScreen:
        target = place.prefix or place.top.name
        heading = fitted(f"{Path(target).name}/{session.name}")
        return DashboardScreen(Watched(session, heading, self.heartbeat(session)), self.palette)

    def heartbeat(self, session: Session) -> Heartbeat:
        """What this viewer has seen of its heartbeat, on whichever screen."""
        return self._beats.setdefault(session.folder, heartbeat_of(session))

    def open_session(self, place: Place, session: Session, number: int | None = None) -> None:
        """Show this session instead of what is shown, its experiment `number` first."""
        if self.feed is not None:
            self.feed.stop()
        self.place = place
        self._watch = EngineWatch(self)
        self.arriving_at = number
        self._dashboard = self._dashboard_of(place, session)
        while len(self.screen_stack) > 1:
            self.pop_screen()
        self.switch_screen(self._dashboard)
        self.call_after_refresh(self._start_feed)

    def on_mount(self) -> None:
        if self._terminal is not None:
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGTERM, lambda: self.exit(return_code=143))
            self.set_interval(2.0, self._leave_a_dead_terminal)
        if self.has_session:
            # After the first frame: reading 10,000 experiments takes half a second of this core.
            self.call_after_refresh(self._start_feed)

    def _start_feed(self) -> None:
        self.feed = Feed(self.session, self.dashboard)
        self.feed.start()

    def on_unmount(self) -> None:
        if self.feed is not None:
            self.feed.stop()

    def watch_run(self, folder: Path) -> None:
        if self.feed is not None:
            self.feed.run_folder = folder

    def _write_raw(self, sequence: str) -> None:
        """Past the compositor, in order with its frames: the driver's thread writes both."""
        if self._driver is not None:
            self._driver.write(sequence)
            self._driver.flush()

    def _leave_a_dead_terminal(self) -> None:
        assert self._terminal is not None
        try:
            termios.tcgetattr(self._terminal)
        except termios.error:
            os._exit(129)  # nothing can be written any more, an orderly end would only wait for it

    # -- the engine

    def starting(self, engine: Engine) -> Engine:
        return self._watch.seen(engine)

    def refusal(self, action: str, parameters: tuple[object, ...]) -> str:
        return questions.refusal(self, action)

    def ask(self, kind: str, said: str, **args: Any) -> None:
        """Put a request into the session's inbox, and say so."""
        if self.read_only:
            self.notify(READS_ONLY, severity="warning")
            return
        session = self.session
        try:
            request = session.ask(kind, **args)
        except OSError as error:
            where = self.session.inbox
            self.notify(f"The request could not be written to {where}: {error.strerror}.", severity="error", timeout=10)
            return
        self.watched.inbox = [*self.watched.inbox, request]  # shown at once, before the feed has seen it
        if said:
            self.notify(said, timeout=4)

        def see_to() -> None:
            try:
                with self._obeying:
                    requests.see_to(session, request)
            except (SessionError, JournalLost, OSError) as error:
                self.call_from_thread(self.notify, fitted(str(error)), severity="error", timeout=10, markup=False)

        if kind not in ("pause", "unpause", "stop"):
            # Where no engine takes it, it is obeyed here, beside the screen and under the session's lock.
            self.run_worker(see_to, thread=True, exit_on_error=False, name="obey")

    def refresh_state(self) -> None:
        self.dashboard.refresh_state()

    def session_gone(self) -> None:
        questions.ask_where_to(self)

    def action_pause(self) -> None:
        if self.watched.pausing:
            self.ask("unpause", "It goes on.")
        else:
            self.ask("pause", "", now=False)
        self.dashboard.refresh_state()
        self.look_again()

    def action_resume(self) -> None:
        self._watch.resume()

    def action_stop(self) -> None:
        questions.ask_stop(self)

    def action_idea(self) -> None:
        questions.ask_idea(self)

    def action_steer(self) -> None:
        questions.ask_message(self)

    def bounds(self) -> dict[str, Any]:
        """The limits of the shown session, with those of the call that runs, or would when it is resumed here."""
        watched = self.watched
        if watched.beating is not None:
            return documents.limits(self.session, watched.history, watched.beating.limits)
        return documents.next_limits(self.place, self.session, watched.history, self.starter.limits(self.session))

    # -- hands

    async def _on_key(self, event: Key) -> None:
        """A key whose action is not possible now says why."""
        event.prevent_default()
        if not await self._check_bindings(event.key) and (said := keys.refused(self.screen, event.key)):
            self.notify(said, timeout=4)

    def action_help(self) -> None:
        self.push_screen(Page(self.palette, "Keys", help_of(self.screen, self.palette)))

    def action_palette(self) -> None:
        from autoresearch.tui.screens.command_palette import Commands

        self.push_screen(Commands(self.palette, keys.commands_of(self.screen), self.more_commands()))

    def more_commands(self) -> list[tuple[str, Callable[[], None]]]:
        """What the palette offers beside the bindings: (words, act)."""
        if self.plain:
            return []
        return [
            (f"Theme: {name}", partial(self.become, name))
            for name in THEMES
            if textual_theme(name, False) != self.theme
        ]

    def become(self, theme: str) -> None:
        """Show another theme, until the screen is left; config.toml keeps one."""
        self.palette.become(palette_of(theme, self.plain))
        self.theme = textual_theme(theme, self.plain)
        if self.has_session:
            self.dashboard.refresh_all()
        for screen in self.screen_stack:
            for widget in screen.walk_children():
                widget.refresh()

    def action_redraw(self) -> None:
        self.refresh(layout=True)

    def action_copy(self) -> None:
        self.notify("Nothing is selected. q leaves this screen; the engine is another process and goes on.")

    def copy_to_clipboard(self, text: str) -> None:
        """Over the terminal (OSC 52): it works through SSH, where the terminal and tmux let it."""
        super().copy_to_clipboard(text)
        how = "in tmux with `set -g set-clipboard on`" if "TMUX" in os.environ else "if the terminal allows it (OSC 52)"
        self.notify(f"Copied {len(text):,} characters, {how}.", timeout=4)

    # -- leaving

    def action_leave(self) -> None:
        if not self.has_session or not self.watched.alive or self.read_only or self.showing_home:
            self.exit()
        else:
            questions.ask_leave(self, "s" if self.demo else "l")

    def _fatal_error(self) -> None:
        """As textual does it, but without the values of local variables: they may hold keys."""
        from rich.segment import Segments
        from rich.traceback import Traceback

        traceback = Traceback(show_locals=False, width=None)
        self._exit_renderables.append(Segments(self.console.render(traceback, self.console.options)))
        self._close_messages_no_wait()
