"""Lines to choose from: a cursor that is moved by keys and by the mouse, and stays in sight."""

from __future__ import annotations

from typing import ClassVar

from textual.events import Click

from autoresearch.tui.widgets.line_view import LineView


class Listing(LineView):
    """A click on the entry under the cursor opens it."""

    ABOVE: ClassVar[int] = 0
    """Lines above the first entry that stay."""
    EACH: ClassVar[int] = 1
    """Lines of an entry."""
    cursor = 0

    def entries(self) -> int:
        raise NotImplementedError

    def count(self) -> int:
        return self.EACH * self.entries()

    def move(self, to: int) -> None:
        to = max(0, min(to, self.entries() - 1))
        if to == self.cursor:
            return
        before, self.cursor = self.cursor, to
        self.into_sight()
        self.refresh_lines(self.ABOVE + self.EACH * min(before, to), self.EACH * (abs(before - to) + 1))

    def into_sight(self) -> None:
        first, top, room = self.EACH * self.cursor, self.scroll_offset.y, self._room
        if first < top:
            self.to_line(first)
        elif first + self.EACH > top + room:
            self.to_line(first + self.EACH - room)

    @property
    def _room(self) -> int:
        return max(1, self.size.height - self.ABOVE)

    def action_down(self) -> None:
        self.move(self.cursor + 1)

    def action_up(self) -> None:
        self.move(self.cursor - 1)

    def action_page(self, pages: int) -> None:
        self.move(self.cursor + pages * max(1, self._room // self.EACH - self.ABOVE))

    def action_first(self) -> None:
        self.move(0)

    def action_last(self) -> None:
        self.move(self.entries() - 1)

    def action_open(self) -> None:
        """Open the entry under the cursor."""

    def on_click(self, event: Click) -> None:
        y = event.get_content_offset_capture(self).y - self.ABOVE
        at = (y + self.scroll_offset.y) // self.EACH
        if y >= 0 and at < self.entries():
            again = at == self.cursor
            self.move(at)
            if again:
                self.action_open()
