"""The read model takes every good line of a journal once, and no other line breaks it."""

from __future__ import annotations

import dataclasses
import math
import random
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from journal_lines import BASE, baseline, fold, sample, tried

from autoresearch.state.journal import History, Journal
from autoresearch.state.journal import records as r


def test_running_time_leaves_out_the_time_without_an_engine() -> None:
    hour = 3_600_000
    history = fold(
        r.Header(base=BASE, timestamp=1 * hour),
        r.Resume(timestamp=1 * hour),
        sample(None, 1.0).__class__(experiment=None, sha=BASE, arm="candidate", k=1, seed=1, timestamp=2 * hour),
        r.Pause(reason="p", timestamp=3 * hour),
        r.Idea(id="i1", text="t", timestamp=50 * hour),
        r.Resume(timestamp=100 * hour),
        r.Warn(text="w", timestamp=101 * hour),
    )
    assert history.running_ms == 3 * hour


def test_requests_are_remembered_by_id() -> None:
    assert fold(r.Header(base=BASE), r.Steer(text="t", request="q1")).requests == {"q1"}


def test_one_bad_line_hides_none_after_it(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = Journal(path)
    journal.append(*baseline([5.0, 6.0]))
    journal.close()
    with path.open("ab") as file:
        file.write(b'garbage\n[1]\n{"type":"sample"}\n{"type":"proposal","id":"x","base":1,"sha":2}\n\n')
        for record in tried(1, [4.0], "discard", "worse"):
            file.write(r.encode(record))
    history = History().load(path)
    assert [row.number for row in history.rows] == [1, 2]
    assert [number for number, _ in history.problems] == [6, 7, 8, 9]


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_no_bytes_break_the_fold(lines: list[bytes]) -> None:
    history = History()
    for line in lines:
        history.feed(0, line.replace(b"\n", b""))


KINDS = st.sampled_from(
    ["idea", "veto", "sample", "intent", "experiment", "proposal", "config", "resume", "pause", "settings"]
)
VALUES = st.none() | st.integers(-3, 3) | st.text(max_size=3) | st.lists(st.integers(0, 2), max_size=2) | st.floats()


@given(st.lists(st.tuples(KINDS, st.dictionaries(st.sampled_from(
    "id run experiment sha arm k metric text changes proposal parent base timestamp lines tokens".split()
), VALUES)), max_size=12))  # fmt: skip
def test_no_json_breaks_the_fold(lines: list[tuple[str, dict[str, Any]]]) -> None:
    import orjson

    history = History()
    for kind, data in lines:
        line = data if kind == "experiment" else {**data, "type": kind}
        history.feed(0, orjson.dumps(line))


def test_a_fold_in_pieces_is_the_fold_at_once(tmp_path: Path) -> None:
    draw = random.Random(4)
    lines = baseline([5.0, 5.1, 5.2])
    for id in range(1, 40):
        kept = draw.random() < 0.2
        values = [draw.gauss(5, 0.1) for _ in range(draw.randint(1, 4))]
        cause = draw.choice(["worse", "unproven"])
        lines += tried(id, values, "keep" if kept else "discard", "better" if kept else cause, fresh=(5.0, 5.1) * kept)
    path = tmp_path / "j"
    journal, growing = Journal(path), History()
    for record in lines:
        journal.append(record)
        growing.load(path)
    whole = History().load(path)
    assert growing.incumbent_values() == whole.incumbent_values()
    assert growing.spread == whole.spread
    assert growing.unproven == whole.unproven
    assert [row.line_at for row in growing.rows] == [row.line_at for row in whole.rows]
    assert math.isclose(growing.spread.ss, whole.spread.ss)


WRONG: list[Any] = [5, True, "x", ["x"], [[1]], {"a": "x"}, {"a": [1]}, None]
LINES: list[r.Record] = [
    *baseline([1.0]),
    *tried(1, [1.0], "discard", "worse", files=("a.py",)),
    r.Withdrawn(proposal=9),
    r.Lesson(experiment=1, lesson="l"),
    r.Idea(id="i1", text="t"),
    r.Veto(id="i1"),
    r.DeadEnd(id="d1", text="t"),
    r.Note(id="n1", text="t"),
    r.Steer(text="t"),
    r.Pause(reason="r"),
    r.Stop(),
    r.Resume(),
    r.Settings(changes={}),
    r.Retry(experiment=1),
    r.Overrule(experiment=1, action="keep", note="n"),
    r.Warn(text="t"),
    r.Fault(text="t"),
    r.AgentEvent(event="began"),
]


@pytest.mark.parametrize("record", LINES, ids=lambda record: record.type)
def test_a_value_of_the_wrong_type_makes_a_line_malformed(record: r.Record) -> None:
    """Whatever kind of line, whatever key: what came in has the type that its record declares, or stays out."""
    good = orjson.loads(r.encode(record))
    declared = {f.metadata.get("key", f.name): str(f.type) for f in dataclasses.fields(record)}
    for key in good.keys() - {"type", "run"}:
        for value in WRONG:
            history = fold(*(r.Header(base=BASE), r.Resume()))
            before = repr(history.ideas), repr(history.notices), len(history.rows), repr(history.settings)
            history.feed(0, orjson.dumps({**good, key: value}))
            if _fits(value, declared[key]):
                assert not any("wrong type" in text for _, text in history.problems), (key, value)
            else:
                assert history.problems, (key, value)
                assert before == (
                    repr(history.ideas),
                    repr(history.notices),
                    len(history.rows),
                    repr(history.settings),
                )


def _fits(value: Any, declared: str) -> bool:
    if value is None:
        return "None" in declared or declared == "float"
    if isinstance(value, bool):
        return declared == "bool"
    if isinstance(value, int):
        return declared.startswith(("int", "float"))
    if isinstance(value, str):
        return not declared.startswith(("int", "float", "bool", "tuple", "dict"))
    if isinstance(value, list):
        return declared == "tuple[str, ...]" and value == ["x"]
    return declared.startswith("dict") and ("Any" in declared or ("| float" in declared and value == {"a": "x"}))


@pytest.mark.parametrize("figures", [{"s": "x"}, {"log_evidence": [1]}, {"flags": "x"}, {"rule": 5}, {"nu": True}])
def test_figures_of_the_wrong_type_make_a_line_malformed(figures: dict[str, Any]) -> None:
    history, line = fold(r.Header(base=BASE)), orjson.loads(r.encode(baseline([1.0])[-1]))
    history.feed(0, orjson.dumps({**line, "verdict": figures}))
    assert [len(history.problems), len(history.rows)] == [1, 0]


def test_a_time_that_no_date_can_say_makes_a_line_malformed() -> None:
    history = fold(r.Header(base=BASE))
    for stamp in (-1, 10**18, 1e300):
        history.feed(0, orjson.dumps({"type": "note", "id": "n1", "text": "t", "timestamp": stamp}))
    assert [len(history.problems), len(history.notes)] == [3, 0]
