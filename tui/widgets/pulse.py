"""The running experiment's first live series over the incumbent's, at the same seconds."""

from __future__ import annotations

import math
from pathlib import Path

from rich.segment import Segment
from rich.style import Style
from textual.events import Resize
from textual.strip import Strip
from textual.widget import Widget

from autoresearch.state import numbers
from autoresearch.tui.follow import ProgressFile, at_second
from autoresearch.tui.palette import Palette
from autoresearch.tui.widgets.braille import Canvas, robust_range

Point = tuple[float, float]


class Pulse(Widget):
    """A line of words and a braille plot; hidden (`-empty`) while there is no series."""

    def __init__(self, palette: Palette, id: str | None = None) -> None:
        super().__init__(id=id)
        self.palette = palette
        self._mine: ProgressFile | None = None
        self._best: ProgressFile | None = None
        self._lines: list[list[Segment]] | None = None
        self.border_title = "live"

    def aim(self, run: Path | None, incumbent: Path | None) -> None:
        """Follow these runs' progress files."""
        if (self._mine and self._mine.path) != run:
            self._mine = ProgressFile(run) if run else None
            self._lines = None
        if (self._best and self._best.path) != incumbent:
            self._best = ProgressFile(incumbent) if incumbent else None
            self._lines = None

    def look(self) -> None:
        """Read what the files gained and redraw if there was something."""
        grew = [file.advance() for file in (self._mine, self._best) if file is not None]
        if any(grew) or self._lines is None:
            self._lines = None
            self.set_class(not self._series()[1], "-empty")
            self.refresh()

    def _series(self) -> tuple[str, list[Point], list[Point]]:
        """The running experiment's first series by name, and the incumbent's of that name."""
        series = self._mine.series if self._mine else {}
        name = next((name for name, points in series.items() if points), "")
        return name, series.get(name, []), self._best.series.get(name, []) if self._best else []

    def on_resize(self, event: Resize) -> None:
        self._lines = None

    def render_line(self, y: int) -> Strip:
        width, height = self.size
        if self._lines is None or len(self._lines) != height:
            self._lines = self._draw(width, height)
        base = self.rich_style
        segments = [Segment(text, base + style if style else base) for text, style, _ in self._lines[y]]
        return Strip(segments).adjust_cell_length(width, base)

    def _draw(self, width: int, height: int) -> list[list[Segment]]:
        name, mine, best = self._series()
        lines = [self._words(name, mine, best, width)]
        if height > 1:
            blank = self.palette.text
            canvas = Canvas(width, height - 1)
            if mine:
                self._plot(canvas, mine, best)
            lines += [canvas.row(row, blank) for row in range(canvas.height)]
        return lines[:height]

    def _words(self, name: str, mine: list[Point], best: list[Point], width: int) -> list[Segment]:
        if not mine:
            return [Segment("no live series", self.palette.quiet)]
        second, value = mine[-1]
        words = [
            Segment(f"{name} ", self.palette.title),
            Segment(numbers.metric(value), self.palette.strong if math.isfinite(value) else self.palette.crash),
            Segment(f" at {numbers.duration(second)}", self.palette.quiet),
        ]
        then = at_second(best, second)
        if then is not None and math.isfinite(value):
            words.append(Segment(", best then ", self.palette.quiet))
            words.append(Segment(numbers.metric(then), self.palette.best))
            difference = f" ({numbers.signed(value - then, abs(value - then))})"
            if sum(word.cell_length for word in words) + len(difference) <= width:
                words.append(Segment(difference, self.palette.quiet))
        return words

    def _plot(self, canvas: Canvas, mine: list[Point], best: list[Point]) -> None:
        end = max(mine[-1][0], best[-1][0] if best else 0.0) or 1.0
        # A loss falls steeply at first; what tells two runs apart comes later, so that sets the range.
        late = [value for at, value in (*mine, *best) if at > end / 12]
        low, high = robust_range(late or [value for _, value in mine])
        for points, style in ((best, self.palette.best), (mine, self.palette.run)):
            _line(canvas, points, end, low, high, style)
        for at, value in mine:
            if not math.isfinite(value):
                column = min(int(at / end * canvas.width), canvas.width - 1)
                canvas.mark(column, canvas.height - 1, "!", self.palette.crash)


def _line(canvas: Canvas, points: list[Point], end: float, low: float, high: float, style: Style) -> None:
    """The smallest and largest value per column of dots, joined to the column before, so that no spike is lost."""
    width, edge = canvas.width * 2, canvas.height * 4 - 1
    columns: dict[int, tuple[float, float, float]] = {}
    for at, value in points:
        if math.isfinite(value) and at >= 0:
            x = min(int(at / end * (width - 1)), width - 1)
            least, most, _ = columns.get(x, (value, value, value))
            columns[x] = (min(least, value), max(most, value), value)

    def y(value: float) -> int:
        part = (high - min(max(value, low), high)) / (high - low)
        return min(max(round(part * edge), 0), edge)

    before: tuple[int, int] | None = None
    for x in sorted(columns):
        least, most, last = columns[x]
        canvas.upright(x, y(most), y(least), style)
        if before is not None and x - before[0] > 1:
            for between in range(before[0] + 1, x):
                part = (between - before[0]) / (x - before[0])
                canvas.dot(between, round(before[1] + part * (y(last) - before[1])), style)
        before = (x, y(last))
