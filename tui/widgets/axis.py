"""The value axis of a chart: which values fit, at which dot a value stands, and what is written beside it. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from autoresearch.state.text import numbers
from autoresearch.tui.widgets.braille import robust_range, ticks

_WIDEST = 11
"""Cells of a label; longer ones are written with an exponent."""


@dataclass(frozen=True, slots=True)
class Axis:
    """`low` and `high` are values, or their logarithms to base 10 when `log`."""

    low: float
    high: float
    rows: int
    log: bool = False

    @staticmethod
    def over(values: Sequence[float], always: Iterable[float], rows: int, log: bool = False) -> Axis:
        """Room for most of `values` and for all of `always`. Without a value above 0 a logarithmic axis is plain."""
        always = list(always)
        if log:
            above = [math.log10(value) for value in values if value > 0 and math.isfinite(value)]
            shown = [math.log10(value) for value in always if value > 0 and math.isfinite(value)]
            if above or shown:
                return Axis(*robust_range(above, shown), rows, log=True)
        return Axis(*robust_range(values, always), rows)

    def place(self, value: float) -> float:
        if not self.log:
            return value
        return math.log10(value) if value > 0 else -math.inf

    def holds(self, value: float) -> bool:
        return self.low <= self.place(value) <= self.high

    def beyond(self, value: float) -> int:
        """1 above the axis, -1 below it, 0 on it."""
        place = self.place(value)
        return (place > self.high) - (place < self.low)

    def y(self, value: float) -> int:
        """In dots from the top, at the edge for what lies beyond."""
        # The parts first: high - low overflows for values of both signs near the largest float.
        place = min(max(self.place(value), self.low), self.high)
        part = (self.high / 2 - place / 2) / (self.high / 2 - self.low / 2)
        return round(part * (self.rows * 4 - 1))

    def row(self, value: float) -> int:
        return min(max(self.y(value) >> 2, 0), self.rows - 1)

    def labels(self) -> dict[int, str]:
        """Round values by row, as many as are easy to read."""
        most = max(2, self.rows // 3 + 1)
        if self.log:
            marks = self._decades(most)
            if len(marks) >= 2:
                return {self.row(mark): _plain(mark) for mark in marks}
        low, high = (10**self.low, 10**self.high) if self.log else (self.low, self.high)
        marks, decimals = ticks(low, high, most)
        return dict(zip(map(self.row, marks), written(marks, decimals), strict=True))

    def _decades(self, most: int) -> list[float]:
        first, last = math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9)
        step = max(1, -(-(last - first + 1) // most))
        return [10.0**power for power in range(-(-first // step) * step, last + 1, step) if abs(power) < 300]


def written(marks: Sequence[float], decimals: int) -> list[str]:
    """Labels that tell the marks apart, all in one way and none wider than a gutter can be."""
    texts = [f"{mark:,.{decimals}f}" for mark in marks]
    if all(len(text) <= _WIDEST for text in texts):
        return texts
    largest = max((abs(mark) for mark in marks), default=0.0)
    digits = math.floor(math.log10(largest)) + decimals if largest else 0
    return [_short(f"{mark:.{min(max(digits, 0), 15)}e}") for mark in marks]


def label(value: float, noise: float | None) -> str:
    """One value of its own beside the axis: with the digits that its noise justifies."""
    text = numbers.metric(value, noise)
    return text if len(text) <= _WIDEST else _short(f"{value:.5g}")


def _plain(value: float) -> str:
    text = f"{value:,.0f}" if value >= 1 else f"{value:.10f}".rstrip("0")
    return text if len(text) <= 7 and float(text.replace(",", "")) == value else _short(f"{value:.0e}")


def _short(text: str) -> str:
    """Without the padding of the exponent: 1.2e+07 is 1.2e7."""
    mantissa, sign, power = text.partition("e")
    return f"{mantissa}e{int(power)}" if sign else text
