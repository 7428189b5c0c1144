"""The key line: what can be pressed now, in words, from the bindings themselves."""

from __future__ import annotations

from rich.segment import Segment
from textual.events import Click
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from autoresearch.tui.look.keys import Shown, key_of
from autoresearch.tui.look.palette import Palette


class KeyLine(Widget):
    """One line of `key word` pairs; a click presses the key. Where it is too narrow, the last ones go that may go."""

    keys: reactive[list[Shown]] = reactive(list)

    def __init__(self, palette: Palette, id: str | None = None) -> None:
        super().__init__(id=id)
        self.palette = palette

    def _fitting(self) -> list[tuple[int, str, str]]:
        """(column, key, word) of the pairs that fit."""
        keys = list(self.keys)
        going = [each for each in keys if not each.stays]
        while going and sum(len(each.key) + len(each.word) + 3 for each in keys) - 1 > self.size.width:
            keys.remove(going.pop())
        at, fitting = 1, []
        for each in keys:
            fitting.append((at, each.key, each.word))
            at += len(each.key) + len(each.word) + 3
        return fitting

    def render_line(self, y: int) -> Strip:
        base = self.rich_style
        segments = [Segment(" ", base)]
        for _, key, word in self._fitting():
            segments.append(Segment(key, base + self.palette.key))
            segments.append(Segment(f" {word}  ", base + self.palette.quiet))
        return Strip(segments).adjust_cell_length(self.size.width, base)

    def on_click(self, event: Click) -> None:
        for at, key, word in self._fitting():
            if at <= event.x < at + len(key) + len(word) + 1:
                self.app.simulate_key(key_of(key))
