"""One look at a tree: what differs from its index, what was only touched, and what lies there beyond it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from repos import git, make_repo, write

from autoresearch.engine.git import read_index
from autoresearch.engine.workspace.look import Found, Look

Finder = Callable[..., Found]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    repo = make_repo(tmp_path / "r", {"a.py": "a = 1\n", "src/b.py": "b = 1\n", "src/deep/c.py": "c = 1\n"})
    (repo / "link").symlink_to("a.py")
    git(repo, "add", "link")
    return repo


@pytest.fixture
def find(root: Path) -> Finder:
    look = Look(root, read_index(root / ".git/index", 20))

    def at(*links: str, deep: bool = False) -> Found:
        return look.find(links, deep=deep)

    return at


def test_a_tree_as_it_was_checked_out_has_nothing(root: Path, find: Finder) -> None:
    assert find().beyond() == find(deep=True).beyond() == []


def _rewrite(path: Path) -> None:
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("change", "changed", "rewritten"),
    [
        (lambda r: (r / "a.py").write_text("a = 2\n"), ["a.py"], []),
        (lambda r: _rewrite(r / "a.py"), [], ["a.py"]),
        (lambda r: (r / "src/b.py").chmod(0o755), ["src/b.py"], []),
        (lambda r: (r / "src/b.py").chmod(0o600), [], ["src/b.py"]),
        (lambda r: (r / "src/deep/c.py").unlink(), ["src/deep/c.py"], []),
        (lambda r: ((r / "link").unlink(), (r / "link").symlink_to("src")), ["link"], []),
        (lambda r: ((r / "link").unlink(), (r / "link").symlink_to("a.py")), [], ["link"]),
        (lambda r: ((r / "link").unlink(), (r / "link").write_text("a.py")), ["link"], []),
        (lambda r: ((r / "a.py").unlink(), (r / "a.py").symlink_to("/etc/passwd")), ["a.py"], []),
    ],
)
def test_what_differs_is_told_from_what_was_only_touched(
    root: Path, find: Finder, change: Callable[[Path], object], changed: list[str], rewritten: list[str]
) -> None:
    change(root)
    found = find()
    assert (found.changed, found.rewritten, found.extras) == (changed, rewritten, [])


def test_what_lies_beyond_the_commit_is_told_by_folder_or_by_file(root: Path, find: Finder) -> None:
    write(root, {"new/x": "", "new/y": "", "src/z": "", "data": "", "linked/in/w": ""})
    assert sorted(find("data", "linked/in").extras) == ["new", "src/z"]
    assert sorted(find("data", "linked/in", deep=True).extras) == ["new/x", "new/y", "src/z"]
    assert sorted(find().extras) == ["data", "linked", "new", "src/z"]
