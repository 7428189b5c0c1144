"""A session's curve in one line of braille: every value a dot, the best so far a step. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.segment import Segment

from autoresearch.tui.look.palette import Palette
from autoresearch.tui.widgets.braille import Canvas, robust_range


def spark(curve: Sequence[tuple[float | None, bool]], lower: bool, width: int, palette: Palette) -> list[Segment]:
    """`curve`: (metric, whether it was kept), oldest first. Better is up; what has no value leaves a gap."""
    canvas = Canvas(width, 1)
    values = [value for value, _ in curve if value is not None and math.isfinite(value)]
    if not values or width < 1:
        return canvas.row(0, palette.faint)
    kept = [value for value, keep in curve if keep and value is not None and math.isfinite(value)]
    low, high = robust_range(values, kept)
    columns = min(width * 2, len(curve))

    def y(value: float) -> int:
        part = (value - low) / (high - low)
        return min(3, max(0, round((part if lower else 1 - part) * 3)))

    for at, (value, _) in enumerate(curve):
        if value is not None and low <= value <= high:
            canvas.dot(at * columns // len(curve), y(value), palette.worse)
    best: float | None = None
    steps: dict[int, float] = {}
    for at, (value, keep) in enumerate(curve):
        if keep and value is not None and math.isfinite(value):
            best = value
        if best is not None:
            steps[at * columns // len(curve)] = best
    for x, value in steps.items():
        canvas.dot(x, y(value), palette.best)
    return canvas.row(0, palette.faint)
