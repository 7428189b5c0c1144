"""`status --watch` and `log --follow`: the same answers again whenever they change, until they are interrupted."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from typing import Any

from autoresearch.state.journal import History, Reader, Row
from autoresearch.state.journal.records import now_ms
from autoresearch.state.session import Session, SessionError
from autoresearch.tui.facts import documents
from autoresearch.tui.facts.engine import look
from autoresearch.tui.terminal.console import Console, emit_json
from autoresearch.tui.terminal.session_text import say_score_note

Draw = Callable[[Console, dict[str, Any], History], None]

_EVERY_S = 0.5
_PASSING = ("since", "spend")
"""Keys that change by the clock alone."""


def histories(session: Session) -> Iterator[History]:
    """The session's read model, twice a second, without end. Raises SessionError when the session goes away."""
    history, reader = History(), Reader(session.journal)
    while True:
        try:
            if reader.replaced():
                history, reader = History(), Reader(session.journal)  # it was replaced
        except FileNotFoundError:
            raise SessionError(f"Session {session.name} is gone: its folder was deleted or moved.", code=1) from None
        for at, line in reader.lines():
            history.feed(at, line)
        yield history
        time.sleep(_EVERY_S)


def watch_status(session: Session, draw: Draw, as_json: bool) -> None:
    """On a terminal in place, else a block per change; with `as_json` a document a line per change."""
    console = Console()
    said: object = None
    drawn = 0
    beat = look(session)
    for history in histories(session):
        document = documents.status(session, history, now_ms(), beat)
        lasting = {key: value for key, value in document.items() if key not in _PASSING}
        if as_json:
            if lasting != said:
                emit_json(document, 0)
        elif console.tty or lasting != said:
            text = _drawn(console, document, history, draw)
            if console.tty and drawn:
                console.stream.write(f"\x1b[{drawn}A\x1b[J")
            console.stream.write(text if console.tty or said is None else f"\n{text}")
            console.stream.flush()
            drawn = text.count("\n")
        said = lasting


def _drawn(
    console: Console,
    document: dict[str, Any],
    history: History,
    draw: Draw,
) -> str:
    stream, console.stream = console.stream, io.StringIO()
    try:
        draw(console, document, history)
        return console.stream.getvalue()
    finally:
        console.stream = stream


def follow_log(session: Session, count: int, draw: Callable[[list[Row], History], None], as_json: bool) -> None:
    """The last `count` experiments (0: all), then each as its verdict falls; with `as_json` one a line."""
    shown: int | None = None
    noted = ""
    for history in histories(session):
        rows = history.rows
        if shown is None or shown > len(rows):
            shown = max(0, len(rows) - count) if count else 0
        fresh = rows[shown:]
        shown = len(rows)
        if as_json:
            for row in fresh:
                emit_json(documents.experiment(row, history), 0)
        elif fresh:
            if history.scored != noted:
                noted = history.scored
                say_score_note(Console(), noted)
            draw(fresh, history)
