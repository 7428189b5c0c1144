"""What is known of the shown session: pauses that were asked for, limits, where its engine runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import sessions

from autoresearch.state.journal import records
from autoresearch.state.session import Heartbeat, Request
from autoresearch.tui.facts.engine import Engine
from autoresearch.tui.facts.watched import Watched


def watched(writer: sessions.Writer, state: str = "running") -> Watched:
    found = Watched(writer.session, "", Heartbeat())
    found.history, found.live = writer.session.history(), writer.session.read_live()
    found.engine = Engine(state)  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize(
    ("asked", "engine", "state", "pausing"),
    [
        ((), "", "running", False),
        ((), "pause", "running", True),
        ((), "stop", "running", False),
        (("pause",), "", "running", True),
        (("pause",), "", "paused", False),
        (("unpause",), "pause", "running", False),
        (("pause", "steer", "unpause"), "", "running", False),
        (("unpause", "pause"), "", "running", True),
        (("steer",), "pause", "running", True),
    ],
)
def test_the_last_word_on_a_pause_counts(
    tmp_path: Path, asked: tuple[str, ...], engine: str, state: str, pausing: bool
) -> None:
    writer = sessions.running(tmp_path, experiments=2)
    writer.live(pausing=engine)
    found = watched(writer, state)
    found.inbox = [Request(f"r{at}", kind) for at, kind in enumerate(asked)]
    assert found.pausing is pausing


def test_limits_of_the_call_count_while_it_runs(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=2)
    writer.live(limits={"experiments": 8, "done": 3})
    found = watched(writer)
    found.measure()
    assert (found.bounds["experiments"], found.bounds["done"], found.bounds["dollars"]) == (8, 3, 10)
    found.engine = Engine("paused")
    assert found.beating is None
    assert (found.bounds["experiments"], "done" in found.bounds) == (100, False)


def test_a_deleted_session_is_gone_whatever_its_engine_was(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=2)
    found = watched(writer, "paused")
    assert found.seen(writer.now).state == "paused"
    found.gone = True
    assert found.seen(writer.now).state == "gone"


def test_the_host_is_the_heartbeats_else_the_headers(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=2)
    writer.host = "another"
    writer.live()
    found = watched(writer)
    assert found.host == "another"
    found.live = None
    assert found.host == "gpu-box"
    assert Watched(writer.session, "", Heartbeat()).host == ""


def test_a_series_stands_beside_the_bests_but_never_beside_itself(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path / "a", experiments=2)
    run = writer.session.run
    assert watched(writer).series() == (
        run(writer.number) / "progress.jsonl",
        run(writer.best_number) / "progress.jsonl",
    )
    baseline = sessions.beginning(tmp_path / "b")
    assert watched(baseline).series() == (baseline.session.run(1) / "progress.jsonl", None)
    again = sessions.paused(tmp_path / "c", experiments=2)
    assert watched(again).series()[0] is None
    again.add(records.Intent(experiment=3, proposal=None, parent=again.incumbent, sha=again.incumbent))
    again.flush()
    assert watched(again).history.incumbent is not None
    assert watched(again).series() == (again.session.run(3) / "progress.jsonl", None)
