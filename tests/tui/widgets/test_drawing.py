"""Canvas, ranges, ticks, and the chart's marks."""

from __future__ import annotations

import math

import pytest
from drawings import drawn, row
from hypothesis import given
from hypothesis import strategies as st
from rich.style import Style

from autoresearch.tui.widgets.braille import Canvas, robust_range, ticks
from autoresearch.tui.widgets.plot import Points

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


def test_every_status_has_a_mark_of_its_own() -> None:
    rows = [
        row(1, "keep", 2.0, "baseline"),
        row(2, "discard", 2.1),
        row(3, "crash", None, "nonzero_exit"),
        row(4, "crash", None, "not_finite"),
        row(5, "checks_failed", 1.9, "guard"),
        row(6, "keep", 1.8, "better"),
    ]
    lines = drawn(Points(rows, baseline=2.0, best=1.8, running=7, value=1.85))
    plot, lane, axis = "\n".join(lines[:-2]), lines[-2], lines[-1]
    assert plot.count("✓") == 2
    assert plot.count("×") == 1
    assert plot.count(">") == 1
    assert [character for character in lane if character in "!∞c"] == ["!", "∞", "c"]
    assert "#1" in axis
    assert "7" in axis


def test_the_best_value_is_labelled_and_lower_stands_lower() -> None:
    lines = drawn(Points([row(1, "keep", 2.0, "baseline"), row(2, "keep", 1.0, "better")], 2.0, 1.0, noise=0.01))
    marks = sorted((line.index("✓"), at) for at, line in enumerate(lines) if "✓" in line)
    assert marks[0][1] < marks[1][1]
    assert any(line.startswith("1.000 ") for line in lines)


def test_an_outlier_is_an_arrow_at_the_edge() -> None:
    rows = [row(number, "discard", 1.0 + number / 1000) for number in range(1, 12)] + [row(12, "discard", 50.0)]
    lines = drawn(Points(rows, best=1.0))
    assert "↑" in lines[0]
    assert "50" not in "".join(line[:6] for line in lines)


@pytest.mark.parametrize("count", [1, 23, 24, 200, 10_000])
@pytest.mark.parametrize("size", [(20, 4), (60, 9), (200, 30)])
def test_any_number_of_experiments_fits_any_size(count: int, size: tuple[int, int]) -> None:
    width, height = size
    statuses = ("discard", "keep", "crash", "checks_failed", "discard")
    rows = [row(n, statuses[n % 5], None if n % 5 == 2 else 1 / n) for n in range(1, count + 1)]
    lines = drawn(Points(rows, best=1 / count, running=count + 1), width, height)
    assert len(lines) == height
    assert {len(line) for line in lines} == {width}


@pytest.mark.parametrize("value", [0.0, -3.5, 1e300, 5e-324])
def test_values_of_any_size_are_drawn(value: float) -> None:
    lines = drawn(Points([row(1, "keep", value, "baseline")], best=value, baseline=value))
    assert "✓" in "".join(lines)
