"""What worked and what failed in a session, decided once for everybody who shows it. Pure.

A dead end is what somebody wrote down, or a failed experiment that nobody wrote about. A failure that a later
experiment mended is told with that one, and a baseline is never a dead end, whatever became of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from autoresearch.state.journal.model import LISTED, LISTS, DeadEndState, Model, Row, list_of


class DeadEnd(NamedTuple):
    where: str
    """`refuted`, `unproven` or `crashed`."""
    written: DeadEndState | None
    """None for an experiment that nobody wrote about."""
    row: Row | None
    """The experiment, where it is about one."""


def dead_ends_in(history: Model, since: int = 0) -> list[DeadEnd]:
    """What was written down, then what was only measured, each the newest first.

    `since` leaves out the first so many experiments, and what was written before the engine's last start.
    """
    told = {dead.experiment for dead in history.dead_ends.values() if dead.experiment is not None}
    mended = {row.mends for row in history.rows if row.mends is not None}
    found = [
        DeadEnd(dead.list, dead, history.by_number.get(dead.experiment) if dead.experiment is not None else None)
        for dead in reversed(history.dead_ends.values())
        if not since or dead.timestamp >= history.resumed_ms
    ]
    for row in reversed(history.rows[since:]):
        if row.status != "keep" and not row.baseline and row.number not in told and row.number not in mended:
            found.append(DeadEnd(list_of(row), None, row))
    return found


def unwritten(ends: Iterable[DeadEnd]) -> list[Row]:
    """The failed experiments that nobody wrote about."""
    return [end.row for end in ends if end.written is None and end.row is not None]


def worked(history: Model, since: int = 0) -> list[Row]:
    """What was kept, the newest first."""
    return [row for row in reversed(history.rows[since:]) if row.status == "keep" and not row.baseline]


@dataclass(slots=True)
class Older:
    """Experiments of one list and family that are not shown one by one."""

    first: int
    last: int
    count: int = 0
    best: float | None = None


def newest(history: Model, rows: Iterable[Row]) -> tuple[list[Row], dict[tuple[str, str], Older]]:
    """Of experiments, newest first: the first `LISTED` of each list, and the rest counted by (list, family)."""
    room = Counter({name: LISTED for name in LISTS})
    shown: list[Row] = []
    older: dict[tuple[str, str], Older] = {}
    better = max if history.header is not None and history.header.direction == "higher" else min
    for row in rows:
        name = list_of(row)
        if room[name]:
            room[name] -= 1
            shown.append(row)
            continue
        key = name, row.family or "other"
        each = older.get(key)
        if each is None:
            each = older[key] = Older(row.number, row.number)
        each.first = row.number
        each.count += 1
        if row.metric is not None:
            each.best = row.metric if each.best is None else better(each.best, row.metric)
    return shown, older
