"""What is saved of a session, in a repository of its own."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
from repos import git, make_target
from workspaces import Open

from autoresearch.engine.workspace import restore_state, saved_sessions, saved_state, take_over_states


def test_a_lost_folder_is_restored_from_what_is_saved(tmp_path: Path, open_workspace: Open) -> None:
    repo = make_target(tmp_path / "r")
    workspace = open_workspace(repo)
    workspace.session.notebook.write_text("# notes\n")
    journal = workspace.session.journal.read_bytes()
    workspace.save_state("kept")
    shutil.rmtree(workspace.session.folder)
    assert saved_sessions(workspace.place) == [workspace.session.name]
    restored = restore_state(workspace.place, workspace.session.name)
    assert restored
    assert restored.journal.read_bytes() == journal
    assert restored.notebook.read_text() == "# notes\n"
    assert restore_state(workspace.place, "never") is None
    assert stat.S_IMODE(workspace.place.states_dir.stat().st_mode) == 0o700


def test_a_long_journal_is_saved_in_parts_of_which_only_the_last_is_written_again(
    tmp_path: Path, open_workspace: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = open_workspace(make_target(tmp_path / "r"))
    session, saved = workspace.session, workspace.saved
    journal = session.journal
    monkeypatch.setattr(saved_state, "PART", 1000)
    before = journal.read_bytes()
    assert len(before) < 1000
    workspace.save_state("short")
    held = f"{saved.ref}:autoresearch.jsonl"
    assert git(saved.folder, "cat-file", "-t", held).strip() == "blob"
    for _ in range(3):
        journal.write_bytes(journal.read_bytes() + b'{"type":"note","text":"%s"}\n' % (b"x" * 1500))
        workspace.save_state("grown")
    assert git(saved.folder, "ls-tree", "--name-only", held).split() == [f"00000{n}" for n in range(5)]
    with journal.open("ab") as file:
        file.write(b'{"type":"note","text":"last"}\n')
    written: list[tuple[str, ...]] = []
    real = saved.git.raw
    monkeypatch.setattr(saved.git, "raw", lambda *args, **more: (written.append(args), real(*args, **more))[1])
    workspace.save_state("a line")
    assert sum(args[:1] == ("hash-object",) for args in written) == 2, "notebook and config together, and the last part"
    workspace.tidy()
    assert git(saved.folder, "count-objects").startswith("0 objects"), "all of it is in one pack"
    whole = journal.read_bytes()
    shutil.rmtree(session.folder)
    again = restore_state(workspace.place, session.name)
    assert again is not None
    assert again.journal.read_bytes() == whole


def test_a_repository_that_was_removed_is_made_again(
    tmp_path: Path, open_workspace: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saved_state, "PART", 100)
    workspace = open_workspace(make_target(tmp_path / "r"))
    workspace.save_state("one")
    shutil.rmtree(workspace.place.states_dir)
    workspace.save_state("two")
    saved = workspace.saved
    assert saved.journal(saved.last) == workspace.session.journal.read_bytes()


@pytest.mark.parametrize("ahead", ["here", "there"])
def test_of_two_states_the_one_that_is_ahead_is_restored_and_both_stay(
    tmp_path: Path, open_workspace: Open, ahead: str
) -> None:
    """An earlier version was run once more, or a mirror brought its ref back."""
    repo = make_target(tmp_path / "r")
    workspace: Any = open_workspace(repo)
    saved, journal = workspace.saved, workspace.session.journal
    workspace.save_state("first")
    git(repo, "fetch", "-q", str(saved.folder), f"{saved.ref}:{saved.ref}")
    shutil.rmtree(saved.folder)
    first = journal.read_bytes()
    if ahead == "here":
        journal.write_bytes(first + b'{"type":"note","text":"more"}\n')
    else:
        journal.write_bytes(first[: first.index(b"\n") + 1])
    workspace.save_state("second")
    longest = max(first, journal.read_bytes(), key=len)
    take_over_states(workspace.place)
    assert git(repo, "for-each-ref", "refs/autoresearch") == ""
    assert saved.journal(saved.last) == longest
    said = git(saved.folder, "log", "--format=%s", saved.ref).split()
    assert {"first", "second"} <= set(said)


def test_a_state_whose_history_is_cut_off_is_taken_over_without_it(tmp_path: Path, open_workspace: Open) -> None:
    repo = make_target(tmp_path / "r")
    workspace = open_workspace(repo)
    saved, journal = workspace.saved, workspace.session.journal
    workspace.save_state("first")
    journal.write_bytes(journal.read_bytes() + b'{"type":"note","text":"more"}\n')
    workspace.save_state("second")
    git(repo, "fetch", "-q", "--depth", "1", f"file://{saved.folder}", f"{saved.ref}:{saved.ref}")
    shutil.rmtree(saved.folder)
    take_over_states(workspace.place)
    assert git(repo, "for-each-ref", "refs/autoresearch") == ""
    assert saved.journal(saved.last) == journal.read_bytes()
