"""The experiments, newest first, drawn straight from the history: ten thousand rows cost what twelve cost."""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.message import Message
from textual.strip import Strip

from autoresearch.state import numbers
from autoresearch.state.history import History, Open, Row
from autoresearch.state.session import Live
from autoresearch.tui import answers
from autoresearch.tui.follow import clean
from autoresearch.tui.palette import Palette
from autoresearch.tui.widgets.lines import LineView

WORDS = {"keep": "KEEP ✓", "discard": "DISCARD ×", "crash": "CRASH !", "checks_failed": "CHECKS c"}


_ROOMY = 90
"""Columns from which the interval stands beside the estimate."""


class Experiments(LineView):
    """A header line that stays, then the open experiment, then the finished ones."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "details", show=False, id="table.open", tooltip="What was tried and why it fell so"),
    ]

    class Chosen(Message):
        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, palette: Palette, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(palette, id=id, classes=classes)
        self.history = History()
        self.live: Live | None = None
        self.running = False
        self.cursor = 0
        """Counted from the top: 0 is the newest."""
        self._shown: tuple[object, ...] = ()
        self._count = 0

    def show(self, history: History, live: Live | None, running: bool) -> None:
        """Draw again what differs; the cursor stays on its experiment unless it was on the newest."""
        stamp = (
            len(history.rows),
            history.segment,
            history.open.number if history.open else None,
            len(history.open.samples) if history.open else 0,
            running,
            (live.experiment, live.description) if live else None,
        )
        if stamp == self._shown and history is self.history:
            return
        before = self._count if history is self.history else 0
        self._shown = stamp
        self.history, self.live, self.running = history, live, running
        added = self.count() - before
        if self.cursor and before and added > 0:
            self.cursor += added
            if self.scroll_offset.y:
                self.call_after_refresh(self.to_line, self.scroll_offset.y + added)
        self._count = self.count()
        self.cursor = max(0, min(self.cursor, self.count() - 1))
        self.changed()

    def count(self) -> int:
        return len(self.history.rows) + (self.history.open is not None)

    def extent(self) -> int:
        return self.count() + 1

    def at(self, number: int) -> Row | Open:
        if self.history.open is not None:
            if number == 0:
                return self.history.open
            number -= 1
        return self.history.rows[-1 - number]

    # -- drawing

    def render_line(self, y: int) -> Strip:
        if y == 0:
            return self._line([Segment(text, self.palette.quiet) for text in self._header()])
        return super().render_line(y - 1)

    def _line(self, segments: list[Segment]) -> Strip:
        base = self.rich_style
        joined = [Segment(text, base + style if style else base) for text, style, _ in segments]
        return Strip(joined).adjust_cell_length(self.size.width, base)

    def _columns(self, width: int) -> list[tuple[str, int]]:
        """Fixed widths; what does not fit is left out, the description takes the rest."""
        columns = [("#", 4), ("status", 9), (self.history.header.metric_name if self.history.header else "metric", 9)]
        if width >= 60:
            columns.append(("better by", 17 if width >= _ROOMY else 9))
        if width >= 84:
            columns.append(("odds", 9))
        if width >= 76:
            columns.append(("runs", 4))
        if width >= 100:
            columns.append(("time", 6))
        used = sum(size + 2 for _, size in columns) + 1
        return [*columns, ("what", max(8, width - used))]

    def _header(self) -> list[str]:
        parts = [" "]
        for name, size in self._columns(self.size.width):
            right = name not in ("status", "what")
            parts.append((set_cell_size(name, size) if len(name) > size or not right else name.rjust(size)) + "  ")
        return parts

    def draw(self, number: int, width: int) -> list[Segment]:
        item = self.at(number)
        cells = self._open_cells(item) if isinstance(item, Open) else self._row_cells(item)
        segments = [Segment(">" if number == self.cursor and self.has_focus else " ", self.palette.key)]
        for name, size in self._columns(width):
            text, style = cells.get(name, cells["metric"])
            right = name not in ("status", "what")
            segments.append(Segment(_fit(text.rjust(size) if right else text, size) + "  ", style))
        if number == self.cursor and self.has_focus:
            return [Segment(text, style + self.palette.cursor if style else None) for text, style, _ in segments]
        return segments

    def _row_cells(self, row: Row) -> dict[str, tuple[str, Style]]:
        palette = self.palette
        style = palette.status(row.status, row.cause)
        strong = row.status == "keep"
        quiet = palette.text if strong else palette.quiet
        what = clean(row.description) or row.cause
        if row.status != "keep" and row.cause and row.cause != "worse":
            what = f"{row.cause.replace('_', ' ')}: {what}"
        what = answers.mending_text(row.mends, what)
        if row.segment != self.history.segment:
            quiet = style = palette.faint
        better = ""
        if row.estimate is not None and row.cause != "baseline":
            better = numbers.signed(row.estimate, row.interval)
            if self.size.width >= _ROOMY:
                better = f"{better} {numbers.plus_minus(row.interval)}".rstrip()
        cells: dict[str, tuple[str, Style]] = {
            "#": (str(row.number), quiet),
            "status": (WORDS[row.status], style),
            "metric": (numbers.metric(row.metric, self._step(row)), palette.strong if strong else quiet),
            "better by": (better or ("baseline" if row.cause == "baseline" else "–"), quiet),
            "odds": (_odds(row.log_evidence), quiet),
            "runs": (str(row.runs), quiet),
            "time": (numbers.duration(row.duration_s), quiet),
            "what": (what, palette.text if row.status in ("keep", "crash", "checks_failed") else palette.quiet),
        }
        return cells

    def _step(self, row: Row) -> float | None:
        """One number of digits for a segment's values: what its noise justifies, so that the column lines up."""
        return (answers.noise(self.history) if row.segment == self.history.segment else None) or row.interval

    def _open_cells(self, item: Open) -> dict[str, tuple[str, Style]]:
        palette = self.palette
        values = [s.metric for s in item.of("candidate") if s.metric is not None and s.cause is None]
        mean = sum(values) / len(values) if values else None
        proposal = self.history.opened_proposal
        what = "the baseline" if item.proposal is None else clean(proposal.description) if proposal else ""
        if self.live is not None and self.live.experiment == item.number and self.live.description:
            what = clean(self.live.description)
        if proposal is not None:
            what = answers.mending_text(proposal.mends, what)
        return {
            "#": (str(item.number), palette.run),
            "status": ("RUN >" if self.running else "OPEN >", palette.run),
            "metric": (numbers.metric(mean, answers.noise(self.history)), palette.run),
            "better by": ("", palette.quiet),
            "odds": ("", palette.quiet),
            "runs": (str(len(item.of("candidate"))), palette.quiet),
            "time": ("", palette.quiet),
            "what": (what, palette.text),
        }

    # -- moving

    def _move(self, to: int) -> None:
        to = max(0, min(to, self.count() - 1))
        if to == self.cursor:
            return
        before, self.cursor = self.cursor, to
        room = max(1, self.size.height - 1)
        top = self.scroll_offset.y
        if to < top:
            self.to_line(to)
        elif to >= top + room:
            self.to_line(to - room + 1)
        self.refresh_lines(min(before, to) + 1, abs(before - to) + 1)

    def action_down(self) -> None:
        self._move(self.cursor + 1)

    def action_up(self) -> None:
        self._move(self.cursor - 1)

    def action_page(self, pages: int) -> None:
        self._move(self.cursor + pages * max(1, self.size.height - 2))

    def action_first(self) -> None:
        self._move(0)

    def action_last(self) -> None:
        self._move(self.count() - 1)

    def action_open(self) -> None:
        if self.count():
            self.post_message(self.Chosen(self.at(self.cursor).number))

    def on_click(self, event: Click) -> None:
        line = event.get_content_offset_capture(self).y - 1 + self.scroll_offset.y
        if 0 <= line < self.count():
            again = line == self.cursor
            self._move(line)
            if again:
                self.action_open()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()


def _fit(text: str, size: int) -> str:
    return set_cell_size(text, size) if cell_len(text) <= size else set_cell_size(text, size - 1) + "…"


def _odds(log_evidence: float | None) -> str:
    """Odds as narrow as a column: "34:1", ">10,000:1"."""
    if log_evidence is None:
        return "–"
    return numbers.odds(log_evidence).replace(" to ", ":").replace("over ", ">")
