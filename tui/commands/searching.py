"""What `autoresearch search` finds, through the index, which brings itself up to date first."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from autoresearch.state import numbers
from autoresearch.state.history import SCORE_MARKS
from autoresearch.state.index import IndexBusy, find
from autoresearch.state.session import Place, SessionError, list_sessions, open_session
from autoresearch.tui.cli import Where
from autoresearch.tui.commands.status import say_score_note
from autoresearch.tui.console import GLYPHS, Console, clean


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


def found_in(place: Place, words: str, count: int, only: str = "", **filters: str) -> dict[str, Any]:
    """As `find_experiments`, in the session `only` or in all of the repository."""
    journals = {session.name: session.journal for session in list_sessions(place)}
    try:
        hits = find(place.index_db, journals, words, count, sessions=(only,) if only else (), **filters)
    except IndexBusy as busy:
        raise SessionError(str(busy), code=1) from busy
    return {"query": words, "found": [{"number": (found := asdict(hit)).pop("run"), **found} for hit in hits]}


def print_found(console: Console, document: dict[str, Any]) -> None:
    found = document["found"]
    if not found:
        console.say(f"Nothing on record matches {clean(document['query'])!r}.")
        return
    for scored in dict.fromkeys(hit["scored"] for hit in found):
        say_score_note(console, scored)
    console.table(
        [(hit["session"], f"#{hit['number']}", GLYPHS[hit["status"]], _metric(hit), _what(hit)) for hit in found],
        [hit["status"] for hit in found],
        right=frozenset({1, 3}),
    )


def _metric(hit: dict[str, Any]) -> str:
    """With the mark of one that is not read apart from the agent's code: hits may be of several sessions."""
    return numbers.metric(hit["metric"]) + "*" * (hit["metric"] is not None and hit["scored"] in SCORE_MARKS)


def _what(hit: dict[str, Any]) -> str:
    """The description, and the passage that matched where that is another one."""
    description, snippet = clean(hit["description"]), clean(hit["snippet"])
    return (
        description if snippet.replace("[", "").replace("]", "") in ("", description) else f"{description} · {snippet}"
    )
