"""What a misspelt word was meant to be."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass


def did_you_mean(word: str, known: Any) -> str:
    """ " (did you mean pause?)" for an error about `word`; empty when nothing is near."""
    near = difflib.get_close_matches(word.lower(), list(known), n=2, cutoff=0.5)
    return f" (did you mean {' or '.join(near)}?)" if near else ""
