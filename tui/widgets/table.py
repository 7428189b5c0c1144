"""The experiments, newest first or as a person sorts and filters them; only what is on the screen is ever drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.message import Message
from textual.strip import Strip

from autoresearch.state.journal import History, Open, Row
from autoresearch.state.session import Live
from autoresearch.tui.facts.rows import Filter
from autoresearch.tui.look.keys import Reasoned
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.widgets import table_columns
from autoresearch.tui.widgets.listing import Listing
from autoresearch.tui.widgets.picture import painted
from autoresearch.tui.widgets.table_columns import Column


class Experiments(Reasoned, Listing):
    """A header line that stays, then the open experiment, then the finished ones.

    What mends an earlier failure stands for it: one line for the whole chain, until a person unfolds them.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", id="table.open", tooltip="What was tried and why it fell so"),
        Binding("o", "sort(1)", "sort", id="table.sort", tooltip="Sort by the next column"),
        Binding("O", "turn", "turn", show=False, id="table.turn", tooltip="Sort the other way round"),
        Binding("c", "fold", "chains", show=False, id="table.fold", tooltip="Show or hide what was mended later"),
    ]

    ABOVE = 1

    @dataclass
    class Chosen(Message):
        number: int

    class Arranged(Message):
        """Sorted, filtered or folded otherwise: the title has to be written again."""

    def __init__(self, palette: Palette, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(palette, id=id, classes=classes)
        self.history = History()
        self.live: Live | None = None
        self.running = False
        self.filter = Filter()
        self.sorting = ("#", True)
        """Column and whether backwards; the newest stand at the top."""
        self.folded = True
        self.rows: list[Row] = []
        """As they are shown."""
        self._shown: tuple[object, ...] = ()

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
        chosen = self.chosen if history is self.history and (self.cursor or not self._newest_first) else None
        self._shown = stamp
        self.history, self.live, self.running = history, live, running
        self._arrange(chosen)

    def refusal(self, action: str, parameters: tuple[object, ...]) -> str:
        if action == "open":
            return "" if self.count() else "There is no experiment here."
        return "There is nothing to sort." if action in ("sort", "turn") and not self.rows else ""

    @property
    def _newest_first(self) -> bool:
        return self.sorting == ("#", True)

    @property
    def chosen(self) -> int | None:
        """The number of the experiment under the cursor."""
        return self.at(self.cursor).number if self.cursor < self.count() else None

    def _arrange(self, chosen: int | None) -> None:
        """Choose and sort the rows again, the cursor on the experiment `chosen` where that is still there."""
        rows = self.history.rows
        if self.folded and (mended := self._mended()):
            rows = [row for row in rows if row.number not in mended]
        if self.filter:
            rows = [row for row in rows if self.filter.takes(row)]
        self.rows = table_columns.ordered(rows[::-1], *self.sorting)
        before = self.cursor
        found = None if chosen is None else self._line_of(chosen)
        self.cursor = found if found is not None else 0 if chosen is None else min(before, max(0, self.count() - 1))
        self.changed()
        if self.scroll_offset.y and self.cursor != before:
            self.call_after_refresh(self.to_line, self.scroll_offset.y + self.cursor - before)

    def _mended(self) -> set[int]:
        """Failures that a later experiment stands for."""
        mended = {row.mends for row in self.history.rows if row.mends is not None}
        proposal = self.history.opened_proposal
        if self.history.open is not None and proposal is not None and proposal.mends is not None:
            mended.add(proposal.mends)
        return mended

    def _chain(self, row: Row) -> list[int]:
        """What the row mends, nearest first."""
        chain: list[int] = []
        mends = row.mends
        while mends is not None and len(chain) < 3 and mends not in chain:
            chain.append(mends)
            earlier = self.history.by_number.get(mends)
            mends = earlier.mends if earlier is not None and self.folded else None
        return chain

    def _line_of(self, number: int) -> int | None:
        if self.history.open is not None and self.history.open.number == number:
            return 0
        lead = int(self.history.open is not None)
        return next((lead + at for at, row in enumerate(self.rows) if row.number == number), None)

    def entries(self) -> int:
        """The open experiment is the first, if there is one."""
        return len(self.rows) + (self.history.open is not None)

    def extent(self) -> int:
        return self.count() + 1

    def at(self, number: int) -> Row | Open:
        if self.history.open is not None:
            if number == 0:
                return self.history.open
            number -= 1
        return self.rows[number]

    @property
    def words(self) -> str:
        """How the rows are chosen and sorted, where that is not as usual."""
        parts = []
        if self.filter:
            parts.append(f"{len(self.rows):,} of {len(self.history.rows):,}: {' '.join(self.filter.words)}")
        key, backwards = self.sorting
        if not self._newest_first:
            parts.append(f"by {self._title_of(key)} {'↓' if backwards else '↑'}")
        if not self.folded:
            parts.append("chains unfolded")
        return ", ".join(parts)

    def _title_of(self, key: str) -> str:
        return next((each.title for each in self._columns(self.size.width) if each.key == key), key)

    # -- drawing

    def render_line(self, y: int) -> Strip:
        if y == 0:
            header = [Segment(text, self.palette.quiet) for text in self._header()]
            return painted(header, self.size.width, self.rich_style)
        return super().render_line(y - 1)

    def _columns(self, width: int) -> list[Column]:
        return table_columns.columns_of(self.history, width)

    def _header(self) -> list[str]:
        parts = [" "]
        key, backwards = self.sorting
        for column in self._columns(self.size.width):
            sign = "" if self._newest_first or column.key != key else "↓" if backwards else "↑"
            room = Column("", "", column.size - len(sign), column.right)
            parts.append(table_columns.fitted(column.title, room) + sign + "  ")
        return parts

    def draw(self, number: int, width: int) -> list[Segment]:
        item = self.at(number)
        palette = self.palette
        if isinstance(item, Open):
            cells = table_columns.open_cells(item, self.history, self.live, self.running, palette)
        else:
            roomy = self.size.width >= table_columns.ROOMY
            cells = table_columns.row_cells(item, self.history, palette, roomy, self._chain(item))
        here = number == self.cursor and self.has_focus
        segments = [Segment(">" if here else " ", palette.key)]
        for column in self._columns(width):
            text, style = cells.get(column.key, ("", palette.quiet))
            segments.append(Segment(table_columns.fitted(text, column), style))
            flagged = column.key == "#" and isinstance(item, Row) and item.flags
            segments.append(Segment("? " if flagged else "  ", palette.checks))
        if here:
            return [Segment(text, style + palette.cursor if style else None) for text, style, _ in segments]
        return segments

    # -- choosing and sorting

    def sieve(self, text: str) -> None:
        """Show only the experiments that fit these words."""
        wanted = Filter.of(text)
        if wanted != self.filter:
            chosen = self.chosen
            self.filter = wanted
            self._rearranged(chosen)

    def _rearranged(self, chosen: int | None) -> None:
        self._arrange(chosen)
        self.into_sight()
        self.post_message(self.Arranged())

    def sort_by(self, key: str, backwards: bool) -> None:
        if (key, backwards) != self.sorting:
            self.sorting = (key, backwards)
            self._arrange(None)
            self.to_line(0)
            self.post_message(self.Arranged())

    def action_sort(self, by: int) -> None:
        keys = [column.key for column in self._columns(self.size.width) if column.key in table_columns.SORTS]
        at = keys.index(self.sorting[0]) if self.sorting[0] in keys else 0
        self._sort_by_key(keys[(at + by) % len(keys)])

    def _sort_by_key(self, key: str) -> None:
        direction = self.history.header.direction if self.history.header else "lower"
        self.sort_by(key, table_columns.better_first(key, direction))

    def action_turn(self) -> None:
        key, backwards = self.sorting
        self.sort_by(key, not backwards)

    def action_fold(self) -> None:
        chosen = self.chosen
        self.folded = not self.folded
        self._rearranged(chosen)

    def choose(self, number: int) -> None:
        """Put the cursor on an experiment, if it is shown."""
        line = self._line_of(number)
        if line is not None:
            self.move(line)

    def action_open(self) -> None:
        if self.cursor < self.count():
            self.post_message(self.Chosen(self.at(self.cursor).number))

    def on_click(self, event: Click) -> None:
        offset = event.get_content_offset_capture(self)
        if offset.y == 0:
            self._click_header(offset.x)
        else:
            super().on_click(event)

    def _click_header(self, x: int) -> None:
        at = 1
        for column in self._columns(self.size.width):
            if at <= x < at + column.size + 2 and column.key in table_columns.SORTS:
                if column.key == self.sorting[0]:
                    self.action_turn()
                else:
                    self._sort_by_key(column.key)
            at += column.size + 2

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()
