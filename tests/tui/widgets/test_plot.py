"""The marks of the chart, drawn without a screen."""

from __future__ import annotations

import pytest
from drawings import drawn, row

from autoresearch.tui.look.palette import COLOUR
from autoresearch.tui.widgets.plot import Drawing, Points, View


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


def test_the_noise_lies_around_the_best_and_the_goal_has_its_value() -> None:
    rows = [row(n, "keep" if n == 1 else "discard", 1.0 + n / 10) for n in range(1, 20)]
    plain = "".join(drawn(Points(rows, best=1.1)))
    banded = drawn(Points(rows, best=1.1, noise=0.3, goal=0.9))
    assert sum(0x2800 < ord(each) for each in "".join(banded)) > 10 + sum(0x2800 < ord(each) for each in plain)
    assert any(line.split()[0] == "0.90" for line in banded)


def test_a_goal_that_is_far_away_does_not_flatten_the_rest() -> None:
    rows = [row(n, "discard", 1.0 + n / 10) for n in range(1, 20)]
    assert drawn(Points(rows, best=1.1)) == drawn(Points(rows, best=1.1, goal=-500.0))


def test_a_window_holds_its_experiments_alone() -> None:
    rows = [row(n, "crash" if n % 10 == 0 else "discard", None if n % 10 == 0 else float(n)) for n in range(1, 101)]
    lines = Drawing(Points(rows, best=1.0), COLOUR, 60, 12, View((41, 52))).lines()
    shown = ["".join(segment.text for segment in line) for line in lines]
    assert "#41" in shown[-1]
    assert "52" in shown[-1]
    assert shown[-2].count("!") == 1
    assert "".join(shown).count("×") == 11


def test_a_flagged_experiment_has_a_mark_above_it() -> None:
    rows = [row(1, "keep", 2.0, "baseline"), row(2, "keep", 1.0, "better"), row(3, "discard", 1.4)]
    assert "?" not in "".join(drawn(Points(rows, best=1.0)))
    rows[1].flags = ("jump",)
    assert "".join(drawn(Points(rows, best=1.0))).count("?") == 1
