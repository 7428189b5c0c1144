"""Which remote is meant, what is pushed where nobody else pushed, and refusals in plain words."""

from __future__ import annotations

from pathlib import Path

import pytest
from repos import git, make_target

from autoresearch.engine.git import Remote
from autoresearch.state.session import Place, SessionError, find_place

REF, STATE = "refs/autoresearch/s/1", "refs/autoresearch/s/state"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    repo = make_target(tmp_path / "r")
    git(tmp_path, "init", "-q", "--bare", "hub.git")
    git(repo, "remote", "add", "hub", "../hub.git")
    return find_place(repo)


@pytest.mark.parametrize("name", ["hub", "../hub.git"])
def test_a_remote_has_what_was_pushed(place: Place, name: str) -> None:
    remote = Remote(place, name, place.top)
    assert remote.refs() == {}
    head = git(place.top, "rev-parse", "HEAD").strip()
    remote.push({REF: head, STATE: head, "refs/heads/other": head}, (), {}, STATE, place.common_dir / "objects")
    assert remote.refs() == {REF: head, STATE: head}
    remote.push({}, (REF,), remote.refs(), STATE, place.common_dir / "objects")
    assert remote.refs() == {STATE: head}
    remote.fetch(f"{STATE}:refs/autoresearch-incoming/s/state")
    assert git(place.top, "rev-parse", "refs/autoresearch-incoming/s/state").strip() == head


def test_no_ref_is_overwritten_that_has_moved_since(place: Place) -> None:
    remote = Remote(place, "hub", place.top)
    first = git(place.top, "rev-parse", "HEAD").strip()
    git(place.top, "commit", "-q", "--allow-empty", "-m", "second")
    second = git(place.top, "rev-parse", "HEAD").strip()
    remote.push({REF: first, STATE: first}, (), {}, STATE, place.common_dir / "objects")
    with pytest.raises(SessionError, match=r"changed at this moment .*; nothing was moved") as refused:
        remote.push({REF: second, STATE: second}, (), {}, STATE, place.common_dir / "objects")
    assert refused.value.code == 1
    assert remote.refs() == {REF: first, STATE: first}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere", r"no git remote or folder 'nowhere' here \(remotes: hub\)"),
        ("", "no git remote or folder ''"),
        ("--upload-pack=touch x:y", "no git remote or folder"),
    ],
)
def test_a_name_that_is_nothing_is_refused_before_git_is_asked(place: Place, name: str, says: str) -> None:
    with pytest.raises(SessionError, match=says):
        Remote(place, name, place.top)


@pytest.mark.parametrize(
    ("name", "says", "code"),
    [
        ("file:///nowhere.git", "There is no git repository at file:///nowhere.git", 2),
        ("ext::true", "way of transport", 2),
    ],
)
def test_what_git_refuses_is_said_with_the_fix(place: Place, name: str, says: str, code: int) -> None:
    with pytest.raises(SessionError, match=says) as refused:
        Remote(place, name, place.top).refs()
    assert refused.value.code == code


def test_no_password_is_shown(place: Place) -> None:
    assert Remote(place, "https://me:secret@host/x.git", place.top).shown == "https://host/x.git"
