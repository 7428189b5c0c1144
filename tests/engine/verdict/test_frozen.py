"""Samples in, verdict out: the rule of docs/verdict.md and its corners."""

from __future__ import annotations

import json
import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from autoresearch.engine.verdict import Noise
from autoresearch.engine.verdict import frozen as rule
from autoresearch.engine.verdict.frozen import Decision, Settings, judge
from autoresearch.state.journal import WINDOW, records

QUIET = Noise(ss=30 * 0.01**2, nu=30, identical=False)
"""A plain sd of 0.01 and, inflated, an s of 0.01034."""
EXACT = Noise(ss=0.0, nu=3, identical=True)
BASE = (1.0, 1.01, 0.99, 1.0)

values = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False)
samples = st.lists(values, min_size=1, max_size=8)
incumbents = st.lists(values, min_size=2, max_size=8)
noises = st.builds(
    lambda sd, nu: Noise(ss=sd * sd * nu, nu=nu, identical=False), st.floats(1e-3, 1e3), st.integers(2, 500)
)


def log_evidence(xs: Sequence[float], bs: Sequence[float], noise: Noise, min_effect: float = 0.0) -> float:
    """The formula of docs/verdict.md, written down again (lower is better)."""
    s2 = noise.ss / noise.nu * (noise.nu + 1) / (noise.nu - 1)
    delta = max(min_effect, 2 * math.sqrt(s2))
    d = statistics.fmean(bs) - statistics.fmean(xs)
    return (delta * d - delta**2 / 2) / (s2 * (1 / len(xs) + 1 / len(bs)))


# -- the race


def test_the_incumbent_is_measured_first_when_it_has_fewer_than_two_recent_runs() -> None:
    assert judge([], [], QUIET, Settings()).action == "incumbent"
    assert judge([], [1.0], QUIET, Settings()).action == "incumbent"
    assert judge([], [1.0, 1.0], QUIET, Settings()).action == "candidate"


def test_the_first_run_drops_a_candidate_that_is_not_better() -> None:
    decision = judge([1.0], BASE, QUIET, Settings())
    assert (decision.action, decision.cause) == ("discard", "worse")
    assert decision.reason.startswith("no difference")


def test_no_keep_rests_on_one_run() -> None:
    assert judge([0.5], BASE, QUIET, Settings()).action == "incumbent"
    assert judge([0.5], BASE * 2, QUIET, Settings()).action == "candidate"
    assert judge([0.5, 0.5], BASE, QUIET, Settings()).action == "keep"


def test_a_window_that_moves_on_during_a_race_does_not_stop_it() -> None:
    assert judge([1.01], [1.0], QUIET, Settings()).action == "discard"
    assert judge([0.5, 0.5], [1.0], QUIET, Settings()).action == "keep"
    assert judge([0.5, 0.5], [], QUIET, Settings()).action == "incumbent"


def test_a_keep_says_by_how_much_with_which_odds_and_in_how_many_runs() -> None:
    xs = [0.984, 0.975, 0.98]
    decision = judge(xs, BASE, QUIET, Settings())
    assert (decision.action, decision.cause) == ("keep", "better")
    assert decision.reason == "better by 0.020 ±0.016 (28 to 1, 3 runs)"
    assert decision.verdict["log_evidence"] == pytest.approx(log_evidence(xs, BASE, QUIET))
    assert decision.verdict["threshold"] == 10
    assert (decision.verdict["r"], decision.verdict["n"], decision.verdict["nu"]) == (3, 4, 30)
    assert decision.estimate == pytest.approx(1.0 - (0.984 + 0.975 + 0.98) / 3)
    assert decision.interval == pytest.approx(2.0423 * 0.01 * math.sqrt(1 / 3 + 1 / 4), rel=1e-3)
    line = records.encode(records.Experiment(run=1, commit="", metric=1.0, status="keep", verdict=decision.verdict))
    assert json.loads(line)["verdict"] == decision.verdict


def test_keep_and_drop_are_at_the_stated_odds() -> None:
    """Bisects d for the thresholds and puts them back into the formula."""

    def decided(gain: float, runs: int) -> str:
        return judge([1.0 - gain] * runs, BASE, QUIET, Settings(odds=25)).action

    low, high = 0.0, 0.1
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if decided(middle, 2) == "keep" else (middle, high)
    assert log_evidence([1.0 - high] * 2, BASE, QUIET) == pytest.approx(math.log(25))
    low, high = 0.0, 0.1
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if decided(middle, 1) == "discard" else (low, middle)
    assert log_evidence([1.0 - low], BASE, QUIET) == pytest.approx(-math.log(1.5))


