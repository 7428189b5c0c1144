"""What people ask of a session, and what came of it."""

from __future__ import annotations

import time

from autoresearch.state.config import from_dict, value_of
from autoresearch.state.session import Locked, Request, Session, SessionError
from autoresearch.tui.facts.text import fitted

WAIT_S = 3.0
"""A running engine takes a request within a second; longer only while it is busy with git or a slow disk."""


_LEAST_CONFIG = {"name": "x", "metric": {"name": "x"}, "scope": {"edit": ["x"]}, "measure": {"run": "x"}}
"""What the schema wants beside the limit that is checked."""


def ask(session: Session, kind: str, **args: object) -> str:
    """Ask, and see to it that it is obeyed: `engine` took it, `done` here without one, or `waiting` in the inbox.

    Raises SessionError when it was refused.
    """
    return see_to(session, session.ask(kind, **args))


def see_to(session: Session, request: Request) -> str:
    """As `ask`, for a request that is in the inbox already."""
    waiting = session.inbox / f"{request.id}.json"
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        if not waiting.exists():
            return "engine"
        if session.engine_pid() is None and _drain(session, request):
            return "done"
        time.sleep(0.05)
    return "waiting"


def _drain(session: Session, request: Request) -> bool:
    """Whether the inbox was drained here. Two engines never write: another one may have come in between."""
    from autoresearch.engine import control

    try:
        refused = control.drain(session)
    except Locked:
        return False
    if refused and request.id not in session.history().requests:
        raise SessionError(" ".join(_sentence(text) for text in refused))
    return True


def _sentence(text: str) -> str:
    text = fitted(text)
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def limit_value(name: str, text: str) -> object:
    """The value as the config takes it. Raises ConfigError that says what would be right."""
    empty: object = "" if name == "until" else 0
    value: object = empty if text.lower() in ("off", "none") else value_of(f"limits.{name}", text)
    from_dict({**_LEAST_CONFIG, "limits": {name: value}}, "limit")
    return value
