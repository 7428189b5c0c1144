"""`run`, `resume`, `stop`, `limit` and the demo against the real engine, as processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from engines import autoresearch, environment, session, start, until
from repos import BENCH, GATED, TOML, git, make_target, patch, shown, write

from autoresearch.state.journal import records
from autoresearch.state.session import SessionError

STEPS = (("01-better", "10.0", "9.0"), ("02-worse", "9.0", "9.5"), ("03-better", "9.0", "8.0"))


def target(tmp_path: Path, bench: str = "", toml: str = TOML) -> tuple[Path, Path]:
    repo = make_target(tmp_path / "repo", toml, bench=bench + BENCH)
    patches = tmp_path / "patches"
    write(patches, {f"{name}.patch": patch(name, f"VALUE = {old}", f"VALUE = {new}") for name, old, new in STEPS})
    return repo, patches


def gated(tmp_path: Path) -> tuple[Path, Path]:
    """The same, whose runs wait until `tmp_path / "gates" / "gate"` is there."""
    gates = tmp_path / "gates"
    return target(tmp_path, GATED.format(gate=str(gates / "gate")), shown(TOML, gates))


def call(folder: Path, *args: str, code: int | None = 0, **env: str) -> subprocess.CompletedProcess[str]:
    return autoresearch(folder, *args, expect=code, **env)


def test_run_counts_this_calls_experiments_and_goes_on(tmp_path: Path) -> None:
    repo, patches = target(tmp_path)
    first = call(repo, "run", "--headless", "--replay", str(patches), "--max-experiments", "2", code=3)
    assert "PAUSED: experiment limit reached (2)" in first.stdout
    assert "#2 KEEP ✓" in first.stdout
    assert "git merge autoresearch/" in first.stdout
    assert [row.number for row in session(repo).history().rows] == [1, 2]
    call(repo, "run", "--replay", str(patches), "--max-experiments", "2", code=3)
    rows = session(repo).history().rows
    assert [(row.number, row.status) for row in rows] == [(1, "keep"), (2, "keep"), (3, "discard"), (4, "keep")]
    again = json.loads(call(repo, "log", "--recompute", "--json").stdout)
    assert (again["judged"], again["differ"]) == (3, 0)
    found = json.loads(call(repo, "summary", "--json").stdout)
    assert found["estimate"] == pytest.approx(2.0, abs=0.1)
    assert [row["number"] for row in found["kept"]] == [2, 4]
    assert "+VALUE = 8.0" in json.loads(call(repo, "show", "4", "--json").stdout)["diff"]


def test_a_relative_replay_folder_is_meant_from_where_the_command_is_called(tmp_path: Path) -> None:
    repo, _ = target(tmp_path)
    call(repo, "run", "--headless", "--replay", "../patches", "--max-experiments", "2", code=3)
    assert "neither" in call(repo, "run", "--headless", "--replay", "../nowhere", code=2).stderr
    assert "--replay" in call(repo, "run", "--headless", "--agent", "replay", code=2).stderr


def test_a_second_engine_exits_4_and_stop_ends_the_first(tmp_path: Path) -> None:
    repo, patches = gated(tmp_path)
    engine = start(repo, "--replay", str(patches))
    until(lambda: _measuring(repo), "a measurement runs")
    second = call(repo, "run", "--headless", "--replay", str(patches), code=4)
    assert f"pid {engine.pid}" in second.stderr
    assert len(second.stderr.splitlines()) == 1
    assert json.loads(call(repo, "status", "--json").stdout)["state"] == "running"
    call(repo, "stop")
    out, _ = engine.communicate(timeout=60)
    assert engine.returncode == 0, out
    assert "STOPPED: stopped by" in out
    assert json.loads(call(repo, "status", "--json").stdout)["state"] == "stopped"


def _measuring(repo: Path) -> bool:
    try:
        live = session(repo).read_live()
    except SessionError:  # not there yet
        return False
    return live is not None and live.phase == "baseline" and live.k > 0


def test_pause_lets_the_experiment_finish_and_resume_goes_on(tmp_path: Path) -> None:
    repo, patches = gated(tmp_path)
    engine = start(repo, "--replay", str(patches))
    until(lambda: _measuring(repo), "a measurement runs")
    assert "pauses after experiment 1" in call(repo, "pause").stdout
    (tmp_path / "gates" / "gate").touch()
    out, _ = engine.communicate(timeout=90)
    assert engine.returncode == 0, out
    history = session(repo).history()
    assert [row.number for row in history.rows] == [1]
    assert history.control.state == "paused"


def test_a_closed_reader_does_not_end_the_engine(tmp_path: Path) -> None:
    repo, patches = target(tmp_path)
    engine = start(repo, "--replay", str(patches), "--max-experiments", "3")
    assert engine.stdout is not None
    engine.stdout.readline()
    engine.stdout.close()
    assert engine.wait(120) == 3
    assert len(session(repo).history().rows) == 3


def test_raising_the_limit_that_paused_a_session_goes_on_in_the_background(tmp_path: Path) -> None:
    repo, _ = target(tmp_path)
    toml = repo / "autoresearch.toml"
    toml.write_text(toml.read_text().replace('kind = "replay"', 'kind = "tuner"') + "\n[limits]\nexperiments = 2\n")
    git(repo, "commit", "-qam", "limit")
    call(repo, "run", "--headless", code=3)
    answer = call(repo, "limit", "experiments", "3").stdout
    assert "goes on" in answer
    until(lambda: session(repo).engine_pid() is None and len(session(repo).history().rows) == 3, "it went on")
    until(lambda: session(repo).history().control.limit == "experiments", "it paused again")


def test_run_outside_a_repository_asks_for_git_init(tmp_path: Path) -> None:
    repo, patches = target(tmp_path)
    folder = tmp_path / "plain"
    write(folder, {name: (repo / name).read_text() for name in ("autoresearch.toml", "bench.py", "knob.py")})
    refused = call(folder, "run", "--headless", code=2)
    assert "--git-init" in refused.stderr
    assert not (folder / ".git").exists()
    call(folder, "run", "--headless", "--git-init", "--replay", str(patches), "--max-experiments", "2", code=3)
    assert git(folder, "log", "--format=%an").split() == ["autoresearch"]
    assert git(folder, "status", "--porcelain") == ""


def test_git_init_refuses_to_commit_a_data_set(tmp_path: Path) -> None:
    write(tmp_path / "plain", {"autoresearch.toml": "x = 1\n"})
    with (tmp_path / "plain" / "data.bin").open("wb") as file:
        file.truncate(60_000_000)
    refused = call(tmp_path / "plain", "run", "--headless", "--git-init", code=2)
    assert "data.bin" in refused.stderr
    assert ".gitignore" in refused.stderr


# -- the demo


def hostile_config(tmp_path: Path) -> str:
    """A user's git config whose hooks, templates and signing all fail, without an identity."""
    hooks = tmp_path / "template" / "hooks"
    write(hooks, {"pre-commit": "#!/bin/sh\nexit 1\n", "commit-msg": "#!/bin/sh\nexit 1\n"})
    for hook in hooks.iterdir():
        hook.chmod(0o755)
    write(
        tmp_path,
        {"config": f"[commit]\n gpgSign = true\n[gpg]\n program = false\n[core]\n hooksPath = {hooks}\n"
                   f"[init]\n templateDir = {hooks.parent}\n defaultBranch = trunk\n"},
    )  # fmt: skip
    return str(tmp_path / "config")


