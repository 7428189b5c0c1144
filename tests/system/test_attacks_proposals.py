"""Attacks by the proposal itself: what is out of scope is never taken, however it is called and wherever it points.

The scope is a wildcard, the worst case: everything but the evaluator, its module and its data. The evaluator runs
apart, in a pristine checkout of the candidate, so that whatever is committed beside it is there when it runs.
"""

from __future__ import annotations

import importlib.util
import marshal
from collections.abc import Callable
from pathlib import Path

import pytest
from attacks import APART, WIDE, Attack, Seen, has_won, make_attacked, measure_all
from repos import git, snapshot

ONLY_OUTSIDE = ("crash", "out_of_scope")
CONFLICT = ("crash", "conflict")
MEASURED = ("discard", "worse")
SCOPE = """
from autoresearch.engine.workspace.scope import Scope
from autoresearch.engine.workspace.workspace import Workspace
Scope.contains = lambda scope, path: True
Workspace._refused = lambda workspace, base, inside: {}
Workspace.new_files = lambda workspace, parent, sha: None
"""
NO_PENALTY = "def penalty(): return 0.0\n"
JSON = "print('METRIC score=1'); import os; os._exit(0)\n"
LED_ASTRAY = "a link to what is not in scope"
KEPT_OUT = "it would be imported in place of what protected code means"


def taken(name: str) -> Callable[[Seen], bool]:
    def is_in_commit(seen: Seen) -> bool:
        ref = f"{seen.session.refs}{seen.row.number}"
        return bool(git(seen.repo, "ls-tree", "-r", "--name-only", ref, "--", name).strip())

    return is_in_commit


def new_file(path: str, mode: str = "100644", text: str = "x") -> str:
    return (
        f"diff --git a/{path} b/{path}\nnew file mode {mode}\n--- /dev/null\n+++ b/{path}\n@@ -0,0 +1 @@\n+{text}\n"
        "\\ No newline at end of file\n"
    )


def compiled(source: str) -> bytes:
    """A .pyc that Python takes without a look at its source: "unchecked, by hash"."""
    code = marshal.dumps(compile(source, "scorelib.py", "exec"))
    return importlib.util.MAGIC_NUMBER + (0b01).to_bytes(4, "little") + bytes(8) + code


PYC = importlib.util.cache_from_source("scorelib.py")

