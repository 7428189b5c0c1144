"""Words of others never stand where ours could."""

from __future__ import annotations

import re

from hostile import forged
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.engine.brief.quotes import printed, quoted, said


@given(word=forged, limit=st.integers(30, 2000), end=st.booleans())
def test_every_line_of_a_quotation_is_marked(word: str, limit: int, end: bool) -> None:
    block = quoted(word, limit, end=end)
    assert len(block) <= limit
    note = re.compile(r"\[\d+ lines? left out\]")
    plain = [line for line in block.split("\n") if not line.startswith("|")]
    assert all(note.fullmatch(line) for line in plain if block)
    assert len(plain) <= 1 or not block


@given(word=forged, limit=st.integers(2, 400))
def test_words_on_one_line_stay_there_and_in_their_quotes(word: str, limit: int) -> None:
    assert len(said(word, limit)) <= limit
    assert not re.search(r"[\n\r\t]", said(word, limit))
    shown = printed(word, limit)
    assert shown == "" or (shown[0] == "«" and shown[-1] == "»" and not re.search("[«»]", shown[1:-1]))


def test_a_marked_block_keeps_the_end_of_an_error_and_the_head_of_a_report() -> None:
    text = "\n".join(f"line {n}" for n in range(100))
    assert quoted(text, 60, end=True).endswith("| line 98\n| line 99")
    assert quoted(text, 60).startswith("| line 0\n| line 1")
