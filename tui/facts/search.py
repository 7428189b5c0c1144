"""Experiments found by words."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from autoresearch.state.index import IndexBusy, find_experiments
from autoresearch.state.session import Place, SessionError, list_sessions


def found_in(place: Place, words: str, count: int, only: str = "", **filters: str) -> dict[str, Any]:
    """As `find_experiments`, in the session `only` or in all of the repository."""
    journals = {session.name: session.journal for session in list_sessions(place)}
    try:
        hits = find_experiments(place.index_db, journals, words, count, sessions=(only,) if only else (), **filters)
    except IndexBusy as busy:
        raise SessionError(str(busy), code=1) from busy
    return {"query": words, "found": [{"number": (found := asdict(hit)).pop("run"), **found} for hit in hits]}
