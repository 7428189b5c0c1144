"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.state.text import numbers


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [
        (0.9979, 0.0012, "0.9979"),
        (0.9979, None, "0.9979"),
        (0.9979, 0.5, "1.00"),
        (0.99790001, 0.0, "0.9979"),
        (0.0041, 0.0012, "0.0041"),
        (1.5, 0.000996, "1.5000"),
        (12345.678, 250.0, "12,346"),
        (1234567.0, None, "1,234,567"),
        (-0.00001, 0.01, "0.000"),
        (-2.5, 0.1, "-2.50"),
        (0.0, None, "0"),
        (0.1 + 0.2, None, "0.3"),
        (3.2e-9, None, "3.2e-09"),
        (3.2e-9, 1.1e-13, "3.20000e-09"),
        (2.5e30, None, "2.5e+30"),
        (None, 0.1, "–"),
        (math.nan, 0.1, "nan"),
        (1.25, math.inf, "1.25"),
    ],
)
def test_a_value_has_the_digits_its_noise_justifies(value: float | None, step: float | None, text: str) -> None:
    assert numbers.metric(value, step) == text


@given(
    st.floats(allow_nan=False, allow_infinity=False, min_value=-1e200, max_value=1e200),
    st.floats(min_value=1e-200, max_value=1e200),
)
def test_rounding_never_moves_a_value_by_more_than_a_tenth_of_its_noise(value: float, step: float) -> None:
    shown = float(numbers.metric(value, step).replace(",", ""))
    assert abs(shown - value) <= 0.1 * step + abs(value) * 1e-14


@given(st.floats(allow_nan=False, allow_infinity=False).filter(lambda value: value != 0))
def test_a_value_without_known_noise_is_never_shown_as_zero(value: float) -> None:
    shown = float(numbers.metric(value).replace(",", ""))
    assert shown == pytest.approx(value, rel=1e-5)


def test_uncertainty_and_sign() -> None:
    assert numbers.plus_minus(0.00123) == "±0.0012"
    assert numbers.plus_minus(0.0) == "±0"
    assert numbers.plus_minus(None) == numbers.plus_minus(math.inf) == ""
    assert numbers.signed(0.0041, 0.0012) == "+0.0041"
    assert numbers.signed(-0.0041, 0.0012) == "−0.0041"
    assert numbers.signed(0.0, 0.0012) == "0.0000"
    assert numbers.signed(-0.00001, 0.0012) == "0.0000"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0s"),
        (0, "0s"),
        (0.085, "85ms"),
        (0.9996, "1.0s"),
        (4.2, "4.2s"),
        (9.96, "10s"),
        (59.7, "1m00s"),
        (185, "3m05s"),
        (3599.6, "1h00m"),
        (2 * 3600 + 300, "2h05m"),
        (76 * 3600, "3d04h"),
    ],
)
def test_durations_round_without_impossible_fields(seconds: float, text: str) -> None:
    assert numbers.duration(seconds) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(34, "34 to 1"), (10.4, "10 to 1"), (1, "1 to 1"), (2.5, "2.5 to 1"), (0.2, "1 to 5"), (1234, "1,200 to 1")],
)
def test_odds(ratio: float, text: str) -> None:
    assert numbers.odds(math.log(ratio)) == text


def test_odds_are_capped_where_exp_would_overflow() -> None:
    assert numbers.odds(1e9) == "over 10,000 to 1"
    assert numbers.odds(-1e9) == "1 to over 10,000"
