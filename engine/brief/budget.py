"""Sections of a document under a budget in characters: the most useful stays, and what is cut is said. Pure.

Every section is a list of pieces, most useful first. Those of rank 0 take their share before all others; then each gets
room for its title and a line about what it left out; then, by rank, up to its share; then, by rank, what room is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    """The heading's line."""
    pieces: Sequence[str]
    rank: int
    """0 is needed most. The order of the document is the order of the sections, not of the ranks."""
    left_out: Callable[[int], str]
    """The line about so many of the last pieces that had no room."""
    share: float = 1.0
    """The part of the whole budget it may take before every other section has had its share."""

    def text(self, count: int) -> str:
        """With its first `count` pieces."""
        missing = len(self.pieces) - count
        parts = [*self.pieces[:count], *([self.left_out(missing)] if missing else [])]
        return f"{self.title}\n\n" + "\n".join(parts).rstrip("\n") + "\n\n"


def fit(sections: Sequence[Section], chars: int) -> str:
    """The document, never longer than `chars`; a section without pieces is not in it."""
    filled = [_Filled(section) for section in sections if section.pieces]
    by_rank = sorted(filled, key=lambda one: one.section.rank)
    first = [one for one in by_rank if one.section.rank == 0]
    for one in first:
        one.grow(one.section.share, chars, sum(other.size for other in first))
    chosen, dropped = by_rank, list[_Filled]()
    while len(chosen) > 1 and sum(one.size for one in chosen) + len(_note(dropped)) > chars:
        chosen, dropped = chosen[:-1], [chosen[-1], *dropped]
    for share in (True, False):
        for one in chosen:
            size = sum(other.size for other in chosen) + len(_note(dropped))
            one.grow(one.section.share if share else 1.0, chars, size)
    text = "".join(one.text for one in filled if one in chosen) + _note(dropped)
    return (text.rstrip("\n") + "\n")[: max(chars, 0)]


class _Filled:
    """A section with as many of its pieces as have found room."""

    def __init__(self, section: Section) -> None:
        self.section = section
        self.text = section.text(0)
        self._count = 0

    @property
    def size(self) -> int:
        return len(self.text)

    def grow(self, share: float, chars: int, size: int) -> None:
        """Take further pieces while the section keeps to its share and the document, now `size` long, to `chars`."""
        while self._count < len(self.section.pieces):
            longer = self.section.text(self._count + 1)
            if len(longer) > share * chars or size + len(longer) - len(self.text) > chars:
                return
            size += len(longer) - len(self.text)
            self.text = longer
            self._count += 1


def _note(dropped: Sequence[_Filled]) -> str:
    names = ", ".join(one.section.title.lstrip("# ") for one in dropped)
    return f"(No room for: {names}.)\n" if dropped else ""
