"""The table of what a metric looks like: what is recommended is read, found in source, and drafted from it."""

from __future__ import annotations

import pytest

from autoresearch.engine.measure.formats import (
    FORMATS,
    LINES,
    drafted_name,
    examples,
    file_example,
    named_values,
    writing,
)


def test_what_people_are_told_to_print_is_what_is_read() -> None:
    for (each, line), example in zip(LINES, examples("val_loss", "1e-3"), strict=True):
        found = line.fullmatch(example.encode())
        assert found, example
        assert found.groups() == (b"val_loss", b"1e-3")
        assert each.mark in example
    assert examples("a")[-1] == "METRIC a=0.5"
    assert file_example("a") == '{"a": 0.5}'


@pytest.mark.parametrize("format", FORMATS, ids=lambda each: each.example)
def test_source_that_prints_an_example_is_found(format: object) -> None:
    example = format.example.format(name="val.loss", value="0.5")  # type: ignore[attr-defined]
    found = writing(["val.loss", "other"], "out/m.json")
    assert found is not None
    assert found.search(f"print('{example}')")
    assert not found.search(f"print('{example}')".replace("val.loss", "val_loss")), "a dot is a dot"


def test_the_json_form_counts_only_where_a_file_is_read() -> None:
    line = '{"loss": 0.5}'
    with_file, without = writing(["loss"], "out/m.json"), writing(["loss"])
    assert with_file is not None
    assert without is not None
    assert with_file.search(line)
    assert with_file.search("open('m.json')")
    assert not with_file.search("open('m_json')")
    assert not without.search(line)
    assert writing([]) is None


@pytest.mark.parametrize(
    ("output", "values"),
    [
        ("loss: 1\nloss: 0.5\n", {"loss": "loss: 0.5"}),
        ("METRIC a/b=-1e3", {"a/b": "METRIC a/b=-1e3"}),
        ("epoch 3 | acc = .5 | lr: 12ms", {"acc": "acc = .5"}),
        ("version: 1.2.3\n12: 5\nloss: nan", {}),
    ],
)
def test_numbers_with_a_name_are_found_wherever_they_stand(output: str, values: dict[str, str]) -> None:
    assert named_values(output) == values


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ('print(f"loss: {loss}")', "loss"),
        ('print(f"loss: {loss}")\nprint(f"loss: {loss:.2f}")', "loss"),
        ('print(f"loss: {loss}")\nprint(f"acc: {acc}")', ""),
        ('print(f"loss: {loss}")\nprint(f"METRIC acc={acc}")\nprint(f"METRIC b={b}")', "acc"),
        ("print(loss)", ""),
        ("", ""),
    ],
)
def test_a_marked_form_decides_and_else_the_only_name(source: str, name: str) -> None:
    assert drafted_name(source) == name
