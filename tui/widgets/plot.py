"""The metric over the experiments as a picture: a mark for each by its status, the best as a step line with the noise
around it, the baseline and the goal as dotted lines, failures in a lane below. Pure.

Marks are those of the table (`✓ × ! c`), so the chart needs no legend. When there are more experiments than cells,
what was discarded becomes dots and the marks stay for what matters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from rich.segment import Segment
from rich.style import Style

from autoresearch.state.journal import History, Row
from autoresearch.tui.facts.text import GLYPHS
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.widgets.axis import Axis, label
from autoresearch.tui.widgets.braille import Canvas, ticks
from autoresearch.tui.widgets.picture import Line

SPAN = 24
"""Fewer experiments than this leave room at the right instead of standing far apart."""
_LANE = "fail"
_CROWDED = 1.6
"""Experiments in a cell from which discards are dots."""


@dataclass(slots=True)
class Points:
    """What the chart shows. `rows` are the segment's experiments in order."""

    rows: list[Row] = field(default_factory=list)
    baseline: float | None = None
    best: float | None = None
    running: int | None = None
    value: float | None = None
    """The running experiment's mean so far."""
    noise: float | None = None
    """Standard deviation of one run."""
    goal: float | None = None
    """The value that ends the search, or a constraint's limit."""
    values: dict[int, float] | None = None
    """Another metric's values by experiment; None shows the primary metric."""

    @property
    def stamp(self) -> tuple[object, ...]:
        others = (id(self.values), len(self.values or ()))
        return (len(self.rows), self.baseline, self.best, self.running, self.value, self.noise, self.goal, others)

    def of(self, row: Row) -> float | None:
        return row.metric if self.values is None else self.values.get(row.number)


def points_of(history: History, goal: float | None = None) -> Points:
    """The primary metric of the present segment."""
    first = len(history.rows)
    while first and history.rows[first - 1].segment == history.segment:
        first -= 1
    opened = history.open
    samples = [s.metric for s in opened.of("candidate") if s.metric is not None and s.cause is None] if opened else []
    return Points(
        rows=history.rows[first:] if first else history.rows,
        baseline=history.baseline.metric if history.baseline else None,
        best=history.incumbent.metric if history.incumbent else None,
        running=opened.number if opened else None,
        value=math.fsum(samples) / len(samples) if samples else None,
        noise=history.spread.sd,
        goal=goal,
    )


@dataclass(frozen=True, slots=True)
class View:
    """Which part of the experiments is seen, and how."""

    window: tuple[int, int] | None = None
    """First and last number; None shows all of them, those to come included."""
    log: bool = False


