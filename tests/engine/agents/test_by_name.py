"""From a name to an agent, and where agents keep what no run may read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from repos import make_target

from autoresearch.engine.agents import PRESETS, Unavailable, Wanted, create, login_files
from autoresearch.engine.agents.replay import Replay
from autoresearch.engine.agents.tuner.agent import Tuner
from autoresearch.engine.git import Git
from autoresearch.state.config import AgentSettings, Config, Measure, Metric, Scope


def config(kind: Any = "auto") -> Config:
    return Config(
        name="t", metric=Metric("m"), scope=Scope(("**",)), measure=Measure(run="true"), agent=AgentSettings(kind=kind)
    )


def test_agents_are_made_by_short_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = make_target(tmp_path / "repo")
    git = Git(repo / ".git", repo)
    assert isinstance(create(Wanted(config(), git)), Tuner)
    assert isinstance(create(Wanted(config(kind="tuner"), git)), Tuner)
    assert isinstance(create(Wanted(config(), git, replay="a..b")), Replay)
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY_FILE", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Unavailable, match="needs a key: set ANTHROPIC_API_KEY"):
        create(Wanted(config(kind="claude"), git))
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-none")
    assert create(Wanted(config(kind="claude"), git)).name == "claude"
    with pytest.raises(Unavailable, match="There is no agent 'oracle'; there are auto, tuner"):
        create(Wanted(config(), git), "oracle")
    with pytest.raises(Unavailable, match="needs --replay"):
        create(Wanted(config(), git), "replay")
    with pytest.raises(Unavailable, match="neither"):
        create(Wanted(config(), git, replay="no-such-folder"))


def test_logins_are_named_whether_they_are_there_or_not(tmp_path: Path) -> None:
    files = login_files({"HOME": str(tmp_path)})
    assert {tmp_path / ".claude.json", tmp_path / ".codex", tmp_path / ".gemini"} <= set(files)
    assert len(files) == sum(len(preset.private) for preset in PRESETS.values())
    key = login_files({"HOME": str(tmp_path), "ANTHROPIC_API_KEY_FILE": "~/key"})
    assert key == (*files, Path("~/key").expanduser())
    assert login_files({"HOME": str(tmp_path), "ANTHROPIC_API_KEY_FILE": ""}) == files
