"""Which repository a folder belongs to, what is said where that is none to work in, and who makes a session."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from repos import git, make_target

from autoresearch.state import files
from autoresearch.state.journal.records import Header
from autoresearch.state.session import NoRepository, SessionError, create_session, find_place
from autoresearch.state.session import session as sessions


def test_inside_a_git_hook_the_folder_decides_and_not_its_variables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, other = make_target(tmp_path / "here"), make_target(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    place = find_place(here)
    assert (place.top, place.common_dir) == (here.resolve(), here.resolve() / ".git")


@pytest.mark.parametrize("where", ["bare.git", "repo/.git"])
def test_a_folder_without_a_working_tree_is_told_apart_from_one_without_a_repository(
    where: str, tmp_path: Path
) -> None:
    repo = make_target(tmp_path / "repo")
    git(repo, "clone", "-q", "--bare", ".", str(tmp_path / "bare.git"))
    with pytest.raises(SessionError, match="git clone") as caught:
        find_place(tmp_path / where)
    assert not isinstance(caught.value, NoRepository), "nobody may make another repository in it"
    with pytest.raises(NoRepository, match="--git-init"):
        find_place(tmp_path)


def test_of_two_engines_that_make_the_same_session_the_second_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = find_place(make_target(tmp_path / "r"))
    write = files.write_atomic

    def overtaken(path: Path, content: bytes, *args: int) -> None:
        monkeypatch.setattr(sessions, "write_atomic", write)
        monkeypatch.setattr(os, "getpid", lambda: 1)
        create_session(place, "s", Header(session="s"), "the first one's")
        write(path, content, *args)

    monkeypatch.setattr(sessions, "write_atomic", overtaken)
    with pytest.raises(SessionError, match="another engine") as caught:
        create_session(place, "s", Header(session="s"), "the second one's")
    assert caught.value.code == 4
    assert [path.name for path in place.sessions_dir.iterdir()] == ["s"]
    assert (place.sessions_dir / "s/config.toml").read_text() == "the first one's"
