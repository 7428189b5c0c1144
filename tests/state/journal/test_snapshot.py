"""A snapshot of the read model is as good as the journal, or it is not taken."""

from __future__ import annotations

import os
import pickle
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sessions

from autoresearch.state.journal import History, folded, snapshot


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(snapshot, "LEAST_BYTES", 1000)
    return sessions.paused(tmp_path, experiments=30).session.journal


def state(value: Any) -> Any:
    """All that the read model holds, as plain values."""
    if isinstance(value, dict):
        return {key: state(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, deque)):
        return [state(each) for each in value]
    names = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    held = {name: getattr(value, name) for name in names if hasattr(value, name)} | getattr(value, "__dict__", {})
    return state(held) if held else value


def plain(journal: Path) -> History:
    return History().load(journal)


def test_what_is_kept_and_what_came_since_are_the_whole(journal: Path) -> None:
    whole = journal.read_bytes().splitlines(keepends=True)
    for lines in (whole[:60], whole[:61], whole[:-1], whole):
        journal.write_bytes(b"".join(lines))
        for _ in range(2):
            assert state(folded(journal)) == state(plain(journal))
    assert journal.with_name("folded").exists()


def test_a_line_that_was_mended_in_between_is_seen(journal: Path) -> None:
    before = folded(journal)
    data = journal.read_bytes()
    at = data.index(b'"status":"discard"')
    journal.write_bytes(data[:at] + b'"status":"crash"' + data[at + len(b'"status":"discard"') :])
    after = folded(journal)
    assert after.counts["crash"] == before.counts["crash"] + 1
    assert state(after) == state(plain(journal))


def _replaced(kept: Path) -> None:
    head, _, _ = kept.read_bytes().partition(b"\n")
    kept.write_bytes(head + b"\n" + pickle.dumps(["something else"]))


SPOILS: dict[str, Callable[[Path], object]] = {
    "cut off": lambda kept: kept.write_bytes(kept.read_bytes()[:-100]),
    "empty": lambda kept: kept.write_bytes(b""),
    "no head": lambda kept: kept.write_bytes(b"\n" * 100),
    "of something else": _replaced,
    "anybody may write it": lambda kept: kept.chmod(0o666),
    "a link": lambda kept: kept.rename(kept.with_name("elsewhere")) and kept.symlink_to("elsewhere"),
    "of other code": lambda kept: kept.write_bytes(kept.read_bytes().replace(snapshot._maker().encode(), b"0" * 64)),
}


@pytest.mark.parametrize("spoil", SPOILS)
def test_one_that_does_not_hold_is_not_taken(journal: Path, spoil: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folded(journal)
    kept = journal.with_name("folded")
    SPOILS[spoil](kept)
    assert snapshot._read(kept, journal) is None
    assert state(folded(journal)) == state(plain(journal))


def test_a_folder_that_cannot_be_written_is_read_all_the_same(journal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(snapshot, "write_atomic", refuses)
    assert state(folded(journal)) == state(plain(journal))
    assert not journal.with_name("folded").exists()


def test_a_short_journal_or_none_leaves_nothing_behind(tmp_path: Path) -> None:
    journal = sessions.paused(tmp_path, experiments=3).session.journal
    folded(journal)
    assert "folded" not in os.listdir(journal.parent)  # noqa: PTH208
    assert folded(tmp_path / "none.jsonl").rows == []
