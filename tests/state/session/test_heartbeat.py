"""A heartbeat of another machine is judged by its changes, whatever its clock says, its lock seen or not."""

from __future__ import annotations

import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from autoresearch.state.journal import Control
from autoresearch.state.session import Heartbeat, Live, Session, heartbeat, watch_heartbeat, write_live
from autoresearch.state.session.heartbeat import SILENT_MS, SILENT_ON_NETWORK_MS
from autoresearch.tui.facts.engine import engine_of

NOW = 1_763_600_000_000
HOURS = 3 * 3_600_000


def live(updated: int, host: str = "gpu-box", phase: str = "measuring") -> Live:
    return Live(pid=7, host=host, phase=phase, since=updated - 5_000, updated=updated)


def state(beat: Heartbeat, now: int, pid: int | None = None) -> str:
    return engine_of(Control(), beat, pid, now).state


@pytest.mark.parametrize("ahead", [-HOURS, 0, HOURS])
@pytest.mark.parametrize("pid", [None, 7], ids=["lock unseen", "lock seen"])
def test_what_changes_is_alive_and_what_does_not_is_not(ahead: int, pid: int | None) -> None:
    beat, now = Heartbeat(), NOW
    for _ in range(20):
        beat.saw(live(now + ahead), now)
        now += 2_000
        assert state(beat, now, pid) == ("looking" if pid is None and ahead and not beat.moved else "running")
    engine = engine_of(Control(), beat, pid, now)
    assert (engine.host, engine.clock(now)) == ("gpu-box", now + ahead)
    for _ in range(5):  # read again and again, always the same
        now += 2_000
        beat.saw(beat.live, now)
    assert now - 12_000 + SILENT_MS < now
    assert state(beat, now, pid) == ("lost" if pid is None else "silent")
    beat.saw(live(now + ahead), now)
    assert state(beat, now, pid) == "running"


@pytest.mark.parametrize("ahead", [-HOURS, HOURS])
def test_one_that_was_dead_before_we_came_is_lost_within_the_patience(ahead: int) -> None:
    beat = Heartbeat()
    for later in range(0, SILENT_MS + 1, 1_000):
        beat.saw(live(NOW + ahead), NOW + later)
        assert state(beat, NOW + later) == "looking"
    assert state(beat, NOW + SILENT_MS + 1) == "lost"


def test_a_heartbeat_of_here_is_judged_by_the_clock_and_the_lock() -> None:
    beat = Heartbeat()
    beat.saw(live(NOW, socket.gethostname()), NOW)
    assert state(beat, NOW) == "lost"
    assert state(beat, NOW, 7) == "running"
    assert state(beat, NOW + SILENT_MS + 1, 7) == "silent"
    assert engine_of(Control(), beat, 7, NOW + 60_000).clock(NOW) == NOW


def test_a_network_file_system_may_show_what_it_read_a_while_ago() -> None:
    beat = Heartbeat(on_network=True)
    beat.saw(live(NOW, socket.gethostname()), NOW)
    beat.saw(live(NOW + 2_000, socket.gethostname()), NOW + 2_000)
    assert state(beat, NOW + 2_000 + SILENT_ON_NETWORK_MS) == "running"
    assert beat.saw(None, NOW + 4_000) is not None, "half a file through its cache is no sign of an end"
    assert state(beat, NOW + 2_001 + SILENT_ON_NETWORK_MS) == "lost"


def test_who_looks_once_waits_for_a_change_and_not_for_what_is_near(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = [Session(tmp_path / name) for name in ("beats", "dead", "near", "ended")]
    for session in sessions:
        session.folder.mkdir()
    beating, dead, near, ended = sessions
    write_live(dead, live(5))
    write_live(near, live(5, socket.gethostname()))
    write_live(ended, live(5, phase="ended"))
    slept = 0

    def sleep(seconds: float) -> None:
        nonlocal slept
        slept += round(seconds * 1000)
        write_live(beating, live(slept))

    monkeypatch.setattr(heartbeat, "time", SimpleNamespace(sleep=sleep))
    watch_heartbeat([near, ended], lambda: NOW + slept)
    assert slept == 0
    write_live(beating, live(0))
    found = watch_heartbeat(sessions, lambda: NOW + slept)
    assert (found["beats"].moved, found["dead"].moved) == (True, False)
