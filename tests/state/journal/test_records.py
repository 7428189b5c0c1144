"""Journal lines: what is written is read back, pi's lines are read in their meaning, nothing strange is fatal."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.state.journal import records

KINDS = [cls for cls in typing.get_args(records.Record) if cls is not records.Other]
TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
NUMBER = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)


def value_of(declared: str) -> st.SearchStrategy[Any]:
    if declared in ("Status", "Arm", "Direction") or declared.startswith("Literal"):
        return st.sampled_from(
            {"Status": list(records.STATUSES), "Arm": ["candidate", "fresh"], "Direction": ["lower", "higher"]}.get(
                declared, ["lower"]
            )
        )
    base = {
        "str": TEXT,
        "int": st.integers(1, 2**53),
        "float": NUMBER,
        "bool": st.booleans(),
        "tuple[str, ...]": st.lists(TEXT, max_size=3).map(tuple),
        "tuple[int, ...]": st.lists(st.integers(1, 99), max_size=3).map(tuple),
        "tuple[int, int]": st.tuples(st.integers(0, 99), st.integers(0, 99)),
        "dict[str, float]": st.dictionaries(TEXT, NUMBER, max_size=3),
        "dict[str, int]": st.dictionaries(TEXT, st.integers(0, 99), max_size=3),
        "dict[str, Any]": st.dictionaries(TEXT, TEXT | NUMBER | st.none(), max_size=3),
        "dict[str, str | float]": st.dictionaries(TEXT, TEXT | NUMBER, max_size=3),
    }
    name = declared.removesuffix(" | None")
    return base[name] | st.none() if name != declared else base[name]


def record_of(cls: type[Any]) -> st.SearchStrategy[Any]:
    return st.builds(cls, **{f.name: value_of(str(f.type)) for f in dataclasses.fields(cls)})


@pytest.mark.parametrize("cls", KINDS, ids=lambda cls: cls.__name__)
def test_every_kind_of_line_is_read_back_as_it_was_written(cls: type[Any]) -> None:
    @given(record_of(cls))
    def holds(record: Any) -> None:
        line = records.encode(record)
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        assert records.decode(line) == record

    holds()


@given(
    st.binary(max_size=80)
    | st.recursive(TEXT | NUMBER | st.none(), lambda x: st.dictionaries(TEXT, x)).map(orjson.dumps)
)
def test_any_bytes_are_a_record_or_malformed(data: bytes) -> None:
    try:
        records.decode(data)
    except records.MalformedRecord:
        pass


@given(
    st.sampled_from([c.type for c in KINDS if c is not records.Experiment]),
    st.dictionaries(TEXT, TEXT | NUMBER | st.none()),
)
def test_a_known_type_with_strange_fields_is_a_record_or_malformed(kind: str, data: dict[str, Any]) -> None:
    try:
        records.from_json({**data, "type": kind})
    except records.MalformedRecord:
        pass


def test_an_experiment_line_holds_pis_fields_and_no_type() -> None:
    line = orjson.loads(
        records.encode(records.Experiment(run=3, commit="abc1234", metric=0.5, status="keep", description="d"))
    )
    assert "type" not in line
    assert list(line)[:9] == [
        "run", "commit", "metric", "metrics", "status", "description", "timestamp", "segment", "confidence",
    ]  # fmt: skip
    assert "asi" not in line


def test_pis_own_lines_are_read_in_their_meaning() -> None:
    header = records.decode(
        b'{"type":"config","name":"n","metricName":"ms","metricUnit":"","bestDirection":"higher","run":5}'
    )
    assert isinstance(header, records.Header)
    assert (header.metric_name, header.direction) == ("ms", "higher")
    run = records.decode(
        b'{"run":2,"commit":"abc","metric":1,"metrics":{},"status":"keep","description":"x","timestamp":5,"segment":0,'
        b'"confidence":null,"asi":{"learned":"y"}}'
    )
    assert isinstance(run, records.Experiment)
    assert run.status == "keep"
    strange = records.from_json({"run": 5, "status": "excellent"})
    assert isinstance(strange, records.Experiment)
    assert strange.status == "discard", "an unknown status must never become a keep"


def test_unknown_types_and_keys_are_kept_and_ignored() -> None:
    other = records.decode(b'{"type":"from-the-future","x":[1,2]}')
    assert other == records.Other(data={"type": "from-the-future", "x": [1, 2]})
    assert orjson.loads(records.encode(other)) == {"type": "from-the-future", "x": [1, 2]}
    assert isinstance(records.decode(b'{"type":"steer","text":"t","new_key":1}'), records.Steer)


def test_not_finite_numbers_never_get_into_the_journal_as_values() -> None:
    sample = records.Sample(experiment=1, sha="a", arm="candidate", k=1, seed=1, metric=float("nan"))
    assert orjson.loads(records.encode(sample))["metric"] is None


@pytest.mark.parametrize("value", ["half \ud800 a pair", 10**30, -(10**30), 10**400])
def test_a_line_with_what_json_cannot_hold_is_written_all_the_same(value: object) -> None:
    line = records.encode(
        records.Proposal(id=1, base="b", sha="s", description=str(value)[:20], params={"k": [value], str(value): 1})
    )
    read = records.decode(line)
    assert isinstance(read, records.Proposal)
    assert read.id == 1
    assert len(read.params) == 2
