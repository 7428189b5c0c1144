"""What a tree is made into, and what is found of what a run did in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from repos import git, make_target, snapshot, write
from workspaces import Open, take

from autoresearch.engine.workspace import Workspace, head_of
from autoresearch.state.session import SessionError


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def _same_size_and_times(file: Path) -> None:
    info = file.stat()
    data = file.read_bytes()
    file.write_bytes(data.replace(b"VALUE", b"VALUX"))
    os.utime(file, ns=(info.st_atime_ns, info.st_mtime_ns))


def test_a_tree_is_exactly_the_commit_whatever_a_run_left(tmp_path: Path, open_workspace: Open) -> None:
    workspace = open_workspace(make_target(tmp_path / "r"))
    base = head_of(workspace.place)
    tree = workspace.measure
    tree.at(base)
    write(tree.root, {"left/behind/a": "1", "b": "2", "knob.py": "VALUE = 99\n"})
    (tree.root / "left").chmod(0o000)
    (tree.root / "README.md").unlink()
    (tree.root / "README.md").mkdir()
    assert tree.check() == ("README.md",)
    tree.at(base)
    assert sorted(p.name for p in tree.root.iterdir()) == [
        ".git",
        "README.md",
        "autoresearch.toml",
        "bench.py",
        "knob.py",
    ]
    assert "VALUE = 10.0" in (tree.root / "knob.py").read_text()


@pytest.mark.parametrize(
    "attack",
    [
        lambda f: f.write_text("print('METRIC score=0')\n"),
        lambda f: f.unlink(),
        lambda f: f.chmod(0o755),
        lambda f: (f.unlink(), f.symlink_to("/etc/passwd")),
        lambda f: (f.unlink(), f.mkdir()),
        lambda f: _same_size_and_times(f),
    ],
    ids=["edit", "delete", "chmod", "symlink", "folder", "same size and times"],
)
def test_a_changed_protected_file_is_found_and_restored(
    attack: Callable[[Path], object], tmp_path: Path, open_workspace: Open
) -> None:
    workspace = open_workspace(make_target(tmp_path / "r"))
    base = head_of(workspace.place)
    tree = workspace.measure
    tree.at(base)
    before = (tree.root / "bench.py").read_text()
    attack(tree.root / "bench.py")
    assert tree.check() == ("bench.py",)
    assert (tree.root / "bench.py").read_text() == before
    assert not (tree.root / "bench.py").is_symlink()
    assert (tree.root / "bench.py").stat().st_mode & 0o777 == 0o644
    assert tree.check() == ()


def test_an_index_that_somebody_else_wrote_is_not_believed(tmp_path: Path, open_workspace: Open) -> None:
    """It says that the evaluator's blob is another, and that git is to overlook the file."""
    workspace = open_workspace(make_target(tmp_path / "r"))
    base = head_of(workspace.place)
    tree = workspace.measure
    tree.at(base)
    before = (tree.root / "bench.py").read_text()
    (tree.root / "bench.py").write_text("forged\n")
    git(tree.root, "add", "bench.py")
    git(tree.root, "update-index", "--skip-worktree", "bench.py")
    assert tree.check() == ("bench.py",)
    assert (tree.root / "bench.py").read_text() == before
    tree.at(base)
    assert (tree.root / "bench.py").read_text() == before


def test_an_index_of_an_earlier_engine_is_not_believed(tmp_path: Path, open_workspace: Open) -> None:
    """Its process was killed by the run, which then had all the time it wanted."""
    repo = make_target(tmp_path / "r")
    workspace = open_workspace(repo)
    base = head_of(workspace.place)
    workspace.measure.at(base)
    bench = workspace.measure.root / "bench.py"
    before = bench.read_text()
    bench.write_text("forged\n")
    git(workspace.measure.root, "update-index", "--assume-unchanged", "bench.py")
    git(workspace.measure.root, "update-index", "--skip-worktree", "bench.py")
    another = Workspace(workspace.place, workspace.session, workspace.config, print)
    another.measure.at(base)
    another.close()
    assert bench.read_text() == before


def test_a_link_in_the_trees_place_is_not_followed(tmp_path: Path, open_workspace: Open) -> None:
    repo = make_target(tmp_path / "r")
    workspace = open_workspace(repo)
    tree = workspace.measure
    tree.at(head_of(workspace.place))
    mine = tmp_path / "precious"
    write(mine, {"bench.py": "mine\n", "thesis.txt": "mine\n"})
    tree.root.rename(tmp_path / "moved")
    tree.root.symlink_to(mine)
    assert "bench.py" in tree.check()
    assert not tree.root.is_symlink()
    assert contents(mine) == {"bench.py": "mine\n", "thesis.txt": "mine\n"}


def test_a_link_above_the_tree_is_not_followed(tmp_path: Path, open_workspace: Open) -> None:
    workspace = open_workspace(make_target(tmp_path / "r"))
    tree = workspace.measure
    tree.at(head_of(workspace.place))
    mine = tmp_path / "precious"
    write(mine, {f"{tree.root.name}/thesis.txt": "mine\n"})
    tree.root.parent.rename(tmp_path / "moved")
    tree.root.parent.symlink_to(mine)
    tree.at(head_of(workspace.place))
    assert tree.root.resolve() == tree.root
    assert contents(mine) == {f"{tree.root.name}/thesis.txt": "mine\n"}


