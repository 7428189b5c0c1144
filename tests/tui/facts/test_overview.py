"""One session in a line: what it does or why it rests, and how old it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import sessions

from autoresearch.state.journal import records
from autoresearch.state.session import Heartbeat
from autoresearch.tui.facts.overview import Overview, age, old, overview_of


def test_an_age_has_one_unit() -> None:
    minute = 60_000
    assert [age(each, 0) for each in (0, 59_000, minute, 90 * minute, 26 * 60 * minute)] == [
        "now",
        "now",
        "1m",
        "1h",
        "1d",
    ]


@pytest.mark.parametrize(
    ("then", "said"), [(0, ""), (1, "2h old"), (7_200_000, "just begun"), (9_000_000, "just begun")]
)
def test_how_old_it_is_or_nothing(then: int, said: str) -> None:
    assert old(7_200_001, then) == said


def test_a_line_has_the_segments_curve_the_best_and_why_it_rests(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=12)
    history = writer.session.history()

    def shown() -> Overview:
        return overview_of(writer.session, writer.session.history(), writer.now, Heartbeat())

    first = shown()
    assert first.curve == tuple((row.metric, row.status == "keep") for row in history.rows)
    assert first.best is not None
    assert (first.doing, first.held, first.lower) == ("the experiment limit of 60 was reached", "", True)
    assert (first.began_ms, first.last_ms) == (history.started_ms, history.last_ms)
    assert first.began_ms < first.last_ms
    writer.add(records.Header(name="nanogpt", metric_name="val_bpb", direction="higher", reason="another evaluator"))
    writer.add(records.Settings(changes={"limits.experiments": 1}))
    writer.add(records.Stop())
    writer.flush()
    second = shown()
    assert second.curve == (), "the new segment has none yet"
    assert second.best is None
    assert (second.doing, second.held, second.lower) == ("as asked", "experiment limit reached (1)", False)
