"""What a closed screen leaves in the terminal: whether the engine goes on, and the commands that lead back."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from autoresearch.state.journal.records import now_ms
from autoresearch.state.session import Heartbeat, Place, Session, SessionError, open_session
from autoresearch.tui.facts import documents
from autoresearch.tui.facts.text import fitted
from autoresearch.tui.terminal.session_text import best_text, counts_text


def parting_words(place: Place, session: Session, beat: Heartbeat) -> list[str]:
    """Two or three lines; none when the session's folder is gone."""
    if not session.journal.is_file():
        return []
    history = session.history()
    document = documents.status(session, history, now_ms(), beat)
    lines = []
    if document["best"] is not None:
        lines.append(f"Tried {counts_text(document['counts'])}. Best: {best_text(document, history)}.")
    where = _where(place, session)
    asked = {request.kind for request in session.asked()} | {document["pausing"]}
    alive = document["state"] in ("starting", "running", "looking", "silent")
    if alive and not asked & {"pause", "stop"}:
        way = f"`{called()}{where}` shows it again, `{called()} stop{where}` ends it."
        return [*lines, f"The engine goes on without the screen: {way}"]
    if alive:
        now = "is stopped" if "stop" in asked else "pauses after this experiment"
    else:
        now = f"is {document['state']}" + (f": {fitted(document['reason'])}" if document["reason"] else "")
    lines.append(f"Session {session.name} {now}.")
    lines.append(f"`{called()} resume{where}` goes on, `{called()} summary{where}` tells what came of it.")
    return lines


def called() -> str:
    """The command as this person can type it: a virtual environment's is often not on the PATH."""
    found = shutil.which("autoresearch")
    own = Path(sys.argv[0])
    if own.name != "autoresearch":
        return f"{shlex.quote(sys.executable)} -m autoresearch"
    if found is not None and Path(found).resolve() == own.resolve():
        return "autoresearch"
    return shlex.quote(short(own))


def short(path: Path) -> str:
    """As a person would type it from here."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _where(place: Place, session: Session) -> str:
    """The options that lead to this session from the present folder; "" when none are needed."""
    here = Path.cwd().resolve().is_relative_to(place.folder)
    repo = "" if here else f" -C {shlex.quote(short(place.folder))}"
    try:
        latest = open_session(place).name == session.name
    except SessionError:
        latest = False
    return repo + ("" if latest else f" -s {session.name}")
