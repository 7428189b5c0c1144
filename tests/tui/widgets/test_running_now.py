"""The running experiment in words, as lines of a list."""

from __future__ import annotations

from pathlib import Path

import sessions

from autoresearch.state.journal import records
from autoresearch.state.session import Heartbeat
from autoresearch.tui.facts.engine import Engine
from autoresearch.tui.facts.watched import Watched
from autoresearch.tui.look.palette import COLOUR
from autoresearch.tui.widgets.running_now import now_items


def shown(writer: sessions.Writer, engine: Engine) -> list[tuple[str, str]]:
    watched = Watched(writer.session, "", Heartbeat())
    watched.history, watched.live, watched.engine = writer.session.history(), writer.session.read_live(), engine
    return [(mark, text) for mark, _, text, _ in now_items(watched, COLOUR, can_start=True)]


def titles(lines: list[tuple[str, str]]) -> list[str]:
    return [text for mark, text in lines if not mark]


def test_the_open_experiment_comes_first_then_what_is_next_and_the_best(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=30)
    found = shown(writer, Engine("running"))
    assert titles(found) == [f"Running #{writer.number}", "Next", f"Best #{writer.best_number}"]
    assert [mark for mark, _ in found[1:4]] == [">", "?", "·"]
    assert found[3][1].startswith("runs ")
    assert ("·", "reading train.py prepares a proposal") in found
    lost = shown(writer, Engine("lost"))
    assert titles(lost) == ["Engine lost", f"Open #{writer.number}", f"Best #{writer.best_number}"]
    assert lost[1] == ("!", "It ended without a word; r goes on where it was")


def test_the_baseline_is_compared_with_nothing(tmp_path: Path) -> None:
    found = shown(sessions.beginning(tmp_path / "a"), Engine("running"))
    assert titles(found) == ["Running #1"]
    assert found[1] == (">", "baseline")
    again = sessions.paused(tmp_path / "b", experiments=5)
    again.add(records.Intent(experiment=6, proposal=None, parent=again.incumbent, sha=again.incumbent))
    again.flush()
    assert again.session.history().incumbent_values()
    assert not any(text.startswith("best ") for _, text in shown(again, Engine("running")))


def test_the_last_notices_of_three_kinds_newest_first(tmp_path: Path) -> None:
    writer = sessions.Writer(tmp_path)
    writer.begin()
    for code, text in (("a", "one"), ("b", "two"), ("c", "three \x1b[31mred"), ("d", "four"), ("d", "five")):
        writer.add(records.Warn(code=code, text=text))
    writer.flush()
    assert shown(writer, Engine("running")) == [("", "Notices"), ("!", "five"), ("!", "three red"), ("!", "two")]
