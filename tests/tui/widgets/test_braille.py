"""Dots, ranges and ticks."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from autoresearch.tui.widgets.braille import Canvas, robust_range, ticks

FINITE = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12)


def text_of(canvas: Canvas) -> list[str]:
    return ["".join(segment.text for segment in canvas.row(row, Style.null())) for row in range(canvas.height)]


def test_dots_land_in_their_cells_and_marks_hide_them() -> None:
    canvas = Canvas(3, 1)
    for y in range(4):
        canvas.dot(0, y, Style.null())
    canvas.dot(3, 0, Style.null())
    canvas.dot(99, 99, Style.null())
    assert text_of(canvas) == ["⡇⠈ "]
    canvas.mark(0, 0, "×", Style.null())
    assert text_of(canvas) == ["×⠈ "]


@given(st.lists(FINITE | st.just(math.nan) | st.just(math.inf), max_size=60), st.lists(FINITE, max_size=3))
def test_a_range_is_never_empty_and_holds_what_it_must(values: list[float], always: list[float]) -> None:
    low, high = robust_range(values, always)
    assert low < high
    assert math.isfinite(low)
    assert math.isfinite(high)
    assert all(low <= value <= high for value in always)


def test_one_diverged_run_does_not_flatten_the_others() -> None:
    low, high = robust_range([1.0, 1.1, 1.05, 1.2, 1.15, 1.02, 90.0])
    assert high < 3
    assert low <= 1.0


def test_what_lies_a_little_outside_is_still_shown() -> None:
    values = [1.0 + index / 100 for index in range(100)] + [2.2]
    assert robust_range(values)[1] >= 2.2


@given(FINITE, st.floats(min_value=1e-9, max_value=1e9), st.integers(1, 12))
def test_ticks_are_few_inside_and_distinct_as_text(low: float, span: float, most: int) -> None:
    high = low + span
    if not span > abs(low) * 1e-9:
        return
    marks, decimals = ticks(low, high, most)
    assert len(marks) <= most
    assert all(low - span * 1e-6 <= mark <= high + span * 1e-6 for mark in marks)
    assert len({f"{mark:.{decimals}f}" for mark in marks}) == len(marks)
