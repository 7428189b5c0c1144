"""What a misspelt word was meant to be."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """ " (did you mean pause?)" for an error about `word`; empty when nothing is near."""
    import difflib  # for errors alone: `--version` stays light

    near = difflib.get_close_matches(word.lower(), list(known), n=2, cutoff=0.5)
    return f" (did you mean {' or '.join(near)}?)" if near else ""
