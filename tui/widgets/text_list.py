"""Ideas and dead ends as wrapped lists: what is left to try, and what not to try again and why."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from rich.segment import Segment
from rich.style import Style
from textual.events import Resize

from autoresearch.state.journal import DeadEnd, History, IdeaState, dead_ends_in
from autoresearch.state.text import numbers, safe_line
from autoresearch.tui.facts.ideas import TITLES
from autoresearch.tui.facts.text import GLYPHS
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.widgets.line_view import LineView

Item = tuple[str, Style, str, Style]
"""Mark, its style, text, its style. An item without a mark is a heading."""
_MOST = 200
"""Items of one list: what a person reads; `autoresearch log` and `search` have the rest."""


class TextList(LineView):
    """Items with a mark each, wrapped to the width."""

    def __init__(
        self,
        palette: Palette,
        id: str | None = None,
        classes: str | None = None,
        message: str = "",
        most_lines: int = 4,
    ) -> None:
        """`message` is shown while there are no items; of an item more than `most_lines` are cut."""
        super().__init__(palette, id=id, classes=classes)
        self.message = message
        self.most_lines = most_lines
        self._items: list[Item] = []
        self._known: dict[Item, list[list[Segment]]] = {}
        """Items already wrapped to this width: most of a list stays when something is added."""
        self._lines: list[list[Segment]] = []
        self._width = 0

    def show(self, items: list[Item]) -> None:
        if items != self._items:
            self._items = items
            self._wrap()

    @property
    def _room(self) -> int:
        """Beside a scrollbar, whether it is shown or not: it appears a moment after the lines that call for it."""
        return self.content_region.width - self.styles.scrollbar_size_vertical

    def _wrap(self) -> None:
        width = self._room
        if width < 8:
            return
        known = self._known if width == self._width else {}
        self._width = width
        self._known = {item: known.get(item) or list(self._wrapped(item, width)) for item in self._items}
        self._lines = [line for item in self._items for line in self._known[item]]
        if self._items and not self._items[0][0]:
            del self._lines[0]  # the empty line before the first heading
        self.changed()

    def _wrapped(self, item: Item, width: int) -> Iterator[list[Segment]]:
        mark, mark_style, text, style = item
        if not mark:
            yield []
            yield [Segment(f" {text}", style)]
            return
        indent = len(mark) + 2
        parts = textwrap.wrap(text, max(8, width - indent - 1), max_lines=self.most_lines, placeholder=" …") or [""]
        for at, part in enumerate(parts):
            lead = f" {mark} " if at == 0 else " " * indent
            yield [Segment(lead, mark_style), Segment(part, style)]

    def on_resize(self, event: Resize) -> None:
        if self._room != self._width:
            self._wrap()
        self.changed()

    def count(self) -> int:
        return len(self._lines)

    def draw(self, number: int, width: int) -> list[Segment]:
        return self._lines[number]


def ideas_of(history: History, palette: Palette) -> list[Item]:
    """What is waiting as a proposal, what is on the list, and the last of what was tried."""
    items: list[Item] = []
    if history.waiting:
        items.append(("", palette.title, "Next", palette.title))
        for waiting in list(history.waiting.values())[:5]:
            items.append((">", palette.run, safe_line(waiting.description or waiting.hypothesis), palette.text))
    waiting_ideas = [idea for idea in history.ideas.values() if idea.state in ("open", "taken")]
    if waiting_ideas:
        items.append(("", palette.title, f"To try ({len(waiting_ideas)})", palette.title))
        for idea in waiting_ideas[:_MOST]:
            mark = "•" if idea.state == "open" else ">"
            items.append((mark, palette.keep, safe_line(idea.text), palette.text))
    done = [idea for idea in history.ideas.values() if idea.state in ("tried", "vetoed")]
    if done:
        items.append(("", palette.title, f"Tried or vetoed ({len(done)})", palette.title))
        for idea in reversed(done[-_MOST:]):
            items.append(_done(history, palette, idea))
    return items


def _done(history: History, palette: Palette, idea: IdeaState) -> Item:
    text, reason = safe_line(idea.text), safe_line(idea.reason)
    if idea.state == "vetoed":
        return ("–", palette.quiet, f"{text} (vetoed{': ' + reason if reason else ''})", palette.quiet)
    row = history.by_number.get(idea.experiments[-1]) if idea.experiments else None
    if row is None:
        return ("·", palette.quiet, text, palette.quiet)
    return (GLYPHS[row.status], palette.status(row.status, row.cause), f"{text} (#{row.number})", palette.quiet)


def dead_ends_of(history: History, palette: Palette) -> list[Item]:
    """Three lists, the newest experiments first: refuted, unproven, crashed or blocked."""
    items: list[Item] = []
    ends = dead_ends_in(history)
    for name, title in TITLES.items():
        entries = [end for end in ends if end.where == name]
        if not entries:
            continue
        items.append(("", palette.title, f"{title} ({len(entries):,})", palette.title))
        written = sum(end.written is not None for end in entries)
        shown = entries[: written + _MOST]
        items.extend(_dead(history, palette, end) for end in sorted(shown, key=lambda end: -_experiment(end)))
        if more := len(entries) - len(shown):
            items.append(("…", palette.quiet, f"{more:,} more: enter lists all", palette.quiet))
    return items


def _experiment(end: DeadEnd) -> int:
    return end.row.number if end.row is not None else (end.written and end.written.experiment) or 0


def _dead(history: History, palette: Palette, end: DeadEnd) -> Item:
    dead, row = end.written, end.row
    if dead is not None:
        text = safe_line(dead.text) + (f" (#{dead.experiment})" if dead.experiment is not None else "")
        style = palette.crash if end.where == "crashed" else palette.worse
        mark = GLYPHS["crash"] if end.where == "crashed" else GLYPHS["discard"]
        return (mark, style, text + (f" Retry if {safe_line(dead.retry_if)}." if dead.retry_if else ""), palette.text)
    assert row is not None
    text = f"#{row.number} {safe_line(row.description)}"
    lesson, retry_if = history.lessons.get(row.number, ("", ""))
    if row.status in ("crash", "checks_failed"):
        text += f" – {row.cause.replace('_', ' ')}"
    elif row.estimate is not None:
        text += f" – {numbers.signed(row.estimate, row.interval)} {numbers.plus_minus(row.interval)}".rstrip()
    if lesson:
        text += f". {safe_line(lesson)}"
    if retry_if:
        text += f" Retry if {safe_line(retry_if)}."
    return (GLYPHS[row.status], palette.status(row.status, row.cause), text, palette.quiet)
