"""Why a clean checkout lacks a file of the user's: the fix that is told works."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from repos import git, make_repo, make_target, write

from autoresearch.engine.workspace import why_unseen
from autoresearch.state.session import find_place


@pytest.fixture(params=["", "app"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The target's folder, at the repository's top or in a folder of it."""
    repo = make_target(tmp_path / "r", prefix=request.param)
    write(repo / request.param, {".gitignore": "build/\nsrc/conf.py\n.env\n", "src/a.py": ""})
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "src")
    return repo / request.param


@pytest.mark.parametrize(
    ("name", "clause", "fix"),
    [
        (
            "my data.csv",
            "not in the last commit",
            "`git add 'my data.csv'` and commit, or show it there by [scope] link",
        ),
        ("src/new.py", "not in the last commit", 'link = ["src/new.py"]'),
        ("data/deep/x.bin", "not in the last commit", 'link = ["data"]'),
        ("src/conf.py", "git ignores it", 'link = ["src/conf.py"]'),
        ("build/out/model.so", "git ignores it", "let measure.build or measure.setup make it"),
        (".env", "usually hold keys", 'link = [".env"]; do not commit it'),
        ("src/server.pem", "usually hold keys", 'link = ["src/server.pem"]'),
    ],
)
def test_each_kind_has_its_fix(name: str, clause: str, fix: str, target: Path) -> None:
    write(target, {name: "x"})
    found = why_unseen(find_place(target), name)
    assert found is not None
    assert clause in found[0]
    assert fix in found[1]
    for said in found[1].split("`")[1::2]:
        git(target, *shlex.split(said)[1:])
        assert "Commit it, or show" in (why_unseen(find_place(target), name) or ("", ""))[1]


def test_what_is_committed_or_nowhere_is_not_unseen(target: Path) -> None:
    place = find_place(target)
    assert why_unseen(place, "src/a.py") is None
    assert why_unseen(place, "src") is None
    assert why_unseen(place, "nowhere.py") is None
    (target / "src/a.py").unlink()
    assert why_unseen(place, "src/a.py") is None


def test_of_a_submodule_it_is_the_submodule_that_lacks_it(tmp_path: Path) -> None:
    lib = make_repo(tmp_path / "lib", {"helper.py": ""})
    repo = make_target(tmp_path / "r")
    git(repo, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(lib), "vendor/lib")
    git(repo, "commit", "-q", "-m", "lib")
    place = find_place(repo)
    assert why_unseen(place, "vendor/lib/helper.py") is None
    write(repo / "vendor/lib", {"mine.py": ""})
    found = why_unseen(place, "vendor/lib/mine.py")
    assert found is not None
    assert "git add" not in found[1]
    git(tmp_path, "clone", "-q", str(repo), "clone")
    found = why_unseen(find_place(tmp_path / "clone"), "vendor/lib/helper.py")
    assert found is not None
    assert "not checked out here" in found[0]
    assert found[1].startswith("`git submodule update --init --recursive vendor/lib`")
