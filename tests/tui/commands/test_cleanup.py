"""`delete` and `gc`: what goes, what stays, and what a kill or a no leaves."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from engines import autoresearch, command, environment, place, run, session, start, until
from journals import Told, told
from repos import BENCH, TOML, git, make_target, patch, snapshot, write
from terminals import Terminal

from autoresearch.engine.workspace import places
from autoresearch.state import index
from autoresearch.state.session import list_sessions, trust
from autoresearch.tui.cli import cli


def call(repo: Path, *args: str, code: int = 0) -> Result:
    result = CliRunner().invoke(cli, [args[0], "-C", str(repo), *args[1:]])
    assert result.exit_code == code, result.output
    return result


def process(repo: Path, *args: str, fault: str = "") -> subprocess.CompletedProcess[str]:
    return autoresearch(repo, *args, fault=fault)


def left_of(repo: Path, name: str) -> list[str]:
    """Everything in repository and cache that still bears the session's name."""
    at = place(repo)
    refs = git(repo, "for-each-ref", "--format=%(refname)").splitlines()
    found = [ref for ref in refs if f"/{name}" in ref]
    found += [path.name for path in at.sessions_dir.glob("*") if name in path.name]
    found += [path.name for path in at.sessions_dir.glob(".*") if name in path.name]
    found += [path.name for path in at.states_dir.glob("*") if f"{name}.git" in path.name]
    found += [path.name for path in (at.common_dir / "worktrees").glob(f"autoresearch-{name}-*")]
    found += [str(path) for path in (repo / ".autoresearch").glob(name)]
    tree = places.trees_folder(at, name)
    return found + ([str(tree)] if tree.exists() else [])


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    repo, patches = make_target(tmp_path / "repo"), tmp_path / "patches"
    write(patches, {"1.patch": patch("better", "VALUE = 10.0", "VALUE = 9.0")})
    run(repo, "--replay", str(patches), "--max-experiments", "2", expect=3)
    return repo


# -- delete


def test_a_session_is_removed_whole_and_the_users_things_stay(kept: Path) -> None:
    name = session(kept).name
    call(kept, "search", "better")
    trust.note_pulled(place(kept).common_dir, name, "hub")
    before = snapshot(kept)
    assert left_of(kept, name)
    call(kept, "delete", "--yes")
    assert left_of(kept, name) == []
    assert snapshot(kept) == before
    assert index.search(place(kept).index_db, "better") == []
    assert trust.pulled_commands(place(kept).common_dir) == {}
    assert git(kept, "worktree", "list").count("\n") == 1
    assert "no session" in call(kept, "status", code=2).stderr.lower()


def test_it_says_what_is_lost_and_how_to_keep_the_best(tmp_path: Path) -> None:
    at = told(tmp_path / "repo")
    said = call(at.repo, "delete", "--yes").stdout
    assert "5 experiments, 1 kept" in said
    assert f"git branch nov20-best {at.incumbent[:12]}" in said
    git(at.repo, "branch", "nov20-best", at.incumbent)


def test_a_best_that_is_merged_is_not_called_lost(tmp_path: Path) -> None:
    at = told(tmp_path / "repo")
    git(at.repo, "merge", "-q", "--ff-only", "autoresearch/nov20")
    assert "is in your HEAD" in call(at.repo, "delete", "--yes").stdout
    assert git(at.repo, "rev-parse", "main").strip() == at.incumbent


def test_other_sessions_stay_also_one_whose_name_goes_on(kept: Path, tmp_path: Path) -> None:
    name = session(kept).name
    other = f"{name}-2"
    run(kept, "--new", "--session", other, "--replay", str(tmp_path / "patches"), "--max-experiments", "1", expect=3)
    before = left_of(kept, other)
    call(kept, "delete", name, "--yes")
    assert left_of(kept, other) == before
    assert [found.name for found in list_sessions(place(kept))] == [other]
    run(kept, "--session", other, "--replay", str(tmp_path / "patches"), "--max-experiments", "1", expect=3)


def test_without_a_terminal_nothing_is_deleted_unless_it_is_said(kept: Path) -> None:
    before = left_of(kept, session(kept).name)
    assert "--yes" in call(kept, "delete", code=2).stderr
    assert left_of(kept, session(kept).name) == before


