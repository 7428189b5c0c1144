"""Charts drawn without a screen."""

from __future__ import annotations

from autoresearch.state.journal import Row
from autoresearch.tui.look.palette import COLOUR
from autoresearch.tui.widgets.plot import Drawing, Points


def row(number: int, status: str, metric: float | None, cause: str = "worse") -> Row:
    made = Row()
    made.number, made.status, made.metric, made.cause, made.segment = number, status, metric, cause, 0  # type: ignore[assignment]
    made.flags = ()
    return made


def drawn(points: Points, width: int = 60, height: int = 12) -> list[str]:
    lines = Drawing(points, COLOUR, width, height).lines()
    return ["".join(segment.text for segment in line) for line in lines]
