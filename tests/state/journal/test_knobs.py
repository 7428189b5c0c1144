"""What `params` say of knobs."""

from __future__ import annotations

from autoresearch.engine.agents.tuner.trials import params_of
from autoresearch.state.journal import knobs


def test_values_are_the_new_ones_of_a_tuner_and_the_plain_ones_of_an_older_journal() -> None:
    written = params_of({"train.py:LR": (3e-4, 1e-3), "train.py:BETAS": ((0.9, 0.95), (0.9, 0.999))})
    assert knobs.knob_values(written) == {"train.py:LR": 1e-3, "train.py:BETAS": [0.9, 0.999]}
    assert knobs.knob_values({"LR": 1e-3, "mode": {"from": 1}}) == {"LR": 1e-3, "mode": {"from": 1}}
    assert knobs.knob_values(None) == knobs.knob_values({"replay": "0001.patch"}) == {}


def test_names_lose_their_file_where_no_other_file_has_that_knob() -> None:
    assert knobs.short_names(["a.py:LR", "a.py:DEPTH", "b.py:DEPTH", "x", "odd:", "a.py:LR"]) == {
        "a.py:LR": "LR", "a.py:DEPTH": "a.py:DEPTH", "b.py:DEPTH": "b.py:DEPTH", "x": "x", "odd:": "odd:"
    }  # fmt: skip
