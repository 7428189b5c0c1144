"""Where the tuner looks for a value: every place of a space is one that a person might have written."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from knobs import TEXTS, one

from autoresearch.engine.agents.tuner import literals
from autoresearch.engine.agents.tuner.literals import find, render
from autoresearch.engine.agents.tuner.space import Space, space_of, way_of


@settings(max_examples=200, deadline=None)
@given(
    text=TEXTS,
    name=st.sampled_from(["LR", "MOMENTUM", "DROPOUT", "SIZE"]),
    comment=st.sampled_from(["", "  # range: 1 .. 9", "  # range: 0 .. 1000", "  # range: 0.5 .. 0.99"]),
    place=st.floats(0, 1),
)
def test_every_value_of_a_space_lies_in_it_is_short_and_can_be_written(
    text: str, name: str, comment: str, place: float
) -> None:
    for knob in find(f"{name} = {text}{comment}\n".encode(), "f.py"):
        for part in knob.parts or (knob,):
            space = space_of(part)
            if space is None:
                continue
            for value in [space.decode(place), *space.steps().values(), *space.grid()]:
                assert type(value) is type(part.value)
                assert literals.evaluate(render(part, value)) == value
                assert 0 <= space.encode(value) <= 1
                if part.low is not None and part.high is not None and not isinstance(value, (str, bool)):
                    assert part.low <= value <= part.high
                if isinstance(value, float) and value not in (part.value, space.low, space.high):
                    assert math.isclose(value, float(f"{value:.3e}"), rel_tol=1e-15)
            assert part.value not in space.steps().values()


@pytest.mark.parametrize(
    ("source", "steps"),
    [
        ("LR = 3e-4", {"higher": 1e-3, "lower": 1e-4}),
        ("MOMENTUM = 0.9", {"higher": 0.97, "lower": 0.7}),
        ("BATCH = 64", {"higher": 128, "lower": 32}),
        ("DEPTH = 8", {"higher": 16, "lower": 4}),
        ("WIDTH = 768", {"higher": 1536, "lower": 384}),
        ("DECAY = 0.0", {"higher": 0.17}),
        ("BIAS = -3.5", {"higher": -1.0, "lower": -10.0}),
        ("CACHE = 0  # range: 0 .. 4096", {"higher": 15}),
        ("LR = 1e-2  # range: 1e-4 .. 1e-2", {"lower": 0.003}),
        ("FUSED = True", {"False": False}),
        ("OPT = 'a'  # one of: a, b, c", {"b": "b", "c": "c"}),
        ("N = 8  # one of: 4, 8, 16", {"higher": 16, "lower": 4}),
    ],
)
def test_first_steps_are_bold_and_round(source: str, steps: dict[str, object]) -> None:
    space = space_of(one(source))
    assert space is not None
    assert space.steps() == steps


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("LR = 3e-4", Space(3e-4, "log", 3e-5, 3e-3)),
        ("BIAS = -3.5", Space(-3.5, "log", -35.0, -0.35)),
        ("DROPOUT = 0.1", Space(0.1, "linear", 0.0, 0.5)),
        ("DROPOUT = 0.01", Space(0.01, "log", 0.001, 0.1)),
        ("BETA = 0.8", Space(0.8, "one_minus", 0.5, 0.98)),
        ("LR_SCALE = 0.95", Space(0.95, "log", 0.095, 9.5)),
        ("N = 2  # range: 1 .. 9", Space(2, "log", 1, 9)),
        ("N = 2  # range: 1.2 .. 1.8", None),
        ("N = 100  # range: 0 .. 64", Space(100, "log1p", 0, 64)),
        ("N = 0", Space(0, "linear", 0, 4)),
        ("WIDTH = 64", Space(64, "list", options=(8, 16, 32, 64, 128, 256, 512))),
        ("WIDTH = 640", Space(640, "log", 64, 5120, multiple=64)),
        ("N = 3  # one of: 5, 3, 1", Space(3, "list", options=(1, 3, 5))),
    ],
)
def test_the_ends_come_from_the_comment_else_from_the_value(source: str, expected: Space | None) -> None:
    space = space_of(one(source))
    if expected is None or space is None:
        assert space is expected
        return
    assert (space.value, space.scale, space.multiple) == (expected.value, expected.scale, expected.multiple)
    assert (space.low, space.high) == pytest.approx((expected.low, expected.high))
    assert space.options == expected.options


def test_a_place_and_its_value_are_two_names_of_one_thing() -> None:
    rate = Space(3e-4, "log", 1e-5, 1e-2)
    assert (rate.decode(0), rate.decode(1)) == (1e-5, 1e-2)
    assert rate.encode(3.16e-4) == pytest.approx(0.5, abs=1e-3)
    assert (rate.encode(1e-9), rate.encode(1.0)) == (0, 1), "what lies outside is put at the nearest end"
    sizes = Space(32, "list", options=(16, 32, 64))
    assert [sizes.decode(place) for place in (-0.2, 0.4, 1.7)] == [16, 32, 64]
    assert sizes.encode(60) == 1


def test_a_change_has_a_direction_only_between_numbers() -> None:
    assert (way_of(1, 2), way_of(2.0, 1), way_of(True, False), way_of("adam", "sgd")) == (
        "higher", "lower", "False", "sgd"
    )  # fmt: skip
