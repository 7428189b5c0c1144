"""notify.command: a real command gets real JSON for what matters, and can neither delay nor fail the loop."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from engines import run, session
from repos import TOML, make_target, patch, write


def go(tmp_path: Path, command: str) -> Path:
    repo = make_target(tmp_path / "r", toml=f"{TOML}\n[notify]\ncommand = '''{command}'''\n")
    write(tmp_path / "p", {"1.patch": patch("lower", "VALUE = 10.0", "VALUE = 9.0")})
    run(repo, "--replay", str(tmp_path / "p"), expect=0)
    return repo


def test_keeps_and_the_end_are_told_in_their_order(tmp_path: Path) -> None:
    """However long the first takes: what tells the end does not overtake it."""
    told = tmp_path / "told"
    slow_first = f"test -e {tmp_path}/slow || {{ touch {tmp_path}/slow; sleep 1; }}"
    repo = go(tmp_path, f'{slow_first}; printf "%s\\n" "$(cat)" >> {told}')
    notices = [json.loads(line) for line in told.read_text().splitlines()]
    assert [notice["event"] for notice in notices] == ["keep", "pause"]
    assert notices[0]["experiment"] == 2
    assert "better by" in notices[0]["text"]
    assert {notice["session"] for notice in notices} == {session(repo).name}


@pytest.mark.parametrize(("command", "words"), [("exit 3", "exit code 3"), ("/no/such/program", "exit code 127")])
def test_a_failing_command_is_a_warning_and_no_more(command: str, words: str, tmp_path: Path) -> None:
    repo = go(tmp_path, command)
    history = session(repo).history()
    assert [row.status for row in history.rows] == ["keep", "keep"]
    assert any(words in notice.text for notice in history.notices)


def test_an_engine_that_fails_tells_it(tmp_path: Path) -> None:
    told = tmp_path / "told"
    repo = make_target(tmp_path / "r", toml=f"{TOML}\n[notify]\ncommand = 'cat > {told}'\n")
    run(repo, expect=2)  # nobody said what is to be replayed
    notice = json.loads(told.read_text())
    assert notice["event"] == "stop"
    assert "the engine failed" in notice["text"]
