"""The words of an agent CLI, however a model writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.engine.agents.command import answer as wordings


@given(st.text())
def test_any_text_is_read_as_words_or_none(text: str) -> None:
    wordings.read(text)
    made = wordings.from_message(text)
    assert "\n" not in made.description
    assert len(made.description) <= wordings.LINE_CHARS


@pytest.mark.parametrize(
    ("text", "description", "ideas"),
    [
        ('```json\n{"description": "x", "ideas": ["a", 3, null]}\n```', "x", ("a", "3")),
        ('Here it is: {"description": "x", "ideas": "one"} done', "x", ("one",)),
        ("- **description**: x\n- ideas:\n  - a\n  - b\n", "x", ("a", "b")),
        ("description: x\x1b[2J\nhypothesis: because\n\nideas: later", "x", ("later",)),
    ],
)
def test_words_in_all_the_ways_models_write_them(text: str, description: str, ideas: tuple[str, ...]) -> None:
    found = wordings.read(text)
    assert found is not None
    assert (found.description, found.ideas) == (description, ideas)