class Drawing:
    """One drawing of the chart at one size: a gutter of labels, the plot, the lane, the numbers."""

    def __init__(self, points: Points, palette: Palette, width: int, height: int, view: View | None = None) -> None:
        view = view or View()
        self.points = points
        self.palette = palette
        self.first, self.last, self.span = extent(points, view.window)
        self.rows = _within(points.rows, self.first, self.first + self.span - 1)
        self.discards = [row for row in self.rows if row.status == "discard"]
        judged = [points.of(row) for row in self.rows if row.status in ("keep", "discard")]
        metrics = [value for value in judged if value is not None]
        whole = view.window is None
        always = [value for value in (points.best, points.value) if value is not None and (whole or not metrics)]
        self.axis = Axis.over(metrics, [*always, *self._goal_near(metrics)], height - 2, view.log)
        self.labels = self._labels()
        self.gutter = max([len(_LANE), *(len(text) for text, _ in self.labels.values())]) + 1
        self.canvas = Canvas(max(1, width - self.gutter), height - 1)
        self.dense = self.span > self.canvas.width * _CROWDED

    def _goal_near(self, metrics: list[float]) -> list[float]:
        """The goal, unless showing it would flatten what has been measured."""
        goal = self.points.goal
        if goal is None or not metrics:
            return []
        low, high = min(metrics), max(metrics)
        return [goal] if low - 2 * (high - low) <= goal <= high + 2 * (high - low) else []

    def _labels(self) -> dict[int, tuple[str, Style]]:
        axis, points, palette = self.axis, self.points, self.palette
        labels = {row: (text, palette.quiet) for row, text in axis.labels().items()}
        if points.goal is not None and axis.holds(points.goal):
            labels[axis.row(points.goal)] = (label(points.goal, points.noise), palette.checks)
        if points.best is not None and axis.holds(points.best):
            labels[axis.row(points.best)] = (label(points.best, points.noise), palette.keep)
        return labels

    def x(self, number: int) -> int:
        """In dots from the left of the plot."""
        return int((number - self.first + 0.5) / self.span * self.canvas.width * 2)

    def lines(self) -> list[Line]:
        axis, palette = self.axis, self.palette
        self._across(self.points.baseline, palette.faint, 4)
        self._across(self.points.goal, palette.checks, 6)
        self._best()
        self._discards()
        self._lane()
        self._keeps()
        self._flagged()
        self._running()
        blank = palette.text
        lines = []
        for row in range(axis.rows):
            text, style = self.labels.get(row, ("", blank))
            lines.append([Segment(text.rjust(self.gutter - 1) + " ", style), *self.canvas.row(row, blank)])
        lane = _LANE if any(row.status in ("crash", "checks_failed") for row in self.rows) else ""
        lines.append([Segment(lane.rjust(self.gutter - 1) + " ", palette.quiet), *self.canvas.row(axis.rows, blank)])
        return [*lines, self._numbers()]

    def _across(self, value: float | None, style: Style, step: int) -> None:
        if value is not None and self.axis.holds(value):
            for x in range(0, self.canvas.width * 2, step):
                self.canvas.dot(x, self.axis.y(value), style)

    def _discards(self) -> None:
        for row in self.discards:
            value = self.points.of(row)
            if value is None:
                continue
            style = self.palette.unproven if row.cause == "unproven" else self.palette.worse
            if self.dense and self.axis.holds(value):
                self.canvas.dot(self.x(row.number), self.axis.y(value), style)
            else:
                self._mark(row.number, value, GLYPHS["discard"], style)

    def _mark(self, number: int, value: float, glyph: str, style: Style) -> None:
        glyph = {1: "↑", -1: "↓"}.get(self.axis.beyond(value), glyph)
        self.canvas.mark(self.x(number) >> 1, self.axis.row(value), glyph, style)

    def _best(self) -> None:
        """The value the incumbent had when, and from the last keep on to the right end of what has run."""
        keeps = [row for row in self.points.rows if row.status == "keep" and self.points.of(row) is not None]
        ends = [*(row.number for row in keeps[1:]), max(self.last, self.points.running or 0)][: len(keeps)]
        steps: list[tuple[int, int, float]] = []
        for row, end in zip(keeps, ends, strict=True):
            value = self.points.of(row)
            if value is not None and end >= self.first and row.number <= self.first + self.span:
                steps.append((max(self.x(row.number), 0), min(self.x(end), self.canvas.width * 2 - 1), value))
        for start, stop, value in steps:
            self._band(start, stop, value)
        before: int | None = None
        for start, stop, value in steps:
            y = self.axis.y(value)
            if before is not None:
                self.canvas.upright(start, before, y, self.palette.best)
            for x in range(start, stop + 1):
                self.canvas.dot(x, y, self.palette.best)
            before = y

    def _band(self, start: int, stop: int, value: float) -> None:
        """One run's noise above and below the best: what lies within it may be the same."""
        noise = self.points.noise
        if not noise or self.points.values is not None:
            return
        edges = [self.axis.y(value + noise), self.axis.y(value - noise)]
        if max(edges) - min(edges) < 4:
            return  # narrower than a cell it would only blur the line
        for x in range(start, stop + 1):
            for y in range(min(edges), max(edges) + 1):
                if x % 4 == 0 and y % 4 == 2 * (x % 8 == 0):
                    self.canvas.dot(x, y, self.palette.faint)

    def _lane(self) -> None:
        lane = self.axis.rows
        for row in self.rows:
            if row.status == "crash":
                glyph = "∞" if row.cause == "not_finite" else GLYPHS["crash"]
                self.canvas.mark(self.x(row.number) >> 1, lane, glyph, self.palette.crash)
            elif row.status == "checks_failed" and self.canvas.free(self.x(row.number) >> 1, lane):
                self.canvas.mark(self.x(row.number) >> 1, lane, GLYPHS["checks_failed"], self.palette.checks)

    def _keeps(self) -> None:
        for row in self.rows:
            value = self.points.of(row)
            if row.status == "keep" and value is not None:
                self._mark(row.number, value, GLYPHS["keep"], self.palette.keep)

    def _flagged(self) -> None:
        """A `?` above what is worth a second look."""
        for row in self.rows:
            value = self.points.of(row) if row.flags else None
            if value is not None:
                self.canvas.mark(self.x(row.number) >> 1, max(self.axis.row(value) - 1, 0), "?", self.palette.checks)

    def _running(self) -> None:
        number = self.points.running
        if number is None or not self.first <= number < self.first + self.span:
            return
        if self.points.value is not None:
            self._mark(number, self.points.value, ">", self.palette.run)
        else:
            self.canvas.mark(self.x(number) >> 1, self.axis.rows, ">", self.palette.run)

    def _numbers(self) -> Line:
        """Experiment numbers under the plot, each below its experiment, as many as fit."""
        line = [" "] * self.canvas.width
        wanted, _ = ticks(self.first, self.last, max(2, self.canvas.width // 14))
        for number in [self.last, self.first, *(int(value) for value in wanted)]:
            text = f"#{number}" if number == self.first else str(number)
            at = min(max((self.x(number) >> 1) - (len(text) - 1) // 2, 0), self.canvas.width - len(text))
            if all(cell == " " for cell in line[max(0, at - 1) : at + len(text) + 1]):
                line[at : at + len(text)] = text
        return [Segment(" " * self.gutter + "".join(line), self.palette.quiet)]


def extent(points: Points, window: tuple[int, int] | None) -> tuple[int, int, int]:
    """The first and the last number seen, and for how many there is room."""
    if window is not None:
        first, last = window
        return first, last, max(1, last - first + 1)
    numbers = [points.rows[0].number, points.rows[-1].number] if points.rows else []
    first = min(numbers, default=points.running or 1)
    last = max([*numbers, points.running or 0])
    return first, last, max(last - first + 1, SPAN)


def _within(rows: list[Row], first: int, last: int) -> list[Row]:
    if rows and first <= rows[0].number and rows[-1].number <= last:
        return rows
    return [row for row in rows if first <= row.number <= last]
