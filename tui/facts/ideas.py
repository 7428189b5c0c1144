"""Ideas, dead ends and families of a session: what is left to try, what not to try again and why. Pure.

A tuner tries many values of one knob; they stand as one line with the range that was tried and the best of it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from autoresearch.state import journal
from autoresearch.state.journal import History, IdeaState, Row, list_of, short_names
from autoresearch.state.text import clean_line, numbers
from autoresearch.tui.facts.pending import Pending

DEAD = ("refuted", "unproven", "crashed")
TITLES = {"refuted": "Refuted", "unproven": "Unproven, maybe small gains", "crashed": "Crashed or blocked"}
_MOST = 400
"""Entries of one list; families count the rest."""
_ONE_BY_ONE = 2
"""So many values of a knob stand one by one."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a list."""

    id: str
    """`i7`, `d3`, `#12`; `=lr` for the values of a knob."""
    kind: Literal["idea", "dead_end", "experiment", "knob"]
    text: str
    where: str
    """An idea's state, or the list of dead ends."""
    fate: str = ""
    """Of an idea: the list that its last experiment is on."""
    status: str = ""
    cause: str = ""
    category: str = ""
    estimate: str = ""
    """ "+0.0004 ±0.0011", positive is better."""
    reason: str = ""
    retry_if: str = ""
    by: str = ""
    experiments: tuple[int, ...] = ()
    pending: str = ""
    """What a request in the inbox will do to it."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What is shown; empty parts let everything pass."""

    words: str = ""
    category: str = ""
    where: str = ""
    cause: str = ""

    def __bool__(self) -> bool:
        return bool(self.words or self.category or self.where or self.cause)

    def passes(self, entry: Entry, family: str = "") -> bool:
        text = f"{entry.id} {entry.text} {entry.reason} {entry.retry_if} {entry.category} {family}".lower()
        return (
            all(word in text for word in self.words.lower().split())
            and self.category in ("", entry.category)
            and self.where in ("", entry.fate if entry.kind == "idea" else entry.where)
            and self.cause in ("", entry.cause)
        )

    def may_pass(self, row: Row) -> bool:
        """Whether its kind passes, whatever the words say."""
        return (
            self.category in ("", clean_line(row.category))
            and self.where in ("", list_of(row))
            and self.cause in ("", row.cause)
        )

    def said(self) -> str:
        """ "“warm up”, optimizer, nonzero exit"."""
        quoted = f"“{self.words}”" if self.words else ""
        return ", ".join(filter(None, (quoted, self.category, self.where, self.cause.replace("_", " "))))


NO_FILTER = Filter()


# -- ideas


def ideas(history: History, waiting: Sequence[Pending] = (), chosen: Filter = NO_FILTER) -> dict[str, list[Entry]]:
    """By state: `open` in the order of the list, `taken`, `tried`, `vetoed` with the newest first."""
    asked = {str(each.args.get("id") or each.args.get("idea") or ""): each.words for each in waiting}
    found: dict[str, list[Entry]] = {"open": [], "taken": [], "tried": [], "vetoed": []}
    for idea in history.ideas.values():
        found[idea.state].append(_idea(idea, history, asked.get(idea.id, "")))
    for name in ("tried", "vetoed"):
        found[name].reverse()
    for each in waiting:
        if each.kind == "idea" and not each.args.get("id"):
            text = clean_line(str(each.args.get("text") or ""))
            at = 0 if each.args.get("first") else len(found["open"])
            found["open"].insert(at, Entry("", "idea", text, "open", pending="waits in the inbox"))
    return {state: [entry for entry in entries if chosen.passes(entry)] for state, entries in found.items()}


def _idea(idea: IdeaState, history: History, pending: str) -> Entry:
    last = history.by_number.get(idea.experiments[-1]) if idea.experiments else None
    return Entry(
        id=idea.id,
        kind="idea",
        text=clean_line(idea.text),
        where=idea.state,
        fate=list_of(last) if last else "",
        **_figures(last),
        reason=clean_line(idea.reason),
        by=clean_line(idea.by),
        experiments=tuple(idea.experiments),
        pending=pending,
    )


def moved(history: History, id: str, by: int) -> dict[str, Any] | None:
    """Arguments of the `idea` request that moves an open idea up (-1) or down (1); None at the list's end."""
    order = [idea.id for idea in history.ideas.values() if idea.state == "open"]
    if id not in order:
        return None
    at = order.index(id) + by
    if not 0 <= at < len(order):
        return None
    if by > 0:
        return {"id": id, "after": order[at]}
    return {"id": id, "first": True} if at == 0 else {"id": id, "after": order[at - 1]}


