"""Lines of which only the visible ones exist: the base of the log, of the table and of the lists."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Resize
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from autoresearch.tui.look.palette import Palette
from autoresearch.tui.widgets.picture import painted

_MOST_COPIED = 10_000
"""Lines of one copy: what a terminal's clipboard takes."""


class LineView(ScrollView, can_focus=True):
    """Shows `count()` lines, each drawn by `draw(number, width)` when it is on the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "down", "down", show=False, id="lines.down", tooltip="A line down"),
        Binding("k,up", "up", "up", show=False, id="lines.up", tooltip="A line up"),
        Binding("pagedown,space", "page(1)", "page down", show=False, id="lines.page_down", tooltip="A page down"),
        Binding("pageup", "page(-1)", "page up", show=False, id="lines.page_up", tooltip="A page up"),
        Binding("g,home", "first", "first", show=False, id="lines.first", tooltip="The first line"),
        Binding("G,end", "last", "last", show=False, id="lines.last", tooltip="The last line"),
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
        strip = painted(drawn, width, base)
        if (selection := self.text_selection) is not None and (span := selection.get_span(number)) is not None:
            strip = self._marked(strip, *span)
        return strip.apply_offsets(0, number)

    def lit(self, line: list[Segment], width: int = 0) -> list[Segment]:
        """A line of the entry under the cursor, filled up to `width`."""
        cursor = self.palette.cursor
        used = sum(cell_len(segment.text) for segment in line)
        filled = [*line, Segment(" " * (width - used))] if width > used else line
        return [
            Segment(text, style if style and style.bgcolor else (style or Style.null()) + cursor)
            for text, style, _ in filled
        ]

    def _marked(self, strip: Strip, start: int, end: int) -> Strip:
        """The selected part, counted in characters, in the colours of a selection; -1: to the line's end."""
        style = self.screen.get_component_rich_style("screen--selection")
        first = cell_len(strip.text[:start])
        last = strip.cell_length if end < 0 else cell_len(strip.text[:end])
        before, chosen, after = strip.crop(0, first), strip.crop(first, last), strip.crop(last)
        plain = Style(color=style.color, bgcolor=style.bgcolor, reverse=style.reverse)
        return Strip.join([before, chosen.apply_style(plain), after])

    def selection_updated(self, selection: Selection | None) -> None:
        self.refresh()

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text as it is drawn, without the blanks at the lines' ends."""
        first = selection.start.y if selection.start is not None else 0
        last = selection.end.y if selection.end is not None else self.count() - 1
        width = self.size.width
        lines = []
        for number in range(max(0, first), min(last, first + _MOST_COPIED, self.count() - 1) + 1):
            text = "".join(segment.text for segment in self.draw(number, width))
            start, end = selection.get_span(number) or (0, -1)
            lines.append((text[start:] if end < 0 else text[start:end]).rstrip())
        return ("\n".join(lines), "\n") if lines else None

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