@pytest.mark.parametrize(("keys", "code"), [("\r", 0), ("n\r", 0), ("\x03", 130)])
@pytest.mark.parametrize("verb", [("delete",), ("gc", "--trees")])
def test_a_no_and_ctrl_c_change_nothing(kept: Path, verb: tuple[str, ...], keys: str, code: int) -> None:
    before = left_of(kept, session(kept).name)
    terminal = Terminal(["env", "-C", str(kept), *command(*verb)], **environment())
    try:
        terminal.until(lambda: b"[y/N]" in terminal.written)
        terminal.press(keys)
        assert terminal.wait() == code
    finally:
        terminal.close()
    assert left_of(kept, session(kept).name) == before


def test_a_running_engine_is_not_deleted_under(tmp_path: Path) -> None:
    toml = TOML.replace('kind = "replay"', 'kind = "tuner"')
    repo = make_target(tmp_path / "repo", bench=BENCH + "import time; time.sleep(0.2)\n", toml=toml)
    engine = start(repo)
    try:
        until(lambda: list_sessions(place(repo)) and session(repo).run(1).exists(), "an engine that measures")
        done = process(repo, "delete", "--yes")
        assert done.returncode == 4
        assert "autoresearch stop" in done.stderr
        said = json.loads(process(repo, "gc", "--trees", "--yes", "--json").stdout)
        assert [item["selected"] for item in said["items"] if item["what"] == "trees"] == [False]
        assert engine.poll() is None
    finally:
        engine.send_signal(signal.SIGTERM)
        engine.communicate()


def test_a_branch_that_is_checked_out_is_never_removed(kept: Path) -> None:
    name = session(kept).name
    git(kept, "switch", "-q", f"autoresearch/{name}")
    assert "git switch -" in call(kept, "delete", "--yes", code=2).stderr
    git(kept, "switch", "-q", "-")
    call(kept, "delete", "--yes")


def test_a_branch_with_commits_of_the_user_stays(kept: Path) -> None:
    name = session(kept).name
    git(kept, "switch", "-q", f"autoresearch/{name}")
    git(kept, "commit", "-q", "--allow-empty", "-m", "mine")
    git(kept, "switch", "-q", "-")
    assert "stays" in call(kept, "delete", "--yes").stdout
    assert left_of(kept, name) == [f"refs/heads/autoresearch/{name}"]


@pytest.mark.parametrize("point", ["state", "hidden", "trees", "refs", "folder"])
def test_killed_anywhere_the_same_call_finishes_it(kept: Path, point: str) -> None:
    name = session(kept).name
    assert process(kept, "delete", name, "--yes", fault=f"delete:{point}").returncode == -signal.SIGKILL
    listed = [found.name for found in list_sessions(place(kept))]
    assert listed == ([name] if point == "state" else []), "whole, or not there"
    if point not in ("state", "folder"):
        assert "half deleted" in process(kept, "run", "--headless", "--session", name).stderr
    done = process(kept, "delete", name, "--yes")
    assert done.returncode == (0 if point != "folder" else 2), done.stderr
    assert left_of(kept, name) == []


def test_a_lost_folder_does_not_keep_a_session_from_being_deleted(kept: Path) -> None:
    name = session(kept).name
    shutil.rmtree(session(kept).folder)
    assert process(kept, "delete", name, "--yes").returncode == 0
    assert left_of(kept, name) == []


def test_a_session_that_is_not_there_lists_those_that_are(kept: Path) -> None:
    assert session(kept).name in call(kept, "delete", "nov99", "--yes", code=2).stderr
    assert call(kept, "delete", "../../..", "--yes", code=2).stderr


# -- gc


def logs(at: Told, *numbers: int) -> None:
    for number in numbers:
        folder = at.session.run(number)
        folder.mkdir(exist_ok=True)
        (folder / "output.log").write_bytes(b"x" * 10_000)
        (folder / "kept").mkdir(exist_ok=True)
        (folder / "kept" / "model.bin").write_bytes(b"y" * 5000)


def test_without_a_rule_it_shows_and_removes_nothing(tmp_path: Path) -> None:
    at = told(tmp_path / "repo")
    logs(at, 1, 2)
    assert "--keep-logs" in call(at.repo, "gc").stdout
    assert "--keep-logs" in call(at.repo, "gc", "--yes").stdout
    assert (at.session.run(1) / "output.log").exists()


