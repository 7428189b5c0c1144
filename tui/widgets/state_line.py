"""Lines at the top: is it running, what does it do, has it found anything; what page this is; whether it pauses."""

from __future__ import annotations

from typing import Any, TypeVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from autoresearch.state.journal import History
from autoresearch.state.text import numbers, safe_line
from autoresearch.tui.facts import words
from autoresearch.tui.facts.engine import Engine
from autoresearch.tui.facts.text import GLYPHS
from autoresearch.tui.facts.watched import Watched
from autoresearch.tui.look.palette import Palette

Part = tuple[int, str, Style]
"""Rank (the highest is left out first), text, style. Parts of one rank stand or fall together."""
_WORTH = 14
"""Cells from which the beginning of a text is worth more than nothing."""


class StateLine(Widget):
    def __init__(self, palette: Palette, id: str | None = None) -> None:
        super().__init__(id=id)
        self.palette = palette
        self._left: tuple[list[Part], list[Part]] = ([], [])
        self._right: tuple[list[Part], list[Part]] = ([], [])

    def show(self, watched: Watched, now_ms: int, *, can_start: bool) -> None:
        palette, engine, history, bounds = self.palette, watched.engine, watched.history, watched.bounds
        now_ms = engine.clock(now_ms) if engine is not None else now_ms
        left = (self._doing(watched, now_ms, can_start), self._standing(history, watched.gain))
        said = words.spend(history, bounds, now_ms)
        if engine is not None and engine.state == "running" and (ends := words.time_left(history, bounds, now_ms)):
            said.append(ends)
        extra = [(3 if text.startswith("$") else 5, f" {text} ", palette.quiet) for text in said]
        right: tuple[list[Part], list[Part]] = ([(4, watched.heading, palette.quiet)], extra)
        before = list(zip(self._left, self._right, strict=True))
        self._left, self._right = left, right
        for y, line in enumerate(zip(left, right, strict=True)):
            if line != before[y]:
                self.refresh(Region(0, y, self.size.width, 1))

    def _doing(self, watched: Watched, now_ms: int, can_start: bool) -> list[Part]:
        palette, engine, live, running = self.palette, watched.engine, watched.live, watched.running
        busy = (engine is None or running or engine.state == "starting") and not (live is not None and live.pausing)
        name = words.badge(engine, live)
        parts: list[Part] = [(0, f" {name} ", palette.good if busy else palette.warn), (0, " ", palette.text)]
        # While a proposal is awaited, the heartbeat still names the experiment before it.
        experiment = live.experiment if running and live is not None and live.phase != "proposing" else None
        if experiment is not None:
            parts.append((1, f"#{experiment}", palette.strong))
            parts.append((2, _of_limit(experiment, watched.bounds), palette.quiet))
            parts.append((1, " ", palette.text))
        parts.append((0, words.doing(engine, live, watched.history, can_start=can_start), palette.text))
        parts.append((0, words.more(engine), palette.quiet))
        if engine is not None and engine.since and engine.state != "starting":
            parts.append((1, f"  {_since(engine, now_ms)}", palette.quiet))
        if engine is not None and engine.host and engine.state != "looking":
            parts.append((2, f"  on {safe_line(engine.host)}", palette.quiet))
        if running and live is not None and words.beside(live):
            parts.append((2, f"  {live.proposing or 'agent'} {words.waiting(live)}", palette.checks))
        if experiment is not None and live is not None and live.description:
            parts.append((3, f"  {safe_line(live.description)}", palette.quiet))
        return parts

    def _standing(self, history: History, gain: dict[str, Any]) -> list[Part]:
        palette = self.palette
        best = words.best_of(history, gain.get("interval"))
        parts: list[Part] = []
        if best is not None:
            parts += [(0, " best ", palette.quiet), (0, best.value, palette.keep)]
            if history.score_mark:
                parts.append((0, "*", palette.checks))
            parts.append((4, f" {best.unit}" if best.unit else "", palette.quiet))
            if not best.confirmed:
                parts.append((1, " unconfirmed", palette.checks))
            if best.change:
                parts.append((1, f"  {best.change}", palette.strong))
                parts.append((2, f" than {best.baseline}", palette.quiet))
            else:
                parts.append((2, " the baseline", palette.quiet))
            if history.score_mark:
                parts.append((3, f"  *{history.score_mark}", palette.checks))
            parts.append((0, "   ", palette.text))
        else:
            parts.append((0, " no result yet   ", palette.quiet))
        for status, word, style in (
            ("keep", "keep", palette.keep),
            ("discard", "discard", palette.unproven),
            ("crash", "crash", palette.crash),
            ("checks_failed", "checks", palette.checks),
        ):
            number = history.counts[status]
            if number or status != "checks_failed":
                parts.append((6, f"{word} ", palette.quiet))
                parts.append((0, f"{number}{GLYPHS[status]} ", style if number else palette.quiet))
        if history.flagged:
            parts.append((2, f" {len(history.flagged)}? flagged", palette.checks))
        if confined := words.confined(history):
            parts.append((2, f"  {confined}", palette.checks))
        return parts

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        base = self.rich_style
        if y > 1:
            return Strip.blank(width, base)
        segments = [Segment(text, base + style) for text, style in _fit(self._left[y], self._right[y], width)]
        return Strip(segments).adjust_cell_length(width, base)


