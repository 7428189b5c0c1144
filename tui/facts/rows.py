"""Rows of the table: which of them the words that a person types leave, and what was recorded besides their metric."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import orjson

from autoresearch.state.journal import History, Row
from autoresearch.state.text import numbers

_STATUSES = {"keep": "keep", "discard": "discard", "crash": "crash", "checks": "checks_failed"}
_CAUSES = frozenset({"baseline", "better", "simpler", "bundle", "overruled", "worse", "unproven", "guard", "timeout"})


@dataclass(frozen=True, slots=True)
class Filter:
    """Words that must all fit, `-word` for what must not.

    A word that names a status or a cause means just that (`keep`, `crash`, `unproven`, `flagged`), `#12` the number;
    any other is looked for in the description, the category, the cause, the agent and the parameters.
    """

    words: tuple[str, ...] = ()

    @staticmethod
    def of(text: str) -> Filter:
        return Filter(tuple(word for word in text.casefold().split() if word.strip("-")))

    def __bool__(self) -> bool:
        return bool(self.words)

    def takes(self, row: Row) -> bool:
        return all(_fits(word.removeprefix("-"), row) is not word.startswith("-") for word in self.words)


def _fits(word: str, row: Row) -> bool:
    if word in _STATUSES:
        return row.status == _STATUSES[word]
    if word in _CAUSES:
        return row.cause == word
    if word.startswith("#") and word[1:].isdecimal():
        return row.number == int(word[1:])
    if word == "flagged":
        return bool(row.flags)
    # One after the other, not joined: ten thousand rows at every key that is typed.
    return (
        word in row.description.casefold()
        or word in row.category.casefold()
        or word in row.cause.replace("_", " ")
        or word in row.agent
        or any(word in f"{name}={value}".casefold() for name, value in row.knobs.items())
    )


def names_of(history: History) -> list[str]:
    """The metrics that can be shown, the primary one first, constraints next."""
    header = history.header
    if header is None:
        return []
    found = dict.fromkeys([header.metric_name, *header.constraints])
    found |= dict.fromkeys(sorted(history.baseline_metrics))
    found |= dict.fromkeys(sorted(history.incumbent.metrics if history.incumbent else {}))
    return list(found)


def values_of(journal: Path, rows: Iterable[Row], name: str) -> dict[int, float]:
    """A metric's recorded values by experiment number; experiments without one are left out.

    The read model holds the primary metric alone, so another one is read from the journal's lines. 10,000 experiments
    take about a tenth of a second, so it is called in a thread.
    """
    values: dict[int, float] = {}
    with journal.open("rb") as file:
        for row in rows:
            file.seek(row.line_at)
            try:
                value = (orjson.loads(file.readline()).get("metrics") or {}).get(name)
            except (orjson.JSONDecodeError, AttributeError):
                continue  # the journal was replaced meanwhile: the feed says so and reads it again
            if (known := numbers.finite(value)) is not None:
                values[row.number] = float(known)
    return values
