"""The viewer of one session: a process of its own that reads the session's files and puts requests into its inbox.

Nothing that happens here, a crash or a closed terminal included, concerns the engine.
"""

from __future__ import annotations

import asyncio
import os
import signal
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Read when textual is first imported: five page-ups cost 54 kB to the terminal, 346 kB with smooth scrolling.
os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
os.environ.setdefault("TEXTUAL_SMOOTH_SCROLL", "0")

from textual.app import App

from autoresearch.state import records
from autoresearch.state.session import Place, Session, SessionError
from autoresearch.tui.alive import Engine
from autoresearch.tui.feed import Feed
from autoresearch.tui.notices import Bell
from autoresearch.tui.palette import COLOUR, PLAIN, THEME
from autoresearch.tui.screens.dashboard import DashboardScreen

_START_MS = 15_000
"""How long a started engine may take until its lock is seen."""


def run_dashboard(
    place: Place, session: Session, *, demo: bool = False, start_engine: Callable[[], None] | None = None
) -> int:
    """Show the session until the person leaves. The process's exit code: 0, or 1 after an error of the viewer.

    `start_engine` starts a detached engine for this session; without it the screen only watches.
    """
    # A closed terminal ends the viewer at once and quietly, even under nohup: with SIGHUP ignored its event loop would
    # hang in a write to the terminal that is gone.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    app = Dashboard(place, session, demo=demo, start_engine=start_engine, terminal=0)
    app.run()
    return app.return_code or 0


