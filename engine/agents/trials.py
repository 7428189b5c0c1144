"""What the journal says about assignments of values to knobs, seen from the incumbent.

A tuner proposal's `params` hold only what it changed, old value and new: `{"train.py:LR": {"from": 3e-4, "to": 1e-3}}`.
That is what people read, and it is enough to go back: from the values in the incumbent's source, undoing the kept
changes one by one gives the values every earlier incumbent had, hence the full assignment of each experiment since the
code last changed in another way (by another agent, or a person). An assignment is written as its *difference* from the
incumbent's values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from autoresearch.engine.agents.literals import Scalar, Value
from autoresearch.state.history import History, Row

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
    parent: str


@dataclass(frozen=True, slots=True)
class Past:
    tried: frozenset[Key]
    """Assignments of the present code that were measured or are about to be."""
    trials: tuple[Trial, ...]
    """What the optimiser learns from, oldest first: the best and the latest."""
    changes: tuple[tuple[str, Change], ...]
    """(parent, what was changed) of this segment's tuner experiments and of those to come."""
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


def past_of(history: History, incumbent: str, present: Mapping[str, Value]) -> Past:
    """The read model seen from `incumbent`, whose knobs have the values `present`."""
    rows = [row for row in history.rows if row.segment == history.segment]
    changed = [(row, change_of(row.params)) for row in rows]
    ancestors = _ancestors(changed, incumbent)
    coming = [(waiting.base, change_of(waiting.params)) for waiting in history.waiting.values()]
    if history.open is not None and history.opened_proposal is not None:
        coming.append((history.open.parent, change_of(history.opened_proposal.params)))
    coming = [(base, change) for base, change in coming if change]
    pending = tuple({**ancestors.get(base, {}), **_new(change)} for base, change in coming)
    tried = {key_of(difference, present) for difference in ancestors.values()}
    for row, change in changed:
        if change and row.parent in ancestors:
            tried.add(key_of({**ancestors[row.parent], **_new(change)}, present))
    tried.update(key_of(difference, present) for difference in pending)
    sign = -1.0 if history.header is not None and history.header.direction == "higher" else 1.0
    trials = [_trial(row, change, ancestors, sign) for row, change in changed if change or row.sha in ancestors]
    if not any(trial.change and trial.score is not None for trial in trials):
        trials = _of_earlier_segment(history, sign) or trials
    return Past(
        tried=frozenset(tried),
        trials=_selected(trials),
        changes=(*((row.parent, change) for row, change in changed if change), *coming),
        pending=pending,
        led_here=next((change for row, change in reversed(changed) if row.sha == incumbent and _kept(row)), {}),
    )


def _ancestors(changed: list[tuple[Row, Change]], incumbent: str) -> dict[str, Difference]:
    """Each commit that was the incumbent since the code last changed otherwise, with its difference from now."""
    differences: dict[str, Difference] = {incumbent: {}}
    at = incumbent
    for row, change in reversed(changed):
        if row.sha == at and _kept(row) and row.cause != "baseline":
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
    return Trial({**start, **_new(change)}, change, score, row.parent)


def _of_earlier_segment(history: History, sign: float) -> list[Trial]:
    """The trials of the latest earlier segment that has any; its numbers compare with each other only."""
    found: list[Trial] = []
    segment: int | None = None
    for row in reversed(history.rows):
        change = change_of(row.params)
        if change and row.segment < history.segment and segment in (None, row.segment):
            segment = row.segment
            found.append(_trial(row, change, {}, sign))
    return found[::-1]


def _selected(trials: list[Trial]) -> tuple[Trial, ...]:
    """TPE's cost grows with its history: the best and the latest tell it enough."""
    if len(trials) <= _LAST:
        return tuple(trials)
    scored = [index for index, trial in enumerate(trials) if trial.score is not None]
    best = sorted(scored, key=lambda index: trials[index].score or 0.0)[:_BEST]
    chosen = {*best, *range(len(trials) - _LAST, len(trials))}
    return tuple(trials[index] for index in sorted(chosen))


def _kept(row: Row) -> bool:
    return row.status == "keep"


def _new(change: Change) -> Difference:
    return {name: new for name, (_, new) in change.items()}


def _json(value: Value) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _value(entry: Any) -> Value:
    return tuple(entry) if isinstance(entry, list) else entry
