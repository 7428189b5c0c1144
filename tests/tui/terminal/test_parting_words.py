"""What a closed screen leaves in the terminal."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from journals import told

from autoresearch.state.journal import records
from autoresearch.state.session import heartbeat_of
from autoresearch.tui.terminal.parting_words import called, parting_words


def words(story: object) -> str:
    return " ".join(parting_words(story.place, story.session, heartbeat_of(story.session)))  # type: ignore[attr-defined]


def test_a_running_engine_is_said_to_go_on_and_how_to_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    story = told(tmp_path / "my repo")
    monkeypatch.chdir(tmp_path)
    with story.session.lock():
        assert "The engine goes on" in words(story)
        assert "-C 'my repo'` shows it again" in words(story)
        assert "stop -C 'my repo'` ends it" in words(story)
        monkeypatch.chdir(story.repo)
        assert "-C" not in words(story), "nothing that need not be typed"
        story.session.ask("stop")
        assert "goes on without the screen" not in words(story), "it was just asked to stop"


def test_a_paused_session_says_why_and_what_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    story = told(tmp_path / "repo")
    monkeypatch.chdir(story.repo)
    story.write(records.Pause(reason="experiment limit reached (3)", limit="experiments"))
    assert "is paused: experiment limit reached (3)." in words(story)
    assert "resume` goes on" in words(story)
    assert "Best: score " in words(story)


def test_the_command_is_spelled_as_it_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / ".venv/bin/autoresearch"
    script.parent.mkdir(parents=True)
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(script)])
    monkeypatch.setenv("PATH", "/nowhere")
    assert called() == ".venv/bin/autoresearch"
    monkeypatch.setenv("PATH", str(script.parent))
    assert called() == "autoresearch"


def test_nothing_is_said_of_a_session_that_is_gone(tmp_path: Path) -> None:
    story = told(tmp_path / "repo")
    story.session.journal.unlink()
    assert parting_words(story.place, story.session, heartbeat_of(story.session)) == []
