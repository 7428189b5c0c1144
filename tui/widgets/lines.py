"""Lines of which only the visible ones exist: the base of the log, of the table and of the lists."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from autoresearch.tui.palette import Palette


class LineView(ScrollView, can_focus=True):
    """Shows `count()` lines, each drawn by `draw(number, width)` when it is on the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "down", "down", show=False, id="lines.down"),
        Binding("k,up", "up", "up", show=False, id="lines.up"),
        Binding("pagedown,space", "page(1)", "page down", show=False, id="lines.page_down"),
        Binding("pageup", "page(-1)", "page up", show=False, id="lines.page_up"),
        Binding("g,home", "first", "first", show=False, id="lines.first"),
        Binding("G,end", "last", "last", show=False, id="lines.last"),
    ]

    def __init__(self, palette: Palette, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.auto_links = False  # looking for links under the mouse costs 17 kB to the terminal per move
        self.palette = palette
        self.message = ""
        """Shown while there are no lines."""

    def count(self) -> int:
        raise NotImplementedError

    def extent(self) -> int:
        """How many lines can be scrolled over."""
        return self.count()

    def draw(self, number: int, width: int) -> list[Segment]:
        raise NotImplementedError

    def changed(self) -> None:
        """The lines are other ones or more: measure and draw again."""
        size = Size(self.scrollable_content_region.width, self.extent())
        if size != self.virtual_size:
            self.virtual_size = size
        self.refresh()

    def on_resize(self, event: Resize) -> None:
        self.changed()

    def render_line(self, y: int) -> Strip:
        base = self.rich_style
        width = self.size.width
        number = y + self.scroll_offset.y
        if number < self.count():
            drawn = self.draw(number, width)
        elif y == 0 and not self.count() and self.message:
            drawn = [Segment(f" {self.message}", self.palette.quiet)]
        else:
            return Strip.blank(width, base)
        segments = [Segment(text, base + style if style else base) for text, style, _ in drawn]
        return Strip(segments).adjust_cell_length(width, base)

    def to_line(self, y: int) -> None:
        self.scroll_to(y=max(0, y), animate=False)

    def action_down(self) -> None:
        self.to_line(self.scroll_offset.y + 1)

    def action_up(self) -> None:
        self.to_line(self.scroll_offset.y - 1)

    def action_page(self, pages: int) -> None:
        self.to_line(self.scroll_offset.y + pages * max(1, self.size.height - 1))

    def action_first(self) -> None:
        self.to_line(0)

    def action_last(self) -> None:
        self.to_line(self.count())
