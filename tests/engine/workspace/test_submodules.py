"""Submodules are plain files in a tree, from what the user's clone has of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from repos import git, make_repo, make_target, snapshot, write
from workspaces import Open, take

from autoresearch.engine.workspace import head_of
from autoresearch.engine.workspace.submodules import submodules_of
from autoresearch.state.session import SessionError, find_place

LOCAL = ("-c", "protocol.file.allow=always")


def commit(repo: Path, message: str = "more") -> str:
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", message)
    return git(repo, "rev-parse", "HEAD").strip()


@pytest.fixture
def nested(tmp_path: Path) -> Path:
    """A target with a submodule that has one itself."""
    deep = make_repo(tmp_path / "deep", {"deep.py": "DEEP = 1\n"})
    lib = make_repo(tmp_path / "lib", {"helper.py": "HELPER = 1\n", "docs/a": "a\n"})
    git(lib, *LOCAL, "submodule", "--quiet", "add", str(deep), "inner")
    commit(lib)
    repo = make_target(tmp_path / "r")
    git(repo, *LOCAL, "submodule", "--quiet", "add", str(lib), "vendor/lib")
    git(repo, *LOCAL, "submodule", "--quiet", "update", "--init", "--recursive")
    commit(repo)
    return repo


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def _own_folder(repo: Path) -> None:
    """As a clone by hand, or by an old git, has it: the repository stands in the submodule's folder."""
    folder = repo / "vendor/lib"
    (folder / ".git").unlink()
    (repo / ".git/modules/vendor/lib").rename(folder / ".git")
    git(repo, "config", "--file", str(folder / ".git/config"), "--unset", "core.worktree")
    (folder / "inner/.git").write_text("gitdir: ../.git/modules/inner\n")
    git(repo, "config", "--file", str(folder / ".git/modules/inner/config"), "core.worktree", "../../../inner")


def _emptied(repo: Path) -> None:
    """Fetched once, and not in the worktree now."""
    git(repo, "submodule", "--quiet", "deinit", "--force", "--all")


@pytest.mark.parametrize("change", [lambda repo: None, _own_folder, _emptied], ids=["usual", "its own .git", "deinit"])
def test_what_is_at_hand_is_written_as_plain_files(change: object, nested: Path, open_workspace: Open) -> None:
    change(nested)  # type: ignore[operator]
    before = snapshot(nested)
    workspace = open_workspace(nested)
    head = head_of(workspace.place)
    measured = workspace.checkouts(head)[0]
    measured.at(head)
    workspace.propose.at(head)
    for root in (measured.folder, workspace.propose.root):
        lib = root / "vendor/lib"
        assert files(lib) == {".gitmodules", "helper.py", "docs/a", "inner/deep.py"}
        assert (lib / "inner/deep.py").read_text() == "DEEP = 1\n"
        assert git(root, "status", "--porcelain") == ""
    assert measured.submodule_files == {f"vendor/lib/{path}" for path in files(measured.folder / "vendor/lib")}
    assert workspace.propose.changed_paths() == []
    assert open_workspace.warnings == []  # type: ignore[attr-defined]
    assert snapshot(nested) == before


def test_the_recorded_commit_counts_and_not_what_the_user_has_open(nested: Path, open_workspace: Open) -> None:
    write(nested / "vendor/lib", {"helper.py": "HELPER = 2\n"})
    newer = commit(nested / "vendor/lib")
    workspace = open_workspace(nested)
    measured = workspace.checkouts(head_of(workspace.place))[0]
    measured.at(head_of(workspace.place))
    helper = measured.folder / "vendor/lib/helper.py"
    assert helper.read_text() == "HELPER = 1\n"
    commit(nested)
    assert newer in git(nested, "ls-tree", "HEAD", "vendor/lib")
    measured.at(head_of(workspace.place))
    assert helper.read_text() == "HELPER = 2\n"
    git(nested, "rm", "-q", "-r", "--cached", "vendor/lib")
    shutil.rmtree(nested / "vendor/lib")
    write(nested, {"vendor/lib/helper.py": "its own now\n"})
    commit(nested)
    measured.at(head_of(workspace.place))
    assert files(measured.folder / "vendor") == {"lib/helper.py"}
    assert helper.read_text() == "its own now\n"
    assert not measured.submodule_files