@pytest.mark.parametrize("path", ["bench.py", "knob.py"])
def test_what_was_written_and_put_back_is_written_again(path: str, tmp_path: Path, open_workspace: Open) -> None:
    workspace = open_workspace(make_target(tmp_path / "r"))
    tree = workspace.measure
    tree.at(head_of(workspace.place))
    file = tree.root / path
    info, data = file.stat(), file.read_bytes()
    file.write_bytes(b"else")
    file.write_bytes(data)
    os.utime(file, ns=(info.st_atime_ns, info.st_mtime_ns))
    assert tree.check() == (("bench.py (written and put back)",) if path == "bench.py" else ())
    os.utime(file, (1, 1))
    tree.check()
    tree.at(head_of(workspace.place))
    assert file.stat().st_mtime > 1
    assert tree.check() == ()


def test_a_tree_that_a_run_deleted_is_made_again_and_the_run_tampered(tmp_path: Path, open_workspace: Open) -> None:
    repo = make_target(tmp_path / "r")
    write(repo, {"data/big.bin": "data"})
    workspace = open_workspace(repo, link=("data",))
    base = head_of(workspace.place)
    tree = workspace.measure
    tree.at(base)
    shutil.rmtree(tree.root.parent)
    assert "bench.py" in tree.check()
    assert (tree.root / "bench.py").read_text() == (repo / "bench.py").read_text()
    assert (tree.root / "data/big.bin").read_text() == "data"
    assert tree.check() == ()
    assert "deleted" in open_workspace.warnings[0]  # type: ignore[attr-defined]


def test_a_cache_that_cannot_be_written_names_the_way_out(
    tmp_path: Path, open_workspace: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AUTORESEARCH_TREES", str(tmp_path / "file"))
    workspace = open_workspace(make_target(tmp_path / "r"))
    with pytest.raises(SessionError, match="AUTORESEARCH_TREES"):
        workspace.measure.at(head_of(workspace.place))


def test_a_run_may_rewrite_its_own_files_and_leave_new_ones(tmp_path: Path, open_workspace: Open) -> None:
    workspace = open_workspace(make_target(tmp_path / "r"))
    tree = workspace.measure
    tree.at(head_of(workspace.place))
    write(tree.root, {"knob.py": "VALUE = 5\n", "out/model.pt": "w"})
    assert tree.check() == ()


def test_a_build_stays_for_its_commit_and_goes_with_it(tmp_path: Path, open_workspace: Open) -> None:
    workspace = open_workspace(make_target(tmp_path / "r"))
    base = head_of(workspace.place)
    workspace.propose.at(base)
    write(workspace.propose.root, {"knob.py": "VALUE = 5\n"})
    other = take(workspace, base).sha
    tree = workspace.measure
    tree.at(base)
    assert not tree.is_settled(base)
    write(tree.root, {"build/out.o": "code"})
    tree.settle()
    write(tree.root, {"scratch": "x", "build/late.o": "y"})
    tree.check()
    tree.at(base)
    assert tree.is_settled(base)
    assert not (tree.root / "scratch").exists()
    assert not (tree.root / "build/late.o").exists()
    (tree.root / "build/out.o").write_text("evil")
    assert not tree.is_settled(base)
    tree.at(other)
    assert not (tree.root / "build").exists()
    assert not tree.is_settled(other)


def test_linked_data_is_visible_and_never_cleaned_or_taken(tmp_path: Path, open_workspace: Open) -> None:
    repo = make_target(tmp_path / "r")
    write(repo, {"data/big.bin": "data"})
    workspace = open_workspace(repo, edit=("**",), link=("data",))
    base = head_of(workspace.place)
    for tree in (workspace.propose, workspace.measure):
        tree.at(base)
        assert (tree.root / "data/big.bin").read_text() == "data"
    write(workspace.propose.root, {"x.py": "1"})
    assert take(workspace, base).files == ("x.py",)
    workspace.measure.check()
    workspace.measure.at(base)
    assert (repo / "data/big.bin").read_text() == "data"


def test_tracked_files_in_a_cached_folder_are_protected_and_the_rest_survives(
    tmp_path: Path, open_workspace: Open
) -> None:
    repo = make_target(tmp_path / "r")
    write(repo, {"build/.gitkeep": "", "build/rules/flags": "-O2"})
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "a folder to build in")
    workspace = open_workspace(repo, cache=("build",))
    head, build = head_of(workspace.place), workspace.measure.root / "build"
    workspace.measure.at(head)
    assert workspace.measure.check() == ()
    write(build, {"one.o": "1", "deep/two.o": "2", "rules/three.o": "3"})
    (build / "rules/flags").write_text("-O0")
    (build / ".gitkeep").unlink()
    assert workspace.measure.check() == ("build/.gitkeep", "build/rules/flags")
    workspace.measure.at(head)
    found = {path.relative_to(build).as_posix(): path.read_text() for path in build.rglob("*") if path.is_file()}
    kept = {"one.o": "1", "deep/two.o": "2", "rules/three.o": "3"}
    assert found == {".gitkeep": "", "rules/flags": "-O2", **kept}
    workspace.measure.settle()
    assert not workspace.measure.is_settled(head), "what is cached is no build of this commit"


def test_cached_paths_survive_cleaning(tmp_path: Path, open_workspace: Open) -> None:
    workspace = open_workspace(make_target(tmp_path / "r"), cache=("target",))
    tree = workspace.measure
    tree.at(head_of(workspace.place))
    write(tree.root, {"target/deps/a.o": "1", "other": "2"})
    tree.check()
    tree.at(head_of(workspace.place))
    assert (tree.root / "target/deps/a.o").exists()
    assert not (tree.root / "other").exists()


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
    tree = workspace.measure
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
