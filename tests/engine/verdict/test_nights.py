"""What the rule promises, kept by the real code on simulated machines: eleven kinds of noise, whole nights.

The figures are those that a reference in another program gave for the same seeds; `make bench` has the long ones.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable

import pytest
from worlds import NOISES, Night, World, night, tried

from autoresearch.engine.verdict.contest import Contest, Known, Seen, Terms
from autoresearch.engine.verdict.rule import judge
from autoresearch.state.journal import Repeats

DEAR_NIGHTS = (3.15, 4.52, 3.44, 3.70, 3.66, 3.61, 3.11, 4.41, 2.88, 4.30, 4.99)
"""True gain in sd of 100 nights of runs of 300 s, by noise."""


def nights(noise: str, run_s: float, count: int) -> list[Night]:
    return [night(World(noise, f"night {k}", run_s, 60.0), random.Random(f"ideas {k}"), 60.0) for k in range(count)]


def test_hardly_any_idea_that_does_nothing_is_kept_in_any_noise() -> None:
    kept = {noise: 100 * tried(noise, 0.0, 4000, 0.0)[0] / 4000 for noise in NOISES}
    assert max(kept.values()) <= 0.45, kept
    assert statistics.fmean(kept.values()) <= 0.22, kept


def test_where_runs_are_cheap_a_gain_of_one_sd_is_found() -> None:
    found = {noise: tried(noise, 1.0, 80, 60.0, most_runs=120)[0] / 80 for noise in NOISES}
    assert min(found.values()) >= 0.8, found
    assert statistics.fmean(found.values()) >= 0.88, found


def test_nights_of_dear_runs() -> None:
    played = {noise: nights(noise, 300.0, 100) for noise in NOISES}
    gains = [statistics.fmean(each.gain for each in played[noise]) for noise in NOISES]
    assert gains == pytest.approx(DEAR_NIGHTS, abs=0.6)
    assert sum(gains) >= 0.97 * sum(DEAR_NIGHTS)
    for noise, each in played.items():
        assert statistics.fmean(one.false for one in each) <= 0.12, noise
        if noise != "k of 20":
            claimed = sum(one.claimed for one in each) / sum(one.gain for one in each)
            assert claimed == pytest.approx(1, abs=0.08), noise


@pytest.mark.parametrize(("noise", "gain"), [("gaussian", 23.3), ("skewed", 28.3), ("strong drift", 29.8)])
def test_nights_of_runs_of_a_minute(noise: str, gain: float) -> None:
    played = nights(noise, 60.0, 20)
    assert statistics.fmean(each.gain for each in played) == pytest.approx(gain, abs=3.3)
    assert statistics.fmean(each.false for each in played) <= 0.15


@pytest.mark.parametrize(("proposal_s", "least"), [(60.0, 0.4), (1.0, 0.2), (0.0, 0.2)])
def test_a_deletion_that_costs_nothing_is_often_kept_and_one_that_costs_one_sd_hardly_ever(
    proposal_s: float, least: float
) -> None:
    count = 120 if proposal_s == 60 else 800
    assert tried("gaussian", 0.0, count, proposal_s, removed=3, most_runs=120)[0] >= least * count
    assert tried("gaussian", -1.0, count, proposal_s, removed=3, most_runs=120)[0] <= 0.05 * count


# -- seeds


def seeded(share: float, r: random.Random) -> Callable[[float, int], float]:
    """A run of this effect at this seed; so much of the variance is the seed's."""
    own: dict[int, float] = {}

    def run(effect: float, seed: int) -> float:
        shared = own.setdefault(seed, r.gauss(0, 1))
        return math.sqrt(share) * shared + math.sqrt(1 - share) * r.gauss(0, 1) - effect

    return run


def race_found(share: float, effect: float, r: random.Random, secret: str) -> bool:
    run, told = seeded(share, r), Repeats()
    told.baseline([(run(0.0, seed), seed) for seed in (1, 2, 1, 2, 3, 4, 3, 4, 5, 6, 5, 6)])
    known = Known(tuple(told.best), told.since_best, told.neighbours, told.twins)
    terms = Terms(odds=18.0, looks=False, paired=known.seeds_decide("linear", "lower"))
    seen: list[Seen] = []
    while not (decision := judge(Contest(2, "p", secret, terms, known, seen, most_runs=30), waiting=False)).final:
        one = decision.run
        assert one is not None
        value = run(effect if one.mine else 0.0, one.seed)
        seen.append(Seen(one.mine, one.block, one.place, one.seed, value, one.basis))
    return decision.action == "keep"


@pytest.mark.parametrize(("share", "least"), [(0.0, 0.4), (0.5, 0.45), (0.9, 0.9), (1.0, 0.97)])
def test_a_gain_is_found_however_much_of_the_noise_the_seeds_share(share: float, least: float) -> None:
    r = random.Random(f"seeds {share}")
    assert sum(race_found(share, 1.0, r, f"{share} {k}") for k in range(150)) / 150 >= least
    assert sum(race_found(share, 0.0, r, f"null {share} {k}") for k in range(150)) / 150 <= 0.06
