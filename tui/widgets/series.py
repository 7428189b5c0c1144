"""A live series of the running experiment over the best's, at the same seconds. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from rich.segment import Segment
from rich.style import Style

from autoresearch.state.text import numbers
from autoresearch.tui.live.growing_files import at_second
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.widgets.axis import Axis
from autoresearch.tui.widgets.braille import Canvas
from autoresearch.tui.widgets.picture import Line

Point = tuple[float, float]
_LATE = 12
"""A loss falls steeply at first; what tells two runs apart comes after this part of the time: that sets the range."""


@dataclass(frozen=True, slots=True)
class Series:
    name: str
    mine: list[Point]
    """The running experiment's (second, value), not finite values included."""
    best: list[Point]

    @property
    def end(self) -> float:
        ends = [points[-1][0] for points in (self.mine, self.best) if points]
        return max(ends, default=0.0) or 1.0


def words_of(series: Series, palette: Palette, width: int) -> Line:
    """Its last value, and what the best had at that second."""
    if not series.mine:
        return [Segment("no live series", palette.quiet)]
    second, value = series.mine[-1]
    words = [
        Segment(f"{series.name} ", palette.title),
        Segment(numbers.metric(value), palette.strong if math.isfinite(value) else palette.crash),
        Segment(f" at {numbers.duration(second)}", palette.quiet),
    ]
    then = at_second(series.best, second)
    if then is not None and math.isfinite(value):
        words.append(Segment(", best then ", palette.quiet))
        words.append(Segment(numbers.metric(then), palette.best))
        difference = f" ({numbers.signed(value - then, abs(value - then))})"
        if sum(word.cell_length for word in words) + len(difference) <= width:
            words.append(Segment(difference, palette.quiet))
    return words


def small_lines(series: Series, palette: Palette, width: int, height: int) -> list[Line]:
    """The words and a plot without labels."""
    lines = [words_of(series, palette, width)]
    if height > 1:
        canvas = Canvas(width, height - 1)
        if series.mine:
            _plot(canvas, series, _axis(series, canvas.height), palette)
        lines += [canvas.row(row, palette.text) for row in range(canvas.height)]
    return lines[:height]


def series_lines(series: Series, palette: Palette, width: int, height: int, log: bool = False) -> list[Line]:
    """The words, a plot with its values beside it, and the seconds below."""
    words = words_of(series, palette, width)
    axis = _axis(series, max(1, height - 2), log)
    labels = axis.labels()
    gutter = max((len(text) for text in labels.values()), default=0) + 1
    canvas = Canvas(max(1, width - gutter), axis.rows)
    if series.mine:
        _plot(canvas, series, axis, palette)
    lines = [words]
    for row in range(canvas.height):
        lead = Segment(labels.get(row, "").rjust(gutter - 1) + " ", palette.quiet)
        lines.append([lead, *canvas.row(row, palette.text)])
    end = numbers.duration(series.end)
    lines.append([Segment(" " * gutter + "0s" + end.rjust(max(0, canvas.width - 2)), palette.quiet)])
    return lines[:height]


def _axis(series: Series, rows: int, log: bool = False) -> Axis:
    late = [value for at, value in (*series.mine, *series.best) if at > series.end / _LATE]
    return Axis.over(late or [value for _, value in series.mine], (), rows, log)


def _plot(canvas: Canvas, series: Series, axis: Axis, palette: Palette) -> None:
    for points, style in ((series.best, palette.best), (series.mine, palette.run)):
        _line(canvas, points, series.end, axis, style)
    for at, value in series.mine:
        if not math.isfinite(value):
            column = min(max(int(at / series.end * canvas.width), 0), canvas.width - 1)
            canvas.mark(column, canvas.height - 1, "!" if math.isnan(value) else "∞", palette.crash)


def _line(canvas: Canvas, points: list[Point], end: float, axis: Axis, style: Style) -> None:
    """The smallest and largest value per column of dots, joined to the column before, so that no spike is lost."""
    width = canvas.width * 2
    columns: dict[int, tuple[float, float, float]] = {}
    for at, value in points:
        if math.isfinite(value) and at >= 0:
            x = min(int(at / end * (width - 1)), width - 1)
            least, most, _ = columns.get(x, (value, value, value))
            columns[x] = (min(least, value), max(most, value), value)
    before: tuple[int, int] | None = None
    for x in sorted(columns):
        least, most, last = columns[x]
        canvas.upright(x, axis.y(most), axis.y(least), style)
        if before is not None and x - before[0] > 1:
            for between in range(before[0] + 1, x):
                part = (between - before[0]) / (x - before[0])
                canvas.dot(between, round(before[1] + part * (axis.y(last) - before[1])), style)
        before = (x, axis.y(last))
