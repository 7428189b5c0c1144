"""The pages over a session's dashboard, and how the app opens them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textual.screen import Screen

from autoresearch.tui.screens.session_page import SessionPage
from autoresearch.tui.screens.viewer import Viewer

if TYPE_CHECKING:
    from autoresearch.tui.screens.home import HomeScreen


class Pages(Viewer):
    """One method per page. Screens are imported when they are opened."""

    returning = False
    """Whether sessions that do not run open with the page to read before a restart."""
    arriving_at: int | None = None
    """The experiment to show as soon as the session's journal is read."""

    @property
    def _background_screens(self) -> list[Screen[Any]]:
        """Textual paints the screen below again with every change there, a covered one too: 16 kB a second."""
        covered = self._screen_stack and getattr(self._screen_stack[-1], "covers", False)
        return [] if covered else super()._background_screens

    def home(self) -> HomeScreen:
        from autoresearch.tui.screens.home import HomeScreen  # not before the first frame of one session

        return HomeScreen(self.repository, self.palette)

    @property
    def showing_home(self) -> bool:
        from autoresearch.tui.screens.home import HomeScreen  # not before the first frame of one session

        return bool(self.screen_stack) and isinstance(self.screen, HomeScreen)

    def open_home(self) -> None:
        """The list of sessions, above the present one."""
        from autoresearch.tui.screens.home import HomeScreen  # not before the first frame of one session

        if not any(isinstance(screen, HomeScreen) for screen in self.screen_stack):
            self.push_screen(self.home())

    def open_setup(self) -> None:
        from autoresearch.tui.screens.setup import SetupScreen

        self.push_screen(SetupScreen(self.repository, self.palette))

    def open_experiment(self, number: int) -> None:
        """The experiment, finished or being measured, whole."""
        from autoresearch.tui.screens.experiment import ExperimentScreen

        self.push_screen(ExperimentScreen(self.palette, number))

    def open_ideas(self) -> None:
        from autoresearch.tui.screens.ideas import IdeasScreen

        self.push_screen(IdeasScreen(self.palette))

    def open_returning(self) -> None:
        """What a person wants to check before a restart."""
        from autoresearch.tui.screens.restart import ReturningScreen

        self.push_screen(ReturningScreen(self.palette))

    def open_messages(self) -> None:
        from autoresearch.tui.screens.messages import SteerScreen

        self.push_screen(SteerScreen(self.palette))

    def arrived(self) -> None:
        """A session's journal is read for the first time: one that does not run shows what to check before it does."""
        engine = self.watched.engine
        number, self.arriving_at = self.arriving_at, None
        if number is not None and self.showing_dashboard:
            self.open_experiment(number)
            return
        idle = engine is not None and engine.state in ("paused", "stopped", "lost")
        if self.returning and idle and self.showing_dashboard:
            self.open_returning()

    def look_again(self) -> None:
        """The journal said something new: the page above the dashboard shows it at once."""
        if self.screen_stack and isinstance(self.screen, SessionPage):
            self.screen.look()

    action_home = open_home
    action_ideas = open_ideas
    action_returning = open_returning
    action_messages = open_messages
