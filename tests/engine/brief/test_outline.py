"""Outlines of source files."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from nights import NET

from autoresearch.engine.brief.outline import outline


def test_an_outline_names_what_is_defined_and_where() -> None:
    assert outline("net.py", NET).split("\n") == [
        "3\tDEPTH = 4",
        "6-10\tclass Block  # Attention, then a gated MLP.",
        "9-10\t  def forward(self, x)",
        "13-14\tdef fit(lr: float, warmup: int, batch: int) -> None  # Fit it until the time is over.",
    ]


@given(st.text(max_size=300))
def test_any_text_has_an_outline_whose_lines_begin_with_a_number(source: str) -> None:
    for path in ("a.py", "a.c"):
        assert all(re.match(r"\d+(-\d+)?\t", line) for line in outline(path, source).split("\n") if line)
