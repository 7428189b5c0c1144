"""The palette: everything that is possible now, found by typing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from rich.segment import Segment
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.fuzzy import Matcher
from textual.screen import ModalScreen
from textual.widgets import Input

from autoresearch.state.text import clean_line
from autoresearch.tui.look.keys import Command
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.screens.modals import LeftOnce
from autoresearch.tui.widgets.listing import Listing

_MOST_LINES = 16
_FIRST = ("app.pause", "app.resume", "app.stop")


@dataclass(frozen=True, slots=True)
class _Entry:
    words: str
    keys: str
    id: str
    act: Callable[[], object]


class _Found(Listing):
    """What fits the typed words, best first, with a cursor."""

    can_focus = False

    def __init__(self, palette: Palette) -> None:
        super().__init__(palette, id="found")
        self.found: list[_Entry] = []
        self.message = "Nothing that is possible now reads like this."

    def show(self, entries: list[_Entry]) -> None:
        self.found = entries
        self.cursor = 0
        self.to_line(0)
        self.changed()

    def entries(self) -> int:
        return len(self.found)

    def draw(self, number: int, width: int) -> list[Segment]:
        entry = self.found[number]
        here = number == self.cursor
        room = max(0, width - len(entry.keys) - 5)
        text = f"{clean_line(entry.words, max(1, room)):<{room}}"
        line = [
            Segment(" > " if here else "   ", self.palette.key),
            Segment(text, self.palette.strong if here else self.palette.text),
            Segment(f" {entry.keys} ", self.palette.key),
        ]
        return self.lit(line) if here else line


class Commands(LeftOnce[None], ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+p", "dismiss", "close", id="commands.close", tooltip="Close it"),
        Binding("down", "move(1)", "down", show=False, id="commands.down", tooltip="The next command"),
        Binding("up", "move(-1)", "up", show=False, id="commands.up", tooltip="The command before"),
        Binding("pagedown", "move(10)", "page", show=False, id="commands.page_down", tooltip="A page down"),
        Binding("pageup", "move(-10)", "page", show=False, id="commands.page_up", tooltip="A page up"),
    ]

    def __init__(self, palette: Palette, commands: list[Command], more: list[tuple[str, Callable[[], None]]]) -> None:
        super().__init__(classes="question commands")
        self.palette = palette
        self.entries = [
            _Entry(each.words, each.shown, each.id, partial(self._run, each))
            for each in commands
            if each.id != "app.palette" and not each.id.startswith("lines.")
        ]
        self.entries.sort(key=lambda entry: entry.id not in _FIRST)
        self.entries += [_Entry(words, "", "", act) for words, act in more]

    def compose(self) -> ComposeResult:
        with Vertical(classes="box", id="commands") as box:
            box.border_title = "What to do"
            field = Input(placeholder="type a few letters of it")
            field.cursor_blink = False
            yield field
            found = _Found(self.palette)
            found.styles.height = min(_MOST_LINES, len(self.entries), max(3, self.app.size.height - 8))
            yield found

    def on_mount(self) -> None:
        self.query_one(_Found).show(self.entries)

    def on_input_changed(self, event: Input.Changed) -> None:
        typed = event.value.strip()
        if not typed:
            self.query_one(_Found).show(self.entries)
            return
        matcher = Matcher(typed)
        scored = [(max(matcher.match(entry.words), matcher.match(entry.id)), entry) for entry in self.entries]
        found = sorted((each for each in scored if each[0] > 0), key=lambda each: -each[0])
        self.query_one(_Found).show([entry for _, entry in found])

    def action_move(self, by: int) -> None:
        found = self.query_one(_Found)
        found.move(found.cursor + by)

    def on_input_submitted(self) -> None:
        found = self.query_one(_Found)
        if found.found:
            entry = found.found[found.cursor]
            self.dismiss()
            self.app.call_later(entry.act)

    async def _run(self, command: Command) -> None:
        await self.app.run_action(command.action, command.node)
