"""The formats of other programs: what they can hold survives, and no file breaks the reader."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from other_programs import RESULTS

from autoresearch.state import foreign
from autoresearch.state.journal import History

_WORDS = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=8)
_LINES = st.lists(
    st.fixed_dictionaries({
        "commit": st.from_regex(r"[0-9a-f]{7}", fullmatch=True),
        "metric": st.integers(-(10**9), 10**9).map(lambda n: n / 10**6),
        "metrics": st.integers(0, 1500).map(lambda n: {"peak_vram_mb": n * 102.4} if n else {}),
        "status": st.sampled_from(["keep", "discard", "crash", "checks_failed"]),
        "description": st.lists(_WORDS, max_size=4).map(" ".join),
    }),
    min_size=1, max_size=8,
)  # fmt: skip


@given(_LINES, _WORDS.filter(lambda word: foreign.results_metric(f"commit\t{word}\tstatus\tdescription") == word))
def test_what_results_tsv_can_hold_survives_the_round_trip(lines: list[dict[str, Any]], metric: str) -> None:
    lines = [{**line, "run": number} for number, line in enumerate(lines, 1)]
    text = foreign.render_results(metric, lines)
    (segment,) = foreign.read(text).segments
    assert segment.metric == metric
    for before, after in zip(lines, segment.lines, strict=True):
        for key in ("run", "commit", "status", "description"):
            assert after[key] == before[key]
        assert after["metric"] == (0 if before["status"] == "crash" else before["metric"])
        assert after["metrics"] == pytest.approx(before["metrics"])
    assert foreign.render_results(metric, segment.lines) == text


@given(st.one_of(st.text(), st.text().map(lambda text: "{" + text), st.text().map(lambda text: RESULTS + text)))
def test_no_file_breaks_the_reader_in_any_other_way_than_its_own(text: str) -> None:
    try:
        imported = foreign.read(text)
    except ValueError:
        return
    history = History()
    for number, line in enumerate(imported.lines):
        history.feed(number, orjson.dumps(line))
    assert [row.number for row in history.rows] == list(range(1, len(imported.lines) + 1))
    assert not history.problems


def test_windows_line_ends_and_a_byte_order_mark_are_nothing_special() -> None:
    imported = foreign.read("\ufeff" + RESULTS.replace("\n", "\r\n"))
    assert not imported.problems
    assert foreign.render_results("val_bpb", imported.lines) == RESULTS


def test_further_columns_are_metrics() -> None:
    text = "commit\tgap\tworst_bpb\tworst_test\tstatus\tdescription\n25a8ccb\t1.1\t3.1\twindow\tkeep\tbaseline\n"
    (line,) = foreign.read(text).lines
    assert (line["metric"], line["metrics"]) == (1.1, {"worst_bpb": 3.1})
