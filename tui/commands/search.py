"""What `autoresearch search` finds, through the index, which brings itself up to date first."""

from __future__ import annotations

from typing import Any

from autoresearch.state.journal import SCORE_MARKS
from autoresearch.state.session import open_session
from autoresearch.state.text import numbers
from autoresearch.tui.facts.search import found_in
from autoresearch.tui.facts.text import SIGNS, fitted
from autoresearch.tui.terminal.console import Console
from autoresearch.tui.terminal.options import Where
from autoresearch.tui.terminal.session_text import say_score_note


def find_experiments(where: Where, words: str, count: int, **filters: str) -> dict[str, Any]:
    """The document of `search --json`; `filters` are status, category, cause and where.

    Raises SessionError when the index stays busy or the session is unknown.
    """
    place = where.place()
    only = open_session(place, where.session).name if where.session is not None else ""
    document = found_in(place, words, count, only, **filters)
    scored = {
        name: open_session(place, name).history().scored for name in {hit["session"] for hit in document["found"]}
    }
    return {**document, "found": [{**hit, "scored": scored[hit["session"]]} for hit in document["found"]]}


def print_found(console: Console, document: dict[str, Any]) -> None:
    found = document["found"]
    if not found:
        console.say(f"Nothing on record matches {fitted(document['query'])!r}.")
        return
    for scored in dict.fromkeys(hit["scored"] for hit in found):
        say_score_note(console, scored)
    console.table(
        [(hit["session"], f"#{hit['number']}", SIGNS[hit["status"]], _metric(hit), _what(hit)) for hit in found],
        [hit["status"] for hit in found],
        right=frozenset({1, 3}),
    )


def _metric(hit: dict[str, Any]) -> str:
    """With the mark of one that is not read apart from the agent's code: hits may be of several sessions."""
    return numbers.metric(hit["metric"]) + "*" * (hit["metric"] is not None and hit["scored"] in SCORE_MARKS)


def _what(hit: dict[str, Any]) -> str:
    """The description, and the passage that matched where that is another one."""
    description, snippet = fitted(hit["description"]), fitted(hit["snippet"])
    return (
        description if snippet.replace("[", "").replace("]", "") in ("", description) else f"{description} · {snippet}"
    )
