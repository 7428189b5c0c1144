"""The live log: a view over the file itself, following its end until the reader scrolls up."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from rich.cells import set_cell_size
from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.message import Message

from autoresearch.tui.follow import LogFile
from autoresearch.tui.palette import Palette
from autoresearch.tui.widgets.lines import LineView


class LogView(LineView):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "follow", "follow", id="log.follow", tooltip="Go to the end of the log and stay there"),
    ]

    class Moved(Message):
        """Follows or does not, another file, or lines that came below: the title has to be written again."""

    def __init__(self, palette: Palette, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(palette, id=id, classes=classes)
        self.file: LogFile | None = None
        self.following = True
        self._read_to = 0
        """Lines that were there when the reader left the end."""
        self._asked = 0
        """Where following last wanted to scroll; the log may have grown since."""

    @property
    def unread(self) -> int:
        return 0 if self.following else max(0, self.count() - self._read_to)

    def aim(self, path: Path) -> None:
        """Show this file, from its end."""
        if self.file is None or self.file.path != path:
            self.file = LogFile(path)
            self.following = True
            self.look()
            self.post_message(self.Moved())

    def look(self) -> None:
        """Take in what the file gained."""
        if self.file is None:
            return
        changed, more = self.file.advance()
        if more:
            self.call_later(self.look)
        if not changed:
            return
        if self.count() < self._read_to:
            self.following = True  # it began again: another sample's output
        self.changed()
        if self.following:
            self._to_end()
        else:
            self.post_message(self.Moved())

    def count(self) -> int:
        return len(self.file) if self.file is not None else 0

    def changed(self) -> None:
        super().changed()
        if self.following:
            self._to_end()

    def _to_end(self) -> None:
        self._asked = max(0, self.count() - self.size.height)
        self.scroll_to(y=self._asked, animate=False)

    def draw(self, number: int, width: int) -> list[Segment]:
        assert self.file is not None
        text = self.file.line(number)
        return [Segment(" " + set_cell_size(text, max(0, width - 1)), self.palette.text)]

    def to_line(self, y: int) -> None:
        super().to_line(y)
        self._set_following(y >= self.count() - self.size.height)

    def action_follow(self) -> None:
        self._set_following(True)
        self._to_end()

    def action_last(self) -> None:
        self.action_follow()

    def _set_following(self, following: bool) -> None:
        if following != self.following:
            self.following = following
            self._read_to = self.count()
            self.post_message(self.Moved())

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        # The wheel and the scrollbar move us without asking. What moves us up to where following wanted to be, or to
        # the end of a shorter file, is not the reader.
        if new_value < old_value and new_value < min(self._asked, self.max_scroll_y):
            self._set_following(new_value >= self.count() - self.size.height)
        elif new_value > old_value and not self.following and new_value >= self.count() - self.size.height:
            self._set_following(True)