def test_the_demo_is_a_fresh_repository_that_goes_on(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    config = hostile_config(tmp_path)
    first = call(work, "demo", "templates", "--headless", "--max-experiments", "2", code=3, GIT_CONFIG_GLOBAL=config)
    assert "fresh repository at ./autoresearch-demo-templates" in first.stdout.splitlines()[0]
    demo = work / "autoresearch-demo-templates"
    assert git(demo, "status", "--porcelain") == ""
    assert git(demo, "branch", "--show-current").strip() == "main"
    assert not list(demo.rglob("__pycache__"))
    assert [row.number for row in session(demo).history().rows] == [1, 2]
    second = call(work, "demo", "templates", "--headless", "--max-experiments", "1", code=3, GIT_CONFIG_GLOBAL=config)
    assert "going on" in second.stdout
    history = session(demo).history()
    assert [row.number for row in history.rows] == [1, 2, 3]
    assert history.segment == 0
    assert [path.name for path in work.iterdir()] == ["autoresearch-demo-templates"], "nothing half-made is left"


def test_the_demo_tries_prepared_patches(tmp_path: Path) -> None:
    call(
        tmp_path, "demo", "templates", "--dir", "d", "--headless", "--agent", "replay", "--max-experiments", "2", code=3
    )
    line = [records.decode(line) for line in session(tmp_path / "d").journal.read_bytes().splitlines()]
    assert any(isinstance(one, records.Proposal) and one.agent == "replay" for one in line)


def test_the_demo_never_touches_a_folder_that_is_something_else(tmp_path: Path) -> None:
    write(tmp_path / "mine", {"thesis.txt": "do not lose"})
    refused = call(tmp_path, "demo", "templates", "--dir", "mine", "--headless", code=2)
    assert "is no demo of ours" in refused.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]
    assert "did you mean templates" in call(tmp_path, "demo", "template", "--headless", code=2).stderr


# -- on a terminal


def test_on_a_terminal_the_engine_outlives_the_screen(tmp_path: Path) -> None:
    import pty

    repo, patches = gated(tmp_path)
    ours, theirs = pty.openpty()
    viewer = subprocess.Popen(
        [sys.executable, "-P", "-m", "autoresearch", "run", "--replay", str(patches)],
        cwd=repo, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env=environment(TERM="xterm-256color", COLUMNS="100", LINES="30"),
    )  # fmt: skip
    os.close(theirs)
    try:
        until(lambda: _measuring(repo), "an engine of its own runs")
        pid = session(repo).engine_pid()
        assert pid not in (None, 0, viewer.pid)
        assert _shown(ours, b"\x1b[?1049h"), "the screen is drawn"
        viewer.kill()
        viewer.wait(30)
        assert session(repo).engine_pid() == pid
    finally:
        viewer.kill()
        viewer.wait(30)
        os.close(ours)
        call(repo, "stop")
        until(lambda: session(repo).engine_pid() is None, "the engine stopped")


def _shown(fd: int, text: bytes, timeout_s: float = 30.0) -> bool:
    os.set_blocking(fd, False)
    seen = b""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            seen += os.read(fd, 65536)
        except BlockingIOError:
            time.sleep(0.01)
        if text in seen:
            return True
    return False