def test_an_undecided_race_ends_as_unproven_and_says_so() -> None:
    decision = judge([0.99] * 8, [1.0] * 6, QUIET, Settings())
    assert (decision.action, decision.cause) == ("discard", "unproven")
    assert decision.reason == "may be a gain of 0.010 ±0.011, not proven in 8 runs"


def test_a_discard_is_unproven_only_above_half_of_s() -> None:
    assert judge([1 - 0.0049], BASE, QUIET, Settings()).cause == "worse"
    assert judge([1 - 0.0053], BASE, QUIET, Settings()).cause == "unproven"


def test_a_gain_below_min_effect_is_no_keep_however_certain() -> None:
    settings = Settings(min_effect=0.2)
    decision = judge([0.85] * 8, BASE, QUIET, settings)
    assert log_evidence([0.85] * 8, BASE, QUIET, 0.2) > math.log(10)
    assert (decision.action, decision.cause) == ("discard", "unproven")
    assert decision.reason == "better by 0.150 ±0.013, less than the smallest effect that matters (0.2)"
    assert judge([0.79] * 2, BASE, QUIET, settings).action == "keep"


def test_min_effect_raises_delta() -> None:
    assert judge([0.5], BASE, QUIET, Settings(min_effect=0.3)).verdict["delta"] == 0.3
    assert judge([0.5], BASE, QUIET, Settings()).verdict["delta"] == pytest.approx(2 * QUIET.s)


def test_incumbent_runs_come_between_until_there_are_six() -> None:
    for r in range(1, 8):
        asked = [judge([0.989] * r, [1.0] * n, QUIET, Settings()).action for n in range(2, 9)]
        assert asked == ["incumbent"] * 4 + ["candidate"] * 3


def test_after_an_incumbent_run_the_candidate_is_next_without_a_look() -> None:
    """Whatever the evidence: looking there as well makes more of luck."""
    assert judge([0.5, 0.5], BASE, QUIET, Settings(), between=True).action == "candidate"
    assert judge([2.0], BASE, QUIET, Settings(), between=True).action == "candidate"
    assert judge([0.5, 0.5], [], QUIET, Settings(), between=True).action == "incumbent"
    assert judge([0.989] * 8, BASE, QUIET, Settings(), between=True).action == "discard"
    assert judge([0.5, 0.5], BASE, QUIET, Settings(mode="fast"), between=True).action == "keep"


# -- s = 0


def test_without_noise_two_identical_better_runs_are_a_keep() -> None:
    assert judge([9.0], [10.0] * 4, EXACT, Settings()).action == "candidate"
    decision = judge([9.0, 9.0], [10.0] * 4, EXACT, Settings())
    assert (decision.action, decision.cause) == ("keep", "better")
    assert decision.reason == "better by 1 (2 runs agree, no noise)"
    assert decision.verdict["rule"] == "exact"
    assert decision.interval == 0


def test_without_noise_a_tie_is_no_keep() -> None:
    assert judge([10.0], [10.0] * 4, EXACT, Settings()).cause == "worse"
    assert judge([10.5], [10.0] * 4, EXACT, Settings()).cause == "worse"


def test_without_noise_min_effect_decides() -> None:
    settings = Settings(min_effect=0.5)
    decision = judge([9.75], [10.0] * 4, EXACT, settings)
    assert decision.action == "discard"
    assert decision.reason == "better by 0.25, less than the smallest effect that matters (0.5)"
    assert judge([9.5, 9.5], [10.0] * 4, EXACT, settings).action == "keep"


def test_two_runs_that_differ_end_s_0_even_when_the_segment_knew_no_noise() -> None:
    decision = judge([9.0, 9.4], [10.0] * 4, EXACT, Settings())
    assert decision.verdict["rule"] == "race"
    assert decision.verdict["s"] == pytest.approx(Noise.pool([[9.0, 9.4], [10.0] * 4]).s)
    decision = judge([9.0, 9.0], [10.0, 10.0, 10.2, 10.0], EXACT, Settings())
    assert decision.verdict["rule"] == "race"
    assert decision.verdict["s"] > 0


# -- thin noise


def test_a_baseline_with_one_good_run_still_leads_to_a_race_on_its_own_repeats() -> None:
    nothing = Noise()
    rng = random.Random(1)
    xs, bs, between = list[float](), [1.0], False
    while not (decision := judge(xs, bs, nothing, Settings(), between=between)).final:
        between = decision.action == "incumbent"
        (xs if decision.action == "candidate" else bs).append(
            rng.gauss(0.5 if decision.action == "candidate" else 1, 0.01)
        )
        assert len(xs) + len(bs) < 20
    assert decision.action == "keep"
    assert decision.verdict["s"] is not None