def _of_limit(experiment: int, bounds: dict[str, Any]) -> str:
    """ " of 100"; " (4 of 8)" when the limit counts from this start of the engine on."""
    limit, done = bounds.get("experiments"), bounds.get("done")
    if not limit:
        return ""
    if done is None or done + 1 == experiment:
        return f" of {limit}"
    return f" ({done + 1} of {limit})"


def _since(engine: Engine, now_ms: int) -> str:
    """Whole seconds of a phase, whole minutes of a rest: a screen that has nothing to say sends nothing.

    `now_ms` is the engine's clock.
    """
    seconds = max(0, now_ms - engine.since) // 1000
    if engine.state in ("running", "looking", "silent"):
        return f"{seconds}s" if seconds < 60 else numbers.duration(seconds)
    return f"{numbers.duration(seconds // 60 * 60).removesuffix('00s')} ago" if seconds >= 60 else "just now"


def _fit(left: list[Part], right: list[Part], width: int) -> list[tuple[str, Style]]:
    """Leave out parts by rank until the line fits, the right side at the edge. Of rank 0 the longest is cut."""
    ranks = sorted({rank for rank, _, _ in (*left, *right) if rank > 0}, reverse=True)
    for limit in [99, *ranks]:
        shown = [(text, style) for rank, text, style in left if rank < limit]
        edge = [(text, style) for rank, text, style in right if rank < limit]
        gap = width - sum(cell_len(text) for text, _ in (*shown, *edge))
        if gap >= bool(edge):
            return [*shown, (" " * gap, Style.null()), *edge]
        last = max((rank for rank, _, _ in left if rank < limit), default=0)
        if not edge and left[-1][0] == last > 0 and gap + cell_len(shown[-1][0]) >= _WORTH:
            return cut(shown, width)
    return _squeezed([(text, style) for rank, text, style in left if rank == 0], width)


def _squeezed(parts: list[tuple[str, Style]], width: int) -> list[tuple[str, Style]]:
    sizes = [cell_len(text) for text, _ in parts]
    at = sizes.index(max(sizes))
    room = sizes[at] - (sum(sizes) - width)
    if room < min(_WORTH, sizes[at]):
        return cut(parts, width)
    return [*parts[:at], *cut([parts[at]], room), *parts[at + 1 :]]


_Style = TypeVar("_Style", bound="Style | None")


def cut(parts: list[tuple[str, _Style]], width: int) -> list[tuple[str, _Style]]:
    """As much of the parts as fits, the last one with an ellipsis."""
    kept = []
    for text, style in parts:
        size = cell_len(text)
        if size > width:
            kept.append((set_cell_size(text, max(0, width - 1)) + "…", style) if width > 0 else ("", style))
            break
        kept.append((text, style))
        width -= size
    return kept


class TitleLine(Widget):
    said: reactive[tuple[str, str, str]] = reactive(("", "", ""))
    """The session, what this is, and the engine's state."""

    def __init__(self, palette: Palette) -> None:
        super().__init__(id="title")
        self.palette = palette

    def render_line(self, y: int) -> Strip:
        base, palette = self.rich_style, self.palette
        session, what, state = self.said
        # The state is never cut: the session's name gives way first, then the end of what this is.
        room = self.size.width - cell_len(state) - 5
        shown = cut([(what, None), (session, None)], room)
        line = [
            Segment(f" {shown[0][0]}  ", base + palette.strong),
            Segment(shown[1][0] if len(shown) > 1 else "", base + palette.quiet),
            Segment(f"  {state}", base + palette.title),
        ]
        return Strip(line).adjust_cell_length(self.size.width, base)


class PauseBanner(Widget):
    """One line across the screen while a pause is asked for and not yet done."""

    words = reactive("")
    """Nothing of it is seen without them."""

    def __init__(self, palette: Palette) -> None:
        super().__init__(id="pausing")
        self.palette = palette
        self.display = False

    def watch_words(self, words: str) -> None:
        self.display = bool(words)

    def render_line(self, y: int) -> Strip:
        style = self.rich_style + self.palette.warn
        return Strip([Segment(f" {self.words}", style)]).adjust_cell_length(self.size.width, style)