def given_up(idea: IdeaState, reason: str, retry_if: str = "", where: str = "refuted") -> dict[str, Any]:
    """Arguments of the `dead_end` request that gives an idea up."""
    last = idea.experiments[-1] if idea.experiments else None
    text = f"{idea.text}: {reason}" if reason else idea.text
    return {"text": text, "list": where, "idea": idea.id, "experiment": last, "retry_if": retry_if}


# -- dead ends


def dead_ends(history: History, chosen: Filter = NO_FILTER, since: int = 0) -> dict[str, list[Entry]]:
    """The three lists, newest first: what was written down, then experiments; many values of a knob as one line.

    `since` leaves out experiments up to that many rows, and what was written before the engine's last start.
    """
    found: dict[str, list[Entry]] = {name: [] for name in DEAD}
    ends = journal.dead_ends_in(history, since)
    for where, dead, row in ends:
        if dead is None:
            continue
        entry = Entry(
            id=dead.id,
            kind="dead_end",
            text=clean_line(dead.text),
            where=where,
            **_figures(row),
            retry_if=clean_line(dead.retry_if),
            by=clean_line(dead.by),
            experiments=(row.number,) if row else (),
        )
        if chosen.passes(entry):
            found[where].append(entry)
    rows = [row for row in journal.unwritten(ends) if chosen.may_pass(row)]
    many = Counter((list_of(row), row.family) for row in rows if row.knobs)
    knobs: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        name = list_of(row)
        key = (name, row.family)
        if row.knobs and many[key] > _ONE_BY_ONE:
            if key not in knobs:
                knobs[key] = []
                found[name].append(Entry(f"={row.family}", "knob", "", name))
            knobs[key].append(row)
        elif len(found[name]) < _MOST and chosen.passes(entry := _experiment(row, history)):
            found[name].append(entry)
    called = knob_names(history)
    for name, entries in found.items():
        whole = [
            _knob(entry, knobs[name, entry.id[1:]], called) if entry.kind == "knob" else entry for entry in entries
        ]
        found[name] = [entry for entry in whole if entry.kind != "knob" or chosen.passes(entry)]
    return found


def _experiment(row: Row, history: History) -> Entry:
    lesson, retry_if = history.lessons.get(row.number, ("", ""))
    return Entry(
        id=f"#{row.number}",
        kind="experiment",
        text=clean_line(row.description),
        where=list_of(row),
        **_figures(row),
        reason=clean_line(lesson),
        retry_if=clean_line(retry_if),
        by=clean_line(row.agent),
        experiments=(row.number,),
    )


def _figures(row: Row | None) -> dict[str, Any]:
    """What an entry says of its experiment."""
    if row is None:
        return {}
    return {"status": row.status, "cause": row.cause, "category": clean_line(row.category), "estimate": _estimate(row)}


def _estimate(row: Row) -> str:
    if row.estimate is None or row.status in ("crash", "checks_failed"):
        return ""
    return f"{numbers.signed(row.estimate, row.interval)} {numbers.plus_minus(row.interval)}".strip()


def _knob(entry: Entry, rows: list[Row], called: Mapping[str, str]) -> Entry:
    return replace(
        entry,
        text=knob_line(rows, called),
        category=clean_line(rows[0].category),
        cause=rows[0].cause if len({row.cause for row in rows}) == 1 else "",
        status=rows[0].status,
        by=clean_line(rows[0].agent),
        experiments=tuple(row.number for row in rows),
    )


def knob_names(history: History) -> dict[str, str]:
    """What the session's knobs are called, by the names on record."""
    return short_names(name for row in history.rows if row.params for name in row.knobs)


def knob_line(rows: Sequence[Row], called: Mapping[str, str]) -> str:
    """ "lr: 14 values 0.0003–0.1, best 0.02 (+0.3%)": how much better, or worse, it was than the best of its time."""
    names = list(rows[0].knobs)
    tried = [row.knobs.get(names[0]) for row in rows] if len(names) == 1 else []
    head = _called(names, called)
    if len(names) == 1:
        line = f"{head}: {_counted(tried, 'value')} {_range(tried)}"
    else:
        line = f"{head}: {_counted((row.knobs for row in rows), 'setting')}"
    judged = [row for row in rows if row.estimate is not None and row.status in ("keep", "discard")]
    if not judged:
        return f"{line}, none gave a value"
    best = max(judged, key=lambda row: row.estimate or 0.0)
    value = " ".join(_value(each) for each in best.knobs.values())
    return f"{line}, best {value}{_percent(best)}"


def _counted(tried: Iterable[Any], what: str) -> str:
    """How many there are of them; one that was tried twice counts once."""
    return numbers.plural(len(set(map(repr, tried))), what)


def _called(names: Iterable[str], called: Mapping[str, str]) -> str:
    return ", ".join(clean_line(called.get(name, name)) for name in names)


