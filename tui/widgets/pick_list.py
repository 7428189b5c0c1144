"""A list to read and to pick from: headings and prose between entries, a cursor that goes from entry to entry."""

from __future__ import annotations

import textwrap
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.message import Message

from autoresearch.state.text import safe_line
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.widgets.line_view import LineView


@dataclass(frozen=True, slots=True)
class Pick:
    """One entry. Without a key it is only read; without a mark it is a heading, after an empty line."""

    key: str
    mark: str
    style: Style
    text: str
    text_style: Style
    lead: str = ""
    """Before the text, such as an id."""
    tail: str = ""
    """At the right of the first line, such as an estimate."""


class Picks(LineView):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "open", show=False, id="picks.open", tooltip="Open what the cursor is on"),
    ]

    class Moved(Message):
        """The cursor is on another entry, or the entry is another."""

    @dataclass
    class Chosen(Message):
        key: str

    def __init__(self, palette: Palette, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(palette, id=id, classes=classes)
        self.most_lines = 2
        """Of one entry; the rest is cut."""
        self._picks: list[Pick] = []
        self._at = -1
        self._lines: list[tuple[int, list[Segment]]] = []
        """(number of the pick, its segments)."""
        self._starts: list[int] = []
        """The first line of each pick."""
        self._width = 0

    @property
    def picked(self) -> str:
        """The key of the entry under the cursor; "" for none."""
        return self._picks[self._at].key if 0 <= self._at < len(self._picks) else ""

    def show(self, picks: list[Pick]) -> None:
        if picks == self._picks:
            return
        before, at = self.picked, self._at
        self._picks = picks
        keys = [pick.key for pick in picks]
        if before and before in keys:
            self._at = keys.index(before)
        else:
            behind = (n for n in range(max(0, at), len(keys)) if keys[n])
            ahead = (n for n in range(min(at, len(keys)) - 1, -1, -1) if keys[n])
            self._at = next(behind, next(ahead, -1))
        self._wrap()
        self.post_message(self.Moved())

    def to_key(self, key: str) -> None:
        for number, pick in enumerate(self._picks):
            if pick.key == key:
                self._to(number)

    def _wrap(self) -> None:
        width = self.scrollable_content_region.width
        if width < 8:
            return
        self._width = width
        self._lines, self._starts = [], []
        for number, pick in enumerate(self._picks):
            self._starts.append(len(self._lines))
            self._lines += [(number, line) for line in self._wrapped(pick, width, first=not self._lines)]
        self.changed()

    def _wrapped(self, pick: Pick, width: int, first: bool) -> Iterator[list[Segment]]:
        if not pick.mark:
            if not first:
                yield []
            yield [Segment(f" {set_cell_size(safe_line(pick.text), width - 1).rstrip()}", pick.text_style)]
            return
        head = f" {pick.mark} "
        lead = f"{safe_line(pick.lead)} " if pick.lead else ""
        tail = safe_line(pick.tail)
        indent = cell_len(head)
        room = width - indent - (cell_len(tail) + 2 if tail else 1)
        most = self.most_lines if pick.key else 40
        parts = textwrap.wrap(lead + safe_line(pick.text), max(8, room), max_lines=most, placeholder=" …") or [""]
        for at, part in enumerate(parts):
            line = [Segment(head if at == 0 else " " * indent, pick.style)]
            if at == 0 and lead and part.startswith(lead):
                line += [Segment(lead, self.palette.quiet), Segment(part[len(lead) :], pick.text_style)]
            else:
                line.append(Segment(part, pick.text_style))
            if at == 0 and tail:
                gap = max(1, width - indent - cell_len(part) - cell_len(tail) - 1)
                line += [Segment(" " * gap), Segment(tail, self.palette.quiet)]
            yield line

    def on_resize(self, event: Resize) -> None:
        if self.scrollable_content_region.width != self._width:
            self._wrap()
        self.changed()

    def count(self) -> int:
        return len(self._lines)

    def draw(self, number: int, width: int) -> list[Segment]:
        of, line = self._lines[number]
        if of != self._at or not self._picks[of].key:
            return line
        return self.lit(line, width)

    # -- the cursor

    def _to(self, number: int) -> None:
        if number != self._at:
            self._at = number
            self.post_message(self.Moved())
        first = self._starts[number]
        last = self._starts[number + 1] - 1 if number + 1 < len(self._starts) else len(self._lines) - 1
        top, height = self.scroll_offset.y, max(1, self.size.height)
        if first < top:
            self.to_line(first - 2 if not any(pick.key for pick in self._picks[:number]) else first)
        elif last >= top + height:
            self.to_line(last - height + 1)
        self.refresh()

    def _next(self, by: int) -> int | None:
        at = self._at + by
        while 0 <= at < len(self._picks):
            if self._picks[at].key:
                return at
            at += by
        return None

    def action_down(self) -> None:
        at = self._next(1)
        if at is None or self._far(at):
            super().action_down()
        else:
            self._to(at)

    def action_up(self) -> None:
        at = self._next(-1)
        if at is None or self._far(at):
            super().action_up()
        else:
            self._to(at)

    def _far(self, at: int) -> bool:
        """Whether text to be read lies between here and there: it is scrolled over, not jumped over."""
        top, height = self.scroll_offset.y, max(1, self.size.height)
        return not top - height < self._starts[at] < top + 2 * height

    def action_page(self, pages: int) -> None:
        super().action_page(pages)
        top = max(0, min(self.scroll_offset.y + pages * max(1, self.size.height - 1), self.count() - 1))
        keyed = [n for n, pick in enumerate(self._picks) if pick.key]
        if keyed and self._starts:
            near = bisect_right([self._starts[n] for n in keyed], top)
            self._at = keyed[min(near, len(keyed) - 1)]
            self.post_message(self.Moved())

    def action_first(self) -> None:
        self._at = next((n for n, pick in enumerate(self._picks) if pick.key), -1)
        self.to_line(0)
        self.refresh()
        self.post_message(self.Moved())

    def action_last(self) -> None:
        self._at = next((n for n in range(len(self._picks) - 1, -1, -1) if self._picks[n].key), -1)
        super().action_last()
        self.refresh()
        self.post_message(self.Moved())

    def action_choose(self) -> None:
        if self.picked:
            self.post_message(self.Chosen(self.picked))

    def on_click(self, event: Click) -> None:
        number = event.y + self.scroll_offset.y
        if number < len(self._lines) and self._picks[self._lines[number][0]].key:
            again = self._lines[number][0] == self._at
            self._to(self._lines[number][0])
            if again:
                self.action_choose()
