"""Which of two journals is ahead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.engine.sessions import transfer
from autoresearch.state.session import SessionError

LINES = st.lists(st.sampled_from([b"{}\n", b"1\n", b"22\n"]), max_size=6)


@given(LINES, LINES, LINES)
def test_what_both_begin_with_ends_with_a_line(same: list[bytes], here: list[bytes], there: list[bytes]) -> None:
    one, other = b"".join(same + here), b"".join(same + there)
    common = transfer._common(one, other)
    assert common >= len(b"".join(same))
    assert one[:common] == other[:common]
    assert one[:common].endswith(b"\n") or common == 0


@pytest.mark.parametrize(
    ("here", "there", "pushing", "says"),
    [
        (b"1\n2\n", b"1\n", True, ""),
        (b"1\n", b"1\n2\n", False, ""),
        (b"1\n", b"1\n2\n", True, "went on at box"),
        (b"1\n2\n", b"1\n3\n", True, "went on at both sides"),
        (b"1\n2\n", b"1\n3\n", False, "went on at both sides"),
    ],
)
def test_only_the_side_that_is_behind_takes(here: bytes, there: bytes, pushing: bool, says: str) -> None:
    if not says:
        transfer._refuse_apart("s", "box", here, there, pushing)
        return
    with pytest.raises(SessionError, match=says):
        transfer._refuse_apart("s", "box", here, there, pushing)
