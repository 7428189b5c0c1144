"""Attacks by a repository's own git config: it names programs, and nobody has trusted anything of it yet."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attacks import Attack
from repos import git, make_target, write

from autoresearch.engine.git import Git, GitError, Refs
from autoresearch.engine.workspace import commits_named, diff_of, uncommitted
from autoresearch.state.session import Place, find_place
from autoresearch.tui.actions.target_draft import has_commit, names_in

SESSION: Any = SimpleNamespace(refs="refs/autoresearch/s/")


def look_at_files(place: Place) -> None:
    assert "bench.py" in names_in(place.top)
    assert has_commit(place.top)


def look_at_changes(place: Place) -> None:
    for name in ("bench.py", "part/data.txt"):
        if (place.top / name).exists():
            os.utime(place.top / name, (9, 9))
    uncommitted(place)


def move_a_ref(place: Place) -> None:
    refs = Refs(Git(place.common_dir))
    refs.update(("refs/autoresearch/s/9", refs.resolve("HEAD") or "", None))
    refs.close()


def read_a_message(place: Place) -> None:
    head = git(place.top, "cat-file", "commit", "HEAD")
    signed = head.replace("\n\n", "\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\n", 1)
    (place.top / "signed").write_text(signed)
    sha = git(place.top, "hash-object", "-t", "commit", "-w", "signed").strip()
    assert Git(place.common_dir)("log", "-1", "--format=%B", sha)


def show_a_change(place: Place) -> None:
    assert "VALUE" in (diff_of(place, SESSION, 1, "HEAD~1", "HEAD") or "")


def ask_for_what_is_missing(place: Place) -> None:
    missing = "1" * 40
    assert commits_named(place, [missing]) == {}
    with pytest.raises(GitError):
        Git(place.common_dir)("cat-file", "blob", missing)


CALLS: dict[str, tuple[dict[str, str], Callable[[Place], None]]] = {
    "names a watcher of files": ({"core.fsmonitor": "PROGRAM"}, look_at_files),
    "names a folder of hooks": ({"core.hooksPath": "FOLDER"}, move_a_ref),
    "names a checker of signatures": ({"log.showSignature": "true", "gpg.program": "PROGRAM"}, read_a_message),
    "names a filter for the files of the user's tree": (
        {"filter.a=b.clean": "PROGRAM", "filter.a=b.required": "true"}, look_at_changes),
    "names a filter in a file that its config includes": ({"include.path": "FOLDER/included"}, look_at_changes),
    "names a filter in a submodule": ({}, look_at_changes),
    "names a program that shows files as text": ({"diff.a=b.textconv": "PROGRAM"}, show_a_change),
    "names a program that compares files": (
        {"diff.external": "PROGRAM", "diff.a=b.command": "PROGRAM"}, show_a_change),
    "names a program that fetches what is missing": (
        {"remote.origin.url": "ext::PROGRAM", "remote.origin.promisor": "true", "extensions.partialClone": "origin",
         "core.repositoryFormatVersion": "1", "protocol.ext.allow": "always"}, ask_for_what_is_missing),
}  # fmt: skip
ATTACKS = [Attack(name) for name in CALLS]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A repository whose files have attributes, and beside it the programs that its config may name."""
    repo = make_target(tmp_path / "r")
    write(repo, {".gitattributes": "*.py filter=a=b diff=a=b\n", "knob.py": "VALUE = 4\n"})
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "more")
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    program.chmod(0o755)
    shutil.copy(program, tmp_path / "reference-transaction")
    (tmp_path / "included").write_text(f'[filter "a=b"]\n\tclean = {program}\n')
    return repo


def tried(attack: Attack, repo: Path) -> bool:
    """Whether the attack's program was started."""
    settings, call = CALLS[attack.name]
    if attack.name.endswith("submodule"):
        part = make_target(repo.parent / "part")
        write(part, {".gitattributes": "*.txt filter=a=b\n", "data.txt": "data\n"})
        git(part, "add", "-A")
        git(part, "commit", "-qm", "data")
        git(repo, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(part), "part")
        git(repo, "commit", "-qm", "part")
        git(repo / "part", "config", "filter.a=b.clean", str(repo.parent / "program"))
    place = find_place(repo)
    for key, value in settings.items():
        text = value.replace("PROGRAM", str(repo.parent / "program")).replace("FOLDER", str(repo.parent))
        git(repo, "config", key, text)
    started = repo.parent / "started"
    started.unlink(missing_ok=True)
    call(place)
    return started.exists()


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_a_program_that_the_repositorys_config_names_is_not_run(attack: Attack, archive: Path) -> None:
    assert not tried(attack, archive)


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_without_the_settings_of_ours_it_is_run(attack: Attack, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import git as gitpython

    plain = gitpython.Git._call_process
    refusals = ("--no-ext-diff", "--no-textconv", "--ignore-submodules=dirty")
    attempt = Git.attempt
    monkeypatch.setattr("autoresearch.engine.git.git._FLAGS", ())
    monkeypatch.setattr("autoresearch.engine.workspace.reading.SETTINGS", ())
    monkeypatch.setattr("autoresearch.engine.git.git.clean_environment", lambda identity=None: dict(os.environ))
    monkeypatch.setattr("autoresearch.engine.workspace.repository._unfiltered", lambda git: {})
    monkeypatch.setattr(Git, "attempt", lambda self, *args, **more: attempt(
        self, *(arg for arg in args if arg not in refusals), **more))  # fmt: skip
    monkeypatch.setattr(gitpython.Git, "_call_process", lambda self, name, *args, **more: plain(
        self, name, *(arg for arg in args if arg not in refusals), **more))  # fmt: skip
    try:
        assert tried(attack, archive)
    except AssertionError:  # what git shows then is the program's
        assert (archive.parent / "started").exists()
