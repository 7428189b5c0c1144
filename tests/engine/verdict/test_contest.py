from __future__ import annotations

import math

import pytest

from autoresearch.engine.verdict.contest import Known, Terms
from autoresearch.engine.verdict.pace import Pace

PLAIN = Known(neighbours=[(10.0, 10.1), (10.1, 9.9), (9.9, 10.0)])


def test_terms_follow_the_pace_and_come_back_from_their_line() -> None:
    dear, cheap = Terms.at(Pace(300.0, 60.0), PLAIN, []), Terms.at(Pace(0.2, 60.0), PLAIN, [], asked_for=True)
    assert (dear.odds, dear.line, dear.looks, dear.cheap) == (9, 2, True, False)
    assert (cheap.odds, cheap.line, cheap.looks, cheap.cheap) == (1000, 1.2, False, True)
    assert Terms.at(Pace(300.0), PLAIN, [], odds=40.0).odds == 40
    assert Terms.of_line({**cheap.for_line(), "unknown": 1}) == cheap


def test_the_spread_of_runs_and_of_pairs() -> None:
    assert PLAIN.s("linear", "lower") == pytest.approx(1.0483 * 0.1)
    assert PLAIN.s("ratio", "lower") == pytest.approx(1.0483 * math.log(1.01), rel=0.02)
    twins = Known(neighbours=PLAIN.neighbours, twins=[(10.0, 10.01), (9.9, 9.91)])
    assert twins.s("linear", "lower", paired=True) == pytest.approx(1.0483 * math.sqrt(2) * 0.01)
    raced = Known(neighbours=PLAIN.neighbours, twins=[(10.0, 9.0, 12.0, 11.5)])
    assert raced.s("linear", "lower", paired=True) == pytest.approx(1.0483 * 0.5), "differences of 1 and of 0.5"
    fixed = Known(neighbours=PLAIN.neighbours, twins=[(10.0, 10.0)] * 3)
    assert fixed.s("linear", "lower", paired=True) == pytest.approx(math.sqrt(2) * PLAIN.s("linear", "lower"))


def test_what_repeats_say_of_seeds() -> None:
    fixed = Known(neighbours=[(10.0, 11.0), (11.0, 9.0)] * 3, twins=[(10.0, 10.0), (11.0, 11.0)])
    assert fixed.seeds_decide("linear", "lower")
    assert fixed.seeds_fix
    silent = Known(neighbours=[(10.0, 10.0)] * 3, twins=[(10.0, 10.0)])
    assert silent.agree
    assert not silent.seeds_fix, "all runs agree, whatever their seed"
    assert not PLAIN.agree
    assert not PLAIN.seeds_decide("linear", "lower")
