"""Lines of a notebook: what each is, and which lines of two texts agree."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.state.notebook.lines import blanks, box, in_order, keys, longest, scan, without_ids, words


def test_a_line_knows_its_id_and_the_section_it_stands_in() -> None:
    text = (
        "# My title\nfirst\n##  Ideas <!-- i9 -->\r\n- [ ] a <!-- i1 -->\n## Budget\nmine\n### Refuted\n- b <!--#7-->"
    )
    lines = scan(text)
    assert "".join(line.raw for line in lines) == text
    assert [(line.section, line.id) for line in lines] == [
        ("", ""), ("", ""), ("## Ideas", "i9"), ("## Ideas", "i1"),
        ("## Budget", ""), ("## Budget", ""), ("### Refuted", ""), ("### Refuted", "#7"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "inside"),
    [("a\n```\n- b\n```\nc", [1, 2, 3]), ("~~~\n```\n~~~\nc", [0, 1, 2]), ("a <!-- b\nc\nd --> e\nf", [0, 1, 2]),
     ("a <!-- b -->\nc", []), ("```\na\n## Budget\nb", [0, 1, 2, 3]), ("```\na\n## Notes\nb", [0, 1])],
)  # fmt: skip
def test_fences_and_comments_are_verbatim_until_they_end_or_a_heading_of_ours(text: str, inside: list[int]) -> None:
    assert [n for n, line in enumerate(scan(text)) if line.verbatim] == inside


def test_ids_are_taken_off_the_end_alone_and_only_those_asked_for() -> None:
    text = "a <!-- i1 --> b <!-- z9 --> <!-- i3 --><!-- i3 -->"
    assert without_ids(text) == "a <!-- i1 --> b"
    assert without_ids(text, {"i1", "i3"}) == "a <!-- i1 --> b <!-- z9 -->"


@pytest.mark.parametrize(
    ("text", "said", "checked"),
    [("- [X] z-loss <!-- i3 -->", "z-loss", "x"), (" * [~] a", "a", "~"), ("+ [ ]", "", " "), ("- a", "a", ""),
     ("- [x]a", "[x]a", ""), ("plain <!-- i1 -->", "plain", ""), ("    - [x] a", "- [x] a", "")],
)  # fmt: skip
def test_an_entry_is_its_words_and_its_box(text: str, said: str, checked: str) -> None:
    (line,) = scan(text)
    assert (words(line), box(line)) == (said, checked)


def test_a_line_is_called_by_its_id_else_by_its_text_in_its_section_and_its_turn() -> None:
    was = list(keys(scan("## Ideas\na\na\n- b <!-- i1 -->\n## Notes\na\n<!-- notebook 0123456789ab: x -->\n")))
    now = list(keys(scan("## Ideas\n- other <!-- i1 -->\na\n## Notes\na\na\n<!-- notebook ba9876543210: y -->\n")))
    assert len(set(was)) == len(was)
    assert [n for n, key in enumerate(was) if key not in now] == [2]
    assert [n for n, key in enumerate(now) if key not in was] == [5]


def test_a_rendering_matches_as_a_whole_or_not_at_all() -> None:
    was, now = scan("a\nb\na"), scan("x\na\na\nb\na\na")

    def equal(n: int) -> list[int]:
        return [m for m, line in enumerate(was) if line.text == now[n].text]

    assert in_order(was, now, equal) == {1: 0, 3: 1, 4: 2}
    assert in_order(was, now[:4], equal) is None


@given(st.text("abc", max_size=7), st.text("abc", max_size=7))
def test_no_match_in_order_is_longer(was: str, now: str) -> None:
    pairs = [(n, [m for m, other in enumerate(was) if other == each]) for n, each in enumerate(now)]
    found = longest(pairs)
    assert list(found.values()) == sorted(set(found.values()))
    assert all(now[n] == was[m] for n, m in found.items())
    parts = {"".join(part) for size in range(len(was) + 1) for part in combinations(was, size)}
    assert not any("".join(part) in parts for part in combinations(now, len(found) + 1))


def test_empty_lines_are_paired_in_order_between_what_matches() -> None:
    was, now = scan("\na\n\n\nb\n\n"), scan("a\n\nnew\n\n\nb\n")
    assert blanks(was, now, {0: 1, 5: 4}) == {1: 2, 3: 3}
