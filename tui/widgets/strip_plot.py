"""Samples as dots on one axis, a line per arm: what a verdict was reached from, at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from autoresearch.state.text import numbers
from autoresearch.tui.look.palette import Palette

_DOTS = "·•●"
"""One run, two, three and more in a cell."""
_LABEL = 14


@dataclass(frozen=True, slots=True)
class Arm:
    label: str
    values: tuple[float, ...]
    style: Style


def columns(values: Sequence[float], low: float, high: float, width: int) -> tuple[list[int], int]:
    """How many values fall into each cell, and the cell of their mean."""
    counts = [0] * width
    spread = high - low

    def at(value: float) -> int:
        part = (value - low) / spread if spread > 0 else 0.5
        return min(width - 1, max(0, round(part * (width - 1))))

    for value in values:
        counts[at(value)] += 1
    return counts, at(sum(value / len(values) for value in values))


class StripPlot(Widget):
    """Smaller values at the left. The mean of an arm is a bar."""

    def __init__(self, palette: Palette, id: str | None = None) -> None:
        super().__init__(id=id)
        self.palette = palette
        self.arms: list[Arm] = []
        self.step: float | None = None
        self.better = ""

    def show(self, arms: list[Arm], step: float | None, better: str) -> None:
        """`better` is the direction, `lower` or `higher`."""
        self.arms = [arm for arm in arms if arm.values]
        self.step, self.better = step, better
        self.styles.height = len(self.arms) + 1 if self.arms else 0
        self.refresh()

    def render_line(self, y: int) -> Strip:
        base, palette, width = self.rich_style, self.palette, self.size.width
        room = width - _LABEL - 2
        if not self.arms or room < 10 or y > len(self.arms):
            return Strip.blank(width, base)
        everything = [value for arm in self.arms for value in arm.values]
        low, high = min(everything), max(everything)
        if y == len(self.arms):
            return Strip(self._axis(low, high, room, base)).adjust_cell_length(width, base)
        arm = self.arms[y]
        counts, mean = columns(arm.values, low, high, room)
        line = [Segment(f" {set_cell_size(arm.label, _LABEL - 1)} ", base + palette.quiet)]
        for column, count in enumerate(counts):
            if count:
                line.append(Segment(_DOTS[min(count, 3) - 1], base + arm.style))
            elif column == mean:
                line.append(Segment("│", base + arm.style))
            else:
                line.append(Segment(" ", base))
        return Strip(line).adjust_cell_length(width, base)

    def _axis(self, low: float, high: float, room: int, base: Style) -> list[Segment]:
        palette = self.palette
        left, right = numbers.metric(low, self.step), numbers.metric(high, self.step)
        arrow = "◂ better" if self.better == "lower" else "better ▸"
        gap = max(1, room - len(left) - len(right))
        legend = f"{arrow}   │ mean"
        said = legend if gap >= len(legend) + 2 else arrow if gap >= len(arrow) + 2 else ""
        middle = said.center(gap)
        return [
            Segment(" " * (_LABEL + 1), base),
            Segment(left, base + palette.quiet),
            Segment(middle, base + palette.faint),
            Segment(right if low != high else "", base + palette.quiet),
        ]
