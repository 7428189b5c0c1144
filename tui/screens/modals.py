"""Small questions and pages on top of the dashboard."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar, TypeVar, cast

from rich.segment import Segment
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.events import Key
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Input, Static

from autoresearch.tui.look.palette import Palette
from autoresearch.tui.screens.panes import literal
from autoresearch.tui.screens.viewer import Viewer
from autoresearch.tui.widgets.line_view import LineView
from autoresearch.tui.widgets.text_list import Item, TextList

Result = TypeVar("Result")


class LeftOnce(Screen[Result]):
    """A screen that is left once, whatever says so.

    A click may come while a key leaves it, and what a screen shows may end by itself while it is answered. Textual
    takes the uppermost screen away for each, also those below, and the first two answers to a question.
    """

    @property
    def viewer(self) -> Viewer:
        return cast("Viewer", self.app)

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        return super().dismiss(result) if self.is_active else AwaitComplete()


@dataclass(frozen=True, slots=True)
class Option:
    key: str
    text: str
    act: Callable[[], object] | None = None
    """Called when the question is closed by this answer."""


def act_on(answer: Option | None) -> None:
    """What to do with the result of a `Choice`."""
    if answer is not None and answer.act is not None:
        answer.act()


class Options(LineView):
    """A short list with a cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "take", "take", show=False, id="question.take", tooltip="Take this answer")
    ]

    def __init__(self, palette: Palette, options: list[Option], cursor: int) -> None:
        super().__init__(palette, id="options")
        self.options = options
        self.cursor = cursor

    def count(self) -> int:
        return len(self.options)

    def draw(self, number: int, width: int) -> list[Segment]:
        option = self.options[number]
        here = number == self.cursor
        line = [
            Segment(" > " if here else "   ", self.palette.key),
            Segment(option.key, self.palette.key),
            Segment(f"  {option.text}".ljust(max(0, width - 4)), self.palette.strong if here else self.palette.text),
        ]
        return self.lit(line) if here else line

    def _move(self, by: int) -> None:
        self.cursor = (self.cursor + by) % len(self.options)
        self.refresh()

    def action_down(self) -> None:
        self._move(1)

    def action_up(self) -> None:
        self._move(-1)

    def action_take(self) -> None:
        self.screen.dismiss(self.options[self.cursor])


class Question(LeftOnce[Result], ModalScreen[Result]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "give_up", "give up", show=False, id="question.leave", tooltip="Give it up")
    ]

    def action_give_up(self) -> None:
        self.dismiss(None)


class Choice(Question[Option]):
    """One of a few answers, by its key or with the arrows; given up, it is the last one. `act_on` gets it."""

    def __init__(self, palette: Palette, title: str, text: str, options: list[Option], default: str = "") -> None:
        """`default`: the key of the option under the cursor; without it, the last one."""
        super().__init__(classes="question")
        self.palette = palette
        self.heading = title
        self.text = text
        self.options = options
        self.default = default

    def compose(self) -> ComposeResult:
        last = len(self.options) - 1
        cursor = next((at for at, option in enumerate(self.options) if option.key == self.default), last)
        with Vertical(classes="box") as box:
            box.border_title = literal(self.heading)
            yield Static(self.text, classes="words", markup=False)
            yield from self.between()
            options = Options(self.palette, self.options, cursor)
            options.styles.height = len(self.options)
            yield options

    def between(self) -> Iterable[Widget]:
        """What stands between the words and the answers."""
        return ()

    def action_give_up(self) -> None:
        self.dismiss(self.options[-1])

    def on_key(self, event: Key) -> None:
        for option in self.options:
            if option.key == event.character:
                event.stop()  # or the screen below would get it as well
                event.prevent_default()
                self.dismiss(option)


class Ask(Question[str]):
    """A line of text; None when it was given up."""

    def __init__(self, title: str, text: str, placeholder: str, value: str = "") -> None:
        super().__init__(classes="question")
        self.heading = title
        self.text = text
        self.placeholder = placeholder
        self.value = value

    def compose(self) -> ComposeResult:
        with Vertical(classes="box") as box:
            box.border_title = literal(self.heading)
            yield Static(self.text, classes="words", markup=False)
            field = Input(self.value, placeholder=self.placeholder)
            field.cursor_blink = False  # half a kilobyte a second over a slow line
            yield field

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value.strip())


class Page(LeftOnce[None], ModalScreen[None]):
    """Text to read; any of the usual keys closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "escape,q,enter,question_mark", "dismiss", "close", show=False, id="page.close", tooltip="Close this page"
        ),
    ]

    def __init__(self, palette: Palette, title: str, items: list[Item]) -> None:
        super().__init__(classes="page")
        self.palette = palette
        self.heading = title
        self.items = items

    def compose(self) -> ComposeResult:
        page = TextList(self.palette, "page", most_lines=40)
        page.show(self.items)
        page.border_title = literal(self.heading)
        page.border_subtitle = "esc closes · j k scroll"
        yield page
