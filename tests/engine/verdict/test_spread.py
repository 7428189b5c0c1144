"""Spread, level and scale: what sets the power of a race. One bad run must not blind a night."""

from __future__ import annotations

import math
import random
import statistics

import pytest

from autoresearch.engine.verdict.spread import (
    entry_line,
    first_look,
    level,
    scale_of,
    scaled,
    seed_share,
    seeds_decide,
    spread,
    step_of,
)
from autoresearch.state.journal import Repeats


def differences(values: list[float]) -> list[float]:
    told = Repeats()
    told.baseline([(value, k) for k, value in enumerate(values)])
    return [abs(a - b) for a, b in told.neighbours]


@pytest.mark.parametrize(("runs", "tenths"), [(4, (0.33, 0.85, 1.55)), (12, (0.59, 1.0, 1.53))])
def test_the_spread_of_gaussian_runs(runs: int, tenths: tuple[float, ...]) -> None:
    r = random.Random(runs)
    found = sorted(spread(differences([r.gauss(0, 1) for _ in range(runs)])) for _ in range(4000))
    assert [found[400], found[2000], found[3600]] == pytest.approx(tenths, abs=0.06)


@pytest.mark.parametrize(("runs", "times"), [(4, 2.5), (12, 1.4)])
def test_one_outlier_widens_it_little(runs: int, times: float) -> None:
    r = random.Random(7)
    grown = []
    for _ in range(1000):
        values = [r.gauss(0, 1) for _ in range(runs)]
        before = spread(differences(values))
        values[r.randrange(runs)] += 10
        grown.append(spread(differences(values)) / before)
    assert statistics.median(grown) <= times
    assert spread(differences([17.3, 17.3, 17.4, 35.6])) == pytest.approx(0.1, abs=0.01)


def test_where_most_runs_agree_the_mean_takes_over() -> None:
    assert spread([0, 0, 0, 0.05]) == pytest.approx(0.8862 * 0.0125)
    assert spread([0.0] * 6) == spread([]) == 0


def test_the_level_is_a_median_of_the_last_runs() -> None:
    assert level([100, 1, 2, 3, 4, 5, 6]) == (3.5, 6)
    assert level([7]) == (7, 1)


def test_a_look_is_cut_and_without_noise_it_has_three_values() -> None:
    assert first_look(0, 1, 0.5) == 2
    assert (first_look(-100, 1, 0.5), first_look(100, 1, 0.5)) == (8, -4)
    assert [first_look(x, 1, 0) for x in (0.9, 1, 1.1)] == [8, 0, -4]


def test_what_a_look_must_reach_follows_the_looks_of_the_night() -> None:
    assert entry_line([]) == 2
    assert entry_line([5.0] * 60) == 5, "a spread set too small makes every look a wonder"
    assert entry_line([-1.0] * 60) == 2


def test_the_scale_is_of_ratios_where_the_metric_is_a_time_or_has_moved_far() -> None:
    assert scale_of("val_loss", "nats", "auto", [3.1, 3.0]) == "linear"
    assert scale_of("time_ms", "", "auto", [3.1, 3.0]) == "ratio"
    assert scale_of("speed", "tokens/s", "auto", [3.1, 3.0]) == "ratio"
    assert scale_of("score", "", "auto", [37.0, 0.32]) == "ratio"
    assert scale_of("time_ms", "", "auto", [3.1, 0.0]) == "linear", "there is no ratio to 0"
    assert scale_of("time_ms", "", "linear", [1.0]) == "linear"
    assert scale_of("score", "", "ratio", [1.0]) == "ratio"


def test_lower_is_better_on_every_scale() -> None:
    assert scaled(2.0, "linear", "lower") < scaled(3.0, "linear", "lower")
    assert scaled(3.0, "ratio", "higher") < scaled(2.0, "ratio", "higher")
    assert math.isfinite(scaled(0.0, "ratio", "lower"))
    assert step_of(2.0, 100.0, "linear", "lower") == 2
    assert step_of(2.0, 100.0, "ratio", "lower") == pytest.approx(-math.log(0.98))


def test_seeds_decide_where_runs_at_one_seed_agree_better_than_others() -> None:
    assert seed_share([1.0] * 6, [0.1, 0.1]) == pytest.approx(0.99)
    assert seed_share([1.0] * 6, [0.1]) == seed_share([], [0.1, 0.1]) == 0
    assert seeds_decide([1.0] * 6, [0.1, 0.1])
    assert not seeds_decide([1.0] * 6, [0.6, 0.6]), "two pairs may agree that well by luck"
    assert seeds_decide([1.0] * 20, [0.6] * 10)
    assert not seeds_decide([1.0] * 20, [0.9] * 10)
