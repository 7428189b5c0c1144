"""A session whose folder or journal was lost comes back as it was saved, and nothing is made anew in silence."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from engines import run, save_as_earlier, saved, session
from repos import make_target, patch, write

from autoresearch.state.session import Session, find_place, list_sessions

HURTS: dict[str, Callable[[Session], object]] = {
    "all of it gone": lambda it: shutil.rmtree(it.folder.parent),
    "the journal gone": lambda it: it.journal.unlink(),
    "the journal empty": lambda it: it.journal.write_bytes(b""),
    "the journal overwritten": lambda it: it.journal.write_bytes(bytes(range(255))),
}


@pytest.fixture
def kept(tmp_path: Path) -> tuple[Path, Path]:
    repo, patches = make_target(tmp_path / "repo"), tmp_path / "patches"
    write(patches, {"1.patch": patch("better", "VALUE = 10.0", "VALUE = 9.0")})
    run(repo, "--replay", str(patches), "--max-experiments", "2", expect=3)
    return repo, patches


@pytest.mark.parametrize("hurt", HURTS.values(), ids=HURTS.keys())
@pytest.mark.parametrize("by", ["this version", "an earlier one"])
def test_a_lost_session_is_restored_and_goes_on(
    hurt: Callable[[Session], object], by: str, kept: tuple[Path, Path]
) -> None:
    repo, patches = kept
    before = session(repo)
    if by == "an earlier one":
        save_as_earlier(repo)
    assert [row.status for row in before.history().rows] == ["keep", "keep"]
    hurt(before)
    run(repo, "--replay", str(patches), "--max-experiments", "1")
    after = session(repo)
    assert after.name == before.name, "no second session was begun in silence"
    history = after.history()
    assert [row.status for row in history.rows][:2] == ["keep", "keep"]
    assert "lost or damaged" in " ".join(notice.text for notice in history.notices)


def test_a_damaged_journal_without_a_saved_state_is_one_sentence_and_stays(kept: tuple[Path, Path]) -> None:
    repo, patches = kept
    hurt = session(repo)
    hurt.journal.write_bytes(b"garbage\n")
    saved(repo).remove()
    done = run(repo, "--replay", str(patches), expect=2)
    assert "is damaged" in done.stderr
    assert "Traceback" not in done.stderr
    assert hurt.journal.read_bytes() == b"garbage\n"
    assert [found.name for found in list_sessions(find_place(repo))] == [hurt.name]
