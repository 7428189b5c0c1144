"""Two lines that answer, from across the room: is it running, what does it do, has it found anything."""

from __future__ import annotations

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from autoresearch.state import numbers
from autoresearch.state.history import History
from autoresearch.state.session import Live
from autoresearch.tui import wording
from autoresearch.tui.feed import Engine
from autoresearch.tui.follow import clean
from autoresearch.tui.palette import Palette

Part = tuple[int, str, Style]
"""Rank (the highest is left out first), text, style. Parts of one rank stand or fall together."""


class StateLine(Widget):
    def __init__(self, palette: Palette, id: str | None = None) -> None:
        super().__init__(id=id)
        self.palette = palette
        self._left: tuple[list[Part], list[Part]] = ([], [])
        self._right: tuple[list[Part], list[Part]] = ([], [])
        self._one_line = False

    def show(self, title: str, engine: Engine, live: Live | None, history: History, now_ms: int) -> None:
        left = (
            self._doing(engine, live, history, now_ms),
            self._standing(history),
        )
        palette = self.palette
        extra = [(5, text, palette.quiet) for text in _joined(wording.limits(history, live, now_ms))]
        right: tuple[list[Part], list[Part]] = ([(4, title, palette.quiet)], extra)
        if (left, right) != (self._left, self._right):
            self._left, self._right = left, right
            self.refresh()

    def _doing(self, engine: Engine, live: Live | None, history: History, now_ms: int) -> list[Part]:
        palette = self.palette
        busy = engine.state in ("running", "starting") and not (live is not None and live.pausing)
        name = wording.badge(engine, live)
        parts: list[Part] = [(0, f" {name} ", palette.good if busy else palette.warn), (0, " ", palette.text)]
        experiment = live.experiment if engine.state == "running" and live is not None else None
        if experiment is not None:
            limit = live.limits.get("experiments") if live is not None else None
            parts.append((1, f"#{experiment}", palette.strong))
            parts.append((2, f" of {limit}" if limit else "", palette.quiet))
            parts.append((1, " ", palette.text))
        parts.append((0, wording.doing(engine, live, history), palette.text))
        if engine.since and engine.state != "starting":
            passed = numbers.duration(max(0, now_ms - engine.since) // 1000)
            words = passed if engine.state == "running" else f"{passed} ago"
            parts.append((1, f"  {words}", palette.quiet))
        if experiment is not None and live is not None and live.description:
            parts.append((3, f"  {clean(live.description)}", palette.quiet))
        return parts

    def _standing(self, history: History) -> list[Part]:
        palette = self.palette
        best = wording.best_of(history)
        parts: list[Part] = []
        if best is not None:
            parts += [(0, " best ", palette.quiet), (0, best.value, palette.keep)]
            parts.append((3, f" {best.unit}" if best.unit else "", palette.quiet))
            if not best.confirmed:
                parts.append((1, " unconfirmed", palette.checks))
            if best.change:
                parts.append((1, f"  {best.change}", palette.strong))
                parts.append((2, f" than {best.baseline}", palette.quiet))
            else:
                parts.append((2, " the baseline", palette.quiet))
            parts.append((0, "   ", palette.text))
        else:
            parts.append((0, " no result yet   ", palette.quiet))
        counts = history.counts
        for status, glyph, word, style in (
            ("keep", "✓", "keep", palette.keep),
            ("discard", "×", "discard", palette.unproven),
            ("crash", "!", "crash", palette.crash),
            ("checks_failed", "c", "checks", palette.checks),
        ):
            if counts[status] or status in ("keep", "discard", "crash"):
                number = counts[status]
                parts.append((4, f"{word} ", palette.quiet))
                parts.append((0, f"{number}{glyph} ", style if number else palette.quiet))
        return parts

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        base = self.rich_style
        if y > 1:
            return Strip.blank(width, base)
        segments = [Segment(text, base + style) for text, style in _fit(self._left[y], self._right[y], width)]
        return Strip(segments).adjust_cell_length(width, base)


def _joined(texts: list[str]) -> list[str]:
    return ["  ".join(texts) + " "] if texts else []


def _fit(left: list[Part], right: list[Part], width: int) -> list[tuple[str, Style]]:
    """Leave out parts by rank until the line fits; then the left side is cut and the right one pushed to the edge."""
    ranks = sorted({rank for rank, _, _ in (*left, *right)}, reverse=True)
    for rank in [99, *ranks]:
        keep_left = [(text, style) for r, text, style in left if r < rank]
        keep_right = [(text, style) for r, text, style in right if r < rank]
        used = sum(cell_len(text) for text, _ in (*keep_left, *keep_right)) + bool(keep_right)
        if used <= width:
            gap = width - used + bool(keep_right)
            return [*keep_left, (" " * gap, Style.null()), *keep_right]
        if rank == 4 and not keep_right:
            # What is left over of the line goes to the description, cut.
            shown = [(text, style) for r, text, style in left if r < 4]
            spare = width - sum(cell_len(text) for r, text, _ in left if r < 3)
            if spare >= 12:
                return _cut(shown, width)
    return _cut([(text, style) for r, text, style in left if r == 0], width)


def _cut(parts: list[tuple[str, Style]], width: int) -> list[tuple[str, Style]]:
    cut = []
    for text, style in parts:
        size = cell_len(text)
        if size > width:
            cut.append((set_cell_size(text, max(0, width - 1)) + "…", style) if width > 0 else ("", style))
            break
        cut.append((text, style))
        width -= size
    return cut
