"""What a misspelt word was meant to be."""

from __future__ import annotations

import pytest

from autoresearch.tui.facts.spelling import did_you_mean


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("limt", " (did you mean limit?)"),
        ("LIMITS", " (did you mean limit?)"),
        ("puase", " (did you mean pause or unpause?)"),
        ("unpaus", " (did you mean unpause or pause?)"),
        ("xyz", ""),
        ("", ""),
    ],
)
def test_only_what_is_near_is_offered_the_nearest_first(word: str, said: str) -> None:
    assert did_you_mean(word, ("pause", "unpause", "limit")) == said
    assert did_you_mean(word, ()) == ""
