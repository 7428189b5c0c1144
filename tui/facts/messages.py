"""Messages to the agent: what was said, and when and for which experiment it was read."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from autoresearch.state.journal import History
from autoresearch.tui.facts.pending import Pending

DEAF = frozenset({"tuner", "replay"})
"""Agents that read no messages."""


@dataclass(frozen=True, slots=True)
class Message:
    text: str
    by: str
    written_ms: int
    state: Literal["waiting", "unread", "read"]
    """In the inbox; on record, for the next brief; in a brief."""
    read_ms: int = 0
    proposal: int | None = None
    """The first whose brief held it."""
    experiment: int | None = None
    """The number that proposal got."""


def messages(history: History, waiting: list[Pending]) -> list[Message]:
    """Newest first."""
    found = [
        Message(steer.text, steer.by, steer.timestamp, "unread" if steer.read_by is None else "read", steer.read_ms,
                steer.read_by, experiment_of(steer.read_by, history))
        for steer in history.steers
    ]  # fmt: skip
    found += [
        Message(str(request.args.get("text") or ""), "", request.timestamp, "waiting")
        for request in waiting
        if request.kind == "steer"
    ]
    return found[::-1]


def experiment_of(proposal: int | None, history: History) -> int | None:
    """The number a proposal got; None while it waits, or when it was withdrawn."""
    if proposal is None:
        return None
    if history.open is not None and history.open.proposal == proposal:
        return history.open.number
    return next((row.number for row in reversed(history.rows) if row.proposal == proposal), None)


def fate(message: Message, agent: str = "") -> str:
    """What became of a message, as a sentence."""
    if message.state == "waiting":
        return "In the inbox; the engine takes it up when it can."
    if message.state == "unread":
        deaf = f" The {agent} reads no messages: it waits for an agent that does." if agent in DEAF else ""
        return f"Not read yet: it comes with the next brief.{deaf}"
    at = f"{clock(message.read_ms)}, " if message.read_ms else ""
    whose = f"experiment {message.experiment}" if message.experiment is not None else f"proposal p{message.proposal}"
    return f"Read {at}for {whose}."


def clock(stamp_ms: int) -> str:
    """ "Nov 20 03:12", local time."""
    return datetime.fromtimestamp(stamp_ms / 1000).strftime("%b %d %H:%M")