def _range(values: Iterable[Any]) -> str:
    known = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    finite = [value for value in known if math.isfinite(value)]
    if finite and len(finite) == len(known):
        low, high = min(finite), max(finite)
        return _value(low) if low == high else f"{_value(low)}–{_value(high)}"
    return ", ".join(dict.fromkeys(_value(value) for value in values))[:60]


def _value(value: Any) -> str:
    if value is None:
        return "?"
    return f"{value:.6g}" if isinstance(value, float) else clean_line(str(value), 24)


def _percent(row: Row) -> str:
    """The gain against the value it started from."""
    if row.estimate is None or row.metric is None:
        return ""
    against = abs(row.metric) + (row.estimate if row.metric >= 0 else -row.estimate)
    percent = 100 * row.estimate / against if against > 0 else math.nan
    if not math.isfinite(percent):
        return f" ({numbers.signed(row.estimate, row.interval)})"
    text = f"{abs(percent):.1f}" if abs(percent) >= 0.05 else f"{abs(percent):.2g}"
    return f" ({'+' if percent > 0 else '−' if percent < 0 else ''}{text}%)"


# -- families


@dataclass(frozen=True, slots=True)
class Family:
    name: str
    called: str
    """The name, of a knob without its file where that is plain."""
    tried: int
    kept: int
    refuted: int
    unproven: int
    crashed: int
    best: int | None
    """The experiment with the largest gain."""
    line: str
    """ "best +0.0041 ±0.0012 (#12)", or the range of a knob."""
    experiments: tuple[int, ...]


def families(history: History, chosen: Filter = NO_FILTER) -> list[Family]:
    """What experiments have in common, a category or the tuner's knobs: the most tried first."""
    groups: dict[str, list[Row]] = {}
    for row in history.rows:
        if not row.baseline and (not chosen or chosen.passes(_experiment(row, history), row.family)):
            groups.setdefault(clean_line(row.family) or "other", []).append(row)
    called = knob_names(history)
    found = [_family(name, rows, called) for name, rows in groups.items()]
    return sorted(found, key=lambda family: (-family.tried, family.name))


def _family(name: str, rows: list[Row], called: Mapping[str, str]) -> Family:
    fates = Counter(list_of(row) for row in rows)
    judged = [row for row in rows if row.estimate is not None and row.status in ("keep", "discard")]
    best = max(judged, key=lambda row: row.estimate or 0.0, default=None)
    if rows[0].knobs:
        line = knob_line(rows, called)
    elif best is not None:
        line = f"best {_estimate(best)} (#{best.number})"
    else:
        line = "none gave a value"
    return Family(
        name=name,
        called=_called(rows[0].knobs, called) or name,
        tried=len(rows),
        kept=fates["worked"],
        refuted=fates["refuted"],
        unproven=fates["unproven"],
        crashed=fates["crashed"],
        best=best.number if best else None,
        line=line,
        experiments=tuple(row.number for row in rows),
    )


def choices(history: History) -> dict[str, list[tuple[str, int]]]:
    """What can be filtered by, with counts, the most frequent first: `category` and `cause` of dead ends."""
    dead = journal.unwritten(journal.dead_ends_in(history))
    return {
        "category": Counter(clean_line(row.category) for row in dead if row.category).most_common(),
        "cause": Counter(row.cause for row in dead if row.cause).most_common(),
    }


# -- acting on them


def refusal(action: str, entry: Entry, history: History, by: int = 1) -> str:
    """Why `edit`, `veto`, `restore`, `move`, `give_up` or `retry` cannot be done to it; "" when it can."""
    if action in ("edit", "veto", "give_up") and entry.kind == "idea" and not entry.id:
        return "It waits in the inbox and has no id yet."
    if action == "edit" and (entry.kind != "idea" or entry.where not in ("open", "vetoed")):
        return "Only an idea that has not been tried can be changed."
    if action == "restore" and (entry.kind != "idea" or entry.where != "vetoed"):
        return "Only a vetoed idea can be put back."
    if action == "move" and moved(history, entry.id, by) is None:
        return "It stands at that end of the list." if entry.where == "open" else "Only open ideas have an order."
    if action == "veto" and (entry.kind in ("experiment", "knob") or entry.where in ("vetoed", "tried", "taken")):
        return "What was tried stays on record; only ideas and written dead ends can be vetoed."
    if action == "give_up" and (entry.kind in ("dead_end", "knob") or entry.where in ("vetoed", "tried", "taken")):
        return "It is a dead end already, or being tried."
    if action == "retry" and (entry.kind == "idea" or len(entry.experiments) != 1):
        return "Only a single experiment can be tried again."
    return ""
