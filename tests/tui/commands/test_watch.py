"""`status --watch` and `log --follow`: what changes is told again, by line, and they end when told."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from journals import Told, told
from terminals import Terminal

from autoresearch.state.journal import SCORE_NOTES, records


class Following:
    """A command that goes on, its lines read as they come."""

    def __init__(self, repo: Path, *args: str) -> None:
        argv = [sys.executable, "-u", "-m", "autoresearch", *args, "-C", str(repo)]
        self.process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.lines = self.process.stdout

    def until(self, wanted: Callable[[str], bool]) -> str:
        for line in self.lines:
            if wanted(line):
                return line
        assert self.process.stderr is not None
        raise AssertionError(f"it ended first: {self.process.stderr.read()}")

    def interrupt(self) -> int:
        self.process.send_signal(signal.SIGINT)
        self.process.communicate(timeout=30)
        return self.process.returncode


@pytest.fixture
def story(tmp_path: Path) -> Told:
    return told(tmp_path / "repo")


def experiment(number: int) -> records.Record:
    return records.Experiment(
        run=number, commit="abc1234", metric=1.0, metrics={}, status="discard", description=f"try {number}",
        cause="worse", sha="a" * 40, parent="b" * 40,
    )  # fmt: skip


def test_the_log_goes_on_with_each_verdict(story: Told) -> None:
    command = Following(story.repo, "log", "--follow", "-n", "1")
    first = command.until(lambda line: line.startswith("#"))
    story.write(experiment(91))
    assert "try 91" in command.until(lambda line: "#91" in line)
    story.write(experiment(92))
    assert "try 92" in command.until(lambda line: "#92" in line)
    assert "#91" not in first
    assert command.interrupt() == 130


def test_the_log_says_once_who_prints_the_number(story: Told) -> None:
    story.write(records.Warn(text="The code in scope prints the score.", code="own-score"))
    command = Following(story.repo, "log", "--follow", "-n", "1")
    seen: list[str] = []
    command.until(lambda line: seen.append(line) is None and line.startswith("#"))
    assert SCORE_NOTES["scope"] in " ".join("".join(seen[:-1]).split())
    story.write(experiment(91))
    assert "#91" in next(iter(command.lines))
    assert command.interrupt() == 130


def test_the_log_follows_in_json_an_experiment_a_line(story: Told) -> None:
    command = Following(story.repo, "log", "--follow", "--json", "-n", "0")
    assert json.loads(command.until(bool))["number"] == 1
    story.write(experiment(91))
    found = json.loads(command.until(lambda line: '"number":91' in line))
    assert found["description"] == "try 91"
    assert command.interrupt() == 130


def test_status_is_told_again_only_when_it_changes(story: Told) -> None:
    command = Following(story.repo, "status", "--watch", "--json")
    seen: list[dict[str, Any]] = [json.loads(command.until(bool))]
    story.write(records.Pause(reason="as asked", by="you"))
    seen.append(json.loads(command.until(bool)))
    assert [each["state"] for each in seen] == [seen[0]["state"], "paused"]
    assert command.interrupt() == 130


def test_a_session_that_vanishes_ends_it_with_a_sentence(story: Told) -> None:
    command = Following(story.repo, "status", "--watch", "--json")
    command.until(bool)
    story.session.folder.rename(story.session.folder.with_name("gone"))
    _, said = command.process.communicate(timeout=30)
    assert command.process.returncode == 1
    assert "its folder was deleted or moved" in said


def test_on_a_terminal_status_is_drawn_in_place(story: Told) -> None:
    terminal = Terminal([sys.executable, "-m", "autoresearch", "status", "--watch", "-C", str(story.repo)])
    try:
        terminal.until(lambda: b"tried" in terminal.written)
        story.write(records.Pause(reason="the budget is spent", limit="dollars"))
        terminal.until(lambda: b"the budget is spent" in terminal.written)
        assert b"A\x1b[J" in terminal.written
        terminal.press("\x03")
        assert terminal.wait() == 130
    finally:
        terminal.kill()


def test_following_a_recomputation_is_a_usage_error(story: Told) -> None:
    argv = [sys.executable, "-m", "autoresearch", "log", "--follow", "--recompute", "-C", str(story.repo)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "cannot be combined" in done.stderr