def test_logs_go_by_age_and_outcome_and_kept_outputs_stay(tmp_path: Path) -> None:
    at = told(tmp_path / "repo")
    for value in (8.7, 8.6):
        at.discard(f"knob {value}", value)
    logs(at, *range(1, 8))
    kept_bytes = at.session.journal.read_bytes()
    assert "Nothing is covered" in call(at.repo, "gc", "--keep-logs", "30").stdout
    assert json.loads(call(at.repo, "gc", "--logs-of", "keeps", "--dry-run", "--json").stdout)["freed_bytes"] == 0
    assert (at.session.run(3) / "output.log").exists()
    said = call(at.repo, "gc", "--logs-of", "keeps", "--yes").stdout
    assert "Removed" in said
    have = {number for number in range(1, 8) if (at.session.run(number) / "output.log").exists()}
    assert have == {1, 2, 5, 6, 7}, "keeps, and the newest three"
    assert all((at.session.run(number) / "kept" / "model.bin").exists() for number in range(1, 8))
    call(at.repo, "gc", "--keep-logs", "0", "--yes")
    assert {n for n in range(1, 8) if (at.session.run(n) / "output.log").exists()} == {5, 6, 7}
    assert at.session.journal.read_bytes() == kept_bytes
    call(at.repo, "show", "3")


def test_a_link_in_a_run_folder_leads_nowhere(tmp_path: Path) -> None:
    at = told(tmp_path / "repo")
    logs(at, 1)
    outside = tmp_path / "precious"
    outside.mkdir()
    (outside / "file").write_text("mine")
    (at.session.run(1) / "link").symlink_to(outside)
    call(at.repo, "gc", "--keep-logs", "0", "--yes")
    assert (outside / "file").read_text() == "mine"
    assert not (at.session.run(1) / "link").is_symlink()


def test_trees_go_and_are_made_again(kept: Path, tmp_path: Path) -> None:
    tree = places.trees_folder(place(kept), session(kept).name)
    assert tree.is_dir()
    call(kept, "gc", "--trees", "--yes")
    assert not tree.exists()
    assert git(kept, "worktree", "list").count("\n") == 1
    write(tmp_path / "patches", {"2.patch": patch("again", "VALUE = 9.0", "VALUE = 8.0")})
    run(kept, "--replay", str(tmp_path / "patches"), "--max-experiments", "1", expect=3)


def test_orphan_trees_of_sessions_that_are_gone_go(kept: Path, tmp_path: Path) -> None:
    other = make_target(tmp_path / "other")
    run(other, "--replay", str(tmp_path / "patches"), "--max-experiments", "1", expect=3)
    tree = places.trees_folder(place(other), session(other).name)
    stranger = tree.parent / "unknown"
    stranger.mkdir()
    shutil.rmtree(other)
    said = json.loads(call(kept, "gc", "--trees", "--dry-run", "--json").stdout)
    assert [item["what"] for item in said["items"] if item["session"].endswith(tree.name)].count("orphan trees") == 1
    call(kept, "gc", "--trees", "--yes")
    assert not tree.exists()
    assert stranger.is_dir(), "what does not tell whose it is stays"


def test_json_asks_nothing(kept: Path) -> None:
    assert "--yes" in call(kept, "gc", "--trees", "--json", code=2).stderr
    said = json.loads(call(kept, "gc", "--json").stdout)
    assert set(said["items"][0]) == {"session", "what", "bytes", "count", "selected", "note"}
    assert places.trees_folder(place(kept), session(kept).name).is_dir()


# -- the engine's own log


def test_the_engines_log_keeps_head_and_tail_before_and_while_it_runs(tmp_path: Path) -> None:
    toml = TOML.replace('kind = "replay"', 'kind = "tuner"')
    repo = make_target(tmp_path / "repo", bench=BENCH + "import time; time.sleep(0.2)\n", toml=toml)
    engine = start(repo)
    try:
        until(lambda: list_sessions(place(repo)) and session(repo).engine_pid(), "an engine")
        log = session(repo).engine_log
        whole = log.with_name("whole")  # at once, since the engine may shorten it at any moment
        whole.write_bytes(b"the first line\n" + b"x" * 99 + b"\n" + b"y\n" * (17 << 20) + b"the last line\n")
        whole.replace(log)
        until(lambda: log.stat().st_size < 20 << 20, "a shorter log")
    finally:
        engine.send_signal(signal.SIGTERM)
        engine.communicate()
    data = log.read_bytes()
    assert data.startswith(b"the first line\n")
    assert data.endswith(b"the last line\n")
