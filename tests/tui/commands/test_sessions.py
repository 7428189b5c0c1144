"""`sessions` and `archive` in plain text and JSON."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result
from journals import told

from autoresearch.state.journal import records
from autoresearch.tui.cli import cli


def call(repo: Path, *args: str) -> Result:
    return CliRunner().invoke(cli, [*args, "-C", str(repo)])


def test_a_session_is_listed_archived_hidden_and_taken_back(tmp_path: Path) -> None:
    story = told(tmp_path / "repo")
    story.write(records.Pause(reason="experiment limit reached (3)", limit="experiments"))
    name = story.session.name
    listed = call(story.repo, "sessions").stdout
    assert name in listed
    assert "paused" in listed
    assert "experiment limit reached (3)" in listed
    assert call(story.repo, "archive").exit_code == 0
    assert "Every session is archived." in call(story.repo, "sessions").stdout
    assert "paused, archived" in call(story.repo, "sessions", "--all").stdout
    assert json.loads(call(story.repo, "sessions", "--json").stdout) == {"sessions": []}
    (document,) = json.loads(call(story.repo, "sessions", "--all", "--json").stdout)["sessions"]
    assert document["archived"] is True
    assert document["session"] == name
    assert document["state"] == "paused"
    refused = call(story.repo, "status")
    assert refused.exit_code == 2
    assert "archive --undo" in refused.output
    assert call(story.repo, "archive", "--undo", "-s", name).exit_code == 0
    assert call(story.repo, "status").exit_code == 0


def test_a_running_session_is_not_archived(tmp_path: Path) -> None:
    story = told(tmp_path / "repo")
    with story.session.lock():
        refused = call(story.repo, "archive")
    assert refused.exit_code == 2
    assert "pause or stop it first" in refused.output
    assert not story.session.archived
