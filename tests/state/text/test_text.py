from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.state.text import clean, clean_line


@pytest.mark.parametrize(
    ("dirty", "shown"),
    [
        ("plain\ttext\n\n", "plain\ttext\n\n"),
        ("\x1b[31;1mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("a\x1b]0;title\x07b", "ab"),
        ("a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\b", "alinkb"),
        ("a\x1bP1$r0m\x1b\\b", "ab"),
        ("a\x1b]52;c;unfinished\nnext", "a\nnext"),
        ("\x1b\x1b[31m[31m", "[31m"),
        ("bell\x07 back\x08 null\x00 del\x7f c1\x85", "bell back null del c1"),
        ("rtl \u202etxt.exe", "rtl txt.exe"),
        ("10%\r50%\r100%\ndone", "100%\ndone"),
        ("windows\r\nlines\r\n", "windows\nlines\n"),
        ("kept\r", "kept"),
        ("übergröße 数 🎉", "übergröße 数 🎉"),
    ],
)
def test_what_is_left_of_a_text(dirty: str, shown: str) -> None:
    assert clean(dirty) == shown


@given(st.text(alphabet=st.one_of(st.characters(codec=None), st.sampled_from("\x1b[]P\\\x07\x9b\r\n0;m"))))
def test_nothing_that_steers_a_terminal_is_left(dirty: str) -> None:
    shown = clean(dirty)
    assert not [c for c in shown if unicodedata.category(c) in ("Cc", "Cs") and c not in "\n\t"]
    assert clean(shown) == shown


def test_a_line_is_one_line_of_limited_length() -> None:
    assert clean_line(" two\nlines \n") == "two lines"
    assert clean_line("x" * 100, 10) == "x" * 9 + "…"
    assert clean_line("x" * 10, 10) == "x" * 10
