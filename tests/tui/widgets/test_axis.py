from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.tui.widgets.axis import Axis, label

SIZES = st.floats(min_value=-12, max_value=12).map(lambda power: 10.0**power)


@given(st.lists(SIZES, min_size=1, max_size=30), st.booleans(), st.integers(2, 30))
def test_every_value_has_a_row_and_labels_stay_narrow(values: list[float], log: bool, rows: int) -> None:
    axis = Axis.over(values, (), rows, log)
    assert all(0 <= axis.row(value) < rows for value in values)
    assert axis.row(max(values)) <= axis.row(min(values))
    for at, words in axis.labels().items():
        assert 0 <= at < rows
        assert len(words) <= 22
        float(words.replace(",", ""))


def test_a_logarithmic_axis_gives_each_decade_the_same_room() -> None:
    axis = Axis.over([1e-12, 1.0, 1e12], [1e-12, 1e12], 50, log=True)
    assert abs(axis.row(1e6) + axis.row(1e-6) - 2 * axis.row(1.0)) <= 1
    assert {"1", "1e6", "1e-6"} <= set(axis.labels().values())
    assert not Axis.over([-1.0, 0.0], (), 20, log=True).log, "without a value above 0 it is a plain one"
    assert axis.beyond(0.0) == -1


@pytest.mark.parametrize(
    ("value", "noise", "words"), [(1.56063, 0.001, "1.5606"), (2.0, None, "2"), (1e-12, 0, "1e-12")]
)
def test_a_label_has_the_digits_that_its_noise_justifies(value: float, noise: float | None, words: str) -> None:
    assert label(value, noise) == words
