"""The git side on real repositories: what is taken, what a tree is made into, what stays the user's."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from repos import git, make_target, snapshot, write

from autoresearch.engine.git import GitError
from autoresearch.engine.workspace import Taken, Workspace, head_of, restore_state, state_ref, uncommitted
from autoresearch.engine.workspace.repository import branch_holder
from autoresearch.state.config import config as configs
from autoresearch.state.journal import records
from autoresearch.state.session import SessionError, create_session, find_place

Open = Callable[..., Workspace]


@pytest.fixture
def open_workspace(tmp_path: Path) -> Iterator[Open]:
    opened: list[Workspace] = []

    def make(
        repo: Path, edit: tuple[str, ...] = ("knob.py",), link: tuple[str, ...] = (), **measure: object
    ) -> Workspace:
        place = find_place(repo)
        config = configs.Config(
            name="t",
            metric=configs.Metric("score"),
            scope=configs.Scope(edit, link),
            measure=configs.Measure("python bench.py", **measure),  # type: ignore[arg-type]
        )
        header = records.Header(session="s", base=head_of(place))
        session = create_session(place, f"s{len(opened)}", header, configs.dumps(config))
        workspace = Workspace(place, session, config, lambda text: warnings.append(text))
        opened.append(workspace)
        return workspace

    warnings: list[str] = []
    make.warnings = warnings  # type: ignore[attr-defined]
    yield make
    for workspace in opened:
        workspace.close()


def take(workspace: Workspace, base: str) -> Any:
    """What is taken, with the commit made of it as its `sha`."""
    taken = workspace.take(base)
    sha = workspace.commit(taken.tree, base, "a change", {"description": "a change"}) if taken.tree else ""
    return SimpleNamespace(sha=sha, **asdict(taken))


def merge(workspace: Workspace, onto: str, change: str) -> str | None:
    merged = workspace.merge(onto, change)
    if merged is None or not merged.tree:
        return None if merged is None else onto
    return workspace.commit(merged.tree, onto, "merged", {})


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
    workspace.measure.at(taken.sha)
    same = ["diff", "-r", "--no-dereference", str(workspace.propose.root / "src"), str(workspace.measure.root / "src")]
    assert subprocess.run(same, check=False, capture_output=True).returncode == 0
    shown = (workspace.measure.root / "src/old.py").stat().st_mode if kind == "mode" else 0o100
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


def contents(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


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


def test_files_too_large_for_the_users_repository_are_not_taken(tmp_path: Path, open_workspace: Open) -> None:
    workspace = open_workspace(make_target(tmp_path / "r"), edit=("**", "!bench.py"))
    base = head_of(workspace.place)
    workspace.propose.at(base)
    write(workspace.propose.root, {"knob.py": "VALUE = 5\n", "weights.bin": ""})
    os.truncate(workspace.propose.root / "weights.bin", 300 * 2**20)
    taken = take(workspace, base)
    assert taken.files == ("knob.py",)
    assert taken.dropped == ("weights.bin (300 MB; a proposal may write 100 MB)",)


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


def _same_size_and_times(file: Path) -> None:
    info = file.stat()
    data = file.read_bytes()
    file.write_bytes(data.replace(b"VALUE", b"VALUX"))
    os.utime(file, ns=(info.st_atime_ns, info.st_mtime_ns))


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


def test_refs_move_in_one_transaction_or_not_at_all(tmp_path: Path, open_workspace: Open) -> None:
    repo = make_target(tmp_path / "r")
    workspace = open_workspace(repo)
    base = head_of(workspace.place)
    workspace.propose_ref(4, base)
    assert workspace.list_refs() == {"p4": base}
    workspace.number_ref(1, base, 4)
    assert workspace.list_refs() == {"1": base}
    lock = workspace.place.common_dir / f"{workspace.experiment_ref(2)}.lock"
    lock.write_text("")
    with pytest.raises(GitError, match="lock"):
        workspace.number_ref(2, base, None)
    assert workspace.remove_stale_locks() == [lock]
    workspace.number_ref(2, base, None)
    assert set(workspace.list_refs()) == {"1", "2"}


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


def test_a_candidate_is_the_tree_that_git_itself_would_write(tmp_path: Path, open_workspace: Open) -> None:
    """Filters of the user's attributes, modes, new folders, emptied folders: against `git add` and `git write-tree`."""
    repo = make_target(tmp_path / "r")
    write(
        repo,
        {".gitattributes": "*.txt text eol=crlf\n", "src/a/deep/x.py": "1\n", "src/a/y.py": "2\n", "src/z.txt": "l\n"},
    )
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "files")
    workspace = open_workspace(repo, edit=("src/**",))
    base = head_of(workspace.place)
    root = workspace.propose.root
    for step, change in enumerate(
        (
            {"src/z.txt": "one\r\ntwo\r\n", "src/new/folder/n.txt": "a\r\n"},
            {"src/a/y.py": "3\n", "src/b.py": "x\n", "src/a.py": "beside the folder\n"},
            {"src/é ü.py": "names\n"},
        )
    ):
        workspace.propose.at(base)
        write(root, {name: text for name, text in change.items()})
        if step == 1:
            (root / "src/a/deep/x.py").unlink()
            (root / "src/b.py").chmod(0o755)
        taken = take(workspace, base)
        git(root, "add", "-A", "src")
        assert git(repo, "rev-parse", f"{taken.sha}^{{tree}}") == git(root, "write-tree")
    assert git(repo, "fsck", "--strict", "--no-dangling") == ""
    shown = git(repo, "log", "-1", "--format=%an <%ae>|%B", taken.sha)
    assert shown.startswith("autoresearch <autoresearch@localhost>|a change\n\nAutoresearch-Proposal: {")


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


def test_a_batch_process_that_died_under_us_is_not_taken_for_a_missing_ref(
    tmp_path: Path, open_workspace: Open
) -> None:
    repo = make_target(tmp_path / "r")
    workspace = open_workspace(repo)
    for script in ("exec <&- >&-; sleep 60", "read line"):  # it closed its ends; it ended while we asked
        with subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as dying:
            workspace.refs._reads._child = dying  # no process of git's can be made to die at that moment
            assert workspace.refs.resolve("refs/heads/main") == head_of(workspace.place)
            dying.kill()


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


def test_a_patch_is_told_without_context_and_as_often_as_asked(tmp_path: Path, open_workspace: Open) -> None:
    repo = make_target(tmp_path / "r")
    workspace = open_workspace(repo)
    before = head_of(workspace.place)
    (repo / "knob.py").write_text("# the knob\nVALUE = 9.0\n# the end\n")
    (repo / "image.bin").write_bytes(bytes(range(256)))
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "change")
    after = head_of(workspace.place)
    for _ in range(2):
        lines = workspace.patch_of(before, after).splitlines()
        assert [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")] == [
            "-VALUE = 10.0",
            "+VALUE = 9.0",
        ]
        assert "Binary files /dev/null and b/image.bin differ" in lines
    assert workspace.patch_of(after, after) == ""
    assert workspace.patch_of(before, "0" * 40) == ""
