"""A picture of text lines that is drawn once for its size and content, and then only repeated."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual.events import Resize
from textual.strip import Strip
from textual.widget import Widget

from autoresearch.tui.look.palette import Palette

Line = list[Segment]


class Drawn(Widget):
    """Shows what `draw(width, height)` returns until `redraw` says that it is out of date."""

    def __init__(self, palette: Palette, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.palette = palette
        self._lines: list[Line] | None = None

    def draw(self, width: int, height: int) -> list[Line]:
        """One list of segments for each of `height` lines."""
        raise NotImplementedError

    def redraw(self) -> None:
        self._lines = None
        self.refresh()

    def on_resize(self, event: Resize) -> None:
        self._lines = None

    def notify_style_update(self) -> None:
        """Another theme: the lines hold the styles of the one before."""
        self._lines = None
        super().notify_style_update()

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        if self._lines is None or len(self._lines) != height:
            self._lines = self.draw(width, height)
        base = self.rich_style
        if y >= len(self._lines):
            return Strip.blank(width, base)
        return painted(self._lines[y], width, base)


def painted(line: Line, width: int, base: Style) -> Strip:
    """Over the widget's own style, exactly so wide."""
    segments = [Segment(text, base + style if style else base) for text, style, _ in line]
    return Strip(segments).adjust_cell_length(width, base)


def said(message: str, palette: Palette, width: int, height: int) -> list[Line]:
    """A sentence in the middle of an otherwise empty picture."""
    lines: list[Line] = [[Segment("")] for _ in range(height)]
    if height:
        text = message if len(message) <= width else message[: max(0, width - 1)] + "…"
        lines[height // 2] = [Segment(text.center(width).rstrip(), palette.quiet)]
    return lines
