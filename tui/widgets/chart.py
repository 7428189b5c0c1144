"""The metric over the experiments: a mark for each by its status, the best as a step line, crashes in a lane below.

Marks are those of the table (`✓ × ! c`), so the chart needs no legend. When there are more experiments than cells,
what was discarded becomes dots and the marks stay for what matters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from rich.segment import Segment
from rich.style import Style
from textual.events import Resize
from textual.strip import Strip
from textual.widget import Widget

from autoresearch.state.history import History, Row
from autoresearch.tui.palette import Palette
from autoresearch.tui.widgets.braille import Canvas, robust_range, ticks

GLYPHS = {"keep": "✓", "discard": "×", "crash": "!", "checks_failed": "c"}
_SPAN = 24
"""Fewer experiments than this leave room at the right instead of standing far apart."""


@dataclass(slots=True)
class Points:
    """What the chart shows. `rows` are the segment's experiments in order."""

    rows: list[Row] = field(default_factory=list)
    baseline: float | None = None
    best: float | None = None
    running: int | None = None
    value: float | None = None
    """The running experiment's mean so far."""

    @property
    def stamp(self) -> tuple[object, ...]:
        return (len(self.rows), self.baseline, self.best, self.running, self.value)


def points_of(history: History) -> Points:
    first = next((at for at, row in enumerate(history.rows) if row.segment == history.segment), len(history.rows))
    opened = history.open
    samples = [s.metric for s in opened.of("candidate") if s.metric is not None and s.cause is None] if opened else []
    return Points(
        rows=history.rows[first:],
        baseline=history.baseline.metric if history.baseline else None,
        best=history.incumbent.metric if history.incumbent else None,
        running=opened.number if opened else None,
        value=math.fsum(samples) / len(samples) if samples else None,
    )


