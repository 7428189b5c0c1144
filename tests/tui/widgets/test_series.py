"""A live series over the best's, drawn without a screen."""

from __future__ import annotations

import math

import pytest

from autoresearch.tui.look.palette import COLOUR
from autoresearch.tui.widgets.series import Point, Series, series_lines, small_lines, words_of


def test_what_is_not_finite_in_a_series_is_marked() -> None:
    series = Series("loss", [(1.0, 2.0), (2.0, math.nan), (3.0, math.inf), (4.0, 1.0)], [])
    lines = ["".join(segment.text for segment in line) for line in series_lines(series, COLOUR, 60, 10)]
    assert "!" in lines[-2]
    assert "∞" in lines[-2]
    assert lines[-1].strip().startswith("0s")
    assert lines[-1].endswith("4.0s")


BEST: list[Point] = [(0.0, 4.0), (2.0, 3.0), (4.0, 2.0)]


@pytest.mark.parametrize(
    ("series", "width", "said"),
    [
        (Series("loss", [], BEST), 60, "no live series"),
        (Series("loss", [(2.0, 2.5)], []), 60, "loss 2.5 at 2.0s"),
        (Series("loss", [(2.0, 2.5)], BEST), 60, "loss 2.5 at 2.0s, best then 3 (−0.50)"),
        (Series("loss", [(2.0, 2.5)], BEST), 30, "loss 2.5 at 2.0s, best then 3"),
        (Series("loss", [(2.0, math.nan)], BEST), 60, "loss nan at 2.0s"),
    ],
)
def test_the_last_value_and_what_the_best_had_at_that_second(series: Series, width: int, said: str) -> None:
    assert "".join(segment.text for segment in words_of(series, COLOUR, width)) == said


@pytest.mark.parametrize("height", [1, 2, 7])
def test_lines_are_as_many_and_as_wide_as_asked(height: int) -> None:
    for mine in ([], [(1.0, 5.0)], [(1.0, 5.0), (9.0, -5.0)]):
        series = Series("loss", mine, BEST)
        for lines in (small_lines(series, COLOUR, 40, height), series_lines(series, COLOUR, 40, height)):
            assert len(lines) == height
            assert all(sum(segment.cell_length for segment in line) <= 40 for line in lines)
    assert Series("loss", [], []).end == 1.0
    assert Series("loss", [(9.0, 1.0)], BEST).end == 9.0
