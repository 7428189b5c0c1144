"""Requests that wait in the inbox, in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sessions

from autoresearch.state.journal import History
from autoresearch.state.session import Request
from autoresearch.tui.facts.pending import pending


@pytest.fixture
def history(tmp_path: Path) -> History:
    """i1 to i4; i4 is vetoed."""
    return sessions.paused(tmp_path, experiments=3).session.history()


@pytest.mark.parametrize(
    ("kind", "args", "said"),
    [
        ("idea", {"text": "a \x1b[31mred\x1b[0m\none"}, "new idea: a red one"),
        ("idea", {"id": "i2", "first": True}, "i2 moves to the head of the list"),
        ("idea", {"id": "i2", "after": "i3"}, "i2 moves behind i3"),
        ("idea", {"id": "i4", "text": ""}, "i4 comes back"),
        ("idea", {"id": "i4", "text": "another"}, "i4 becomes: another"),
        ("idea", {"id": "i2", "text": ""}, "i2 becomes: "),
        ("idea", {"id": "i2", "text": "another"}, "i2 becomes: another"),
        ("veto", {"id": "i1"}, "i1 goes off the list"),
        ("dead_end", {"text": "x"}, "dead end: x"),
        ("note", {"text": "x"}, "note: x"),
        ("steer", {"text": "x" * 200}, f"message: {'x' * 159}…"),
        ("limit", {"name": "dollars", "value": 25}, "limit on dollars spent in all becomes $25"),
        ("retry", {"experiment": 3}, "#3 is measured again"),
        ("overrule", {"experiment": 3, "action": "keep"}, "#3 is overruled to keep"),
        ("pause", {"now": True}, "pause"),
        ("stop", {}, "stop"),
        ("unpause", {}, "do not pause"),
        ("of a newer version\x1b[2J", {}, "of a newer version"),
    ],
)
def test_what_was_asked_for_in_words(history: History, kind: str, args: dict[str, Any], said: str) -> None:
    (found,) = pending([Request("r1", kind, args, 5)], history)
    assert (found.words, found.kind, found.args, found.timestamp) == (said, kind, args, 5)


def test_what_the_journal_has_already_waits_no_more(history: History) -> None:
    asked = [Request(id, "note", {"text": id}) for id in ("r1", "r2", "r3")]
    history.requests.add("r2")
    assert [each.id for each in pending(asked, history)] == ["r1", "r3"]
