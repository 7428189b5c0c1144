"""A session saved as a commit."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from repos import git, make_target
from workspaces import Open

from autoresearch.engine.workspace import restore_state, state_ref


def test_a_lost_folder_is_restored_from_its_state_ref(tmp_path: Path, open_workspace: Open) -> None:
    repo = make_target(tmp_path / "r")
    workspace = open_workspace(repo)
    workspace.session.notebook.write_text("# notes\n")
    journal = workspace.session.journal.read_bytes()
    workspace.save_state("kept")
    subprocess.run(["rm", "-rf", str(workspace.session.folder)], check=True)
    restored = restore_state(workspace.place, workspace.session.name)
    assert restored
    assert restored.journal.read_bytes() == journal
    assert restored.notebook.read_text() == "# notes\n"
    assert restore_state(workspace.place, "never") is None


def test_a_long_journal_is_saved_in_parts_of_which_only_the_last_is_written_again(
    tmp_path: Path, open_workspace: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = make_target(tmp_path / "r")
    workspace = open_workspace(repo)
    session = workspace.session
    journal = session.journal
    state = f"{session.refs}state"
    monkeypatch.setattr(state_ref, "PART", 1000)
    before = journal.read_bytes()
    assert len(before) < 1000
    workspace.save_state("short")
    assert git(repo, "cat-file", "-t", f"{state}:autoresearch.jsonl").strip() == "blob"
    for _ in range(3):
        journal.write_bytes(journal.read_bytes() + b'{"type":"note","text":"%s"}\n' % (b"x" * 1500))
        workspace.save_state("grown")
    assert git(repo, "ls-tree", "--name-only", f"{state}:autoresearch.jsonl").split() == [f"00000{n}" for n in range(5)]
    with journal.open("ab") as file:
        file.write(b'{"type":"note","text":"last"}\n')
    written: list[tuple[str, ...]] = []
    real = workspace.git.raw
    monkeypatch.setattr(workspace.git, "raw", lambda *args, **more: (written.append(args), real(*args, **more))[1])
    workspace.save_state("a line")
    assert sum(args[:1] == ("hash-object",) for args in written) == 2, "notebook and config together, and the last part"
    whole = journal.read_bytes()
    shutil.rmtree(session.folder)
    again = restore_state(workspace.place, session.name)
    assert again is not None
    assert again.journal.read_bytes() == whole
