"""Which log the live pane shows: the one that is being written, or the kind a person picked. Looks at names only."""

from __future__ import annotations

from pathlib import Path

from autoresearch.state.journal import History
from autoresearch.state.session import Live, Session
from autoresearch.tui.facts.engine import Engine

KINDS = ("build.log", "output.log", "evaluate.log", "guard.log", "agent.log")
_OF_PHASE = {
    "building": "build.log",
    "measuring": "output.log",
    "baseline": "output.log",
    "evaluating": "evaluate.log",
    "guarding": "guard.log",
}


def log_of(session: Session, history: History, engine: Engine, live: Live | None, before: Path | None) -> Path:
    """The log that is being written; what was shown `before` while the phase has none; else the last run's."""
    if engine.state in ("lost", "silent", "new") or (engine.state == "starting" and live is None):
        return session.engine_log
    if live is not None and engine.state == "running":
        if live.phase == "preparing":
            return session.runs / "setup.log"
        name = _OF_PHASE.get(live.phase)
        number = live.experiment or (history.open.number if history.open else None)
        if name and number:
            return session.run(number) / name
        if live.proposing and live.phase == "proposing":
            making = made_now(session, history)
            if making.exists():
                return making
        if before is not None and before.exists():
            return before
    number = last(history)
    if not number:
        return session.engine_log
    output, agents = (session.run(number) / name for name in ("output.log", "agent.log"))
    return agents if agents.exists() and not output.exists() else output  # without a change nothing is run


def made_now(session: Session, history: History) -> Path:
    """The agent's log of the proposal it makes; its folder is the experiment's once it has a number."""
    return session.proposal(history.next_proposal) / "agent.log"


def logs_of(session: Session, history: History, live: Live | None) -> dict[str, Path]:
    """What can be picked, by name, in the order of a run: the present run's logs, or the last one's."""
    number = (live.experiment if live else None) or last(history)
    folder = session.run(number) if number else None
    found = {name: folder / name for name in KINDS if folder is not None and (folder / name).exists()}
    if live is not None and live.proposing and (making := made_now(session, history)).exists():
        found["agent.log"] = making
    return found


def title_of(session: Session, path: Path, shown: int | None) -> str:
    """A log's name, with whose it is where that is not the experiment on show."""
    folder = path.parent.name
    if path.parent.parent != session.runs or folder == f"{shown or 0:05d}":
        return path.name
    return f"{path.name} of the next" if folder.startswith("p") else f"{path.name} of #{int(folder)}"


def last(history: History) -> int:
    """The newest experiment's number; 0 before the first."""
    return history.open.number if history.open else history.last_number
