"""What the parts of the read model say of themselves."""

from __future__ import annotations

import statistics
from typing import Any

import pytest
from journal_lines import BASE, baseline, fold, tried

from autoresearch.state.journal import Row, Spread
from autoresearch.state.journal import records as r


def test_the_incumbents_runs_fall_out_of_the_window() -> None:
    lines = baseline([5.0, 5.1, 5.2])
    for id in range(1, 29):
        lines += tried(id, [6.0], "discard", "worse")
    assert fold(*lines).incumbent_values() == [5.1, 5.2]


def test_the_noise_is_pooled_within_arms_whose_means_differ() -> None:
    spread = Spread()
    assert spread.sd is None
    spread.add([7.0])
    assert spread.sd is None, "one run says nothing of its spread"
    spread.add([1.0, 1.2])
    spread.add([9.0, 9.1, 9.5])
    assert spread.nu == 3
    pooled = statistics.variance([1.0, 1.2]) + 2 * statistics.variance([9.0, 9.1, 9.5])
    assert spread.sd == pytest.approx((pooled / 3) ** 0.5)


def test_runs_that_agree_leave_no_trace_of_rounding() -> None:
    spread = Spread()
    spread.add([0.1] * 7)
    assert (spread.sd, spread.nu) == (0.0, 6)
    spread.add([0.1, 0.2])
    assert spread.sd


@pytest.mark.parametrize(
    ("params", "family"),
    [({"LR": 1, "DEPTH": {"to": 2}}, "LR, DEPTH"), ({"replay": "0001.patch"}, "model"), (None, "model")],
)
def test_a_row_is_grouped_by_its_knobs_else_by_its_category(params: dict[str, Any] | None, family: str) -> None:
    row = Row()
    row.params, row.category = params, "model"
    assert row.family == family


def test_a_baseline_that_crashed_is_one_all_the_same() -> None:
    begun = [r.Header(base=BASE), r.Intent(experiment=1, proposal=None, parent=BASE, sha=BASE)]
    crashed = r.Experiment(run=1, commit=BASE[:7], metric=0.0, status="crash", cause="timeout", sha=BASE, parent=BASE)
    assert fold(*begun, crashed).rows[0].baseline
    history = fold(*baseline([5.0]), *tried(1, [4.0], "discard", "worse"))
    assert [row.baseline for row in history.rows] == [True, False]
    assert not fold(crashed).rows[0].baseline, "an imported one measured no start of a segment"


def test_a_session_that_does_not_say_what_prints_its_number_says_it_in_a_warning() -> None:
    assert fold(r.Header(base=BASE)).scored == ""
    assert fold(r.Header(base=BASE, scored="run")).scored == "run"
    warned = fold(r.Header(base=BASE), r.Warn(text="t", code="own-score"))
    assert (warned.scored, warned.self_scored) == ("scope", True)
