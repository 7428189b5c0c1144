from __future__ import annotations

import pytest

from autoresearch.state.config import bound


@pytest.mark.parametrize(
    ("text", "mean", "holds"),
    [(20, 20, True), (20, 21, False), ("1.2x", 120, True), ("1.2x", 121, False), ("<= -.5", -1, True),
     (">= 30", 30, True), (">= 30", 29, False), (">=0.9x", 91, True), (" >= .9x ", 89, False)],
)  # fmt: skip
def test_a_constraint_holds_against_a_baseline_of_100(text: float | str, mean: float, holds: bool) -> None:
    assert bound(text).holds(mean, 100) is holds
