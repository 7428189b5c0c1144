"""The engine's state at one moment, told by its lock, its heartbeat and the journal together."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest

from autoresearch.state.journal import Control
from autoresearch.state.session import Heartbeat, Live
from autoresearch.tui.facts.engine import engine_of

NOW = 1_000_000


def live(updated: int = NOW, pid: int = 7) -> Live:
    return Live(pid=pid, host=socket.gethostname(), phase="measuring", since=NOW - 5000, updated=updated)


@pytest.mark.parametrize(
    ("control", "seen", "pid", "begun", "state"),
    [
        (Control(), live(), 7, True, "running"),
        (Control(), live(NOW - 7_000), 7, True, "running"),
        (Control(), live(NOW - 9_000), 7, True, "silent"),
        (Control(), None, 7, True, "starting"),
        (Control("paused", "limit"), live(pid=6), 7, True, "starting"),
        (Control("paused", "limit"), live(), 7, True, "running"),
        (Control("paused", "limit"), live(), None, True, "paused"),
        (Control("stopped"), live(), None, True, "stopped"),
        (Control(), live(), None, True, "lost"),
        (Control(), None, None, True, "lost"),
        (Control(), replace(live(), phase="ended"), None, True, "paused"),
        (Control(), None, None, False, "new"),
    ],
)
def test_lock_heartbeat_and_journal_together_tell_the_engines_state(
    control: Control, seen: Live | None, pid: int | None, begun: bool, state: str
) -> None:
    beat = Heartbeat()
    beat.saw(seen, NOW)
    assert engine_of(control, beat, pid, NOW, begun).state == state


def test_a_paused_engine_carries_its_reason_and_the_fix() -> None:
    engine = engine_of(Control("paused", "dollars", fix="raise it", since=5), Heartbeat(), None, NOW)
    assert (engine.reason, engine.fix, engine.since, engine.alive) == ("dollars", "raise it", 5, False)
