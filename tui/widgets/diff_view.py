"""A diff with the colours of its languages: only the visible lines are ever cleaned, split into words and coloured."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style

from autoresearch.state.text import safe_line
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.widgets.line_view import LineView

if TYPE_CHECKING:
    from pygments.lexer import Lexer  # type: ignore[import-untyped]

_LONGEST = 2000
_HEADS = ("diff ", "index ", "--- ", "+++ ", "new file", "deleted", "similarity", "rename ", "old mode", "new mode",
          "Binary ")  # fmt: skip


class DiffView(LineView):
    def __init__(self, palette: Palette, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(palette, id=id, classes=classes)
        self._lines: list[str] = []
        self._files: list[tuple[int, str]] = []
        """Where each file's part begins, and its name."""

    def show(self, text: str) -> None:
        lines = text.split("\n")
        if lines and not lines[-1]:
            lines.pop()
        self._lines = lines
        self._files = [
            (number, line.partition(" b/")[2] or line)
            for number, line in enumerate(lines)
            if line.startswith("diff --git")
        ]
        self.changed()
        self.to_line(0)

    def count(self) -> int:
        return len(self._lines)

    def draw(self, number: int, width: int) -> list[Segment]:
        palette, line = self.palette, self._lines[number][:_LONGEST]
        mark, rest = line[:1], safe_line(line[1:])
        if line.startswith("@@"):
            return [Segment(f" {safe_line(line)}", palette.title)]
        if line.startswith(_HEADS) and self._in_head(number):
            return [Segment(f" {safe_line(line)}", palette.strong if line.startswith("diff ") else palette.quiet)]
        room = max(0, width - 3)
        if mark == "-":
            return [Segment(" - ", palette.crash), Segment(set_cell_size(rest, room).rstrip(), palette.worse)]
        lead = Segment(" + ", palette.keep) if mark == "+" else Segment("   ", palette.quiet)
        return [lead, *self._coloured(rest, self._file_of(number), room)]

    def _in_head(self, number: int) -> bool:
        """Whether a line stands before its file's first hunk: a removed `-- x` line looks like a header."""
        at = self._at(number)
        if at < 0:
            return True
        return not any(
            self._lines[n].startswith("@@") for n in range(self._files[at][0], min(number, self._files[at][0] + 12))
        )

    def _at(self, number: int) -> int:
        return bisect_right(self._files, (number, "\U0010ffff")) - 1

    def _file_of(self, number: int) -> str:
        at = self._at(number)
        return self._files[at][1] if at >= 0 else ""

    def _coloured(self, text: str, name: str, room: int) -> list[Segment]:
        lexer = _lexer_of(name.rpartition("/")[2])
        if lexer is None or not text.strip():
            return [Segment(set_cell_size(text, room).rstrip(), self.palette.text)]
        segments, used = [], 0
        indent = len(text) - len(text.lstrip())
        parts = [("", text[:indent]), *((str(kind), word) for kind, word in lexer.get_tokens(text[indent:]))]
        for kind, word in parts:
            word = word.rstrip("\n")
            size = cell_len(word)
            if not word or used >= room:
                continue
            if used + size > room:
                word = set_cell_size(word, room - used)
            segments.append(Segment(word, self._style(kind)))
            used += size
        return segments

    def _style(self, kind: str) -> Style:
        palette = self.palette
        for part, style in (("Comment", palette.quiet), ("String", palette.unproven), ("Number", palette.checks),
                            ("Keyword", palette.title), ("Name.Function", palette.strong),
                            ("Name.Class", palette.strong), ("Operator.Word", palette.title)):  # fmt: skip
            if part in kind:
                return style
        return palette.text


@lru_cache(maxsize=64)
def _lexer_of(name: str) -> Lexer | None:
    from pygments.lexers import get_lexer_for_filename  # type: ignore[import-untyped]
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]

    try:
        return get_lexer_for_filename(name, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None
