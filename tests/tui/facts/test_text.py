"""Text cut to a width in terminal cells."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.tui.facts.text import GLYPHS, SIGNS, cells, fitted, shorten


@pytest.mark.parametrize(
    ("text", "width", "cut"),
    [
        ("short", 5, "short"),
        ("longer", 5, "long…"),
        ("学習率", 6, "学習率"),
        ("学習率", 5, "学習…"),
        ("学習率", 4, "学…"),
        ("ab", 1, "…"),
        ("ab", 0, ""),
        ("", 0, ""),
    ],
)
def test_cut_where_something_is_lost(text: str, width: int, cut: str) -> None:
    assert shorten(text, width) == cut


@given(st.text(max_size=40), st.integers(0, 40))
def test_no_text_is_wider_than_asked(text: str, width: int) -> None:
    cut = fitted(text, width)
    assert cells(cut) <= width
    assert "\n" not in cut
    assert "\x1b" not in cut


def test_outside_text_becomes_one_harmless_line() -> None:
    assert fitted("a\nb \x1b[31mred\x1b[0m") == "a b red"
    assert fitted(12) == "12"


def test_every_status_has_a_sign_of_its_own() -> None:
    assert len(set(GLYPHS.values())) == len(GLYPHS) == len(SIGNS)
    assert {status: sign.split()[-1] for status, sign in SIGNS.items()} == GLYPHS
