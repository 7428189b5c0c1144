"""What samples come to: constraints, the ranking of small gains, the baseline in a sentence."""

from __future__ import annotations

import statistics

import pytest

from autoresearch.engine.verdict import measured


def test_constraints_are_made_absolute_by_the_baseline() -> None:
    limits, base = {"ram": "1.2x", "size": 10, "accuracy": ">= 30"}, {"ram": 100.0}
    assert measured.violated(limits, base, {"ram": 120.0, "size": 10.0, "accuracy": 30.0}) == ""
    assert (
        measured.violated(limits, base, {"ram": 120.5, "size": 10.0, "accuracy": 30.0})
        == "ram 120.50 is above its limit of 120"
    )
    both = measured.violated(limits, base, {"ram": 100.0, "size": 11.0, "accuracy": 20.0})
    assert both == "size 11.0 is above its limit of 10 and accuracy 20 is below its limit of 30"
    assert "accuracy has no value" in measured.violated(limits, base, {"ram": 1.0, "size": 1.0})
    with pytest.raises(ValueError, match=r"constraints\.ram"):
        measured.violated({"ram": "1.2x"}, {}, {})


def test_the_best_estimate_of_an_unproven_gain_is_first_and_of_equal_ones_the_older() -> None:
    assert measured.rank_unproven({1: (0.2, 1), 2: (0.3, 8), 3: (0.3, 3), 4: (0.5, 2)}) == [4, 2, 3, 1]


def test_the_baseline_is_described_with_its_noise() -> None:
    assert measured.describe_baseline([1.0], 0.0) == "1 in 1 run"
    assert measured.describe_baseline([2.5, 2.5], 0.0) == "2.5 in each of 2 runs: no noise"
    spread = statistics.stdev([0.9979, 0.9989, 1.0003])
    text = measured.describe_baseline([0.9979, 0.9989, 1.0003], spread)
    assert text == "0.9990 on average of 3 runs, which differ by 0.0012 (one sd)"
