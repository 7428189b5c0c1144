"""The live log: a view over the file itself, following its end until the reader scrolls up."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.message import Message

from autoresearch.tui.live.growing_files import LogFile
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.widgets.line_view import LineView


class LogView(LineView):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "follow", "follow", id="log.follow", tooltip="Go to the end of the log and stay there"),
        Binding(
            "n", "find(True)", "next", show=False, id="log.next", tooltip="The next line with the words looked for"
        ),
        Binding("N", "find(False)", "before", show=False, id="log.before", tooltip="The line before with these words"),
        Binding("left,h", "shift(-1)", "left", show=False, id="log.left", tooltip="The beginning of long lines"),
        Binding("right,l", "shift(1)", "right", show=False, id="log.right", tooltip="The rest of long lines"),
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
        self.wanted = ""
        """The words looked for."""
        self.found: int | None = None
        """The line with them that was gone to last."""
        self.searched = ""
        """What came of it, in words."""
        self._search = 0
        """Counts searches: a late answer to an earlier one is dropped."""
        self._right = 0
        """Cells by which long lines are moved to the left."""

    @property
    def unread(self) -> int:
        return 0 if self.following else max(0, self.count() - self._read_to)

    def aim(self, path: Path) -> None:
        """Show this file, from its end."""
        if self.file is None or self.file.path != path:
            self.file = LogFile(path)
            self.following = True
            self.found, self.searched = None, ""
            self._search += 1
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
        if self._right:
            text = _from_cell(text, self._right)
        text = set_cell_size(text, max(0, width - 1))
        lead = Segment(">" if number == self.found else " ", self.palette.key)
        return [lead, *self._lit(text)]

    def _lit(self, text: str) -> list[Segment]:
        """The line with the words looked for lit up."""
        plain = self.palette.text
        if not self.wanted:
            return [Segment(text, plain)]
        held = text.lower() if self.wanted == self.wanted.lower() else text
        segments, at = [], 0
        while len(held) == len(text) and (found := held.find(self.wanted, at)) >= 0:
            end = found + len(self.wanted)
            segments += [Segment(text[at:found], plain), Segment(text[found:end], self.palette.warn)]
            at = end
        return [*segments, Segment(text[at:], plain)]

    def to_line(self, y: int) -> None:
        super().to_line(y)
        self._set_following(y >= self.count() - self.size.height)

    def action_follow(self) -> None:
        self._set_following(True)
        self._to_end()

    action_last = action_follow

    # -- looking for words

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return bool(self.wanted) if action == "find" else True

    def seek(self, words: str) -> None:
        """Light the words up and go to the nearest line above the lower edge that has them, else to the first below."""
        self.wanted, self.found = words, None
        self.refresh()
        if words:
            self._find(min(self.count(), self.scroll_offset.y + self.size.height) - 1, forward=False)
        else:
            self._say("")

    def action_find(self, forward: bool) -> None:
        start = self.found if self.found is not None else self.scroll_offset.y
        self._find(start + (1 if forward else -1), forward)

    def _find(self, start: int, forward: bool) -> None:
        if self.file is None:
            return
        self._search += 1
        self._say(f"looking for {self.wanted} …")
        work = partial(self._work, self.file, self.wanted, start, forward, self._search)
        self.run_worker(work, thread=True, group="search", exit_on_error=False)

    def _work(self, file: LogFile, words: str, start: int, forward: bool, search: int) -> None:
        def stop() -> bool:
            return search != self._search

        line, around = file.search(words, start, forward, stop), False
        if line is None and not stop():
            line, around = file.search(words, 0 if forward else len(file) - 1, forward, stop), True
        if not stop():
            self.app.call_from_thread(self._arrive, line, around, search)

    def _arrive(self, line: int | None, around: bool, search: int) -> None:
        if search != self._search:
            return
        self.found = line
        if line is None:
            self._say(f"no {self.wanted}")
            return
        self._set_following(False)
        if not self.scroll_offset.y <= line < self.scroll_offset.y + self.size.height:
            super().to_line(line - self.size.height // 3)
        self._say(f"{self.wanted}: line {line + 1:,}{', from the other end' if around else ''}")

    def _say(self, words: str) -> None:
        self.searched = words
        self.refresh()
        self.post_message(self.Moved())

    def action_shift(self, by: int) -> None:
        right = max(0, self._right + by * max(8, self.size.width // 3))
        if right != self._right:
            self._right = right
            self.refresh()

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


def _from_cell(text: str, cell: int) -> str:
    """The text without its first so many cells."""
    if text.isascii():
        return text[cell:]
    _, rest = Segment(text).split_cells(min(cell, cell_len(text)))
    return rest.text
