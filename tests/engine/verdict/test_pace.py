from __future__ import annotations

import pytest

from autoresearch.engine.verdict.pace import Pace, expected_luck


@pytest.mark.parametrize(
    ("run_s", "odds", "baseline", "cheap", "looks"),
    [(0.2, 1000, 20, True, False), (5, 1000, 12, True, True), (60, 18, 4, False, True), (300, 9, 4, False, True)],
)
def test_cheap_runs_ask_for_high_odds_and_dear_ones_for_what_one_block_can_give(
    run_s: float, odds: float, baseline: int, cheap: bool, looks: bool
) -> None:
    pace = Pace(run_s, 60.0)
    assert (pace.odds, pace.baseline_runs, pace.cheap, pace.looks) == (odds, baseline, cheap, looks)


def test_odds_grow_with_the_runs_that_a_proposal_leaves_time_for() -> None:
    assert [Pace(60 / n, 60).odds for n in (3, 5, 8, 11)] == [90, 234, 585, 1000]
    assert Pace(0.0, 60).odds == 1000, "a run that takes no time that could be measured"


def test_a_tuner_that_answers_at_once_has_odds_by_the_number_of_its_ideas() -> None:
    assert Pace(0.2, 0.0, ideas=1000).odds == 20
    assert Pace(0.2, 0.0, ideas=144_000).odds == 2880
    assert Pace(0.2, 0.0, ideas=1e9).odds == 5000
    assert Pace(300, 0.0, ideas=96).odds == 9


def test_the_luck_of_a_night_is_the_sum_over_its_races() -> None:
    assert expected_luck([18] * 9) == 0.5
    assert expected_luck([]) == 0
