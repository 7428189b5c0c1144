"""What is read of the user's repository."""

from __future__ import annotations

from pathlib import Path

import pytest
from repos import git, make_target, snapshot, write
from workspaces import Open

from autoresearch.engine.workspace import branch_holder, head_of, uncommitted
from autoresearch.state.session import SessionError, find_place


def test_who_holds_the_branch_is_known(tmp_path: Path, open_workspace: Open) -> None:
    repo = make_target(tmp_path / "r")
    workspace = open_workspace(repo)
    assert branch_holder(workspace.place, workspace.session) is None
    workspace.keep(head_of(workspace.place), None)
    name = workspace.session.branch.removeprefix("refs/heads/")
    git(repo, "switch", "-q", name)
    assert branch_holder(workspace.place, workspace.session) == repo
    git(repo, "switch", "-q", "main")
    git(repo, "worktree", "add", "-q", str(tmp_path / "w"), name)
    assert branch_holder(workspace.place, workspace.session) == tmp_path / "w"


def test_a_repository_without_a_commit_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    git(tmp_path / "r", "init", "-q")
    with pytest.raises(SessionError, match="git commit"):
        head_of(find_place(tmp_path / "r"))


def test_uncommitted_work_is_only_read(tmp_path: Path) -> None:
    repo = make_target(tmp_path / "r")
    write(repo, {"bench.py": "changed\n", "new.txt": "n"})
    before = snapshot(repo)
    assert uncommitted(find_place(repo)) == (["bench.py"], ["new.txt"])
    assert snapshot(repo) == before