# -- simpler, bundle, constraints


def test_a_shorter_candidate_is_kept_when_it_is_no_worse_on_evidence() -> None:
    xs = [1.0, 1.0, 1.0]
    assert judge(xs, BASE, QUIET, Settings()).action == "discard"
    decision = judge(xs, BASE, QUIET, Settings(), net_lines=-12)
    assert (decision.action, decision.cause) == ("keep", "simpler")
    assert decision.reason.startswith("12 lines shorter without a real loss: ")
    s2 = QUIET.s**2
    expected = (2 * QUIET.s * 0.0 + 4 * s2 / 2) / (s2 * (1 / 3 + 1 / 4))
    assert decision.verdict["log_evidence"] == pytest.approx(expected)


def test_a_shorter_candidate_gets_its_second_run_but_no_keep_from_one() -> None:
    assert judge([1.0], BASE * 2, QUIET, Settings(), net_lines=-1).action == "candidate"
    assert judge([1.05], BASE, QUIET, Settings(), net_lines=-1).cause == "worse"


def test_a_shorter_candidate_that_is_worse_by_delta_is_dropped() -> None:
    assert judge([1.02, 1.02], BASE, QUIET, Settings(), net_lines=-50).cause == "worse"


def test_a_longer_or_equal_candidate_is_never_simpler() -> None:
    for net_lines in (0, 3):
        assert judge([1.0] * 4, BASE, QUIET, Settings(), net_lines=net_lines).action == "discard"


def test_without_noise_an_exact_tie_with_fewer_lines_is_simpler() -> None:
    assert judge([10.0], [10.0] * 4, EXACT, Settings(), net_lines=-1).action == "candidate"
    assert judge([10.0, 10.0], [10.0] * 4, EXACT, Settings(), net_lines=-1).cause == "simpler"
    assert judge([10.1], [10.0] * 4, EXACT, Settings(), net_lines=-1).cause == "worse"


def test_a_better_bundle_has_its_own_cause() -> None:
    assert judge([0.5, 0.5], BASE, QUIET, Settings(), bundle=True).cause == "bundle"


def test_a_keep_over_a_constraint_is_a_discard() -> None:
    decision = judge([0.5, 0.5], BASE, QUIET, Settings(), violated="ram 12 is above its limit of 10")
    assert (decision.action, decision.cause) == ("discard", "over_constraint")
    assert decision.reason.endswith("(over 10,000 to 1, 2 runs), but ram 12 is above its limit of 10")


def test_an_unproven_gain_over_a_constraint_does_not_wait_for_a_bundle() -> None:
    assert judge([0.99] * 8, [1.0] * 6, QUIET, Settings(), violated="x").cause == "over_constraint"
    assert judge([1.1], BASE, QUIET, Settings(), violated="x").cause == "worse"


# -- the other modes


def test_fast_keeps_after_one_confirming_run() -> None:
    fast = Settings(mode="fast")
    assert judge([], [1.0], QUIET, fast).action == "candidate"
    assert judge([1.001], [1.0], QUIET, fast).cause == "worse"
    assert judge([0.999], [1.0], QUIET, fast).action == "candidate"
    assert judge([0.999, 0.998], [1.0], QUIET, fast).action == "keep"
    assert judge([0.97, 1.001], [1.0], QUIET, fast).cause == "unproven"
    assert judge([0.97, 0.995], [1.0], QUIET, replace(fast, min_effect=0.01)).action == "discard"


def test_fast_knows_simpler_too() -> None:
    fast = Settings(mode="fast")
    assert judge([1.001], BASE, QUIET, fast, net_lines=-4).action == "candidate"
    assert judge([1.001, 0.999], BASE, QUIET, fast, net_lines=-4).cause == "simpler"
    assert judge([1.03], BASE, QUIET, fast, net_lines=-4).cause == "worse"


def test_single_keeps_on_one_run_and_says_unconfirmed() -> None:
    single = Settings(mode="single", baseline_runs=1)
    decision = judge([0.9], [1.0], Noise(), single)
    assert (decision.action, decision.cause) == ("keep", "better")
    assert decision.reason == "better by 0.1 (1 run, unconfirmed)"
    assert decision.interval is None
    assert judge([1.0], [1.0], Noise(), single).cause == "worse"
    assert judge([0.95], [1.0], Noise(), replace(single, min_effect=0.1)).action == "discard"
    assert judge([], [], Noise(), single).action == "incumbent"
    assert (single.fresh_runs, Settings().fresh_runs) == (0, 3)


