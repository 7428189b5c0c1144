"""autoresearch.md: the view of the journal that people and fresh agents read first, and may edit at any time.

`render` draws what the engine says (the *pure* text); `three_way` finds what others wrote into the file, and
weaves their prose back into the next rendering. Entries carry their id in a comment (`- [ ] try GQA <!-- i7 -->`).
The text is stamped with a hash of itself, so that a merge knows which rendering a file began as, after any crash.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from autoresearch.state.text import plain, storable

SHOWN = 25
"""Entries that a list shows before older ones fold; with 8 families a list, a notebook stays near 250 lines."""
FAMILIES = 8

OBJECTIVE, MEASURED, SCOPE, STAND = "## Objective", "## How it is measured", "## Scope and rules", "## Where we stand"
WORKED, DEAD_ENDS, IDEAS, NOTES = "## What worked", "## Dead ends", "## Ideas", "## Notes"
HEADINGS = (OBJECTIVE, MEASURED, SCOPE, STAND, WORKED, DEAD_ENDS, IDEAS, NOTES)
LISTS = {"### Refuted": "refuted", "### Unproven": "unproven", "### Crashed or blocked": "crashed"}
"""The three lists of dead ends, by heading."""

STAMP = re.compile(r"<!-- notebook ([0-9a-f]{12})\b.*-->\s*")
_ENGINE = ("", "engine")


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a list. `id` is a letter or # with a number: `i7`, `d3`, `n2`, `#12`."""

    id: str
    text: str
    by: str = ""
    """Whose words it is; only the engine's ("" or "engine") fold."""
    family: str = ""
    number: int | None = None
    """The experiment it tells of, and its metric: what a folded line counts."""
    metric: float | None = None


@dataclass(frozen=True, slots=True)
class Fold:
    """Entries of one family that are not shown one by one."""

    family: str
    count: int
    first: int | None = None
    last: int | None = None
    best: float | None = None


@dataclass(frozen=True, slots=True)
class Entries:
    """A list, newest first. `older` counts entries that are not in `shown` at all: a night has too many to pass."""

    shown: Sequence[Entry] = ()
    older: Sequence[Fold] = ()


@dataclass(frozen=True, slots=True)
class Idea:
    id: str
    text: str
    state: Literal["open", "taken", "tried"] = "open"


@dataclass(frozen=True, slots=True)
class View:
    """What the engine has to say; lines of text are markdown without headings."""

    title: str
    objective: Sequence[str] = ()
    measured: Sequence[str] = ()
    rules: Sequence[str] = ()
    stand: Sequence[str] = ()
    worked: Entries = Entries()
    refuted: Entries = Entries()
    unproven: Entries = Entries()
    crashed: Entries = Entries()
    ideas: Sequence[Idea] = ()
    """In the order in which they will be tried."""
    notes: Sequence[Entry] = ()
    higher: bool = False
    """Whether a higher metric is better: what "best" of a folded family means."""


def render(view: View) -> str:
    """The notebook without anybody's prose, `\\n` at every line's end."""
    lines = [f"# {_inert(plain(view.title))}", ""]
    for heading, said in ((OBJECTIVE, view.objective), (MEASURED, view.measured), (SCOPE, view.rules)):
        lines += _section(heading, _prose(said))
    lines += _section(STAND, _prose(view.stand))
    lines += _section(WORKED, _list(view.worked, view.higher))
    lines += _section(DEAD_ENDS, [])
    for heading, entries in zip(LISTS, (view.refuted, view.unproven, view.crashed), strict=True):
        lines += _section(heading, _list(entries, view.higher))
    hint = ["Add a line to propose, delete one to veto, check one to close it.", ""]
    boxes = {"open": " ", "taken": "~", "tried": "x"}
    lines += _section(IDEAS, hint + [f"- [{boxes[i.state]}] {plain(i.text)} <!-- {i.id} -->" for i in view.ideas])
    lines += _section(NOTES, [_item(entry) for entry in view.notes])
    return stamped("\n".join(lines) + "\n")


def stamped(text: str) -> str:
    """A rendering with its last line, which names it: where it is missing, a file was cut off."""
    stamp = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]
    return f"{text}<!-- notebook {stamp}: the journal is the record; edit freely, but leave this line -->\n"


def fold(entries: Sequence[Entry], keep: int = SHOWN, higher: bool = False) -> tuple[list[Entry], list[Fold]]:
    """The entries (newest first) that stay, and what the engine's own beyond the newest `keep` fold into."""
    stay = [entry for n, entry in enumerate(entries) if n < keep or entry.by not in _ENGINE]
    gone = [entry for entry in entries[keep:] if entry.by in _ENGINE]
    one = [Fold(e.family or "other", 1, e.number, e.number, e.metric) for e in gone]
    return stay, combine(one, higher)


def combine(folds: Iterable[Fold], higher: bool = False, families: int = FAMILIES) -> list[Fold]:
    """One fold per family, the largest first; small families beyond `families` go together as "other"."""
    by_family: dict[str, Fold] = {}
    for each in folds:
        known = by_family.get(each.family)
        by_family[each.family] = _together(known, each, higher) if known else each
    ranked = sorted(by_family.values(), key=lambda each: -each.count)
    if len(ranked) <= families:
        return ranked
    head = [each for each in ranked if each.family != "other"][: families - 1]
    rest = [each for each in ranked if each not in head]
    other = Fold("other", 0)
    for each in rest:
        other = _together(other, each, higher)
    return [*head, other]


def _together(a: Fold, b: Fold, higher: bool) -> Fold:
    first = min((fold.first for fold in (a, b) if fold.first is not None), default=None)
    last = max((fold.last for fold in (a, b) if fold.last is not None), default=None)
    bests = [fold.best for fold in (a, b) if fold.best is not None]
    return Fold(a.family, a.count + b.count, first, last, (max if higher else min)(bests, default=None))


def _prose(lines: Iterable[str]) -> list[str]:
    """Lines as they are, but none that would be taken for a heading, a fence or an id of ours."""
    said = [_inert(storable(part).rstrip()) for line in lines for part in line.split("\n")]
    return [f"\\{part}" if part.lstrip().startswith(("#", "```", "~~~")) else part for part in said]


def _inert(text: str) -> str:
    """Text without comments, in a line without an id: it must not end in one."""
    return text.replace("<!--", "&lt;!--")


def _section(heading: str, lines: list[str]) -> list[str]:
    return [heading, "", *lines, ""] if lines else [heading, ""]


def _list(entries: Entries, higher: bool) -> list[str]:
    shown, folds = fold(entries.shown, higher=higher)
    return [_item(entry) for entry in shown] + [_more(each) for each in combine([*folds, *entries.older], higher)]


def _item(entry: Entry) -> str:
    return f"- {plain(entry.text)} <!-- {entry.id} -->"


def _more(folded: Fold) -> str:
    span = f" (#{folded.first}–#{folded.last})" if folded.first is not None and folded.first != folded.last else ""
    one = f" (#{folded.first})" if folded.first is not None and folded.first == folded.last else ""
    best = f", best {folded.best:.6g}" if folded.best is not None else ""
    return f"- … and {folded.count} more in {_inert(plain(folded.family))}{span}{one}{best}"
