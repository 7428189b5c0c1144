"""Drawing in text cells: a canvas of braille dots and of characters, and the ranges and ticks of an axis. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from rich.segment import Segment
from rich.style import Style

# Bit of the braille pattern for the dot at (x % 2, y % 4).
_BITS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))


class Canvas:
    """`width` by `height` cells. Dots have a style per cell, the last one put wins; a character hides the dots."""

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self._dots = [[0] * width for _ in range(height)]
        self._dot_styles: list[list[Style | None]] = [[None] * width for _ in range(height)]
        self._marks: dict[tuple[int, int], tuple[str, Style]] = {}

    def dot(self, x: int, y: int, style: Style) -> None:
        """Set the dot at (x, y), counted in dots from the top left; outside the canvas nothing happens."""
        column, row = x >> 1, y >> 2
        if 0 <= column < self.width and 0 <= row < self.height:
            self._dots[row][column] |= _BITS[x & 1][y & 3]
            self._dot_styles[row][column] = style

    def upright(self, x: int, y1: int, y2: int, style: Style) -> None:
        for y in range(min(y1, y2), max(y1, y2) + 1):
            self.dot(x, y, style)

    def mark(self, column: int, row: int, character: str, style: Style) -> None:
        if 0 <= column < self.width and 0 <= row < self.height:
            self._marks[column, row] = (character, style)

    def free(self, column: int, row: int) -> bool:
        return (column, row) not in self._marks

    def row(self, row: int, blank: Style) -> list[Segment]:
        """The cells of one row, neighbours of one style joined."""
        segments: list[Segment] = []
        text, style = "", blank
        for column in range(self.width):
            mark = self._marks.get((column, row))
            if mark is not None:
                cell, of_cell = mark
            elif dots := self._dots[row][column]:
                cell, of_cell = chr(0x2800 + dots), self._dot_styles[row][column] or blank
            else:
                cell, of_cell = " ", blank
            if of_cell is not style and text:
                segments.append(Segment(text, style))
                text = ""
            style = of_cell
            text += cell
        segments.append(Segment(text, style))
        return segments


def robust_range(values: Sequence[float], always: Iterable[float] = ()) -> tuple[float, float]:
    """Where most values lie, widened to show `always`; never empty, and no outlier stretches it.

    Between the 2nd and the 98th percentile and within three interquartile ranges of the middle half: the percentiles
    alone would let one diverged run among ten flatten the other nine. What lies only a little beyond is shown as well.
    """
    finite = sorted(_cut(value) for value in values if math.isfinite(value))
    shown = [_cut(value) for value in always if math.isfinite(value)]
    if finite:
        low, high = _percentile(finite, 0.02), _percentile(finite, 0.98)
        q1, q3 = _percentile(finite, 0.25), _percentile(finite, 0.75)
        reach = 3 * (q3 - q1)
        if len(finite) >= 4 and reach > 0:
            low, high = max(low, q1 - reach), min(high, q3 + reach)
        reach = (high - low) / 3
        shown += [value for value in (finite[0], finite[-1]) if low - reach <= value <= high + reach]
        shown += [low, high]
    if not shown:
        return 0.0, 1.0
    low, high = min(shown), max(shown)
    if high - low <= abs(high) * 1e-12:
        pad = abs(high) * 0.01 or 1.0
        return low - pad, high + pad
    pad = (high - low) * 0.06
    return low - pad, high + pad


def _cut(value: float) -> float:
    """A candidate may print 1e308, and a range that overflows cannot be drawn."""
    return max(-1e300, min(1e300, value))


def _percentile(ordered: Sequence[float], part: float) -> float:
    at = part * (len(ordered) - 1)
    below = math.floor(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)


def ticks(low: float, high: float, most: int) -> tuple[list[float], int]:
    """At most `most` round values in [low, high] and the decimals that tell them apart."""
    span = high - low
    if span <= 0 or most < 1 or not math.isfinite(span):
        return [], 0
    raw = span / most
    unit = 10.0 ** math.floor(math.log10(raw))
    for factor in (1, 2, 2.5, 5, 10, 20):
        step = unit * factor
        first = math.ceil(low / step - 1e-9)
        count = math.floor(high / step + 1e-9) - first + 1
        if count <= most:
            break
    decimals = max(0, -math.floor(math.log10(step) + 1e-9) + (factor == 2.5))
    return [(first + index) * step for index in range(count)], decimals
