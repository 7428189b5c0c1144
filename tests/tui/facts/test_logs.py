"""Which log is shown, which can be picked, and what each is called."""

from __future__ import annotations

from pathlib import Path

import pytest
import sessions

from autoresearch.tui.facts.engine import Engine
from autoresearch.tui.facts.logs import KINDS, last, log_of, logs_of, made_now, title_of

RUNNING = Engine("running")


@pytest.mark.parametrize(
    ("phase", "name"),
    [
        ("building", "build.log"),
        ("measuring", "output.log"),
        ("baseline", "output.log"),
        ("evaluating", "evaluate.log"),
        ("guarding", "guard.log"),
    ],
)
def test_each_phase_writes_its_own_log(tmp_path: Path, phase: str, name: str) -> None:
    writer = sessions.running(tmp_path, experiments=3)
    writer.live(phase)  # it names no experiment: the open one is meant
    session, history = writer.session, writer.session.history()
    assert log_of(session, history, RUNNING, session.read_live(), None) == session.run(writer.number) / name


@pytest.mark.parametrize("state", ["lost", "silent", "new", "starting"])
def test_an_engine_that_says_nothing_is_told_by_its_own_log(tmp_path: Path, state: str) -> None:
    session = sessions.running(tmp_path, experiments=3).session
    assert log_of(session, session.history(), Engine(state), None, None) == session.engine_log  # type: ignore[arg-type]


def test_between_two_runs_the_agents_log_then_what_was_shown_before(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=4)
    session, history, before = writer.session, writer.session.history(), tmp_path / "shown.log"

    def log(before: Path | None = None) -> Path:
        return log_of(session, history, RUNNING, session.read_live(), before)

    writer.live("preparing")
    assert log() == session.runs / "setup.log"
    writer.live("proposing", proposing="reading")
    output = session.run(4) / "output.log"
    assert log(before) == output, "neither is there yet: the last run's"
    before.touch()
    assert log(before) == before
    making = made_now(session, history)
    making.parent.mkdir()
    making.touch()
    assert log(before) == making
    assert logs_of(session, history, session.read_live()) == {"output.log": output, "agent.log": making}
    assert title_of(session, making, 4) == "agent.log of the next"


def test_a_run_without_a_measurement_shows_what_the_agent_wrote(tmp_path: Path) -> None:
    session = sessions.paused(tmp_path, experiments=4).session
    history, run = session.history(), session.run(4)
    (run / "agent.log").touch()
    assert log_of(session, history, Engine("paused"), None, None) == run / "output.log"
    (run / "output.log").unlink()
    assert log_of(session, history, Engine("paused"), None, None) == run / "agent.log"


def test_logs_can_be_picked_in_the_order_of_a_run_and_say_whose_they_are(tmp_path: Path) -> None:
    writer = sessions.Writer(tmp_path)
    writer.begin()
    writer.flush()
    session = writer.session
    assert last(session.history()) == 0
    assert logs_of(session, session.history(), None) == {}
    assert log_of(session, session.history(), Engine("paused"), None, None) == session.engine_log
    writer.baseline()
    writer.flush()
    session.run(1).mkdir()
    for name in (*reversed(KINDS), "brief.md"):
        (session.run(1) / name).touch()
    assert last(session.history()) == 1
    assert tuple(logs_of(session, session.history(), None)) == KINDS
    assert title_of(session, session.run(1) / "output.log", 1) == "output.log"
    assert title_of(session, session.run(1) / "output.log", 2) == "output.log of #1"
    assert title_of(session, session.engine_log, None) == "engine.log"
