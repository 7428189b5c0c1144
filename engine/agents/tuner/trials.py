"""What the journal says about assignments of values to knobs, seen from the incumbent.

A tuner proposal's `params` hold only what it changed, old value and new: `{"train.py:LR": {"from": 3e-4, "to": 1e-3}}`.
That is what people read, and it is enough to go back: from the values in the incumbent's source, undoing the kept
changes one by one gives the values every earlier incumbent had, hence the full assignment of each experiment since the
code last changed in another way (by another agent, or a person). An assignment is written as its *difference* from the
incumbent's values.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from autoresearch.engine.agents.tuner.literals import Scalar, Value
from autoresearch.engine.agents.tuner.space import way_of
from autoresearch.state.journal import History, Row

Change = dict[str, tuple[Value, Value]]
Difference = dict[str, Value]
Key = frozenset[tuple[str, Value]]

_BEST = 100
_LAST = 200


@dataclass(frozen=True, slots=True)
class Trial:
    difference: Difference
    change: Change
    score: float | None
    """Lower is better; None when it crashed, failed a guard or broke a constraint."""


@dataclass(frozen=True, slots=True)
class Past:
    tried: Collection[Key]
    """Assignments of the present code that were measured."""
    coming: Collection[Key]
    """Those that are being measured or wait for it."""
    trials: tuple[Trial, ...]
    """What the optimiser learns from, oldest first: the best and the latest."""
    looked: Collection[tuple[str, str]]
    """(name, direction) of every number that was, or will be, changed alone in this segment."""
    count: int
    """This segment's tuner experiments, with those to come."""
    pending: tuple[Difference, ...]
    led_here: Change
    """What the incumbent's own experiment changed; empty when it was not the tuner's."""


def params_of(change: Change) -> dict[str, Any]:
    """A change as `Proposal.params`."""
    return {name: {"from": _json(old), "to": _json(new)} for name, (old, new) in change.items()}


def change_of(params: Mapping[str, Any] | None) -> Change:
    """A change from `params`; empty when these are not the tuner's."""
    change: Change = {}
    for name, entry in (params or {}).items():
        if not isinstance(entry, dict) or entry.keys() != {"from", "to"}:
            return {}
        change[name] = (_value(entry["from"]), _value(entry["to"]))
    return change


def key_of(difference: Mapping[str, Value], present: Mapping[str, Value]) -> Key:
    return frozenset((name, value) for name, value in difference.items() if present.get(name) != value)


def single(change: Change) -> tuple[str, Scalar, Scalar] | None:
    """(name, old, new) when a change touched one number alone; an element of a tuple is named `NAME[i]`."""
    touched = list(elements(change))
    return touched[0] if len(touched) == 1 else None


def elements(change: Change) -> Iterator[tuple[str, Scalar, Scalar]]:
    """(name, old, new) of everything a change touched, tuples taken apart."""
    for name, (old, new) in change.items():
        if isinstance(old, tuple) and isinstance(new, tuple) and len(old) == len(new):
            pairs = zip(old, new, strict=True)
            yield from ((f"{name}[{index}]", a, b) for index, (a, b) in enumerate(pairs) if a != b)
        elif not isinstance(old, tuple) and not isinstance(new, tuple) and old != new:
            yield name, old, new


