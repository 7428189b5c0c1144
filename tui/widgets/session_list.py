"""Every session in two lines: what people compare, and what it does or why it rests."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.message import Message

from autoresearch.state.journal import SCORE_MARKS
from autoresearch.state.session import Session
from autoresearch.state.text import safe_line
from autoresearch.tui.facts import words
from autoresearch.tui.facts.messages import clock
from autoresearch.tui.facts.overview import Overview, age
from autoresearch.tui.look.keys import Reasoned
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.widgets.listing import Listing
from autoresearch.tui.widgets.spark import spark
from autoresearch.tui.widgets.state_line import cut

_ROOMY = 112
"""Columns from which spend, age and the interval have a place of their own."""


class SessionList(Reasoned, Listing):
    """Two lines a session: what people compare, and what it does or why it rests."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "open", id="home.open", tooltip="Open this session"),
    ]

    EACH = 2

    class Moved(Message):
        """The cursor is on another session."""

    class Chosen(Message):
        """The session under the cursor is to be opened."""

    def __init__(self, palette: Palette, now_ms: Callable[[], int]) -> None:
        super().__init__(palette, id="sessions")
        self.now_ms = now_ms
        self.sessions: list[Session] = []
        self.read: dict[str, Overview | str] = {}
        """What is known by name; a sentence where a session cannot be read."""

    @property
    def chosen(self) -> Session | None:
        return self.sessions[self.cursor] if self.sessions else None

    def show(self, sessions: list[Session], read: dict[str, Overview | str]) -> None:
        """The cursor stays on its session."""
        before = self.chosen
        self.sessions, self.read = sessions, read
        names = [session.name for session in sessions]
        at = names.index(before.name) if before is not None and before.name in names else self.cursor
        self.cursor = max(0, min(at, len(sessions) - 1))
        self.changed()

    def entries(self) -> int:
        return len(self.sessions)

    def draw(self, number: int, width: int) -> list[Segment]:
        session = self.sessions[number // 2]
        here = number // 2 == self.cursor
        known = self.read.get(session.name)
        parts = self._standing(session, known, width) if number % 2 == 0 else self._doing(known, width)
        lead = [Segment(" > " if here and number % 2 == 0 else "   ", self.palette.key)]
        fitting = cut([(part.text, part.style) for part in (*lead, *parts)], width)
        line = [Segment(text, style) for text, style in fitting]
        return self.lit(line, width) if here else line

    def _standing(self, session: Session, known: Overview | str | None, width: int) -> list[Segment]:
        palette = self.palette
        name = Segment(_fixed(safe_line(session.name), 20 if width >= _ROOMY else 13), palette.strong)
        if known is None:
            return [name, Segment(_fixed("…", 16), palette.quiet)]
        if isinstance(known, str):
            return [name, Segment(" UNREADABLE ", palette.warn)]
        badge = words.badge(known.engine, known.live)
        busy = known.engine.state in ("running", "starting")
        attention = known.engine.state in ("silent", "lost")
        style = palette.good if busy else palette.warn if attention else palette.strong
        count = known.document["counts"]
        usd = known.document["spend"]["usd"]
        parts = [
            name,
            Segment(f" {badge} ", style),
            Segment(" " * max(1, 15 - len(badge)), palette.text),
            Segment(_fixed(self._best(known, width >= _ROOMY), 32 if width >= _ROOMY else 22), palette.keep),
            Segment(f"{count['tried']:>5,} tried {count['kept']:>3,}✓ ", palette.text),
        ]
        if width >= _ROOMY:
            parts.append(Segment(f"{f'${usd:,.2f}' if usd else '':>9} ", palette.quiet))
            parts.append(
                Segment(f"{age(self.now_ms(), known.began_ms) if known.began_ms else '':>4} old  ", palette.quiet)
            )
        room = width - 4 - sum(cell_len(part.text) for part in parts)
        if room >= 6:
            parts += spark(known.curve, known.lower, min(room, 40), palette)
        return parts

    def _best(self, known: Overview, roomy: bool) -> str:
        best = known.best
        if best is None:
            return "no result yet"
        change = best.change if roomy else best.change.partition(" ±")[0]
        value = best.value + "*" * is_starred(known)
        return f"{value}  {change}" if change else f"{value}  the baseline"

    def _doing(self, known: Overview | str | None, width: int) -> list[Segment]:
        palette = self.palette
        if known is None:
            return [Segment("reading its journal", palette.quiet)]
        if isinstance(known, str):
            return [Segment(known, palette.text)]
        parts = [Segment(f"{safe_line(known.target)} · " if known.target else "", palette.quiet)]
        if known.archived:
            parts.append(Segment("archived · ", palette.quiet))
        parts.append(Segment(safe_line(known.doing), palette.text if known.engine.alive else palette.quiet))
        usd = known.document["spend"]["usd"]
        if width < _ROOMY and usd:
            parts.append(Segment(f" · ${usd:,.2f}", palette.quiet))
        if not known.engine.alive and known.last_ms:
            now = self.now_ms()
            ago = f"{age(now, known.last_ms)} ago".replace("now ago", "just now")
            parts.append(Segment(f" · {ago}, {clock(known.last_ms)}", palette.quiet))
        return parts

    def refusal(self, action: str, parameters: tuple[object, ...]) -> str:
        return "There is no session to open; n starts one." if action == "open" and not self.sessions else ""

    def move(self, to: int) -> None:
        super().move(to)
        self.post_message(self.Moved())

    def action_open(self) -> None:
        self.post_message(self.Chosen())


def is_starred(known: Overview | str | None) -> bool:
    """Whether its score comes from where the agent's code could print one of its own."""
    return isinstance(known, Overview) and known.document["scored"] in SCORE_MARKS


def _fixed(text: str, width: int) -> str:
    """Exactly so many cells and at least one blank at the end."""
    return set_cell_size(text if cell_len(text) < width else set_cell_size(text, width - 2) + "…", width)
