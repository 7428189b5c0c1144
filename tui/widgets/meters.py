"""What the machine is doing, a line each: a short history and the values now."""

from __future__ import annotations

from collections import deque

from rich.segment import Segment
from textual.geometry import Region, Size

from autoresearch.tui.live.gauges import Gauge
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.widgets.picture import Drawn, Line, said

_BARS = "▁▂▃▄▅▆▇█"
_READINGS = 2
"""In one cell of the history, and between drawings: five seconds, so that a screen at rest sends little."""
_CELLS = 60
_LINES = 12
_LEAST, _MOST = 5, 40
"""Cells of a history."""


class Meters(Drawn, can_focus=True):
    """Draws what `take` was given; shows `message` while there is nothing."""

    def __init__(self, palette: Palette, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(palette, id=id, classes=classes)
        self.message = "Looking at this machine …"
        self.gauges: list[Gauge] = []
        self._past: dict[str, deque[float]] = {}
        self._cell: dict[str, list[float]] = {}
        self._count = 0

    def take(self, gauges: list[Gauge]) -> None:
        """One reading. Drawn when a cell of the history is full, and only what then differs."""
        for gauge in gauges:
            self._cell.setdefault(gauge.name, []).append(gauge.part)
        self._count += 1
        first = not self.gauges
        if self._count % _READINGS and not first:
            return
        for name, parts in self._cell.items():
            self._past.setdefault(name, deque(maxlen=_CELLS)).append(sum(parts) / len(parts))
        self._cell.clear()
        before, lines = len(self.gauges), self._lines
        self.gauges = gauges
        if len(gauges) != before or lines is None:
            self._lines = None
            self.refresh(layout=True)
            return
        width, height = self.size
        self._lines = self.draw(width, height)
        for y, (old, new) in enumerate(zip(lines, self._lines, strict=False)):
            if old != new:
                self.refresh(Region(0, y, width, 1))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return max(1, min(len(self.gauges), _LINES))

    def draw(self, width: int, height: int) -> list[Line]:
        if not self.gauges:
            return said(self.message, self.palette, width, height)
        lines = [self._meter(gauge, width) for gauge in self.gauges[:height]]
        left = len(self.gauges) - height
        if left > 0 and lines:
            lines[-1] = [Segment(f" and {left + 1} more", self.palette.quiet)]
        return [*lines, *([Segment("")] for _ in range(height - len(lines)))]

    def _meter(self, gauge: Gauge, width: int) -> Line:
        name = f" {gauge.name:<7}"
        words = list(gauge.words)
        while len(words) > 1 and len(name) + len("  ".join(words)) + _LEAST + 2 > width:
            words.pop()
        text = "  ".join(words)
        cells = max(0, min(_MOST, width - len(name) - len(text) - 2))
        past = list(self._past.get(gauge.name, ()))[-cells:] if cells else []
        bars = "".join(_BARS[min(int(part * len(_BARS)), len(_BARS) - 1)] for part in past)
        style = self.palette.crash if gauge.name in ("memory", "disk") and gauge.part > 0.95 else self.palette.strong
        return [
            Segment(name, self.palette.quiet),
            Segment(bars.rjust(cells), self.palette.best),
            Segment(f" {text}", style),
        ]
