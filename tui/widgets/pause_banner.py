"""One line across the screen while a pause is asked for and not yet done."""

from __future__ import annotations

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from autoresearch.tui.look.palette import Palette


class PauseBanner(Widget):
    def __init__(self, palette: Palette) -> None:
        super().__init__(id="pausing")
        self.palette = palette
        self.display = False
        self._words = ""

    def show(self, words: str) -> None:
        """Nothing of it is seen without words."""
        if words != self._words:
            self._words = words
            self.display = bool(words)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        style = self.rich_style + self.palette.warn
        return Strip([Segment(f" {self._words}", style)]).adjust_cell_length(self.size.width, style)
