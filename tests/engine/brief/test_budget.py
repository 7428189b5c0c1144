"""Sections under a budget: never longer, and always from the front."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autoresearch.engine.brief.budget import Section, fit


@given(
    sizes=st.lists(st.tuples(st.lists(st.integers(0, 400), max_size=6), st.integers(0, 6)), max_size=6),
    chars=st.integers(0, 3000),
)
def test_a_document_never_exceeds_its_budget_and_takes_pieces_from_the_front(
    sizes: list[tuple[list[int], int]], chars: int
) -> None:
    sections = [
        Section(f"## S{n}", [f"{n}.{k}:" + "x" * size for k, size in enumerate(pieces)], rank, "[{} out]".format, 0.3)
        for n, (pieces, rank) in enumerate(sizes)
    ]
    text = fit(sections, chars)
    assert len(text) <= chars
    for n, (pieces, _) in enumerate(sizes):
        shown = [k for k in range(len(pieces)) if f"\n{n}.{k}:" in text]
        assert shown == list(range(len(shown)))
        assert f"[{len(pieces) - len(shown)} out]" in text or len(shown) == len(pieces) or len(text) >= chars - 40 or (
            f"S{n}" in text.rpartition("(No room for:")[2]
        )  # fmt: skip
