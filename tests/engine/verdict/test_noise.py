from __future__ import annotations

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.engine.verdict import Noise
from autoresearch.engine.verdict.frozen import Settings, judge
from autoresearch.engine.verdict.noise import student_t

values = st.floats(min_value=-1e6, max_value=1e6, allow_nan=False)


@pytest.mark.parametrize("constant", [0.1, 1 / 3, 1e-9, -7.7, 1e300])
def test_identical_repeats_have_no_noise_whatever_their_value(constant: float) -> None:
    noise = Noise.pool([[constant] * 7])
    assert (noise.ss, noise.s, noise.identical) == (0, 0, True)
    assert judge([constant], [constant] * 3, noise, Settings()).estimate == 0


def test_a_trace_of_rounding_in_the_sum_of_squares_is_no_noise() -> None:
    rounded = Noise(ss=5e-34, nu=3, identical=True)
    assert judge([0.05, 0.05], [0.1] * 4, rounded, Settings()).verdict["rule"] == "exact"


@given(st.lists(st.lists(values, max_size=6), max_size=5))
def test_the_noise_of_arms_is_pooled(arms: list[list[float]]) -> None:
    expected = math.fsum(statistics.variance(arm) * (len(arm) - 1) for arm in arms if len(arm) > 1)
    noise = Noise.pool(arms)
    assert noise.nu == sum(len(arm) - 1 for arm in arms if arm)
    assert noise.ss == pytest.approx(expected, rel=1e-6, abs=1e-3)
    assert noise.identical == all(value == arm[0] for arm in arms for value in arm)


def test_s_is_inflated_for_few_repeats() -> None:
    assert Noise.pool([[1.0, 2.0, 3.0, 4.0]]).s == pytest.approx(statistics.stdev([1, 2, 3, 4]) * math.sqrt(2))
    assert Noise(ss=1.0, nu=1, identical=False).s == math.inf


@pytest.mark.parametrize(
    ("nu", "quantile"),
    [
        (1, 12.7062),
        (2, 4.30265),
        (3, 3.18245),
        (4, 2.77645),
        (5, 2.57058),
        (10, 2.22814),
        (30, 2.04227),
        (1000, 1.96234),
    ],
)
def test_students_t(nu: int, quantile: float) -> None:
    assert student_t(nu) == pytest.approx(quantile, rel=2e-3)
