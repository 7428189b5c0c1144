"""What is taken of an agent's edits, and what moves where: on real repositories."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from repos import git, make_target, write
from workspaces import Open, merge, take

from autoresearch.engine.git import GitError
from autoresearch.engine.workspace import Taken, head_of


def test_only_changes_in_scope_are_taken_and_the_others_are_listed(tmp_path: Path, open_workspace: Open) -> None:
    repo = make_target(tmp_path / "r")
    workspace = open_workspace(repo)
    base = head_of(workspace.place)
    tree = workspace.propose
    tree.at(base)
    write(tree.root, {"knob.py": "VALUE = 1\nMORE = 2\n", "bench.py": "print('METRIC score=0')\n", "new.txt": "x"})
    taken = take(workspace, base)
    assert taken.files == ("knob.py",)
    assert taken.dropped == ("bench.py", "new.txt")
    assert taken.lines == (2, 3)
    assert git(repo, "diff", "--name-only", base, taken.sha).split() == ["knob.py"]
    assert git(repo, "rev-parse", f"{taken.sha}^").strip() == base


KINDS = {
    "created": lambda src: (src / "a b é.py").write_text("x = 1\n"),
    "deleted": lambda src: (src / "old.py").unlink(),
    "renamed": lambda src: (src / "old.py").rename(src / "newer.py"),
    "mode": lambda src: (src / "old.py").chmod(0o755),
    "symlink": lambda src: (src / "link.py").symlink_to("old.py"),
    "file becomes link": lambda src: ((src / "old.py").unlink(), (src / "old.py").symlink_to("other.py")),
    "file becomes folder": lambda src: (
        (src / "old.py").unlink(),
        (src / "old.py").mkdir(),
        (src / "old.py/x.py").write_text(""),
    ),
    "binary": lambda src: (src / "blob.py").write_bytes(bytes(range(256))),
    "newline in name": lambda src: (src / "a\nb.py").write_text("x\n"),
    "not utf-8 name": lambda src: Path(os.fsdecode(os.fsencode(src) + b"/\xff.py")).write_text("x\n"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_change_is_taken_exactly(kind: str, tmp_path: Path, open_workspace: Open) -> None:
    repo = make_target(tmp_path / "r")
    write(repo, {"src/old.py": "old = 1\n" * 5, "src/other.py": "other = 1\n"})
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "more")
    workspace = open_workspace(repo, edit=("src/**",))
    base = head_of(workspace.place)
    workspace.propose.at(base)
    KINDS[kind](workspace.propose.root / "src")
    taken = take(workspace, base)
    assert taken.sha
    assert not taken.dropped
    measured = workspace.checkouts(base)[0]
    measured.at(taken.sha)
    same = ["diff", "-r", "--no-dereference", str(workspace.propose.root / "src"), str(measured.folder / "src")]
    assert subprocess.run(same, check=False, capture_output=True).returncode == 0
    shown = (measured.folder / "src/old.py").stat().st_mode if kind == "mode" else 0o100
    assert shown & 0o100


def test_nothing_changed_gives_no_commit(tmp_path: Path, open_workspace: Open) -> None:
    workspace = open_workspace(make_target(tmp_path / "r"))
    base = head_of(workspace.place)
    workspace.propose.at(base)
    assert workspace.take(base) == Taken()
    os.utime(workspace.propose.root / "knob.py")
    assert workspace.take(base) == Taken()


def test_what_an_agent_staged_committed_or_switched_does_not_matter(tmp_path: Path, open_workspace: Open) -> None:
    repo = make_target(tmp_path / "r")
    workspace = open_workspace(repo)
    base = head_of(workspace.place)
    tree = workspace.propose
    tree.at(base)
    write(tree.root, {"knob.py": "VALUE = 3\n", "bench.py": "cheat\n"})
    git(tree.root, "checkout", "-q", "-b", "agents-own")
    git(tree.root, "add", "-A")
    git(tree.root, "commit", "-qm", "mine")
    own = git(repo, "rev-parse", "agents-own")
    taken = take(workspace, base)
    assert taken.files == ("knob.py",)
    assert taken.dropped == ("bench.py",)
    assert git(repo, "rev-parse", f"{taken.sha}^").strip() == base
    tree.at(base)
    assert (tree.root / "knob.py").read_text() == git(repo, "show", f"{base}:knob.py")
    assert git(repo, "rev-parse", "agents-own") == own


def test_files_that_git_ignores_are_not_taken(tmp_path: Path, open_workspace: Open) -> None:
    repo = make_target(tmp_path / "r")
    write(repo, {".gitignore": "*.pyc\n"})
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "ignore")
    workspace = open_workspace(repo, edit=("**",))
    base = head_of(workspace.place)
    workspace.propose.at(base)
    write(workspace.propose.root, {"x.pyc": "junk", "y.py": "y = 1\n"})
    assert take(workspace, base).files == ("y.py",)
    workspace.propose.at(base)
    assert not (workspace.propose.root / "x.pyc").exists()


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_files_too_large_for_the_users_repository_are_not_taken(tmp_path: Path, open_workspace: Open) -> None:
    workspace = open_workspace(make_target(tmp_path / "r"), edit=("**", "!bench.py"))
    base = head_of(workspace.place)
    workspace.propose.at(base)
    write(workspace.propose.root, {"knob.py": "VALUE = 5\n", "weights.bin": ""})
    os.truncate(workspace.propose.root / "weights.bin", 300 * 2**20)
    taken = take(workspace, base)
    assert taken.files == ("knob.py",)
    assert taken.dropped == ("weights.bin (300 MB; a proposal may write 100 MB)",)


def test_a_link_to_what_is_hidden_is_not_taken_though_a_wildcard_holds_it(tmp_path: Path, open_workspace: Open) -> None:
    repo = make_target(tmp_path / "r")
    write(repo, {"held/labels.txt": "1\n"})
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "labels")
    workspace = open_workspace(repo, edit=("**", "!bench.py"), hidden=("held",))
    base = head_of(workspace.place)
    workspace.propose.at(base)
    for name, target in {"a": "held/labels.txt", "b": "held", "c": "a", "d": "knob.py"}.items():
        (workspace.propose.root / name).symlink_to(target)
    taken = take(workspace, base)
    assert taken.files == ("d",)
    assert taken.dropped == tuple(f"{name} (a link to what is not in scope)" for name in "abc")


def _same_size_and_times(file: Path) -> None:
    info = file.stat()
    data = file.read_bytes()
    file.write_bytes(data.replace(b"VALUE", b"VALUX"))
    os.utime(file, ns=(info.st_atime_ns, info.st_mtime_ns))


def test_merge_puts_a_change_onto_a_moved_incumbent_or_says_conflict(tmp_path: Path, open_workspace: Open) -> None:
    repo = make_target(tmp_path / "r")
    write(repo, {"other.py": "OTHER = 1\n"})
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "two files")
    workspace = open_workspace(repo, edit=("*.py",))
    base = head_of(workspace.place)

    def candidate(files: dict[str, str]) -> str:
        workspace.propose.at(base)
        write(workspace.propose.root, files)
        return take(workspace, base).sha

    one, two, clash = (
        candidate({"knob.py": "# the knob\nVALUE = 1\n# the end\n"}),
        candidate({"other.py": "OTHER = 2\n"}),
        candidate({"knob.py": "# the knob\nVALUE = 2\n# the end\n"}),
    )
    merged = merge(workspace, one, two)
    assert merged
    assert workspace.change_of(one, merged) == (("other.py",), (1, 1))
    assert merge(workspace, one, clash) is None
    assert merge(workspace, merged, two) == merged
    reverse = workspace.undo(one, "undo")
    assert reverse
    undone = merge(workspace, merged, reverse)
    assert undone
    assert "VALUE = 10.0" in git(repo, "show", f"{undone}:knob.py")
    assert "OTHER = 2" in git(repo, "show", f"{undone}:other.py")


def test_the_branch_moves_only_from_where_it_was(tmp_path: Path, open_workspace: Open) -> None:
    repo = make_target(tmp_path / "r")
    workspace = open_workspace(repo)
    base = head_of(workspace.place)
    workspace.keep(base, None)
    with pytest.raises(GitError):
        workspace.keep(base, None)
    workspace.propose.at(base)
    write(workspace.propose.root, {"knob.py": "VALUE = 1\n"})
    sha = take(workspace, base).sha
    with pytest.raises(GitError):
        workspace.keep(sha, sha)
    workspace.keep(sha, base)
    assert git(repo, "rev-parse", workspace.session.branch).strip() == sha


def test_a_folder_that_an_agent_replaced_by_a_link_brings_nothing_of_its_target(
    tmp_path: Path, open_workspace: Open
) -> None:
    repo = make_target(tmp_path / "r")
    write(repo, {"src/a.py": "a\n"})
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "more")
    write(tmp_path / "outside", {"a.py": "a secret\n"})
    workspace = open_workspace(repo, edit=("src/**",))
    base = head_of(workspace.place)
    tree = workspace.propose
    tree.at(base)
    shutil.rmtree(tree.root / "src")
    (tree.root / "src").symlink_to(tmp_path / "outside")
    taken = take(workspace, base)
    assert "secret" not in git(repo, "show", taken.sha)
    assert git(repo, "ls-tree", "-r", "--name-only", taken.sha, "src") == ""


@pytest.mark.parametrize("state", ["MERGE_HEAD", "CHERRY_PICK_HEAD", "index.lock"])
def test_what_an_agents_git_left_unfinished_is_not_in_the_candidate(
    state: str, tmp_path: Path, open_workspace: Open
) -> None:
    repo = make_target(tmp_path / "r")
    other = git(repo, "commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "other").strip()
    workspace = open_workspace(repo)
    base = head_of(workspace.place)
    tree = workspace.propose
    tree.at(base)
    write(tree.root, {"knob.py": "VALUE = 1\n"})
    (tree.admin.folder / state).write_text(f"{other}\n")
    taken = take(workspace, base)
    assert git(repo, "log", "-1", "--format=%P", taken.sha).strip() == base
    tree.at(taken.sha)
    assert (tree.root / "knob.py").read_text() == "VALUE = 1\n"


@pytest.mark.parametrize("become", [os.mkfifo, os.mkdir])
def test_a_file_that_an_agent_made_something_else_is_removed(
    become: Callable[[Path], None], tmp_path: Path, open_workspace: Open
) -> None:
    repo = make_target(tmp_path / "r")
    workspace = open_workspace(repo)
    base = head_of(workspace.place)
    tree = workspace.propose
    tree.at(base)
    (tree.root / "knob.py").unlink()
    become(tree.root / "knob.py")
    taken = take(workspace, base)
    assert "knob.py" not in git(repo, "ls-tree", "--name-only", taken.sha).split()


def test_commands_are_asked_with_the_new_files_empty_and_twins_beside_them(
    tmp_path: Path, open_workspace: Open
) -> None:
    repo = make_target(tmp_path / "r")
    write(repo, {"src/old.py": "old = 1\n", "src/stay.py": "stay = 1\n"})
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "more")
    workspace = open_workspace(repo, edit=("src/**",))
    base = head_of(workspace.place)
    tree = workspace.propose
    tree.at(base)
    (tree.root / "src/old.py").unlink()
    write(tree.root, {"src/old.py/a\nb.py": "x", "src/new.sh": "y", "src/stay.py": "stay = 2\n"})
    (tree.root / "src/new.sh").chmod(0o755)
    (tree.root / "src/link").symlink_to("stay.py")
    sha = take(workspace, base).sha
    new = workspace.new_files(base, sha)
    assert new is not None
    assert set(new.twins) == {"src/old.py/a\nb.py", "src/new.sh", "src/link"}
    assert new.editable == {"src/old.py", "src/stay.py"}
    measured = workspace.checkouts(base)[0]
    measured.at(new.sha)
    there = {path.relative_to(measured.folder).as_posix() for path in measured.folder.rglob("*")}
    assert there >= {*new.twins, *new.twins.values()}
    assert (measured.folder / "src/new.sh").read_text() == ""
    assert os.access(measured.folder / "src/new.sh", os.X_OK)
    assert (measured.folder / "src/stay.py").read_text() == "stay = 1\n", "nothing but the new ones"
    assert (measured.folder / "src/link").is_symlink()


def test_a_change_of_what_is_there_asks_nobody(tmp_path: Path, open_workspace: Open) -> None:
    workspace = open_workspace(make_target(tmp_path / "r"))
    base = head_of(workspace.place)
    workspace.propose.at(base)
    write(workspace.propose.root, {"knob.py": "VALUE = 1\n"})
    taken = take(workspace, base)
    assert not workspace.adds(base, taken.files)
    assert workspace.new_files(base, taken.sha) is None
    assert workspace.adds(base, ("knob.py", "new.py"))
    assert workspace.adds(base, ("a\nb.py",))


def test_the_trees_in_which_earlier_versions_measured_are_removed(tmp_path: Path, open_workspace: Open) -> None:
    repo = make_target(tmp_path / "r")
    workspace = open_workspace(repo)
    head = head_of(workspace.place)
    for role in ("measure", "evaluate"):
        former = workspace.folder / f"autoresearch-{workspace.session.name}-{role}"
        git(repo, "worktree", "add", "-q", "--detach", str(former), head)
        former.with_name(f"{former.name}.prepared.json").write_text("{}")
    workspace.propose.at(head)
    workspace.remove_former_trees()
    assert [path.name for path in workspace.folder.iterdir()] == [workspace.propose.root.name]
    assert git(repo, "worktree", "list").count("\n") == 2, "the user's and the one for proposals"
