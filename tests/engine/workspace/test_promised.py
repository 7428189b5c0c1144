"""A partial clone gets what it lacks of a commit before anything is made of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from repos import git, make_target, snapshot, write
from workspaces import Open

from autoresearch.engine.workspace import fetch_promised, head_of, promised
from autoresearch.state.session import SessionError, find_place


@pytest.fixture(params=["blob:none", "tree:0"])
def partial(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A clone that has only the files at the top, and of the folders nothing, with a commit of its own on top."""
    origin = make_target(tmp_path / "origin")
    write(origin, {"deep/er/a": "1\n", "deep/b": "2\n", "other/c": "3\n"})
    git(origin, "add", "-A")
    git(origin, "commit", "-q", "-m", "folders")
    git(origin, "config", "uploadpack.allowFilter", "true")
    git(origin, "config", "uploadpack.allowAnySHA1InWant", "true")
    git(tmp_path, "clone", "-q", "--no-checkout", f"--filter={request.param}", origin.as_uri(), "partial")
    repo = tmp_path / "partial"
    git(repo, "sparse-checkout", "set", "--cone")
    git(repo, "checkout", "-q", "main")
    write(repo, {"knob.py": "VALUE = 9.0\n"})
    git(repo, "commit", "-qam", "mine")
    return repo


def test_what_is_missing_is_fetched_once_and_the_clone_stays_as_it_was(partial: Path, open_workspace: Open) -> None:
    place = find_place(partial)
    assert promised(place, head_of(place))
    before = snapshot(partial)
    fetch_promised(place, head_of(place))
    assert promised(place, head_of(place)) == []
    assert snapshot(partial) == before
    (partial.parent / "origin").rename(partial.parent / "away")
    fetch_promised(place, head_of(place))
    workspace = open_workspace(partial)
    measured = workspace.checkouts(head_of(place))[0]
    measured.at(head_of(place))
    assert (measured.folder / "deep/er/a").read_text() == "1\n"


def test_a_remote_that_is_away_is_named_with_what_is_missing(partial: Path) -> None:
    (partial.parent / "origin").rename(partial.parent / "away")
    place = find_place(partial)
    with pytest.raises(SessionError, match=r"partial clone lacks \d objects of \w{7}, and origin gives none"):
        fetch_promised(place, head_of(place))


def test_a_remote_that_does_not_have_it_either_is_not_asked_for_ever(partial: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "empty")
    git(partial, "remote", "set-url", "origin", str(tmp_path / "empty"))
    with pytest.raises(SessionError, match=r"partial clone lacks \d objects of \w{7}, and origin gives none"):
        fetch_promised(find_place(partial), head_of(find_place(partial)))


def test_a_program_that_the_repositorys_own_config_names_is_not_run(partial: Path, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    program.chmod(0o755)
    git(partial, "remote", "set-url", "origin", "ssh://host/x")
    git(partial, "config", "core.sshCommand", str(program))
    with pytest.raises(SessionError, match=r"core.sshcommand.*`git fetch --refetch --no-filter`"):
        fetch_promised(find_place(partial), head_of(find_place(partial)))
    assert not (tmp_path / "started").exists()