def test_another_engine_finds_them_as_they_are(nested: Path, open_workspace: Open) -> None:
    workspace = open_workspace(nested, edit=("**",))
    head = head_of(workspace.place)
    workspace.checkouts(head)[0].at(head)
    again = workspace.checkouts(head)[0]
    again.at(head)
    assert "vendor/lib/inner/deep.py" in again.submodule_files
    assert (again.folder / "vendor/lib/inner/deep.py").read_text() == "DEEP = 1\n"


def test_an_agents_edit_in_it_is_dropped_and_listed(nested: Path, open_workspace: Open) -> None:
    workspace = open_workspace(nested, edit=("**",))
    base = head_of(workspace.place)
    workspace.propose.at(base)
    write(workspace.propose.root, {"knob.py": "VALUE = 5\n", "vendor/lib/helper.py": "HELPER = 0\n"})
    taken = take(workspace, base)
    assert taken.files == ("knob.py",)
    assert taken.dropped == ("vendor/lib/helper.py",)
    workspace.propose.at(base)
    assert (workspace.propose.root / "vendor/lib/helper.py").read_text() == "HELPER = 1\n"


def test_one_that_was_never_fetched_stays_empty_and_the_sentence_has_the_fix(
    nested: Path, tmp_path: Path, open_workspace: Open
) -> None:
    git(tmp_path, "clone", "-q", str(nested), "clone")
    workspace = open_workspace(tmp_path / "clone")
    measured = workspace.checkouts(head_of(workspace.place))[0]
    measured.at(head_of(workspace.place))
    assert not list((measured.folder / "vendor/lib").iterdir())
    [sentence] = open_workspace.warnings  # type: ignore[attr-defined]
    assert "vendor/lib" in sentence
    assert "`git submodule update --init --recursive vendor/lib`" in sentence


def test_one_in_use_whose_recorded_commit_is_missing_stops_with_the_fix(nested: Path, open_workspace: Open) -> None:
    git(nested, "update-index", "--cacheinfo", f"160000,{'1' * 40},vendor/lib")
    git(nested, "commit", "-q", "-m", "a commit that was never pushed")
    workspace = open_workspace(nested)
    with pytest.raises(SessionError, match=r"vendor/lib is recorded at 1111111.*submodule update --init --recursive"):
        workspace.checkouts(head_of(workspace.place))[0].at(head_of(workspace.place))


def test_a_linked_worktree_and_an_embedded_repository_have_theirs(nested: Path, tmp_path: Path) -> None:
    git(nested, "worktree", "add", "-q", "--detach", str(tmp_path / "w"))
    make_repo(nested / "embedded", {"e.py": "1\n"})
    git(nested, "add", "embedded")
    git(nested, "commit", "-q", "-m", "no .gitmodules knows it")
    found = submodules_of(find_place(nested), git(nested, "rev-parse", "HEAD").strip())
    assert [(each.path, each.lack) for each in found] == [
        ("embedded", ""),
        ("vendor/lib", ""),
        ("vendor/lib/inner", ""),
    ]
    place = find_place(tmp_path / "w")
    assert [each.lack for each in submodules_of(place, head_of(place))] == ["", ""]


def test_a_link_stands_in_its_place_or_in_that_of_a_tracked_folder(nested: Path, open_workspace: Open) -> None:
    write(nested, {"data/.gitkeep": ""})
    commit(nested)
    write(nested, {"data/big.bin": "data"})
    workspace = open_workspace(nested, edit=("**",), link=("vendor/lib", "data"))
    base = head_of(workspace.place)
    tree = workspace.propose
    for _ in range(2):
        tree.at(base)
        assert (tree.root / "vendor/lib").samefile(nested / "vendor/lib")
        assert (tree.root / "data/big.bin").read_text() == "data"
        assert tree.changed_paths() == []
    workspace.checkouts(base)[0].at(base)
    assert take(workspace, base).files == ()
    assert (nested / "vendor/lib/helper.py").read_text() == "HELPER = 1\n"
    assert files(nested / "data") == {".gitkeep", "big.bin"}
