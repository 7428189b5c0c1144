"""A notebook's lines: what each is, what it is called in the next rendering, and which lines of two texts agree."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from autoresearch.state.notebook.view import HEADINGS, LISTS, STAMP
from autoresearch.state.text import plain


@dataclass(frozen=True, slots=True)
class Line:
    raw: str
    text: str
    """Without its line end."""
    id: str
    section: str
    """The last heading of ours, or an unknown heading's own text; "" before the first."""
    verbatim: bool
    """Inside a fence or a comment of somebody's: never a heading, never an item."""


ID = re.compile(r"\s*<!-- ?([a-z#]\d{1,9}) ?-->\s*$")
ITEM = re.compile(r" ?[-*+] (?:\[([ xX~])\](?: |$))?(.*)")
KNOWN = (*HEADINGS, *LISTS)


def scan(text: str) -> list[Line]:
    lines: list[Line] = []
    section, until = "", ""
    parts = text.split("\n")
    for n, part in enumerate(parts):
        raw = part if n == len(parts) - 1 else part + "\n"
        if not raw:
            continue
        line = part.removesuffix("\r")
        heading = " ".join(without_ids(line).split())
        if heading in KNOWN:
            section, until = heading, ""
        elif not until and re.match(r"##? ", line) and n:
            section = heading
        inside, until = _verbatim(line, until)
        found = ID.search(line)
        lines.append(Line(raw, line, found[1] if found else "", section, inside))
    return lines


def without_ids(text: str, among: Container[str] | None = None) -> str:
    """Text without the ids at its end: a heading with a pasted id is still that heading. `among`: only these."""
    while (found := ID.search(text)) and (among is None or found[1] in among):
        text = text[: found.start()]
    return text


def _verbatim(line: str, until: str) -> tuple[bool, str]:
    """Whether a line is inside a fence or a comment that began before or begins here, and what ends that."""
    stripped = line.strip()
    if until:
        return True, "" if (until in line if until == "-->" else stripped.startswith(until)) else until
    if stripped.startswith(("```", "~~~")):
        return True, stripped[:3]
    return (True, "-->") if line.rfind("<!--") > line.rfind("-->") else (False, "")


def keys(lines: Sequence[Line]) -> Iterator[str]:
    """A name for each line of a rendering that holds in the next one too: its id, or its text in its section."""
    seen: dict[str, int] = defaultdict(int)
    for line in lines:
        key = f"<{line.id}>" if line.id else "stamp" if STAMP.fullmatch(line.text) else f"{line.section}\n{line.text}"
        seen[key] += 1
        yield f"{key}\n{seen[key]}"


def words(line: Line) -> str:
    """An entry's text: without bullet, box and id."""
    text = ID.sub("", line.text)
    found = ITEM.fullmatch(text)
    return plain(found[2] if found else text)


def box(line: Line) -> str:
    found = ITEM.fullmatch(ID.sub("", line.text))
    return (found[1] or "").lower() if found else ""


def in_order(was: Sequence[Line], now: Sequence[Line], candidates: Callable[[int], list[int]]) -> dict[int, int] | None:
    """The leftmost match of the whole rendering, None when a line of it is missing or moved."""
    matched, want = {}, 0
    for n in range(len(now)):
        if want < len(was) and want in candidates(n):
            matched[n] = want
            want += 1
    return matched if want == len(was) else None


def longest(pairs: list[tuple[int, list[int]]]) -> dict[int, int]:
    """The longest match in order, from each line's candidates (Hunt and Szymanski)."""
    tails: list[int] = []
    nodes: list[tuple[int, int, int]] = []
    heads: list[int] = []
    for n, candidates in pairs:
        for m in reversed(candidates):
            k = bisect_left(tails, m)
            if k < len(tails) and tails[k] == m:
                continue
            nodes.append((n, m, heads[k - 1] if k else -1))
            tails[k : k + 1], heads[k : k + 1] = [m], [len(nodes) - 1]
    matched, at = {}, heads[-1] if heads else -1
    while at >= 0:
        n, m, at = nodes[at]
        matched[n] = m
    return dict(sorted(matched.items()))


def blanks(was: Sequence[Line], now: Sequence[Line], matched: dict[int, int]) -> dict[int, int]:
    """Empty lines between matched ones, paired in order."""
    found: dict[int, int] = {}
    ends = [(-1, -1), *matched.items(), (len(now), len(was))]
    for (n, m), (n_end, m_end) in pairwise(ends):
        here = [i for i in range(n + 1, n_end) if not now[i].text]
        there = [j for j in range(m + 1, m_end) if not was[j].text]
        found |= dict(zip(here, there, strict=False))
    return found
