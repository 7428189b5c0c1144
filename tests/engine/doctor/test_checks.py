"""What is told of a target without running it: its files, its repository, who is busy, the agent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from repos import TOML, git, make_repo, make_target, write

from autoresearch.engine.doctor.checks import (
    agent_checks,
    confinement_checks,
    git_checks,
    protected_file,
    running_checks,
    scope_files,
)
from autoresearch.state.config import Config
from autoresearch.state.config import config as configs
from autoresearch.state.session import Session, find_place

FILES = {"autoresearch.toml": TOML, "bench.py": "", "knob.py": "", "data.txt": "", "src/a.py": "", "src/deep/b.py": ""}


def config(edit: str = '["knob.py"]', **changes: object) -> Config:
    made = configs.loads(TOML.replace('["knob.py"]', edit))
    for name, value in changes.items():
        made = configs.with_change(made, name.replace("_", ".", 1), value, "test")
    return made


@pytest.mark.parametrize("prefix", ["", "below/"])
def test_files_in_scope_begin_with_what_the_commands_name(tmp_path: Path, prefix: str) -> None:
    repo = make_repo(tmp_path / "r", {f"{prefix}{name}": text for name, text in FILES.items()} | {"outside.py": ""})
    (repo / prefix / "untracked.py").touch()
    place = find_place(repo / prefix)
    wide = config('["**/*.py", "*.txt"]', measure_run="python ./src/deep/b.py")
    found = scope_files(place, wide, "HEAD")
    inside = [name for name in found if name != "outside.py"]
    assert inside == ["src/deep/b.py", "bench.py", "knob.py", "src/a.py", "data.txt"]
    assert ("outside.py" in found) is (not prefix)
    assert scope_files(place, config('["none.py"]'), "HEAD") == []


@pytest.mark.parametrize(
    ("edit", "link", "protected"),
    [
        ('["knob.py"]', (), "bench.py"),
        ('["knob.py", "bench.py"]', (), "data.txt"),
        ('["*.py"]', ("src/",), "data.txt"),
        ('["*.py", "data.txt"]', (), "src/a.py"),
        ('["*.py", "data.txt"]', ("src",), None),
        ('["**"]', (), None),
    ],
)
def test_a_protected_file_is_best_one_that_the_commands_name(
    tmp_path: Path, edit: str, link: tuple[str, ...], protected: str | None
) -> None:
    place = find_place(make_repo(tmp_path / "r", FILES))
    assert protected_file(place, config(edit, scope_link=link), "HEAD") == protected


def test_a_sound_repository_has_a_start_and_a_scope(tmp_path: Path) -> None:
    place = find_place(make_target(tmp_path / "r"))
    found = {check.name: check for check in git_checks(place, config())}
    assert {name: check.state for name, check in found.items()} == {"git": "ok", "scope": "ok", "score": "note"}
    assert found["git"].text.endswith(git(place.top, "rev-parse", "HEAD")[:7])
    assert found["scope"].text == "1 file may be changed: knob.py"


def test_what_keeps_a_target_from_being_measured_is_said_with_its_fix(tmp_path: Path) -> None:
    place = find_place(make_target(tmp_path / "r"))
    write(place.top, {"new.py": "", "README.md": "changed\n"})

    def bad(config: Config) -> list[tuple[str, str, str]]:
        return [(check.name, check.state, check.fix) for check in git_checks(place, config) if check.state != "ok"]

    assert bad(config())[0] == ("git", "warn", "Commit what experiments should start from.")
    assert ("scope", "fail", "`git add new.py` and commit.") in bad(config('["new.py"]'))
    assert ("scope", "fail", "Correct scope.edit.") in bad(config('["none.py"]'))
    ((name, state, fix),) = bad(config(measure_run="python new.py"))
    assert (name, state) == ("git", "fail")
    assert "`git add new.py` and commit" in fix


def test_another_engine_that_measures_is_named(tmp_path: Path) -> None:
    place = find_place(make_target(tmp_path / "r"))
    assert running_checks(place) == []
    other = Session(place.sessions_dir / "nov20")
    other.folder.mkdir(parents=True)
    other.journal.write_text('{"type":"config"}\n')
    assert running_checks(place) == []
    with other.lock():
        (check,) = running_checks(place)
    assert (check.state, "nov20" in check.text) == ("warn", True)


def test_runs_that_are_not_confined_are_a_warning_and_the_network_is_said() -> None:
    (off,) = confinement_checks(config(measure_confine="off", measure_network="on"))
    assert (off.state, off.text) == ("warn", "off: runs are not confined: measure.confine is off; the network is on")


KEY = {"ANTHROPIC_API_KEY": "sk-x"}


@pytest.mark.parametrize(
    ("kind", "environ", "state", "said"),
    [
        ("replay", {}, "ok", "--replay"),
        ("tuner", {}, "ok", "no model, no cost"),
        ("claude", {}, "fail", "needs a key"),
        ("claude", KEY, "ok", "a key was found; no limit in dollars"),
        ("command", {}, "fail", "is not installed"),
        ("auto", {}, "note", "so the tuner"),
        ("auto", KEY, "ok", "asks once; the tuner, or claude: "),
    ],
)
def test_an_agent_can_or_cannot_make_proposals(kind: str, environ: Mapping[str, str], state: str, said: str) -> None:
    (check,) = agent_checks(
        config(agent_kind=kind, limits_dollars=0), {"PATH": "/nowhere", "HOME": "/nowhere", **environ}
    )
    assert (check.name, check.state) == ("agent", state)
    assert said in check.text


@pytest.mark.parametrize(
    ("command", "environ", "state", "said"),
    [
        ("claude-code", {}, "warn", "no login seen"),
        ("claude-code", KEY, "ok", "logged in (ANTHROPIC_API_KEY); pauses at $3 (limits.dollars)"),
        ("claude-cod", {}, "fail", 'did you mean "claude-code"?'),
        ("mine {brief}", {}, "ok", "your own `mine {brief}`"),
    ],
)
def test_a_cli_is_found_logged_in_or_your_own(
    tmp_path: Path, command: str, environ: Mapping[str, str], state: str, said: str
) -> None:
    (tmp_path / "claude").write_text("#!/bin/sh\n")
    (tmp_path / "claude").chmod(0o755)
    made = config(agent_kind="command", agent_command=command, limits_dollars=3)
    (check,) = agent_checks(made, {"PATH": str(tmp_path), "HOME": str(tmp_path), **environ})
    assert check.state == state
    assert said in check.text