class Dashboard(App[None]):
    CSS_PATH = "app.tcss"
    TITLE = "autoresearch"
    ENABLE_COMMAND_PALETTE = False

    def __init__(
        self,
        place: Place,
        session: Session,
        *,
        demo: bool = False,
        start_engine: Callable[[], None] | None = None,
        clock: Callable[[], int] = records.now_ms,
        terminal: int | None = None,
    ) -> None:
        plain = "NO_COLOR" in os.environ  # textual removes it from the environment
        self.palette = PLAIN if plain else COLOUR
        # The filter for NO_COLOR is chosen here, before the theme is known: ours would turn default colours into black.
        super().__init__(ansi_color=True if plain else None)
        self.place = place
        self.session = session
        self.demo = demo
        self.now_ms = clock
        self._start_engine = start_engine
        self._started_ms = 0
        self._terminal = terminal
        self.notices = Bell(self._write_raw, self.set_timer)
        self.feed: Feed | None = None
        target = place.prefix or place.top.name
        self.board = DashboardScreen(session, f"{Path(target).name}/{session.name}", self.palette)
        self.register_theme(THEME)
        self.theme = "ansi-dark" if plain else THEME.name

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Variables of our style sheet; our theme overrides them, an ANSI theme has no colours of its own."""
        names = ("rule", "rule-focus", "quiet", "tab-on", "tab-off")
        return dict.fromkeys(names, "ansi_default")

    def get_default_screen(self) -> DashboardScreen:
        return self.board

    def on_mount(self) -> None:
        if self._terminal is not None:
            loop = asyncio.get_running_loop()
            loop.add_signal_handler(signal.SIGTERM, lambda: self.exit(return_code=143))
            self.set_interval(2.0, self._leave_a_dead_terminal)
        # After the first frame: reading 10,000 experiments takes half a second of this core.
        self.call_after_refresh(self._start_feed)

    def _start_feed(self) -> None:
        self.feed = Feed(self.session, self.board)
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
        """The engine as seen, or "starting" while one that was asked for has not taken the lock yet."""
        if engine.alive or not self._started_ms:
            self._started_ms = 0
            return engine
        if self.now_ms() - self._started_ms < _START_MS:
            return Engine("starting")
        self._started_ms = 0
        self.notify("The engine did not start; its words are in engine.log (pane 2).", severity="error", timeout=10)
        return engine

    def _ask(self, kind: str, said: str, **args: Any) -> None:
        try:
            self.session.ask(kind, **args)
        except OSError as error:
            where = self.session.inbox
            self.notify(f"The request could not be written to {where}: {error.strerror}.", severity="error", timeout=10)
            return
        self.notify(said, timeout=4)

    def action_pause(self) -> None:
        live = self.board.live
        asked = any(request is not None and request.kind == "pause" for _, request in self.session.requests())
        if not self.board.alive:
            self.notify("No engine is running; r starts one.")
        elif asked or (live is not None and live.pausing == "pause"):
            self._ask("unpause", "It goes on.")
        else:
            self._ask("pause", "It pauses after this experiment; p again takes it back.", now=False)

    def action_resume(self) -> None:
        if self.board.alive:
            self.notify("The engine is running.")
        elif self._start_engine is None:
            self.notify("This screen only watches; `autoresearch resume` starts an engine.")
        else:
            self._started_ms = self.now_ms()
            self.board.refresh_state()
            self.run_worker(self._start, thread=True, exit_on_error=False, name="start")

    def _start(self) -> None:
        assert self._start_engine is not None
        try:
            self._start_engine()
        except (SessionError, OSError) as error:
            self._started_ms = 0
            self.call_from_thread(self.notify, str(error), severity="error", timeout=10)

    def action_stop(self) -> None:
        if not self.board.alive:
            self.notify("No engine is running.")
            return
        from autoresearch.tui.screens.modals import Choice, Option

        def answer(value: str | None) -> None:
            if value == "stop":
                self._ask("stop", "It stops now; the open experiment goes on at its next run.")

        options = [Option("y", "stop", "yes, stop now"), Option("n", "", "no")]
        text = "What is being measured is ended. Its finished runs are kept, and it goes on at the next one."
        self.push_screen(Choice(self.palette, "Stop now?", text, options, default=""), answer)

    def action_idea(self) -> None:
        from autoresearch.tui.screens.modals import Ask

        def answer(text: str | None) -> None:
            if text:
                self._ask("idea", "The idea goes into the notebook.", text=text)

        self.push_screen(Ask("Add an idea", "Something to try, in a line.", "what to try, and why it may help"), answer)

    def action_message(self) -> None:
        from autoresearch.tui.screens.modals import Ask

        def answer(text: str | None) -> None:
            if text:
                self._ask("steer", "The agent reads it with its next brief.", text=text)

        ask = Ask("Message to the agent", "It comes with the next brief.", "what it should know or do")
        self.push_screen(ask, answer)

    # -- pages

    def show_experiment(self, number: int) -> None:
        from autoresearch.tui.screens.detail import detail_of, title_of
        from autoresearch.tui.screens.modals import Page

        history = self.board.history
        opened = history.open
        item = opened if opened is not None and opened.number == number else history.by_number.get(number)
        if item is None:
            return
        try:
            items = detail_of(self.session.journal, history, item, self.palette)
        except (OSError, records.MalformedRecord) as error:
            self.notify(f"Experiment {number} cannot be read from the journal: {error}.", severity="error")
            return
        self.push_screen(Page(self.palette, title_of(item), items))

    def action_help(self) -> None:
        from autoresearch.tui.screens.help import help_items
        from autoresearch.tui.screens.modals import Page

        self.push_screen(Page(self.palette, "Keys", help_items(self.board, self.palette)))

    # -- leaving

    async def action_quit(self) -> None:
        self.action_leave()

    def action_help_quit(self) -> None:
        self.notify("q leaves this screen; the engine is another process and goes on. s stops it.")

    def action_leave(self) -> None:
        if not self.board.alive:
            self.exit()
            return
        from autoresearch.tui.screens.modals import Choice, Option

        def answer(value: str | None) -> None:
            if value == "pause":
                self._ask("pause", "", now=False)
            elif value == "stop":
                self._ask("stop", "")
            if value in ("leave", "pause", "stop"):
                self.exit()

        options = [
            Option("l", "leave", "leave it running"),
            Option("p", "pause", "pause after this experiment"),
            Option("s", "stop", "stop now"),
            Option("c", "cancel", "cancel"),
        ]
        text = "The engine is a process of its own. `autoresearch` shows it again."
        default = "stop" if self.demo else "leave"
        if not isinstance(self.screen, Choice):
            self.push_screen(Choice(self.palette, "Quit", text, options, default=default), answer)

    def _fatal_error(self) -> None:
        """As textual does it, but without the values of local variables: they may hold keys."""
        from rich.segment import Segments
        from rich.traceback import Traceback

        traceback = Traceback(show_locals=False, width=None)
        self._exit_renderables.append(Segments(self.console.render(traceback, self.console.options)))
        self._close_messages_no_wait()
