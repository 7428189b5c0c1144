"""What the screens about one session have in common: a title, a body, the key line; looked at anew once a second."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.widget import Widget

from autoresearch.state.journal import History
from autoresearch.state.text import safe_line
from autoresearch.tui.facts.pending import Pending, pending
from autoresearch.tui.facts.words import badge
from autoresearch.tui.look.keys import Reasoned, line_of
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.screens.modals import Ask, Choice, LeftOnce, Option, act_on
from autoresearch.tui.screens.viewer import READS_ONLY, pausing_words
from autoresearch.tui.widgets.key_line import KeyLine
from autoresearch.tui.widgets.state_line import PauseBanner, TitleLine

_SIDE_FROM = 100
_LETTERS = "123456789abcdefghijklmnopqrstuvwxyz"


class SessionPage(Reasoned, LeftOnce[None]):
    """A screen over the dashboard. Subclasses give `heading`, `body` and `show`."""

    CHANGES: ClassVar[frozenset[str]] = frozenset()
    """Actions that change the session: none of them with --read-only."""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "escape,backspace", "back", "back", key_display="esc", id="screen.back", tooltip="Back to where you were"
        ),
        Binding("q", "close", "close", show=False, id="screen.close", tooltip="Close this page"),
    ]
    heading = ""
    tells_gains = False
    """What is not read apart from the agent's code is called that in the title."""
    covers = True
    """Nothing of the screen below is seen."""

    def __init__(self, palette: Palette) -> None:
        super().__init__(classes="session-page")
        self.palette = palette
        self._seen: tuple[object, ...] = ()

    @property
    def history(self) -> History:
        return self.viewer.watched.history

    def pending(self) -> list[Pending]:
        return pending(self.viewer.watched.inbox, self.history)

    def body(self) -> Iterable[Widget]:
        raise NotImplementedError

    def show(self) -> None:
        """Draw what the session's files say now."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        yield TitleLine(self.palette)
        yield PauseBanner(self.palette)
        yield from self.body()
        yield KeyLine(self.palette, id="keys")

    def on_mount(self) -> None:
        self._fit(self.app.size.width)
        self.look()
        self.set_interval(1.0, self.look)

    def on_resize(self, event: Resize) -> None:
        self._fit(event.size.width)

    def _fit(self, width: int) -> None:
        self.set_class(width >= _SIDE_FROM, "-side")
        self.set_class(width < _SIDE_FROM, "-below")

    def stamp(self) -> tuple[object, ...]:
        """Another one means that there is something new to show."""
        engine, asked = self.viewer.watched.engine, [request.id for request in self.viewer.watched.inbox]
        return (self.history.lines, id(self.history), asked, engine.state if engine else "", self.palette.text)

    def look(self) -> None:
        stamp = self.stamp()
        if stamp != self._seen:
            self._seen = stamp
            self.show()
        self.show_keys()

    def show_again(self) -> None:
        self._seen = ()
        self.look()

    def show_keys(self) -> None:
        watched = self.viewer.watched
        mark = self.history.score_mark if self.tells_gains else ""
        heading = f"{self.heading} · score {mark}" if mark else self.heading
        self.query_one(TitleLine).said = (watched.heading, heading, badge(watched.engine, watched.live))
        self.query_one(PauseBanner).words = pausing_words(self.viewer)
        self.query_one(KeyLine).keys = line_of(self)

    def on_descendant_focus(self) -> None:
        self.show_keys()

    def refusal(self, action: str, parameters: tuple[object, ...]) -> str:
        return READS_ONLY if action in self.CHANGES and self.viewer.read_only else ""

    def action_back(self) -> None:
        self.dismiss(None)

    def action_close(self) -> None:
        self.dismiss(None)

    # -- asking

    def request(self, kind: str, said: str, **args: Any) -> None:
        """Put it into the inbox, and show that it waits there."""
        self.viewer.ask(kind, said, **args)
        self.look()

    def ask_line(self, title: str, text: str, hint: str, then: Callable[[str], None], value: str = "") -> None:
        """Ask for a line; `then` gets it, an empty one too. Escape asks for nothing."""

        def answer(said: str | None) -> None:
            if said is not None:
                then(said)

        self.app.push_screen(Ask(title, safe_line(text), hint, value), answer)

    def ask_which(
        self, title: str, text: str, options: list[tuple[str, str]], then: Callable[[str], None], chosen: str = ""
    ) -> None:
        """Ask for one of (value, words), by a digit or with the arrows."""
        listed = [
            Option(letter, safe_line(words), partial(then, value))
            for letter, (value, words) in zip(_LETTERS, options, strict=False)
        ]
        at = next((at for at, (value, _) in enumerate(options) if value == chosen), 0)
        question = Choice(self.palette, title, text, [*listed, Option("q", "leave it as it is")], listed[at].key)
        self.app.push_screen(question, act_on)
