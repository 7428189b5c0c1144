"""A session's curve in one line."""

from __future__ import annotations

import math

from autoresearch.tui.look.palette import COLOUR
from autoresearch.tui.widgets.spark import spark


def test_a_curve_is_one_line_better_is_up_and_no_value_leaves_a_gap() -> None:
    falling = tuple((float(10 - at), True) for at in range(8))
    segments = spark(falling, True, 4, COLOUR)
    drawn = "".join(segment.text for segment in segments)
    assert drawn == "⡠⠤⠒⠊"
    assert "".join(segment.text for segment in spark(falling, False, 4, COLOUR)) == "⠑⠒⠤⢄"
    odd = ((None, False), (math.nan, False), (math.inf, True), (None, False))
    assert "".join(segment.text for segment in spark(odd, True, 4, COLOUR)).strip() == ""
    assert sum(len(segment.text) for segment in spark(falling * 500, True, 7, COLOUR)) == 7
