"""The engine's state, its phase, the best and the limits in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sessions

from autoresearch.state.journal import History, records
from autoresearch.state.session import Live
from autoresearch.tui.facts import words
from autoresearch.tui.facts.engine import Engine
from autoresearch.tui.facts.words import confined, time_left


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({}, ""),
        ({"hours": 8}, "≈7h00m left"),
        ({"hours": 0.5}, ""),
        ({"experiments": 100}, "≈1h30m left"),
        ({"experiments": 20, "done": 10}, "≈10m left"),
        ({"dollars": 10}, "≈4h00m left"),
        ({"hours": 8, "experiments": 100, "dollars": 10}, "≈1h30m left"),
        ({"hours": 1.001}, "≈1m left"),
    ],
)
def test_the_first_limit_says_what_time_is_left(bounds: dict[str, float], words: str) -> None:
    history = History()
    history.running_ms, history.cost_usd = 3_600_000, 2.0
    history.rows = [object()] * (60 if "done" in bounds else 40)  # type: ignore[assignment]
    assert time_left(history, bounds, 0) == words


@pytest.mark.parametrize(
    ("level", "words"),
    [
        ("full: Landlock", ""),
        ("partial: x", "confined in part"),
        ("none: y", "not confined"),
        ("off: z", "not confined"),
    ],
)
def test_weaker_protection_is_said(level: str, words: str) -> None:
    history = History()
    assert confined(history) == ""
    history.header = records.Header(protection=level)
    assert confined(history) == words


def live(phase: str = "measuring", **other: Any) -> Live:
    return Live(pid=7, host="box", phase=phase, since=0, updated=0, **other)


@pytest.mark.parametrize(
    ("engine", "beat", "badge", "doing"),
    [
        (None, None, "…", "reading the journal"),
        (Engine("new"), None, "NOT STARTED", "no engine has run yet; r starts one"),
        (Engine("starting"), None, "STARTING", "the engine is starting"),
        (Engine("looking", host="box\x1b[2J"), None, "LOOKING", "watching for a sign of the engine on box"),
        (Engine("silent"), live("judging"), "NOT RESPONDING", "last seen judging; look at engine.log"),
        (Engine("lost"), None, "ENGINE LOST", "it ended without a word; r goes on where it was"),
        (Engine("lost", host="box"), None, "ENGINE LOST", "no sign of it; r goes on here"),
        (Engine("paused", reason="all tried."), None, "PAUSED", "all tried"),
        (Engine("paused"), None, "PAUSED", "as asked"),
        (Engine("stopped"), None, "STOPPED", "r goes on"),
        (Engine("running"), live("judging", pausing="stop"), "STOPPING", "judging"),
        (Engine("running"), live("judging", pausing="pause"), "PAUSING", "judging"),
        (Engine("running"), live("a new phase"), "RUNNING", "a new phase"),
    ],
)
def test_every_state_has_a_badge_and_a_clause(engine: Engine | None, beat: Live | None, badge: str, doing: str) -> None:
    assert words.badge(engine, beat) == badge
    assert words.doing(engine, beat, History()) == doing
    assert "; r " not in words.doing(engine, beat, History(), can_start=False), "no key where none can be started"


@pytest.mark.parametrize(
    ("beat", "said"),
    [
        (live("proposing"), "waiting for a proposal"),
        (live(k=2, of=8), "measuring, run 2 of ≤8"),
        (live("evaluating", k=3), "evaluating, run 3"),
        (live("baseline", k=1, of=4), "measuring the baseline, run 1 of 4"),
        (live(arm="incumbent", k=1), "measuring the best again"),
        (live(arm="holdout", experiment=9), "measuring the holdout of #9"),
        (live(arm="fresh"), "kept! measuring it afresh"),
        (live(arm="fresh", k=2), "kept! measuring it afresh, run 2"),
        (live("preparing", waiting_for="uv"), "preparing: uv"),
        (live("proposing", waiting_for="the API"), "waiting for the API"),
        (live("proposing", waiting_for="waiting for the API since 03:12"), "waiting for the API since 03:12"),
        (live(waiting_for="the API", k=1), "measuring, run 1"),
    ],
)
def test_what_a_running_engine_does(beat: Live, said: str) -> None:
    assert words.doing(Engine("running"), beat, History()) == said
    assert words.empty_chart(Engine("running"), beat, History()) == f"{said[0].upper()}{said[1:]}."


def test_the_best_stands_against_the_baseline_only_after_a_keep(tmp_path: Path) -> None:
    writer = sessions.Writer(tmp_path)
    writer.begin()
    assert words.best_of(History(), None) is None
    for run, metric in ((1, 2.0), (2, 1.5)):
        writer.add(records.Experiment(run=run, commit="x", metric=metric, status="keep", sha=f"{run}" * 40,
                                      cause="baseline" if run == 1 else "better"))  # fmt: skip
        writer.flush()
        best = words.best_of(writer.session.history(), 0.1)
        assert best is not None
        assert (best.unit, best.confirmed) == ("bits/byte", True)
        assert best.change == ("" if run == 1 else "25% better ±5")
        assert bool(best.baseline) == (run == 2)


@pytest.mark.parametrize(
    ("cost", "ran_s", "bounds", "said"),
    [
        (0.0, 59, {}, []),
        (0.0, 60, {}, ["ran 1m00s"]),
        (0.0, 0, {"dollars": 10}, []),
        (2.5, 0, {"dollars": 10}, ["$2.50 of $10"]),
        (2.5, 3600, {"hours": 8}, ["$2.50", "1h00m of 8h"]),
        (0.0, 0, {"until": "07:30"}, ["until 07:30"]),
        (0.0, 0, {"until": 5 * 60_000}, ["5m00s left"]),
        (0.0, 0, {"until": -1}, []),
    ],
)
def test_money_and_time_are_told_where_there_is_something_to_say(
    cost: float, ran_s: int, bounds: dict[str, Any], said: list[str]
) -> None:
    history = History()
    history.cost_usd, history.running_ms = cost, ran_s * 1000
    assert words.spend(history, bounds, 0) == said