# -- properties


def _same(a: Decision, b: Decision) -> bool:
    return (a.action, a.cause) == (b.action, b.cause)


def _clear_of_thresholds(decision: Decision, noise: Noise) -> bool:
    """Rounding may tip a case that lies exactly on a threshold."""
    log = decision.verdict.get("log_evidence")
    at = [math.log(10), -math.log(1.5)]
    d = decision.estimate or 0.0
    return log is None or (all(abs(log - point) > 1e-6 for point in at) and abs(d - noise.s / 2) > 1e-6 * noise.s)


@given(samples, incumbents, noises)
def test_higher_is_lower_mirrored(xs: list[float], bs: list[float], noise: Noise) -> None:
    lower = judge(xs, bs, noise, Settings())
    higher = judge([-x for x in xs], [-b for b in bs], noise, Settings(direction="higher"))
    assert lower == higher


@given(samples, incumbents, noises, st.integers(-20, 20), st.floats(-1e6, 1e6))
def test_neither_shift_nor_unit_changes_the_verdict(
    xs: list[float], bs: list[float], noise: Noise, exponent: int, shift: float
) -> None:
    before = judge(xs, bs, noise, Settings())
    assume(_clear_of_thresholds(before, noise))
    scale = 2.0**exponent
    scaled = replace(noise, ss=noise.ss * scale * scale)
    assert _same(before, judge([x * scale for x in xs], [b * scale for b in bs], scaled, Settings()))
    shifted = judge([x + shift for x in xs], [b + shift for b in bs], noise, Settings())
    assume(_clear_of_thresholds(shifted, noise))
    assert _same(before, shifted)


@given(samples, incumbents, noises, st.floats(0, 1e6), st.floats(0, 1e3))
def test_better_runs_never_turn_a_keep_into_something_else(
    xs: list[float], bs: list[float], noise: Noise, more: float, min_effect: float
) -> None:
    settings = Settings(min_effect=min_effect)
    rank = {"discard": 0, "candidate": 1, "incumbent": 1, "keep": 2}
    before = judge(xs, bs, noise, settings)
    after = judge([x - more for x in xs], bs, noise, settings)
    assert rank[after.action] >= rank[before.action]
    assert (after.estimate or 0) >= (before.estimate or 0)


@given(
    st.integers(0, 2**32),
    st.floats(-3, 3),
    st.integers(2, 8),
    st.integers(0, 6),
    st.sampled_from(["race", "fast", "single"]),
    st.sampled_from([0.0, 0.5]),
    st.integers(-1, 1),
)
def test_every_race_ends(
    seed: int, gain: float, max_runs: int, start: int, mode: rule.Mode, grain: float, net_lines: int
) -> None:
    rng = random.Random(seed)
    settings = Settings(mode=mode, max_runs=max_runs, direction="higher")

    def measure(level: float) -> float:
        value = rng.gauss(level, 1.0)
        return round(value / grain) * grain if grain else value

    window = [("b", measure(0.0)) for _ in range(start)]
    noise = Noise.pool([[value for _, value in window]])
    xs, asked, between = list[float](), 0, False
    while True:
        recent = [value for name, value in window[-WINDOW:] if name == "b"]
        decision = judge(xs, recent, noise, settings, between=between, net_lines=net_lines)
        if decision.final:
            break
        between = decision.action == "incumbent"
        if decision.action == "candidate":
            xs.append(measure(gain))
            window.append(("x", xs[-1]))
        else:
            asked += 1
            window.append(("b", measure(0.0)))
        assert len(xs) <= max_runs
        assert asked <= max(0, rule.LEAST_INCUMBENT_RUNS - start) + max_runs
    assert decision.cause in records.KEEP_CAUSES + records.DISCARD_CAUSES


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=8),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=8),
    st.builds(Noise, st.floats(0, 1e300), st.integers(0, 10_000), st.booleans()),
    st.sampled_from(["race", "fast", "single"]),
    st.floats(0, 1e300),
    st.integers(-5, 5),
)
def test_no_magnitude_breaks_the_arithmetic(
    xs: list[float], bs: list[float], noise: Noise, mode: rule.Mode, min_effect: float, net_lines: int
) -> None:
    decision = judge(xs, bs, noise, Settings(mode=mode, min_effect=min_effect), net_lines=net_lines)
    assert decision.reason
    for figure in decision.verdict.values():
        assert not isinstance(figure, float) or math.isfinite(figure)
    if decision.estimate is not None:
        assert math.isfinite(decision.estimate)
