"""What worked and what failed: each experiment in one list, older ones counted."""

from __future__ import annotations

from typing import Any

import pytest
from journal_lines import BASE, baseline, fold, tried

from autoresearch.state.journal import LISTED, Older, dead_ends_in, list_of, newest, unwritten, worked
from autoresearch.state.journal import records as r


@pytest.mark.parametrize(
    ("status", "cause", "where"),
    [("keep", "better", "worked"), ("discard", "worse", "refuted"), ("discard", "unproven", "unproven"),
     ("discard", "over_constraint", "refuted"), ("crash", "timeout", "crashed"), ("checks_failed", "guard", "crashed")],
)  # fmt: skip
def test_where_an_experiment_stands_in_the_notebook(status: Any, cause: str, where: str) -> None:
    history = fold(*baseline([5.0]), *tried(1, [4.0], status, cause))
    assert list_of(history.rows[-1]) == where
    assert [row.number for row in worked(history)] == ([2] if where == "worked" else [])
    assert [(end.where, end.row) for end in dead_ends_in(history)] == (
        [] if where == "worked" else [(where, history.rows[-1])]
    )


def test_what_was_written_comes_first_and_what_was_mended_is_told_with_its_mend() -> None:
    history = fold(
        *baseline([5.0]),
        *tried(1, [9.0], "discard", "worse"),
        *tried(2, [], "crash", "nonzero_exit"),
        *tried(3, [9.0], "discard", "worse", mends=3),
        r.DeadEnd(id="d1", text="far too large", list="crashed", experiment=2),
        r.DeadEnd(id="d2", text="no idea of ours"),
    )
    ends = dead_ends_in(history)
    assert [(end.where, end.written and end.written.id, end.row and end.row.number) for end in ends] == [
        ("refuted", "d2", None), ("crashed", "d1", 2), ("refuted", None, 4),
    ]  # fmt: skip
    assert [row.number for row in unwritten(ends)] == [4]


def test_since_leaves_out_what_the_engine_before_found() -> None:
    history = fold(
        *baseline([5.0]),
        *tried(1, [9.0], "discard", "worse"),
        *tried(2, [4.0], "keep", "better"),
        r.DeadEnd(id="d1", text="old", timestamp=10),
        r.Resume(timestamp=20),
        *tried(3, [9.0], "discard", "worse"),
        *tried(4, [3.0], "keep", "better"),
        r.DeadEnd(id="d2", text="new", timestamp=20),
    )
    ends = dead_ends_in(history, since=history.rows_before)
    assert [end.written.id if end.written else end.row and end.row.number for end in ends] == ["d2", 4]
    assert [row.number for row in worked(history, since=history.rows_before)] == [5]
    assert [row.number for row in worked(history)] == [5, 3]


@pytest.mark.parametrize(("direction", "best"), [("lower", 1.0), ("higher", 3.0)])
def test_older_experiments_are_counted_by_list_and_family(direction: Any, best: float) -> None:
    lines = baseline([5.0])
    for id in range(1, LISTED + 5):
        lines += tried(id, [float(id)], "discard", "worse", params={"LR": id} if id < 4 else {})
    lines += tried(LISTED + 5, [5.0], "discard", "unproven")
    history = fold(r.Header(base=BASE, direction=direction), *lines[1:])
    shown, older = newest(history, unwritten(dead_ends_in(history)))
    assert [row.number for row in shown] == [LISTED + 6, *range(LISTED + 5, 5, -1)], "each list has room of its own"
    assert older == {("refuted", "LR"): Older(2, 4, 3, best), ("refuted", "other"): Older(5, 5, 1, 4.0)}
