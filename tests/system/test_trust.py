"""Commands that arrived with a clone or a pull are confirmed before their first run; the user's own ask nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from engines import autoresearch, command, environment, place, run, session, until
from repos import TOML, git, make_target, patch, write
from terminals import Terminal

from autoresearch.engine.sessions import arrivals
from autoresearch.state.session import Command, trust

BENCH = Command("measure.run", "python bench.py")


def with_run(text: str) -> str:
    return TOML.replace("python bench.py", text)


def pending(repo: Path) -> list[str]:
    return [found.text for found in arrivals.pending(place(repo))]


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    return make_target(tmp_path / "theirs")


@pytest.fixture
def clone(theirs: Path, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "-q", str(theirs), "mine")
    git(tmp_path / "mine", "config", "user.email", "user@example.org")
    return tmp_path / "mine"


def commit(repo: Path, *flags: str) -> None:
    git(repo, "commit", "-q", "-a", "-m", "edit", *flags)


def test_a_repository_made_here_asks_nothing_also_after_it_was_pushed(theirs: Path, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "hub.git")
    git(theirs, "remote", "add", "hub", str(tmp_path / "hub.git"))
    git(theirs, "push", "-q", "hub", "main")
    git(theirs, "fetch", "-q", "hub")
    assert git(theirs, "for-each-ref", "refs/remotes")
    assert pending(theirs) == []


def test_a_clone_asks_whoever_the_commits_say_they_are_by(clone: Path) -> None:
    assert pending(clone) == ["python bench.py"]


def test_ones_own_edit_in_a_clone_asks_nothing_committed_amended_or_not(clone: Path) -> None:
    write(clone, {"autoresearch.toml": with_run("python bench.py --mine")})
    assert pending(clone) == []
    commit(clone)
    assert pending(clone) == []
    write(clone, {"autoresearch.toml": with_run("python bench.py --again")})
    commit(clone, "--amend")
    assert pending(clone) == []
    git(clone, "push", "-q", "origin", "HEAD:refs/heads/other")
    git(clone, "fetch", "-q")
    assert pending(clone) == []


def test_amending_what_was_pulled_does_not_make_its_commands_ones_own(clone: Path) -> None:
    git(clone, "commit", "-q", "--amend", "-m", "reworded")
    assert pending(clone) == ["python bench.py"]


def test_a_merge_with_conflicts_does_not_make_their_command_ones_own(clone: Path, theirs: Path) -> None:
    arrivals.accept(place(clone))
    write(theirs, {"autoresearch.toml": with_run("curl evil"), "README.md": "theirs\n"})
    commit(theirs)
    write(clone, {"README.md": "mine\n"})
    commit(clone)
    git(clone, "pull", "-q", "--no-rebase", "origin", "main", check=False)
    write(clone, {"README.md": "both\n"})
    commit(clone)
    assert git(clone, "log", "-g", "-1", "--format=%gs").startswith("commit (merge)")
    assert pending(clone) == ["curl evil"]


def test_a_pull_without_a_remote_asks(theirs: Path, tmp_path: Path) -> None:
    mine = make_target(tmp_path / "mine", value="3.0")
    arrivals.accept(place(mine))
    write(theirs, {"autoresearch.toml": with_run("curl evil")})
    commit(theirs)
    git(mine, "pull", "-q", "--allow-unrelated-histories", "--no-rebase", "-X", "theirs", str(theirs), "main")
    assert pending(mine) == ["curl evil"]


def test_a_file_taken_from_a_fetched_branch_asks(clone: Path, theirs: Path) -> None:
    arrivals.accept(place(clone))
    write(theirs, {"autoresearch.toml": with_run("curl evil")})
    commit(theirs)
    git(clone, "fetch", "-q")
    assert pending(clone) == []
    git(clone, "checkout", "-q", "origin/main", "--", "autoresearch.toml")
    assert pending(clone) == ["curl evil"]


def test_a_new_right_is_asked_for_like_a_command(clone: Path, theirs: Path) -> None:
    arrivals.accept(place(clone))
    write(theirs, {"autoresearch.toml": TOML.replace("budget_s = 0", 'budget_s = 0\nenv = ["TOKEN"]')})
    commit(theirs)
    git(clone, "pull", "-q", "--rebase")
    assert [(c.key, c.text) for c in arrivals.pending(place(clone))] == [("measure.env", "TOKEN")]


def test_what_an_agent_is_given_read_and_paid_is_asked_for_when_it_arrives(clone: Path, theirs: Path) -> None:
    arrivals.accept(place(clone))
    mine = TOML + "[limits]\ndollars = 20\n"
    write(clone, {"autoresearch.toml": mine})
    assert pending(clone) == []
    commit(clone)
    arrivals.accept(place(clone))
    assert pending(clone) == []
    changed = mine.replace('kind = "replay"', 'kind = "command"\nshell = true').replace("= 20", "= 0")
    write(theirs, {"autoresearch.toml": 'program = "/home/me/.ssh/id_rsa"\n' + changed})
    commit(theirs)
    git(clone, "pull", "-q", "--no-rebase", "-X", "theirs")
    assert [(c.key, c.text) for c in arrivals.pending(place(clone))] == [
        ("program", "/home/me/.ssh/id_rsa"),
        ("agent.kind", "command"),
        ("agent.shell", "true"),
        ("limits.dollars", "0"),
    ]


def test_a_target_in_a_folder_and_a_linked_worktree_ask_as_well(tmp_path: Path) -> None:
    make_target(tmp_path / "theirs", prefix="deep/target")
    git(tmp_path, "clone", "-q", "theirs", "mine")
    mine = tmp_path / "mine"
    git(mine, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    for folder in (mine, tmp_path / "side"):
        assert pending(folder / "deep" / "target") == ["python bench.py"]
    write(tmp_path / "side" / "deep" / "target", {"autoresearch.toml": with_run("python bench.py 2")})
    commit(tmp_path / "side")
    git(mine, "merge", "-q", "--ff-only", "side")
    assert pending(mine / "deep" / "target") == []


# -- through the program


def call(folder: Path, *args: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    return autoresearch(folder, *args, expect=code)


def test_without_a_terminal_the_run_is_refused_and_nothing_ran(clone: Path, tmp_path: Path) -> None:
    patches = tmp_path / "patches"
    write(patches, {"1.patch": patch("better", "VALUE = 10.0", "VALUE = 9.0")})
    for verb in ("run", "resume"):
        args = ("--replay", str(patches)) if verb == "run" else ()
        done = call(clone, verb, *args, code=2)
        if verb == "run":
            assert "`python bench.py`" in done.stderr
            assert "--trust" in done.stderr
            assert len(done.stderr.splitlines()) == 1
    assert not (clone / ".git" / "autoresearch").exists()
    run(clone, "--replay", str(patches), "--max-experiments", "1", "--trust", expect=3)
    assert BENCH in trust.confirmed_commands(place(clone).common_dir)
    run(clone, "--replay", str(patches), "--max-experiments", "1", expect=3)


def test_a_raised_limit_asks_and_names_a_call_that_goes_on(clone: Path, theirs: Path) -> None:
    run(clone, "--agent", "tuner", "--max-experiments", "1", "--trust", expect=3)
    call(clone, "limit", "experiments", "1")
    until(lambda: session(clone).engine_pid() is None, "the engine in the background is at its limit")
    run(clone, "--agent", "tuner", expect=3)
    write(theirs, {"autoresearch.toml": with_run("python bench.py --theirs")})
    commit(theirs)
    git(clone, "pull", "-q")
    done = call(clone, "limit", "experiments", "2", code=2)
    assert "`autoresearch resume --trust`" in done.stderr
    terminal = Terminal(["env", "-C", str(clone), *command("limit", "experiments", "2")], **environment())
    try:
        terminal.until(lambda: b"Run them here?" in terminal.written)
        terminal.press("n\r")
        assert terminal.wait() == 2
    finally:
        terminal.close()
    call(clone, "resume", "--headless", "--trust", code=3)
    assert pending(clone) == []


def test_escape_sequences_of_a_command_do_not_reach_the_terminal(theirs: Path, tmp_path: Path) -> None:
    write(theirs, {"autoresearch.toml": with_run("python bench.py # \\u001b]0;owned\\u0007\\u001b[2K")})
    commit(theirs)
    git(tmp_path, "clone", "-q", "theirs", "mine")
    done = run(tmp_path / "mine", expect=2)
    assert "\x1b" not in done.stderr
    assert "owned" not in done.stderr


@pytest.mark.parametrize(("keys", "code"), [("n\r", 2), ("\r", 2), ("\x03", 130)])
def test_a_no_and_ctrl_c_run_nothing_and_change_nothing(clone: Path, keys: str, code: int) -> None:
    terminal = Terminal(["env", "-C", str(clone), *command("run")], **environment())
    try:
        terminal.until(lambda: b"Run them here?" in terminal.written)
        assert b"measure.run" in terminal.written
        terminal.press(keys)
        assert terminal.wait() == code
    finally:
        terminal.close()
    assert not (clone / ".git" / "autoresearch").exists()
    assert trust.confirmed_commands(place(clone).common_dir) == frozenset()


def test_a_yes_runs_and_is_not_asked_again(clone: Path) -> None:
    terminal = Terminal(
        ["env", "-C", str(clone), *command("run", "--headless", "--agent", "tuner", "--max-experiments", "1")],
        **environment(),
    )
    try:
        terminal.until(lambda: b"Run them here?" in terminal.written)
        terminal.press("y\r")
        assert terminal.wait(60) == 3
    finally:
        terminal.close()
    assert pending(clone) == []
    run(clone, "--agent", "tuner", "--max-experiments", "1", expect=3)
