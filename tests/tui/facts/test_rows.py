"""Rows that typed words leave, and the metrics recorded beside the primary one."""

from __future__ import annotations

from pathlib import Path

import pytest
import sessions
from drawings import row
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.state.journal import History, Row, records
from autoresearch.tui.facts.rows import Filter, names_of, values_of


def made(number: int, status: str, cause: str = "worse", description: str = "", category: str = "") -> Row:
    each = row(number, status, 1.0, cause)
    each.description, each.category, each.agent, each.params = description, category, "claude", None
    return each


ROWS = [
    made(1, "keep", "baseline", "baseline"),
    made(2, "discard", "unproven", "Raise the learning rate", "lr"),
    made(3, "crash", "out_of_memory", "Double the width", "model"),
    made(12, "checks_failed", "guard", "Halve lr warm-up", "lr"),
]


@pytest.mark.parametrize(
    ("typed", "numbers"),
    [
        ("", [1, 2, 3, 12]),
        ("keep", [1]),
        ("CRASH", [3]),
        ("checks", [12]),
        ("unproven", [2]),
        ("lr", [2, 12]),
        ("lr -checks", [2]),
        ("out of memory", [3]),
        ("#12", [12]),
        ("#1", [1]),
        ("claude width", [3]),
        ("flagged", []),
        ("-", [1, 2, 3, 12]),
    ],
)
def test_words_choose_experiments(typed: str, numbers: list[int]) -> None:
    wanted = Filter.of(typed)
    assert [each.number for each in ROWS if wanted.takes(each)] == numbers


@given(st.text(max_size=30))
def test_any_text_is_a_filter(typed: str) -> None:
    wanted = Filter.of(typed)
    assert all(isinstance(wanted.takes(each), bool) for each in ROWS)


def measured(folder: Path) -> sessions.Writer:
    writer = sessions.Writer(folder)
    writer.add(records.Header(metric_name="val_bpb", constraints={"peak_mb": "< 9000"}))
    figures: list[dict[str, float]] = [
        {"val_bpb": 1.9, "peak_mb": 8.0, "mfu": 0.4},
        {"val_bpb": 1.8, "tokens": 5.0},
        {},
    ]
    for number, metrics in enumerate(figures, 1):
        cause = "baseline" if number == 1 else "better"
        writer.add(records.Experiment(run=number, commit="x", metric=metrics.get("val_bpb", 0.0), metrics=metrics,
                                      status="keep" if metrics else "crash", cause=cause, sha="a" * 40))  # fmt: skip
    writer.flush()
    return writer


def test_the_primary_metric_is_named_first_and_constraints_next(tmp_path: Path) -> None:
    assert names_of(History()) == []
    names = names_of(measured(tmp_path).session.history())
    assert names[:2] == ["val_bpb", "peak_mb"]
    assert sorted(names[2:]) == ["mfu", "tokens"]


def test_values_are_read_by_number_and_what_has_none_is_left_out(tmp_path: Path) -> None:
    session = measured(tmp_path).session
    rows = session.history().rows
    assert values_of(session.journal, rows, "val_bpb") == {1: 1.9, 2: 1.8}
    assert values_of(session.journal, rows, "mfu") == {1: 0.4}
    assert values_of(session.journal, rows, "no such") == {}
    session.journal.write_bytes(b"[1]\nnot the journal it was")
    assert values_of(session.journal, rows, "mfu") == {}
