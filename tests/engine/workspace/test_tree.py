"""What the tree for proposals is made into, and what is found of what was done in it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from repos import git, make_target, snapshot, write
from workspaces import Open, take

from autoresearch.engine.workspace import Workspace, head_of
from autoresearch.state.session import SessionError


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_a_tree_is_exactly_the_commit_whatever_a_run_left(tmp_path: Path, open_workspace: Open) -> None:
    workspace = open_workspace(make_target(tmp_path / "r"))
    base = head_of(workspace.place)
    tree = workspace.propose
    tree.at(base)
    write(tree.root, {"left/behind/a": "1", "b": "2", "knob.py": "VALUE = 99\n"})
    (tree.root / "left").chmod(0o000)
    (tree.root / "README.md").unlink()
    (tree.root / "README.md").mkdir()
    assert tree.changed_paths() == ["README.md", "b", "knob.py", "left/behind/a"]
    tree.at(base)
    assert sorted(p.name for p in tree.root.iterdir()) == [
        ".git",
        "README.md",
        "autoresearch.toml",
        "bench.py",
        "knob.py",
    ]
    assert "VALUE = 10.0" in (tree.root / "knob.py").read_text()


def test_an_index_that_somebody_else_wrote_is_not_believed(tmp_path: Path, open_workspace: Open) -> None:
    """It says that the evaluator's blob is another, and that git is to overlook the file."""
    workspace = open_workspace(make_target(tmp_path / "r"))
    base = head_of(workspace.place)
    tree = workspace.propose
    tree.at(base)
    before = (tree.root / "bench.py").read_text()
    (tree.root / "bench.py").write_text("forged\n")
    git(tree.root, "add", "bench.py")
    git(tree.root, "update-index", "--skip-worktree", "bench.py")
    assert tree.changed_paths() == ["bench.py"]
    tree.at(base)
    assert (tree.root / "bench.py").read_text() == before


def test_an_index_of_an_earlier_engine_is_not_believed(tmp_path: Path, open_workspace: Open) -> None:
    """Its process was killed by the run, which then had all the time it wanted."""
    repo = make_target(tmp_path / "r")
    workspace = open_workspace(repo)
    base = head_of(workspace.place)
    workspace.propose.at(base)
    bench = workspace.propose.root / "bench.py"
    before = bench.read_text()
    bench.write_text("forged\n")
    git(workspace.propose.root, "update-index", "--assume-unchanged", "bench.py")
    git(workspace.propose.root, "update-index", "--skip-worktree", "bench.py")
    another = Workspace(workspace.place, workspace.session, workspace.config, print)
    another.propose.at(base)
    another.close()
    assert bench.read_text() == before


def test_a_link_in_the_trees_place_is_not_followed(tmp_path: Path, open_workspace: Open) -> None:
    repo = make_target(tmp_path / "r")
    workspace = open_workspace(repo)
    tree = workspace.propose
    tree.at(head_of(workspace.place))
    mine = tmp_path / "precious"
    write(mine, {"bench.py": "mine\n", "thesis.txt": "mine\n"})
    tree.root.rename(tmp_path / "moved")
    tree.root.symlink_to(mine)
    tree.at(head_of(workspace.place))
    assert not tree.root.is_symlink()
    assert contents(mine) == {"bench.py": "mine\n", "thesis.txt": "mine\n"}


def test_a_link_above_the_tree_is_not_followed(tmp_path: Path, open_workspace: Open) -> None:
    workspace = open_workspace(make_target(tmp_path / "r"))
    tree = workspace.propose
    tree.at(head_of(workspace.place))
    mine = tmp_path / "precious"
    write(mine, {f"{tree.root.name}/thesis.txt": "mine\n"})
    tree.root.parent.rename(tmp_path / "moved")
    tree.root.parent.symlink_to(mine)
    tree.at(head_of(workspace.place))
    assert tree.root.resolve() == tree.root
    assert contents(mine) == {f"{tree.root.name}/thesis.txt": "mine\n"}


def test_a_cache_that_cannot_be_written_names_the_way_out(
    tmp_path: Path, open_workspace: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AUTORESEARCH_TREES", str(tmp_path / "file"))
    workspace = open_workspace(make_target(tmp_path / "r"))
    with pytest.raises(SessionError, match="AUTORESEARCH_TREES"):
        workspace.propose.at(head_of(workspace.place))


def test_linked_data_is_visible_and_never_cleaned_or_taken(tmp_path: Path, open_workspace: Open) -> None:
    repo = make_target(tmp_path / "r")
    write(repo, {"data/big.bin": "data"})
    workspace = open_workspace(repo, edit=("**",), link=("data",))
    base = head_of(workspace.place)
    workspace.propose.at(base)
    assert (workspace.propose.root / "data/big.bin").read_text() == "data"
    write(workspace.propose.root, {"x.py": "1"})
    assert take(workspace, base).files == ("x.py",)
    workspace.propose.at(base)
    assert (repo / "data/big.bin").read_text() == "data"


@pytest.mark.parametrize("damage", ["deleted", "elsewhere", "folder", "tree deleted", "index garbage", "admin deleted"])
def test_a_damaged_tree_is_made_whole_and_no_other_repository_is_touched(
    damage: str, tmp_path: Path, open_workspace: Open
) -> None:
    repo = make_target(tmp_path / "r")
    outer = Path(os.environ["XDG_CACHE_HOME"])
    git(outer, "init", "-q")
    write(outer, {"precious.txt": "the user's"})
    workspace = open_workspace(repo)
    base = head_of(workspace.place)
    tree = workspace.propose
    tree.at(base)
    pointer = tree.root / ".git"
    match damage:
        case "deleted":
            pointer.unlink()
        case "elsewhere":
            pointer.write_text(f"gitdir: {repo / '.git'}\n")
        case "folder":
            pointer.unlink()
            git(tree.root, "init", "-q")
        case "tree deleted":
            subprocess.run(["rm", "-rf", str(tree.root)], check=True)
        case "index garbage":
            (tree.admin.folder / "index").write_bytes(b"garbage")
        case "admin deleted":
            subprocess.run(["rm", "-rf", str(tree.admin.folder)], check=True)
    before = snapshot(repo)
    tree.at(base)
    assert "VALUE = 10.0" in (tree.root / "knob.py").read_text()
    assert git(tree.root, "rev-parse", "HEAD").strip() == base
    assert snapshot(repo) == before
    assert (outer / "precious.txt").read_text() == "the user's"


@pytest.mark.parametrize("killed", [True, False], ids=["an agent's", "another"])
def test_a_git_file_is_written_again_and_only_a_strangers_is_said(
    killed: bool, tmp_path: Path, open_workspace: Open
) -> None:
    """A kill during an agent's call leaves the pointer to the git directory that the agent had of its own."""
    workspace = open_workspace(make_target(tmp_path / "r"))
    base = head_of(workspace.place)
    tree = workspace.propose
    tree.at(base)
    other = tree.root.with_name(f"{tree.root.name}.git") if killed else tmp_path / "elsewhere"
    (tree.root / ".git").write_text(f"gitdir: {other}\n")
    tree.at(base)
    assert git(tree.root, "rev-parse", "HEAD").strip() == base
    assert bool(open_workspace.warnings) is not killed  # type: ignore[attr-defined]
