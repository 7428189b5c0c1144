"""What others wrote into the notebook: edits for the journal, and prose to keep.

    found = merge(base, theirs, ours)       # base: what was last written, theirs: the file, ours: render(view) now
    # journal found.edits, render again
    text = weave(render(view), found.prose)

Three ways, by id: a new list line becomes an idea, a dead end or a note; a missing id a veto; a changed text an edit.
Everything else that is not the engine's is prose, kept byte for byte (empty lines alone are none). No text of any kind
raises, and no word of a person is dropped: what cannot be understood stays as prose. In a file that is missing, empty,
cut off, or without its last line, a heading or all of its ids, a missing line is lost, not deleted: nothing is vetoed,
and `warning` says so.

`base` is the content of the base file: the pure text last rendered and the one before it, because the process may die
between writing the base and the file. The stamp in the file tells which of them it began as.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from autoresearch.state.files import write_atomic
from autoresearch.state.notebook.lines import (
    ID,
    ITEM,
    KNOWN,
    Line,
    blanks,
    box,
    in_order,
    keys,
    longest,
    scan,
    without_ids,
    words,
)
from autoresearch.state.notebook.view import DEAD_ENDS, HEADINGS, IDEAS, LISTS, NOTES, STAMP, WORKED, stamped
from autoresearch.state.text import plain

Kind = Literal["idea", "dead_end", "note", "veto", "close", "change", "first"]


@dataclass(frozen=True, slots=True)
class Edit:
    """One thing somebody did to the notebook.

    `idea`, `dead_end`, `note`: a new line `text` (a `dead_end` with an id was moved to another list).
    `veto`, `close`: the line was deleted; its box was checked. `change`: `text` is new. `first`: put it at the head.
    """

    kind: Kind
    id: str = ""
    text: str = ""
    list: str = ""
    """For a dead end: refuted, unproven or crashed."""
    first: bool = False
    """For an idea: it was put before all others."""
    request: str = ""
    """The same for the same edit of the same rendering: a journal that has it has the edit."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Somebody's lines, and where they stood: after `after[0]` if that is still there, else before `before`, else after
    the nearest of the rest."""

    text: str
    after: tuple[str, ...]
    before: str = ""


@dataclass(frozen=True, slots=True)
class Merge:
    edits: tuple[Edit, ...] = ()
    prose: tuple[Passage, ...] = ()
    warning: str = ""


def load(file: Path) -> str:
    """The text of a notebook or base file, "" when there is none. Bytes that are not UTF-8 survive a `save`."""
    try:
        return file.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return ""


def save(file: Path, base_file: Path, pure: str, text: str) -> None:
    """Write a rendering (`pure`) and its woven `text`, the base first: a kill between the two leaves both usable."""
    previous = load(base_file).partition("\0")[0]
    if previous != pure:
        write_atomic(base_file, f"{pure}\0{previous}".encode("utf-8", "surrogateescape"))
    write_atomic(file, text.encode("utf-8", "surrogateescape"))


def weave(pure: str, prose: Sequence[Passage]) -> str:
    """The rendering with everybody's prose at its places."""
    lines = scan(pure)
    place = {key: n for n, key in enumerate(keys(lines))}
    at: dict[int, list[str]] = defaultdict(list)
    for passage in prose:
        at[_position(passage, place, len(lines))].append(passage.text)
    parts: list[str] = []
    for n in range(len(lines) + 1):
        for text in (*at[n], *(line.raw for line in lines[n : n + 1])):
            if parts and not parts[-1].endswith("\n"):
                parts.append("\n")
            parts.append(text)
    return "".join(parts)


def _position(passage: Passage, place: Mapping[str, int], end: int) -> int:
    if not passage.after:
        return 0
    if passage.after[0] in place:
        return place[passage.after[0]] + 1
    if passage.before in place:
        return place[passage.before]
    return next((place[key] + 1 for key in passage.after if key in place), end)


def merge(base: str, theirs: str, ours: str = "") -> Merge:
    """What `theirs` changed since `base`; see the module. `ours` filters what is true already."""
    if theirs and theirs == base.partition("\0")[0]:
        return Merge()  # nobody wrote anything: by far the usual case
    began, trusted = _began_as(base, theirs, ours)
    was, now = scan(began), scan(theirs)
    if not theirs.strip():
        lost = "The notebook was empty or missing; it was written again." if began.strip() else ""
        return Merge(warning=lost)
    return _Merging(was, now, scan(ours) if ours else was, trusted).result()


