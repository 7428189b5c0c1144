"""The git repository that a measured tree is given: as a fresh clone answers, and with nothing else in it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from repos import git, make_repo, write

from autoresearch.engine.git import Git
from autoresearch.engine.workspace import tree_git
from autoresearch.engine.workspace.tree_git import TreeGit

SECRET = "the held-out answers\n"


def commit(repo: Path, files: dict[str, str], message: str = "more") -> str:
    write(repo, files)
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", message)
    return git(repo, "rev-parse", "HEAD").strip()


class Given:
    """A checkout as the engine makes it, with a repository of its own."""

    def __init__(self, folder: Path, repo: Path, base: str, hidden: tuple[str, ...] = ()) -> None:
        self.common = (repo / git(repo, "rev-parse", "--git-common-dir").strip()).resolve()
        self.repository = TreeGit(folder / "base", self.common, base, hidden)
        self.root = folder / "checkout"
        self.root.mkdir(parents=True, exist_ok=True)
        self._index = folder / "index"

    def at(self, sha: str) -> Given:
        settings = ("-c", "index.version=2", "-c", "core.sparseCheckout=false")
        engine = Git(self.common, self.root)
        engine(*settings, "read-tree", "-u", "--reset", sha, env={"GIT_INDEX_FILE": str(self._index)})
        self.repository.give(self.root, sha, self._index)
        return self

    def git(self, *args: str, check: bool = True) -> str:
        """As a run calls it: git looks for the repository itself."""
        done = subprocess.run(["git", *args], cwd=self.root, capture_output=True, text=True, check=False)
        assert not check or done.returncode == 0, (args, done.stderr)
        return done.stdout.strip()

    def holds(self, name: str) -> bool:
        return bool(self.git("cat-file", "-t", name, check=False))


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    repo = make_repo(tmp_path / "r", {"a.py": "1\n", "deep/b.py": "2\n"})
    git(repo, "tag", "-a", "v1.0", "-m", "first")
    commit(repo, {"a.py": "2\n"})
    git(repo, "tag", "light")
    commit(repo, {"a.py": "3\n"})
    return repo


def test_programs_are_answered_as_in_a_fresh_clone_and_may_work_with_it(tmp_path: Path, tagged: Path) -> None:
    base = git(tagged, "rev-parse", "HEAD").strip()
    tip = commit(tagged, {"a.py": "4\n", "new.py": "5\n"})
    given = Given(tmp_path / "g", tagged, base).at(tip)
    for question in (
        "rev-parse HEAD",
        "describe --tags",
        "rev-list --count HEAD",
        "log --format=%s",
        "show HEAD~2:a.py",
    ):
        assert given.git(*question.split()) == git(tagged, *question.split()).strip(), question
    assert given.git("status", "--porcelain") == given.git("diff", "HEAD") == given.git("remote") == ""
    assert given.git("for-each-ref", "--format=%(refname)").split() == ["refs/tags/light", "refs/tags/v1.0"]
    assert given.repository.note == ""
    given.git("fsck", "--full", "--strict")
    write(given.root, {"a.py": "6\n"})
    given.git("stash")
    assert (given.root / "a.py").read_text() == "4\n"
    given.git("stash", "pop")
    given.git("commit", "-qam", "mine")
    given.git("checkout", "-q", "v1.0")
    given.git("gc", "--quiet")
    assert (given.root / "a.py").read_text() == "1\n"
    given.at(tip)
    assert given.git("rev-parse", "HEAD") == tip
    assert given.git("status", "--porcelain") == ""


def test_it_has_no_rival_branch_remote_or_dangling_object(tmp_path: Path, tagged: Path) -> None:
    base = git(tagged, "rev-parse", "HEAD").strip()
    one = commit(tagged, {"one.py": "a rival\n"})
    git(tagged, "reset", "-q", "--hard", base)
    two = commit(tagged, {"two.py": "a candidate\n"})
    git(tagged, "tag", "later")
    write(tagged, {"a.py": "not committed\n"})
    dangling = git(tagged, "stash", "create").strip()
    git(tagged, "remote", "add", "origin", "https://user:token@example.org/r")
    git(tagged, "config", "filter.x.clean", "secret")
    given = Given(tmp_path / "g", tagged, base).at(one)
    assert (given.holds(one), given.holds(two)) == (True, False)
    given.at(two)
    assert (given.holds(two), given.holds(one), given.holds(f"{one}:one.py")) == (True, False, False)
    assert not given.holds(dangling)
    assert "later" not in given.git("tag")
    assert "token" not in given.git("config", "--local", "--list")
    assert "secret" not in given.git("config", "--local", "--list")
    packs = (given.root / ".git/objects/pack").glob("*.pack")
    assert sorted(pack.stat().st_nlink for pack in packs) == [1, 2]


@pytest.mark.parametrize("hidden", [("data/labels.csv",), ("data",), ("**/*.csv",)])
def test_no_commit_gives_a_hidden_file_and_the_rest_works(hidden: tuple[str, ...], tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "r", {"a.py": "1\n", "data/labels.csv": SECRET, "data/.keep": "", "empty.py": ""})
    first = git(repo, "rev-parse", "HEAD:data/labels.csv").strip()
    git(repo, "checkout", "-q", "-b", "side")
    side = commit(repo, {"data/labels.csv": "changed and put back on a side\n"})
    commit(repo, {"data/labels.csv": SECRET})
    git(repo, "checkout", "-q", "main")
    commit(repo, {"a.py": "2\n"})
    git(repo, "merge", "-q", "--no-edit", "side")
    base = git(repo, "rev-parse", "HEAD").strip()
    tip = commit(repo, {"a.py": "3\n", "data/labels.csv": "newer answers\n"})
    given = Given(tmp_path / "g", repo, base, hidden).at(tip)
    secrets = [first, *(git(repo, "rev-parse", f"{sha}:data/labels.csv").strip() for sha in (side, base, tip))]
    for name in (*secrets, "HEAD:data/labels.csv", "HEAD~1:data/labels.csv"):
        assert not given.holds(name), name
    assert given.holds("HEAD:empty.py"), "a hidden file of the same content takes nothing away"
    (given.root / "data/labels.csv").write_text("")  # as a view covers it
    assert given.git("status", "--porcelain") == given.git("diff", "HEAD") == ""
    write(given.root, {"a.py": "4\n"})
    given.git("stash")
    given.git("stash", "pop")
    given.git("commit", "-qam", "mine")
    given.git("gc", "--quiet")
    given.git("fsck", "--connectivity-only")
    assert given.git("show", "HEAD~1:a.py") == "3"
    assert given.git("rev-parse", "HEAD:data/labels.csv") == secrets[-1]


def _deep(folder: Path, repo: Path) -> Path:
    git(folder, "clone", "-q", "--depth", "1", repo.as_uri(), "clone")
    return folder / "clone"


def _worktree(folder: Path, repo: Path) -> Path:
    git(repo, "worktree", "add", "-q", "--detach", str(folder / "clone"))
    return folder / "clone"


def _borrowing(folder: Path, repo: Path) -> Path:
    git(folder, "clone", "-q", "--shared", str(repo), "a:b")
    return folder / "a:b"


def _without(what: str) -> Callable[[Path, Path], Path]:
    def clone(folder: Path, repo: Path) -> Path:
        git(repo, "config", "uploadpack.allowFilter", "true")
        git(folder, "clone", "-q", f"--filter={what}", repo.as_uri(), "clone")
        return folder / "clone"

    return clone


@pytest.mark.parametrize(
    "clone",
    [_deep, _worktree, _borrowing, _without("blob:none"), _without("tree:0")],
    ids=["shallow", "worktree", "alternates and a colon", "without old files", "without old trees"],
)
def test_every_kind_of_clone_has_one(clone: Callable[[Path, Path], Path], tmp_path: Path, tagged: Path) -> None:
    repo = clone(tmp_path, tagged)
    base = git(repo, "rev-parse", "HEAD").strip()
    tip = commit(repo, {"a.py": "4\n"})
    given = Given(tmp_path / "g", repo, base).at(tip)
    assert given.git("rev-parse", "HEAD") == tip
    assert given.git("status", "--porcelain") == given.git("diff", "HEAD") == ""
    write(given.root, {"a.py": "5\n"})
    given.git("commit", "-qam", "mine")
    assert given.git("show", "HEAD~1:a.py") == "4"
    assert given.git("show", "HEAD~2:deep/b.py") == "2"


def test_a_repository_of_another_hash_with_one_commit_and_an_odd_name_in_it(tmp_path: Path) -> None:
    repo = tmp_path / "r"
    git(tmp_path, "init", "-q", "-b", "main", "--object-format=sha256", "r")
    base = commit(repo, {"a\u2028b.py": "1\n", "c d": "2\n"})
    given = Given(tmp_path / "g", repo, base).at(base)
    assert given.git("rev-parse", "HEAD") == base
    assert given.git("status", "--porcelain") == ""
    assert given.git("describe", "--always") == git(repo, "describe", "--always").strip()
    given.git("fsck", "--full", "--strict")


def test_a_long_history_is_cut_and_a_large_one_has_no_old_files(
    tmp_path: Path, tagged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = git(tagged, "rev-parse", "HEAD").strip()
    old = git(tagged, "rev-parse", "HEAD~2:a.py").strip()
    with monkeypatch.context() as patch:
        patch.setattr(tree_git, "MOST_COMMITS", 2)
        cut = Given(tmp_path / "cut", tagged, base).at(base)
    assert cut.git("rev-list", "--count", "HEAD") == "2"
    assert cut.git("describe", "--tags").startswith("light-1-")
    assert cut.git("show", "HEAD~1:deep/b.py") == "2"
    assert "2 commits" in cut.repository.note
    cut.git("fsck", "--full")
    with monkeypatch.context() as patch:
        patch.setattr(tree_git, "LARGEST_MB", -1)
        large = Given(tmp_path / "large", tagged, base).at(base)
    assert large.git("rev-list", "--count", "HEAD") == "3"
    assert large.git("describe", "--tags").startswith("light-1-")
    assert large.git("status", "--porcelain") == ""
    assert (large.holds("HEAD:a.py"), large.holds(old)) == (True, False)
    assert "no old files" in large.repository.note


def test_what_is_packed_serves_the_next_engine_and_is_made_again_for_other_hidden_paths(
    tmp_path: Path, tagged: Path
) -> None:
    base = git(tagged, "rev-parse", "HEAD").strip()
    Given(tmp_path / "g", tagged, base).at(base)
    inode = next((tmp_path / "g/base").rglob("*.pack")).stat().st_ino
    again = Given(tmp_path / "g", tagged, base).at(base)
    assert inode in {pack.stat().st_ino for pack in (again.root / ".git").rglob("*.pack")}
    hiding = Given(tmp_path / "g", tagged, base, ("deep",)).at(base)
    assert not hiding.holds("HEAD:deep/b.py")
    assert hiding.git("rev-parse", "HEAD") == base


def test_a_repository_that_something_planted_there_is_not_used(tmp_path: Path, tagged: Path) -> None:
    base = git(tagged, "rev-parse", "HEAD").strip()
    root = tmp_path / "g/checkout"
    (tmp_path / "mine").mkdir()
    root.mkdir(parents=True)
    (root / ".git").symlink_to(tmp_path / "mine")
    given = Given(tmp_path / "g", tagged, base).at(base)
    assert not (root / ".git").is_symlink()
    assert not list((tmp_path / "mine").iterdir())
    assert given.git("status", "--porcelain") == ""


def test_a_copy_of_the_checkout_is_as_clean(tmp_path: Path, tagged: Path) -> None:
    """Where a tree cannot be laid over the checkout it is copied: other inodes, the same times."""
    base = git(tagged, "rev-parse", "HEAD").strip()
    given = Given(tmp_path / "g", tagged, base).at(base)
    shutil.copytree(given.root, tmp_path / "copy")
    before = (tmp_path / "copy/.git/index").read_bytes()
    given.root = tmp_path / "copy"
    assert given.git("diff-files", "--name-only") == ""
    assert (tmp_path / "copy/.git/index").read_bytes() == before
