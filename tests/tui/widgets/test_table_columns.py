"""Which columns fit, how wide they are, and in which order rows stand."""

from __future__ import annotations

import pytest
from drawings import row

from autoresearch.state.journal import History, records
from autoresearch.tui.widgets.table_columns import Column, columns_of, fitted, ordered


def test_what_has_no_value_comes_last_either_way() -> None:
    rows = [row(1, "discard", 3.0), row(2, "crash", None), row(3, "keep", 1.0)]
    assert [each.number for each in ordered(rows, "metric", False)] == [3, 1, 2]
    assert [each.number for each in ordered(rows, "metric", True)] == [1, 3, 2]


@pytest.mark.parametrize("value", ["123,456,789,012.34", "0.0000000000012345678", "−0.000000000001234"])
def test_a_long_number_is_not_cut_but_written_with_an_exponent(value: str) -> None:
    cell = fitted(value, Column("metric", "m", 9))
    assert len(cell) == 9
    assert "…" not in cell or value.startswith("−")


def test_columns_never_exceed_the_width() -> None:
    history = History()
    for width in range(30, 220):
        columns = columns_of(history, width)
        assert sum(column.size + 2 for column in columns) + 1 <= max(width + 2, 49)
        assert columns[-1].key == "what"


@pytest.mark.parametrize("name", ["m", "render_ms", "tokens_per_second", "a_name_that_is_longer_than_any_number_is"])
def test_the_metrics_name_is_whole_where_there_is_room(name: str) -> None:
    history = History()
    history.header = records.Header(metric_name=name)
    for width in range(30, 220):
        columns = columns_of(history, width)
        metric, what = columns[2], columns[-1]
        assert sum(column.size + 2 for column in columns) + 1 <= max(width + 2, 49)
        whole = len(name) < metric.size or metric.size == 24
        assert whole or what.size <= 24, "the description had room to give"
        assert metric.size == 9 or what.size >= 24, "and gives no more than that"