class Chart(Widget):
    """Draws `Points`; shows `message` instead while there are none."""

    can_focus = False

    def __init__(self, palette: Palette, id: str | None = None) -> None:
        super().__init__(id=id)
        self.palette = palette
        self.points = Points()
        self.message = ""
        self._lines: list[list[Segment]] | None = None

    def show(self, points: Points, message: str = "") -> None:
        """Redraws only when something on it has changed."""
        if (points.stamp, message) == (self.points.stamp, self.message):
            return
        self.points, self.message = points, message
        self._lines = None
        self.refresh()

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
        valued = [row for row in self.points.rows if row.metric is not None]
        if height < 4 or width < 20 or not self.points.rows:
            return self._say(width, height)
        return _Drawing(self.points, valued, self.palette, width, height).lines()

    def _say(self, width: int, height: int) -> list[list[Segment]]:
        lines: list[list[Segment]] = [[Segment("")] for _ in range(height)]
        if height:
            lines[height // 2] = [Segment(self.message[:width].center(width).rstrip(), self.palette.quiet)]
        return lines


class _Drawing:
    """One drawing of the chart at one size: a gutter of labels, the plot, the lane, the numbers."""

    def __init__(self, points: Points, valued: list[Row], palette: Palette, width: int, height: int) -> None:
        self.points = points
        self.palette = palette
        self.height = height - 2
        always = [value for value in (points.best, points.value) if value is not None]
        metrics = [row.metric for row in valued if row.metric is not None and row.status in ("keep", "discard")]
        self.low, self.high = robust_range(metrics, always)
        marks, decimals = ticks(self.low, self.high, max(2, self.height // 3 + 1))
        self.labels = self._labels(marks, decimals)
        self.gutter = max((len(text) for text, _ in self.labels.values()), default=0) + 1
        self.canvas = Canvas(max(1, width - self.gutter), height - 1)
        numbers = [row.number for row in points.rows]
        self.first = min(numbers, default=points.running or 1)
        self.last = max([*numbers, points.running or 0])
        self.span = max(self.last - self.first + 1, _SPAN)
        self.dense = self.span > self.canvas.width

    def _labels(self, marks: list[float], decimals: int) -> dict[int, tuple[str, Style]]:
        labels = {self.row(mark): (f"{mark:,.{decimals}f}", self.palette.quiet) for mark in marks}
        if self.points.best is not None:
            labels[self.row(self.points.best)] = (f"{self.points.best:,.{decimals + 1}f}", self.palette.keep)
        return labels

    def y(self, value: float) -> int:
        """In dots from the top; outside the range beyond the edges."""
        part = (self.high - value) / (self.high - self.low)
        return round(part * (self.height * 4 - 1))

    def row(self, value: float) -> int:
        return min(max(self.y(value) >> 2, 0), self.height - 1)

    def x(self, number: int) -> int:
        """In dots from the left of the plot."""
        return int((number - self.first + 0.5) / self.span * self.canvas.width * 2)

    def lines(self) -> list[list[Segment]]:
        self._baseline()
        self._discards()
        self._best()
        self._lane()
        self._keeps()
        self._running()
        blank = self.palette.text
        lines = []
        for row in range(self.height):
            label, style = self.labels.get(row, ("", blank))
            lines.append([Segment(label.rjust(self.gutter - 1) + " ", style), *self.canvas.row(row, blank)])
        lane = "fail" if any(row.status in ("crash", "checks_failed") for row in self.points.rows) else ""
        if self.gutter <= len(lane):
            lane = "!"[: self.gutter - 1]
        lines.append(
            [Segment(lane.rjust(self.gutter - 1) + " ", self.palette.quiet), *self.canvas.row(self.height, blank)]
        )
        return [*lines, self._numbers()]

    def _baseline(self) -> None:
        value = self.points.baseline
        if value is None or not self.low <= value <= self.high:
            return
        for x in range(0, self.canvas.width * 2, 4):
            self.canvas.dot(x, self.y(value), self.palette.faint)

    def _discards(self) -> None:
        for row in self.points.rows:
            if row.metric is None or row.status != "discard":
                continue
            style = self.palette.status(row.status, row.cause)
            if self.dense and self.low <= row.metric <= self.high:
                self.canvas.dot(self.x(row.number), self.y(row.metric), style)
            else:
                self._mark(row.number, row.metric, GLYPHS["discard"], style)

    def _mark(self, number: int, value: float, glyph: str, style: Style) -> None:
        if value > self.high:
            glyph = "↑"
        elif value < self.low:
            glyph = "↓"
        self.canvas.mark(self.x(number) >> 1, self.row(value), glyph, style)

    def _best(self) -> None:
        """The value the incumbent had when, and from the last keep on to the right end of what has run."""
        keeps = [row for row in self.points.rows if row.status == "keep" and row.metric is not None]
        end = self.x(self.points.running or self.last)
        edge = self.height * 4 - 1
        before: int | None = None
        for at, row in enumerate(keeps):
            assert row.metric is not None
            y = min(max(self.y(row.metric), 0), edge)
            start = self.x(row.number)
            stop = self.x(keeps[at + 1].number) if at + 1 < len(keeps) else end
            if before is not None:
                self.canvas.upright(start, before, y, self.palette.best)
            for x in range(start, stop + 1):
                self.canvas.dot(x, y, self.palette.best)
            before = y

    def _lane(self) -> None:
        for row in self.points.rows:
            if row.status == "crash":
                glyph = "∞" if row.cause == "not_finite" else GLYPHS["crash"]
                self.canvas.mark(self.x(row.number) >> 1, self.height, glyph, self.palette.crash)
            elif row.status == "checks_failed" and self.canvas.free(self.x(row.number) >> 1, self.height):
                self.canvas.mark(self.x(row.number) >> 1, self.height, GLYPHS["checks_failed"], self.palette.checks)

    def _keeps(self) -> None:
        for row in self.points.rows:
            if row.status == "keep" and row.metric is not None:
                self._mark(row.number, row.metric, GLYPHS["keep"], self.palette.keep)

    def _running(self) -> None:
        if self.points.running is None:
            return
        if self.points.value is not None:
            self._mark(self.points.running, self.points.value, ">", self.palette.run)
        else:
            self.canvas.mark(self.x(self.points.running) >> 1, self.height, ">", self.palette.run)

    def _numbers(self) -> list[Segment]:
        """Experiment numbers under the plot, each below its experiment, as many as fit."""
        line = [" "] * self.canvas.width
        wanted, _ = ticks(self.first, self.last, max(2, self.canvas.width // 14))
        for number in [self.last, self.first, *(int(value) for value in wanted)]:
            text = f"#{number}" if number == self.first else str(number)
            at = min(max((self.x(number) >> 1) - (len(text) - 1) // 2, 0), self.canvas.width - len(text))
            if all(cell == " " for cell in line[max(0, at - 1) : at + len(text) + 1]):
                line[at : at + len(text)] = text
        return [Segment(" " * self.gutter + "".join(line), self.palette.quiet)]
