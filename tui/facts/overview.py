"""One session in a line: what it does or why it rests, best against baseline, counts, age, spend and its curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from autoresearch.state.journal import History, records
from autoresearch.state.session import Heartbeat, Live, Session
from autoresearch.tui.facts import documents, limits, words
from autoresearch.tui.facts.engine import Engine, engine_now


@dataclass(frozen=True, slots=True)
class Overview:
    session: Session
    target: str
    """The target's folder in the repository; "" for the top."""
    engine: Engine
    live: Live | None
    archived: bool
    doing: str
    """What it does now, or why it rests."""
    held: str
    """Why an engine would pause at once; "" where none of its limits is used up."""
    best: words.Best | None
    document: dict[str, Any]
    """As `status --json` says it."""
    curve: tuple[tuple[float | None, bool], ...]
    """(metric, whether it was kept) of the present segment's experiments."""
    lower: bool

    @property
    def began_ms(self) -> int:
        return int(self.document["began"] or 0)

    @property
    def last_ms(self) -> int:
        return int(self.document["last"] or 0)


def overview_of(
    session: Session, history: History, now_ms: int, beat: Heartbeat, *, can_start: bool = False
) -> Overview:
    engine, live = engine_now(session, history, now_ms, beat)
    header = history.header or records.Header()
    document = documents.status(session, history, now_ms, beat)
    document["began"] = history.started_ms or None
    document["last"] = history.last_ms or None
    document["archived"] = session.archived
    reached = limits.used_up(history, document["limits"])
    return Overview(
        session=session,
        target=header.target,
        engine=engine,
        live=live,
        archived=session.archived,
        doing="as asked"
        if engine.state == "stopped" and not engine.reason
        else words.doing(engine, live, history, can_start=can_start),
        held=reached.reason if reached is not None else "",
        best=words.best_of(history, document["interval"]),
        document=document,
        curve=tuple((row.metric, row.status == "keep") for row in history.rows if row.segment == history.segment),
        lower=header.direction == "lower",
    )


def age(now_ms: int, then_ms: int) -> str:
    """ "3h", "2d": how long ago, in its largest unit; a list needs no more."""
    seconds = max(0, now_ms - then_ms) // 1000
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return "now"


def old(now_ms: int, then_ms: int) -> str:
    """ "3h old"; "just begun" in the first minute, "" where it is not known."""
    if not then_ms:
        return ""
    word = age(now_ms, then_ms)
    return "just begun" if word == "now" else f"{word} old"
