"""Source texts with literals in them, and the knobs that are found there."""

from __future__ import annotations

from hypothesis import strategies as st

from autoresearch.engine.agents.tuner.literals import Knob, find

FLOATS = st.one_of(st.floats(-1e25, -1e-25), st.floats(1e-25, 1e25), st.sampled_from([0.0, 0.9, 0.999, 0.05, 1.0]))
INTS = st.integers(-(10**9), 10**9)
TEXTS = st.one_of(
    FLOATS.map(repr),
    FLOATS.map(lambda x: f"{x:.3e}"),
    INTS.map(str),
    INTS.map(lambda n: f"{n:_}"),
    st.integers(0, 10**6).map(hex),
    st.integers(0, 40).map(lambda n: f"2**{n}"),
    st.integers(1, 500).map(lambda n: f"{n} * 1024"),
    st.tuples(FLOATS, FLOATS, INTS).map(repr),
    st.booleans().map(repr),
)


def named(source: str | bytes) -> dict[str, Knob]:
    data = source.encode() if isinstance(source, str) else source
    return {knob.label: knob for knob in find(data, "train.py")}


def one(source: str) -> Knob:
    (knob,) = named(source).values()
    return knob
