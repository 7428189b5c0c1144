"""Tables read into dataclasses: all that is wrong is said at once, with its key."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from config_files import problem, problems

from autoresearch.state.config.validate import Reading, Unfit, convert


def test_everything_wrong_is_said_at_once_with_key_finding_and_remedy() -> None:
    found = problems(
        """
buget_s = 3
[metric]
nam = "x"
min_effect = -1
[scope]
edit = ["/abs", "train.py"]
[measure]
run = 3
network = "loopbak"
[measure.progress]
loss = "loss: [0-9"
[verdict]
odds = true
baseline_runs = 2
"""
    )
    expected = [
        r"buget_s: unknown key, did you mean measure\.budget_s\?",
        r"metric\.nam: unknown key, did you mean metric\.name\?",
        r"metric\.name: missing, expected a name .*val_bpb.*",
        r"metric\.min_effect: found -1, expected 0 or more",
        r'scope\.edit: found "/abs", expected a path relative to .*',
        r"measure\.run: found 3, expected text .*",
        r'measure\.progress\.loss: found "loss: \[0-9", expected a regular expression \(unterminated .*\)',
        r'measure\.network: found "loopbak", expected one of .*: did you mean "loopback"\?',
        r"verdict\.odds: found true, expected a number or \"auto\"",
        r"verdict\.baseline_runs: found 2, expected 3 or more .*",
    ]
    assert len(found) == len(expected)
    for text, pattern in zip(found, expected, strict=True):
        assert re.fullmatch(pattern, text), text


def test_an_empty_file_names_what_is_required() -> None:
    assert [text.split(":")[0] for text in problems("")] == ["metric.name", "scope.edit", "measure.run"]
    assert all("missing" in text for text in problems(""))


def test_a_key_in_the_wrong_table_is_pointed_to_its_own() -> None:
    assert "did you mean limits.dollars?" in problem("dollars = 3")


@dataclass(frozen=True)
class Part:
    size: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Whole:
    part: Part
    mode: Literal["fast", "slow"] = "fast"
    share: float | None = None
    limits: dict[str, float | str] = field(default_factory=dict)
    more: tuple[Part, ...] = ()


def test_a_table_becomes_its_dataclass_and_its_values_are_known_by_dotted_key() -> None:
    reading = Reading({}, ())
    data = {"part": {"size": 2, "names": ["a"]}, "share": 1, "limits": {"x": "2x"}, "more": [{"size": 1}, {"size": 3}]}
    whole = Whole(Part(2, ("a",)), share=1.0, limits={"x": "2x"}, more=(Part(1), Part(3)))
    assert (reading.table(Whole, data), reading.problems) == (whole, [])
    assert reading.values["part.size"] == 2
    assert reading.values["more[2].size"] == 3
    assert reading.values["mode"] == "fast", "a default is a value too"


def test_a_rule_of_a_row_is_asked_for_each_row_and_named_with_its_number() -> None:
    reading = Reading({"more.size": lambda value: None if value > 0 else "more than nothing"}, ())
    assert reading.table(Whole, {"part": {"size": 0}, "more": [{"size": 1}, {"size": 0}]}) is None
    assert reading.problems == ["more[2].size: found 0, expected more than nothing"]


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [(int, 4.0, "a whole number"), (int, True, "a whole number"), (float, math.nan, "a number between"),
     (float, 2e15, "a number between"), (str, 3, 'text in quotes: "…"'), (str, "a\0", "text without NUL"),
     (bool, 1, "true or false"), (tuple[str, ...], "a", "a list of text"), (dict[str, str], [], "a table of text"),
     (int | str, 1.5, "a whole number or text"), (Literal["fast", "slow"], "fats", 'did you mean "fast"?')],
)  # fmt: skip
def test_nothing_but_a_whole_number_is_converted(hint: Any, value: Any, expected: str) -> None:
    with pytest.raises(Unfit) as unfit:
        convert(hint, value)
    assert expected in str(unfit.value)
