from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoresearch.engine.workspace import Scope

GIT = ("git", "-c", "core.quotePath=false")


def listed(repo: Path, specs: list[str]) -> set[bytes]:
    done = subprocess.run([*GIT, "ls-files", "-z", "--", *specs], cwd=repo, capture_output=True, check=True)
    return set(done.stdout.split(b"\0")) - {b""}


class Index:
    """A repository whose index is set directly: `ls-files` needs no files and no blobs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        subprocess.run([*GIT, "init", "-q", str(folder)], check=True)

    def fill(self, paths: set[str]) -> set[bytes]:
        (self.folder / ".git" / "index").unlink(missing_ok=True)
        files = [path for path in paths if not any(other.startswith(f"{path}/") for other in paths)]
        entries = b"".join(b"100644 %s 0\t%s\0" % (b"1" * 40, os.fsencode(path)) for path in files)
        subprocess.run([*GIT, "update-index", "-z", "--index-info"], cwd=self.folder, input=entries, check=True)
        return listed(self.folder, [])


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    return Index(tmp_path_factory.mktemp("scope"))


def agree(index: Index, edit: tuple[str, ...], prefix: str, paths: set[str]) -> None:
    scope = Scope(edit, prefix)
    known = index.fill(paths)
    top = os.fsencode(prefix) + b"/" if prefix else b""
    ours = {name for name in known if name.startswith(top) and scope.contains(os.fsdecode(name.removeprefix(top)))}
    assert listed(index.folder, scope.pathspecs()) == ours, scope.pathspecs()


TREE = {
    "train.py",
    "src/a.py",
    "src/deep/b.py",
    "src/deep/er/c.py",
    "src/eval.py",
    "src.py",
    "other/src/a.py",
    "app/[id]/page.tsx",
    "app/i/page.tsx",
    "näme/é.py",
    "a b/c d.py",
    "!odd",
    "back\\slash",
}


@pytest.mark.parametrize("prefix", ["", "sub", "we*ird/[p]re"])
@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (("train.py",), {"train.py"}),
        (("src",), {"src/a.py", "src/deep/b.py", "src/deep/er/c.py", "src/eval.py"}),
        (("src/",), {"src/a.py", "src/deep/b.py", "src/deep/er/c.py", "src/eval.py"}),
        (("./src//deep/",), {"src/deep/b.py", "src/deep/er/c.py"}),
        (("train.py/",), set()),
        (("*.py",), {"train.py", "src.py"}),
        (("src/*",), {"src/a.py", "src/eval.py"}),
        (("src/**",), {"src/a.py", "src/deep/b.py", "src/deep/er/c.py", "src/eval.py"}),
        (("src/**", "!src/eval.py"), {"src/a.py", "src/deep/b.py", "src/deep/er/c.py"}),
        (("!src/deep", "src"), {"src/a.py", "src/eval.py"}),
        (("**/a.py",), {"src/a.py", "other/src/a.py"}),
        (("src/**/c.py",), {"src/deep/er/c.py"}),
        (("src/**/a.py",), {"src/a.py"}),
        (("app/[id]/page.tsx",), {"app/[id]/page.tsx", "app/i/page.tsx"}),
        (("app/[!i]*/*",), {"app/[id]/page.tsx"}),
        (("näme/é.py", "a b/*"), {"näme/é.py", "a b/c d.py"}),
        (("näme/??.py",), {"näme/é.py"}),
        (("\\!odd", "back\\\\slash"), {"!odd", "back\\slash"}),
        ((".",), TREE),
        (("**", "!**/*.py"), {"app/[id]/page.tsx", "app/i/page.tsx", "!odd", "back\\slash"}),
    ],
)
def test_patterns_mean_what_git_means(index: Index, prefix: str, edit: tuple[str, ...], expected: set[str]) -> None:
    scope = Scope(edit, prefix)
    assert {path for path in TREE if scope.contains(path)} == expected
    inside = {f"{prefix}/{path}" if prefix else path for path in TREE}
    agree(index, edit, prefix, inside | ({"train.py", "src/a.py"} if prefix else set()))


NAMES = st.text(alphabet="ab-]![é.", min_size=1, max_size=3).filter(lambda name: name not in (".", ".."))
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
PIECES = st.sampled_from(
    "a b ab - é * ** *** ? [ab] [!a] [^b] [a-b] []a] [a [[:alpha:]] [[:nope:]] [!-] [b-a]".split()
    + r"\* \a \[ \ ] ! [a/b] [\]] [a-] [[:a] \/".split()
)
PATTERNS = st.lists(st.lists(PIECES, min_size=1, max_size=3).map("".join), min_size=1, max_size=4).flatmap(
    lambda parts: st.sampled_from(["", "/"]).map(lambda end: "/".join(parts) + end)
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    paths=st.sets(PATHS, min_size=1, max_size=8),
    include=st.lists(PATTERNS.filter(lambda text: not text.startswith(("!", "/"))), min_size=1, max_size=2),
    exclude=st.lists(PATTERNS.filter(lambda text: not text.startswith("/")), max_size=1),
    prefix=st.sampled_from(["", "a", "a/[b", "b]/a*"]),
)
def test_agrees_with_git_on_any_tree_and_pattern(
    index: Index, paths: set[str], include: list[str], exclude: list[str], prefix: str
) -> None:
    edit = (*include, *(f"!{pattern}" for pattern in exclude))
    agree(index, edit, prefix, paths | {f"{prefix}/{path}" if prefix else path for path in paths})


@pytest.mark.parametrize("edit", [(), ("!a",), ("",), ("/etc/passwd",), ("../x",), ("a/../../x",), ("a", "!../b")])
def test_a_scope_that_leaves_the_target_or_holds_nothing_is_refused(edit: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"scope\.edit"):
        Scope(edit)


@pytest.mark.parametrize(
    "edit", [("**",), ("**", "tests/conftest.py"), ("*.py", "tests/**"), ("__pycache__/**", "x.pyc")]
)
def test_what_is_never_in_scope_is_so_for_git_as_well(edit: tuple[str, ...], index: Index) -> None:
    paths = {
        "train.py", ".gitattributes", "lib/.gitattributes", ".gitmodules", "autoresearch.toml", "x.pyc",
        "__pycache__/a.cpython-311.pyc", "lib/__pycache__/a.txt", "conftest.py", "tests/conftest.py", "tox.ini",
        "sitecustomize.py", "lib/usercustomize.py", "pytest.ini", "my_conftest.py", "pyproject.toml", "lib/setup.cfg",
    }  # fmt: skip
    agree(index, edit, "", paths)
    scope = Scope(edit)
    taken = {path for path in paths if scope.contains(path)}
    named = {"conftest.py", "tests/conftest.py"} if "tests/conftest.py" in edit else set()
    assert taken <= {"train.py", "my_conftest.py"} | named
    assert named <= taken