class Memory:
    """The past, seen from an incumbent. Only a cache: new rows are added, a new incumbent reads them all again."""

    def __init__(self) -> None:
        self._history: History | None = None
        self._rows = 0
        self._seen_from: tuple[str, int, Mapping[str, Value]] = ("", -1, {})

    def past(self, history: History, incumbent: str, present: Mapping[str, Value]) -> Past:
        """The read model seen from `incumbent`, whose knobs have the values `present`."""
        seen_from = (incumbent, history.segment, dict(present))
        if history is not self._history or seen_from != self._seen_from:
            self._begin(history, seen_from)
        for row in itertools.islice(history.rows, self._rows, None):
            self._add(row)
        self._rows = len(history.rows)
        coming = _coming(history)
        pending = tuple({**self._ancestors.get(base, {}), **_new(change)} for base, change in coming)
        trials = self._trials()
        if not any(trial.change and trial.score is not None for trial in trials):
            trials = _of_earlier_segment(history, self._sign) or trials
        return Past(
            tried=self._tried,
            coming={key_of(difference, present) for difference in pending},
            trials=trials,
            looked=self._looked.union(*(_looks(change) for _, change in coming)),
            count=self._count + len(coming),
            pending=pending,
            led_here=self._led_here,
        )

    def _begin(self, history: History, seen_from: tuple[str, int, Mapping[str, Value]]) -> None:
        incumbent, segment, present = seen_from
        self._history = history
        self._seen_from = seen_from
        keeps = [row for row in history.rows if row.status == "keep" and row.segment == segment]
        self._ancestors = _ancestors(keeps, incumbent)
        self._led_here = next((change_of(row.params) for row in reversed(keeps) if row.sha == incumbent), {})
        self._sign = -1.0 if history.header is not None and history.header.direction == "higher" else 1.0
        self._tried = {key_of(difference, present) for difference in self._ancestors.values()}
        self._looked: set[tuple[str, str]] = set()
        self._count = 0
        self._best: list[tuple[float, int, Trial]] = []
        self._latest: deque[tuple[int, Trial]] = deque(maxlen=_LAST)
        self._rows = 0

    def _add(self, row: Row) -> None:
        _, segment, present = self._seen_from
        if row.segment != segment:
            return
        change = change_of(row.params)
        if not change and row.sha not in self._ancestors:
            return
        trial = _trial(row, change, self._ancestors, self._sign)
        if change:
            self._count += 1
            self._looked |= _looks(change)
            if row.parent in self._ancestors:
                self._tried.add(key_of(trial.difference, present))
        self._latest.append((row.number, trial))
        if trial.score is not None:
            # A heap whose first is the worst of the best; ties go to the earlier experiment.
            entry = (-trial.score, -row.number, trial)
            (heapq.heappush if len(self._best) < _BEST else heapq.heappushpop)(self._best, entry)

    def _trials(self) -> tuple[Trial, ...]:
        """TPE's cost grows with its history: the best and the latest tell it enough."""
        chosen = {-number: trial for _, number, trial in self._best}
        chosen.update(self._latest)
        return tuple(chosen[number] for number in sorted(chosen))


def _coming(history: History) -> list[tuple[str, Change]]:
    """(parent, change) of the tuner's proposals that are being measured or wait for it."""
    found = [(waiting.base, change_of(waiting.params)) for waiting in history.waiting.values()]
    for opened in history.unfinished:
        if opened.waiting is not None:
            found.append((opened.parent, change_of(opened.waiting.params)))
    return [(base, change) for base, change in found if change]


def _looks(change: Change) -> set[tuple[str, str]]:
    step = single(change)
    return {(step[0], way_of(step[1], step[2]))} if step else set()


def _ancestors(keeps: list[Row], incumbent: str) -> dict[str, Difference]:
    """Each commit that was the incumbent since the code last changed otherwise, with its difference from now."""
    differences: dict[str, Difference] = {incumbent: {}}
    at = incumbent
    for row in reversed(keeps):
        if row.sha == at and row.cause != "baseline":
            change = change_of(row.params)
            if not change:
                break
            differences[row.parent] = {**differences[at], **{name: old for name, (old, _) in change.items()}}
            at = row.parent
    return differences


def _trial(row: Row, change: Change, ancestors: Mapping[str, Difference], sign: float) -> Trial:
    """An experiment on other code than today's counts with what it changed, the rest as the incumbent has it."""
    start = ancestors.get(row.parent, {}) if change else ancestors.get(row.sha, {})
    failed = row.metric is None or row.status in ("crash", "checks_failed") or row.cause == "over_constraint"
    score = None if failed or row.metric is None else sign * row.metric
    return Trial({**start, **_new(change)}, change, score)


def _of_earlier_segment(history: History, sign: float) -> tuple[Trial, ...]:
    """The trials of the latest earlier segment that has any; its numbers compare with each other only."""
    found: list[Trial] = []
    segment: int | None = None
    for row in reversed(history.rows) if history.segment else ():
        change = change_of(row.params)
        if change and row.segment < history.segment and segment in (None, row.segment):
            segment = row.segment
            found.append(_trial(row, change, {}, sign))
            if len(found) == _LAST:
                break
    return tuple(found[::-1])


def _new(change: Change) -> Difference:
    return {name: new for name, (_, new) in change.items()}


def _json(value: Value) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _value(entry: Any) -> Value:
    return tuple(entry) if isinstance(entry, list) else entry
