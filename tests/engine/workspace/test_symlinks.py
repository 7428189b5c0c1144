"""Where a link in a proposal may lead: to files in scope, whatever way it takes."""

from __future__ import annotations

from pathlib import Path

import pytest
from repos import write

from autoresearch.engine.workspace import symlinks

FILES = {"src/a.py": "a\n", "src/deep/b.py": "b\n", "mixed/c.py": "c\n", "mixed/secret.txt": "s\n", "judge.py": "j\n"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "tree", FILES)
    write(tmp_path / "other", {"src/a.py": "outside\n"})
    (tmp_path / "tree/.git").write_text("gitdir: elsewhere\n")
    (tmp_path / "tree/out").symlink_to(tmp_path / "other")
    (tmp_path / "tree/src/judged.py").symlink_to("../judge.py")
    (tmp_path / "tree/src/near.py").symlink_to("a.py")
    return tmp_path / "tree"


def astray(root: Path, path: str, target: str) -> bool:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).symlink_to(target)
    return symlinks.leads_astray(root, path, lambda name: name.endswith(".py") and name != "judge.py")


@pytest.mark.parametrize(
    ("path", "target"),
    [("x", "src/a.py"), ("x", "./src//a.py"), ("src/deep/x", "../a.py"), ("x", "src/near.py"), ("x", "src/new.py"),
     ("x", "src/deep"), ("src/x", "deep/")],
)  # fmt: skip
def test_a_link_may_lead_to_what_is_in_scope(root: Path, path: str, target: str) -> None:
    assert not astray(root, path, target)


@pytest.mark.parametrize(
    ("path", "target"),
    [("x", "judge.py"), ("x", "src/judged.py"), ("x", "mixed"), ("x", "src"), ("x", "."), ("x", ".git"), ("x", "out"),
     ("x", "out/src/a.py"), ("x", "/etc/hostname"), ("x", "../other/src/a.py"), ("x", "../tree/src/a.py"),
     ("src/x", "../../tree/src/a.py"), ("x", "new/../src/a.py"), ("x", "src/deep/../../judge.py"), ("x", "x"),
     ("x", "/dev/stdin"), ("x", "/proc/self/environ")],
)  # fmt: skip
def test_a_link_that_leads_anywhere_else_is_refused(root: Path, path: str, target: str) -> None:
    assert astray(root, path, target)


def test_a_link_by_its_full_path_is_refused_though_it_stays_in_this_checkout(root: Path) -> None:
    assert astray(root, "x", str(root / "src/a.py"))
