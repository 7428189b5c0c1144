"""What a person types to see fewer experiments: words that must all fit, `-word` for what must not. Pure.

A word that names a status or a cause means just that (`keep`, `crash`, `unproven`, `flagged`), `#12` the number; any
other is looked for in the description, the category, the cause, the agent and the parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

from autoresearch.state.journal import Row

_STATUSES = {"keep": "keep", "discard": "discard", "crash": "crash", "checks": "checks_failed"}
_CAUSES = frozenset({"baseline", "better", "simpler", "bundle", "overruled", "worse", "unproven", "guard", "timeout"})


@dataclass(frozen=True, slots=True)
class Filter:
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
        return row.flagged
    # One after the other, not joined: ten thousand rows at every key that is typed.
    return (
        word in row.description.casefold()
        or word in row.category.casefold()
        or word in row.cause.replace("_", " ")
        or word in row.agent
        or any(word in f"{name}={value}".casefold() for name, value in row.knobs.items())
    )
