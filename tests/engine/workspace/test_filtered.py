"""What a filter could not make at a checkout is said with the fix."""

from __future__ import annotations

from pathlib import Path

import pytest
from repos import git, make_target, write
from workspaces import Open

from autoresearch.engine.workspace import head_of
from autoresearch.state.session import SessionError

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 3000\n"


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A target whose clone has pointers of Git LFS, and no program that makes files of them."""
    repo = make_target(tmp_path / "r")
    write(
        repo, {"data/.gitattributes": "*.bin filter=lfs -text\n", "data/big.bin": POINTER, "data/notes.bin": "notes\n"}
    )
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "data")
    return repo


def test_pointers_in_a_tree_are_told_once(stored: Path, open_workspace: Open) -> None:
    workspace = open_workspace(stored)
    head = head_of(workspace.place)
    for checkout in workspace.checkouts(head):
        checkout.at(head)
    [said] = open_workspace.warnings  # type: ignore[attr-defined]
    assert "1 file of Git LFS without the content (data/big.bin)" in said
    assert "`git lfs pull`" in said


def test_without_the_attribute_a_file_that_looks_like_a_pointer_is_a_file(stored: Path, open_workspace: Open) -> None:
    git(stored, "rm", "-q", "data/.gitattributes")
    git(stored, "commit", "-q", "-m", "plain")
    workspace = open_workspace(stored)
    workspace.checkouts(head_of(workspace.place))[0].at(head_of(workspace.place))
    assert open_workspace.warnings == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "fix"), [("lfs", "git lfs pull"), ("crypt", "git config --get-regexp filter.crypt")])
def test_a_filter_that_fails_is_named_with_its_file(name: str, fix: str, stored: Path, open_workspace: Open) -> None:
    write(stored, {"data/.gitattributes": f"*.bin filter={name} -text\n"})
    git(stored, "commit", "-qam", name, "--allow-empty")
    git(stored, "config", f"filter.{name}.smudge", "echo download failed >&2; false")
    git(stored, "config", f"filter.{name}.required", "true")
    workspace = open_workspace(stored)
    with pytest.raises(
        SessionError, match=rf"data/big.bin cannot be checked out, since its filter {name} fails.*{fix}"
    ):
        workspace.checkouts(head_of(workspace.place))[0].at(head_of(workspace.place))