def _began_as(base: str, theirs: str, ours: str) -> tuple[str, bool]:
    """The rendering that a file began as, and whether that is known: only then is a missing line a deleted one."""
    newest, _, previous = base.partition("\0")
    stamp = next((found[1] for line in theirs.split("\n") if (found := STAMP.fullmatch(line.rstrip("\r")))), None)
    for rendering in (newest, previous, ours):
        found = STAMP.search(rendering)
        if found and found[1] == stamp:
            return rendering, True
    if stamp and stamped(theirs.rpartition("<!-- notebook")[0]) == theirs:
        return theirs, True  # its base is lost, but nobody has touched it
    return newest or ours, False


class _Merging:
    """One merge: `was` is the rendering that `now` began as, `ours` the rendering of today."""

    def __init__(self, was: list[Line], now: list[Line], ours: list[Line], trusted: bool) -> None:
        self.was, self.now, self.trusted = was, now, trusted
        self.entries = {line.id: line for line in was if line.id}
        self.today = {line.id: line for line in ours if line.id}
        self.keys = list(keys(was))
        self.headings = {line.section for line in now}
        self.stamp = next((found[1] for line in was if (found := STAMP.fullmatch(line.text))), "")
        self.edits: list[Edit] = []

    def result(self) -> Merge:
        chosen = self._choose()
        matched = self._align(chosen)
        ours = self._engine_lines(chosen, matched)
        # A matched line stands where it stood, whatever heading somebody put above it.
        at_home = {id for id, n in chosen.items() if n in matched}
        warning = self._deleted(chosen)
        self._changed(chosen, at_home)
        self._reordered(chosen, at_home)
        prose = self._foreign(matched, ours, chosen)
        return Merge(tuple(self.edits), prose, warning)

    def _choose(self) -> dict[str, int]:
        """Which line of the file is the entry of an id: the unchanged one, else the first."""
        chosen: dict[str, int] = {}
        for n, line in enumerate(self.now):
            known = self.entries.get(line.id) or self.today.get(line.id)
            if known is None or self._fixed(known, line):
                continue
            held = chosen.get(line.id)
            if held is None or (words(self.now[held]) != words(known) == words(line)):
                chosen[line.id] = n
        return chosen

    @staticmethod
    def _fixed(known: Line, line: Line) -> bool:
        """A changed line about a kept experiment: the engine's line stands, the other one is prose."""
        return known.section == WORKED and words(known) != words(line)

    def _align(self, chosen: dict[str, int]) -> dict[int, int]:
        """Lines of the file that are lines of the rendering, in order: number there -> number here."""
        where: dict[str, list[int]] = defaultdict(list)
        for m, line in enumerate(self.was):
            where[f"<{line.id}>" if line.id else line.text].append(m)

        def candidates(n: int) -> list[int]:
            line = self.now[n]
            if line.id in self.entries:
                return where[f"<{line.id}>"] if chosen.get(line.id) == n else []
            return where.get(line.text, [])

        whole = in_order(self.was, self.now, candidates)
        if whole is not None:
            return whole
        matched = longest([(n, candidates(n)) for n in range(len(self.now)) if self.now[n].text])
        return matched | blanks(self.was, self.now, matched)

    def _engine_lines(self, chosen: dict[str, int], matched: dict[int, int]) -> set[int]:
        """Numbers of the file's lines that are the engine's: matched, moved, or an entry's unchanged copy."""
        mine = set(matched) | set(chosen.values())
        free: dict[str, int] = defaultdict(int)
        for m in set(range(len(self.was))) - set(matched.values()):
            free[self.was[m].text] += 1
        for n, line in enumerate(self.now):
            known = self.entries.get(line.id) or self.today.get(line.id)
            if n in mine:
                continue
            if STAMP.fullmatch(line.text) or (known is not None and words(known) == words(line)):
                mine.add(n)
            elif line.text and known is None and free[line.text] > 0:
                free[line.text] -= 1
                mine.add(n)
        return mine

    def _deleted(self, chosen: dict[str, int]) -> str:
        """Vetoes, or a warning when lines were lost rather than deleted."""
        missing = [line for id, line in self.entries.items() if id not in chosen and line.section != WORKED]
        missing = [line for line in missing if line.id in self.today]
        if not missing:
            return ""
        if not self.trusted:
            return "The last line of the notebook was missing or changed; it was written again, nothing was vetoed."
        if not any(id in chosen for id in self.entries) and (len(self.entries) > 1 or IDEAS not in self.headings):
            return "The notebook had lost all its entries; they were written again. Veto what should go, one by one."
        lost = False
        for line in missing:
            top = DEAD_ENDS if line.section in LISTS else line.section
            below = HEADINGS[HEADINGS.index(top) :] if top in HEADINGS else HEADINGS
            if line.section in self.headings and all(heading in self.headings for heading in below):
                self._add("veto", id=line.id)
            else:
                lost = True
        return "Headings of the notebook were missing; it was written again, nothing was vetoed." if lost else ""

    def _changed(self, chosen: dict[str, int], at_home: set[str]) -> None:
        for id, n in chosen.items():
            line, known = self.now[n], self.entries.get(id) or self.today[id]
            text, today = words(line), self.today.get(id)
            if known.section == IDEAS and box(line) == "x" and box(known) != "x" and today and box(today) != "x":
                self._add("close", id=id)
            moved = (
                id not in at_home
                and line.section != known.section
                and known.section in self.headings
                and self._list_of(line)
            )
            if moved and known.section in LISTS and line.section in LISTS:
                self._add("dead_end", id=id, text=text or words(known), list=LISTS[line.section])
            elif moved and text:
                self._add("veto", id=id)
                self._new(line, text, first=False)
            elif text == words(known) or (today and text == words(today)):
                continue
            elif text:
                self._add("change", id=id, text=text)
            elif self.trusted:
                self._add("veto", id=id)

    def _reordered(self, chosen: dict[str, int], at_home: set[str]) -> None:
        """Ideas that were moved up: put first one after the other, they give the file's order."""
        before = [id for id, line in self.entries.items() if line.section == IDEAS and id in chosen]
        before = [id for id in before if id in at_home or self.now[chosen[id]].section == IDEAS]
        after = sorted(before, key=lambda id: chosen[id])
        place = {id: n for n, id in enumerate(before)}
        keep = len(after)
        while keep and (keep == len(after) or place[after[keep - 1]] < place[after[keep]]):
            keep -= 1
        for id in reversed(after[:keep]):
            if id in self.today:
                self._add("first", id=id)

    def _foreign(self, matched: dict[int, int], mine: set[int], chosen: dict[str, int]) -> tuple[Passage, ...]:
        """Everything that is not the engine's: new items become edits, the rest passages."""
        firsts = [n for id, n in chosen.items() if self.now[n].section == IDEAS]
        first_idea = min(firsts, default=-1)
        passages: list[Passage] = []
        run: list[str] = []
        last, n = -1, 0
        while n <= len(self.now):
            if n == len(self.now) or n in matched:
                if any(raw.strip() for raw in run):
                    passages.append(self._passage("".join(run), last, matched.get(n)))
                run = []
                last = matched.get(n, last)
            elif n not in mine:
                line = self.now[n]
                text = self._item(line)
                if text:
                    while self._continues(n + 1, mine):
                        n += 1
                        text += " " + plain(self.now[n].text)
                    self._new(line, text, first=n < first_idea)
                else:
                    run.append(self._without_ids(line))
            n += 1
        return tuple(passages)

    def _without_ids(self, line: Line) -> str:
        """A foreign line without the ids of ours at its end: they were pasted, and name another line."""
        text = without_ids(line.text, self.entries.keys() | self.today.keys())
        return line.raw if text == line.text else line.raw.replace(line.text, text)

    def _passage(self, text: str, last: int, following: int | None) -> Passage:
        heading = last
        while heading > 0 and self.was[heading].text not in KNOWN:
            heading -= 1
        near = range(last, heading - 1, -1) if last >= 0 else ()
        return Passage(text, tuple(self.keys[m] for m in near), "" if following is None else self.keys[following])

    def _list_of(self, line: Line) -> bool:
        return line.section in (IDEAS, NOTES, DEAD_ENDS, *LISTS) and not line.verbatim

    def _item(self, line: Line) -> str:
        """The text of a new list line, "" when it is none or says nothing."""
        found = ITEM.fullmatch(ID.sub("", line.text)) if self._list_of(line) else None
        if found is None or not any(letter.isalnum() for letter in found[2]) or (found[1] or " ") in "xX":
            return ""
        return plain(found[2])

    def _continues(self, n: int, mine: set[int]) -> bool:
        if n >= len(self.now) or n in mine or self.now[n].verbatim:
            return False
        text = self.now[n].text
        return text.startswith(("  ", "\t")) and bool(text.strip())

    def _new(self, line: Line, text: str, first: bool) -> None:
        if line.section == IDEAS:
            self._add("idea", text=text, first=first)
        elif line.section == NOTES:
            self._add("note", text=text)
        else:
            self._add("dead_end", text=text, list=LISTS.get(line.section, "refuted"))

    def _add(self, kind: Kind, id: str = "", text: str = "", list: str = "", first: bool = False) -> None:
        again = sum(edit.kind == kind and edit.id == id and edit.text == text for edit in self.edits)
        name = "\0".join((self.stamp, kind, id, text, list, str(again)))
        request = "notebook-" + hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[:16]
        self.edits.append(Edit(kind, id, text, list, first, request))
