"""Diffs drawn without a screen."""

from __future__ import annotations

from rich.segment import Segment

from autoresearch.tui.look.palette import COLOUR
from autoresearch.tui.widgets.diff_view import DiffView


def drawn(text: str, width: int = 60) -> list[list[Segment]]:
    view = DiffView(COLOUR)
    lines = text.split("\n")
    view._lines = lines
    view._files = [(n, line.partition(" b/")[2]) for n, line in enumerate(lines) if line.startswith("diff --git")]
    return [view.draw(number, width) for number in range(len(lines))]


def test_a_diff_has_the_colours_of_its_language_and_no_escape_of_its_content() -> None:
    shown = drawn(
        'diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-y = 1\n+def f(): return "\x1b[31mz"  # \x07'
    )
    words = {segment.text: segment.style for segment in shown[5]}
    assert words["def"] == COLOUR.title
    assert words["f"] == COLOUR.strong
    assert "".join(segment.text for segment in shown[5]) == ' + def f(): return "z"  # '
    assert shown[4][0] == Segment(" - ", COLOUR.crash)


def test_a_removed_line_that_looks_like_a_header_is_none() -> None:
    shown = drawn("diff --git a/q.sql b/q.sql\n--- a/q.sql\n+++ b/q.sql\n@@ -1,2 +1 @@\n--- a comment\n x")
    assert shown[4][0].text == " - "
