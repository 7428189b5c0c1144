"""Requests that wait in the inbox, in words: what was asked for and has not become a line of the journal yet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from autoresearch.state.journal import History
from autoresearch.state.session import Request
from autoresearch.state.text import clean_line
from autoresearch.tui.facts import limits

_LONGEST = 160


@dataclass(frozen=True, slots=True)
class Pending:
    id: str
    kind: str
    words: str
    args: dict[str, Any]
    timestamp: int


def pending(asked: Iterable[Request], history: History) -> list[Pending]:
    """In the order in which they will be obeyed. One whose line the journal has already is only not removed yet."""
    return [
        Pending(request.id, request.kind, _words(request.kind, request.args, history), request.args, request.timestamp)
        for request in asked
        if request.id not in history.requests
    ]


def _words(kind: str, args: dict[str, Any], history: History) -> str:
    text = clean_line(str(args.get("text") or ""), _LONGEST)
    id, number = clean_line(str(args.get("id") or ""), 12), args.get("experiment")
    match kind:
        case "idea" if not id:
            return f"new idea: {text}"
        case "idea" if args.get("first") or args.get("after"):
            return f"{id} moves {'to the head of the list' if args.get('first') else 'behind ' + str(args['after'])}"
        case "idea":
            known = history.ideas.get(id)
            back = known is not None and known.state == "vetoed" and text in ("", known.text)
            return f"{id} comes back" if back else f"{id} becomes: {text}"
        case "veto":
            return f"{id} goes off the list"
        case "dead_end":
            return f"dead end: {text}"
        case "note":
            return f"note: {text}"
        case "steer":
            return f"message: {text}"
        case "limit":
            return limits.becomes(str(args.get("name")), args.get("value"))
        case "retry":
            return f"#{number} is measured again"
        case "overrule":
            return f"#{number} is overruled to {clean_line(str(args.get('action')), 10)}"
        case "pause" | "stop" | "unpause":
            return {"pause": "pause", "stop": "stop", "unpause": "do not pause"}[kind]
    return clean_line(kind, 20)