ATTACKS = [
    Attack("edits the evaluator", files={"evaluator.py": "print('METRIC score=1')\n"}, outcome=ONLY_OUTSIDE,
           says="evaluator.py"),
    Attack("edits the evaluator beside a change", "x = 1", {"scorelib.py": NO_PENALTY}, says="scorelib.py"),
    Attack("changes the target's config", "", {"autoresearch.toml": "name = 'mine'\n"}, outcome=ONLY_OUTSIDE,
           won=lambda seen: "mine" in git(seen.repo, "show", f"{seen.session.refs}{seen.row.number}:autoresearch.toml"),
           says="autoresearch.toml"),
    Attack("plants git attributes", "x = 1", {".gitattributes": "* text eol=crlf\n"}, says=".gitattributes",
           won=taken(".gitattributes")),
    Attack("plants git attributes in a folder", "x = 1", {"lib/.gitattributes": "* ident\n"}, says=".gitattributes",
           won=taken("lib/.gitattributes")),
    Attack("plants a submodule's address", "x = 1", {".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = ext::sh\n'},
           says=".gitmodules", won=taken(".gitmodules")),
    Attack("shadows a module of Python", "x = 1", {"json.py": JSON}, says=f"json.py ({KEPT_OUT})"),
    Attack("shadows a module of Python by a package", "x = 1", {"json/__init__.py": JSON},
           says=f"json/__init__.py ({KEPT_OUT})"),
    Attack("shadows the evaluator's module by a package", "x = 1", {"scorelib/__init__.py": NO_PENALTY},
           says=f"scorelib/__init__.py ({KEPT_OUT})"),
    Attack("shadows the evaluator's module by a compiled one", "x = 1", {"scorelib.abi3.so": b"\x7fELF"},
           won=taken("scorelib.abi3.so"), says=f"scorelib.abi3.so ({KEPT_OUT})"),
    Attack("poisons the evaluator's compiled module", "x = 1", {PYC: compiled(NO_PENALTY)}, says=PYC),
    Attack("plants a conftest.py", "x = 1", {"tests/conftest.py": "collect_ignore_glob = ['*']\n"},
           won=taken("tests/conftest.py"), says="conftest.py"),
    Attack("plants a pytest.ini", "x = 1", {"pytest.ini": "[pytest]\naddopts = --co\n"}, won=taken("pytest.ini"),
           says="pytest.ini"),
    Attack("plants a setup.cfg", "x = 1", {"setup.cfg": "[tool:pytest]\naddopts = --co\n"}, won=taken("setup.cfg"),
           says="setup.cfg"),
    Attack("switches tests off in the pyproject.toml", "x = 1",
           {"pyproject.toml": '[tool.pytest.ini_options]\naddopts = "--co"\n'}, says="pyproject.toml",
           won=lambda seen: "--co" in git(seen.repo, "show", f"{seen.session.refs}{seen.row.number}:pyproject.toml")),
    Attack("plants a sitecustomize.py", "x = 1", {"sitecustomize.py": JSON}, won=taken("sitecustomize.py"),
           says="sitecustomize.py"),
    Attack("changes the mode of a protected file",
           patch="diff --git a/evaluator.py b/evaluator.py\nold mode 100644\nnew mode 100755\n", outcome=ONLY_OUTSIDE,
           says="evaluator.py", won=lambda seen: seen.line.cause != "out_of_scope"),
    Attack("links to a file outside", patch=new_file("notes.txt", "120000", "/etc/hostname"), outcome=ONLY_OUTSIDE,
           says=f"notes.txt ({LED_ASTRAY})", won=taken("notes.txt")),
    Attack("links to a protected file", patch=new_file("notes.txt", "120000", "penalty.txt"), outcome=ONLY_OUTSIDE,
           says=f"notes.txt ({LED_ASTRAY})", won=taken("notes.txt")),
    Attack("links to a protected file by another link", outcome=ONLY_OUTSIDE, says=f"one.txt ({LED_ASTRAY})",
           patch=new_file("one.txt", "120000", "two.txt") + new_file("two.txt", "120000", "penalty.txt"),
           won=taken("one.txt")),
]  # fmt: skip
STOPPED_BY_GIT = [
    Attack("writes outside the repository", patch=new_file("../outside.txt"), outcome=CONFLICT, says="invalid path",
           won=lambda seen: list(seen.session.folder.parents[3].rglob("outside.txt"))),
    Attack("writes into .git", patch=new_file(".git/hooks/post-checkout", "100755"), outcome=CONFLICT,
           says="invalid path", won=lambda seen: (seen.repo / ".git/hooks/post-checkout").exists()),
    Attack("writes into .git by another name", patch=new_file(".GIT/config"), outcome=CONFLICT, says="invalid path",
           won=taken(".GIT/config")),
    Attack("writes through a link it makes", patch=new_file("out", "120000", "/tmp") + new_file("out/reached.txt"),
           outcome=CONFLICT, says="symbolic link", won=lambda seen: Path("/tmp/reached.txt").exists()),
]  # fmt: skip
"""What git refuses by itself; there is nothing of ours to switch off."""


def make(folder: Path) -> Path:
    return make_attacked(
        folder, edit=WIDE, run="python train.py", measure=APART, more={".gitignore": "data/\n", "pyproject.toml": ""}
    )


@pytest.fixture(scope="module")
def strong(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    folder = tmp_path_factory.mktemp("proposals")
    repo = make(folder / "r")
    before = snapshot(repo)
    seen = measure_all(folder, repo, [*ATTACKS, *STOPPED_BY_GIT])
    assert snapshot(repo) == before, "the user's own tree is as it was"
    return seen


@pytest.fixture(scope="module")
def weak(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    folder = tmp_path_factory.mktemp("proposals-weak")
    return measure_all(folder, make(folder / "r"), ATTACKS, weak=SCOPE)


@pytest.mark.parametrize("attack", [*ATTACKS, *STOPPED_BY_GIT], ids=str)
def test_what_is_not_in_scope_is_not_taken(attack: Attack, strong: dict[str, Seen]) -> None:
    seen = strong[attack.name]
    assert (seen.line.status, seen.line.cause) == attack.outcome
    assert any(attack.says in text for text in (seen.line.reason, *seen.line.warnings))
    assert not has_won(attack, seen)


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_without_the_scope_it_is_taken_and_pays(attack: Attack, weak: dict[str, Seen]) -> None:
    assert has_won(attack, weak[attack.name])
