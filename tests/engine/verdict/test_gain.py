"""What keeping every better number would have claimed."""

from __future__ import annotations

from autoresearch.engine.verdict.gain import kept_and_claimed


def test_what_keep_if_better_would_have_kept_and_claimed() -> None:
    assert kept_and_claimed([1.1, 0.9, None, 0.95, 0.9, 0.5], 1.0, "lower") == (2, 0.5)
    assert kept_and_claimed([1.5, 1.25, 2.0], 1.0, "higher") == (2, 1.0)
    assert kept_and_claimed([], 1.0, "lower") == (0, 0.0)
