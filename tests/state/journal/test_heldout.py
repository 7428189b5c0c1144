"""When the gap to the holdout grows, and what is said of it."""

from __future__ import annotations

from typing import Any

import pytest

from autoresearch.state.journal.heldout import Gap, HeldOut, gap


def measured(gained: float, held: float, direction: Any = "lower", sd: float | None = 0.0, effect: float = 0.0) -> Gap:
    """Gains are improvements, whatever the direction."""
    sign = -1.0 if direction == "lower" else 1.0
    values = [HeldOut(1, 50.0, 10.0), HeldOut(2, 99.0, 99.0), HeldOut(7, 50.0 + sign * held, 10.0 + sign * gained)]
    found = gap(values, "loss", direction, sd, effect)
    assert found is not None
    return found


def test_one_value_has_nothing_to_be_compared_with() -> None:
    assert gap([], "loss", "lower", 0.1, 0.0) is None
    assert gap([HeldOut(1, 50.0, 10.0)], "loss", "lower", 0.1, 0.0) is None


@pytest.mark.parametrize("direction", ["lower", "higher"])
def test_the_last_is_compared_with_the_first_and_a_gain_is_positive(direction: Any) -> None:
    found = measured(2.0, 0.5, direction)
    assert (found.experiment, found.gained, found.held, found.grows) == (7, 2.0, 0.5, True)


@pytest.mark.parametrize(
    ("gained", "held", "more", "grows"),
    [(4.0, 3.25, {}, False), (4.0, 2.75, {}, True),
     (4.0, 2.75, {"sd": 1.0}, False), (8.0, 2.0, {"sd": 1.0}, True), (4.0, 2.75, {"sd": None}, True),
     (4.0, 2.75, {"effect": 1.5}, False), (4.0, 2.75, {"effect": 1.0}, True),
     (0.0, 0.0, {}, False), (1.0, 2.0, {}, False), (0.0, -1.0, {}, True), (-2.0, -1.0, {}, False)],
)  # fmt: skip
def test_a_gap_grows_beyond_a_share_of_the_gain_the_noise_and_the_least_effect(
    gained: float, held: float, more: dict[str, Any], grows: bool
) -> None:
    assert measured(gained, held, **more).grows is grows


def test_the_text_says_both_gains() -> None:
    assert measured(4.0, -1.0).text == (
        "The gap to the holdout grows: since the baseline #7 is better by 4 on loss, and worse by 1 on the holdout."
    )
    assert measured(0.0, 2.0).text == ("Holdout: since the baseline #7 is better by 2 there, and no better on loss.")
