"""`agent.kind = "auto"`: asked once at a terminal, never elsewhere, and never answered with money by itself."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from engines import command, environment, lines, run, session, until
from repos import TOML, make_target
from terminals import Terminal

from autoresearch.state.config import loads
from autoresearch.state.journal import records
from autoresearch.state.session import SessionError
from autoresearch.tui.actions.agents import offers

AUTO = TOML.replace('kind = "replay"', 'kind = "auto"')
QUESTION = b"What is to make the proposals?"
KEY = "sk-ant-a-canary-that-nobody-may-see"
NOBODY = ("ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY_FILE", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No key, no CLI and no login of the person who runs the tests; gives the folder on PATH where CLIs may lie."""
    for name in [name for name in os.environ if name.endswith(("_KEY", "_TOKEN", "_KEY_FILE")) or name in NOBODY]:
        monkeypatch.delenv(name)
    tools = tmp_path / "bin"
    tools.mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tools}:{Path(sys.executable).parent}:/usr/bin:/bin")
    return tools


@contextlib.contextmanager
def at_terminal(repo: Path, *args: str, **env: str) -> Iterator[Terminal]:
    argv = command(*args, "-C", str(repo))
    terminal = Terminal(argv, (100, 30), **environment(**env))
    try:
        yield terminal
    finally:
        terminal.kill()


def began(repo: Path) -> list[str]:
    try:
        found = lines(repo)
    except SessionError:
        return []
    return [line.agent for line in found if isinstance(line, records.AgentEvent) and line.event == "began"]


def stop(repo: Path, terminal: Terminal) -> None:
    terminal.until(lambda: b"\x1b[?1049h" in terminal.written)
    session(repo).ask("stop")
    until(lambda: session(repo).engine_pid() is None, "the engine stopped")
    terminal.until(lambda: b"STOPPED" in terminal.written or b"PAUSED" in terminal.written)
    terminal.press("q")
    assert terminal.wait() == 0


def test_enter_is_the_tuner_and_it_is_asked_once(tmp_path: Path, bare: Path) -> None:
    repo = make_target(tmp_path / "r", toml=AUTO)
    with at_terminal(repo, "run", ANTHROPIC_API_KEY=KEY) as terminal:
        terminal.until(lambda: b"Which [1]" in terminal.written)
        shown = terminal.written.decode()
        assert "claude-opus-5-5 over the API; pauses at $10" in shown
        assert "no model, no cost" in shown
        assert KEY not in shown
        terminal.press("\r")
        terminal.until(lambda: began(repo))
        stop(repo, terminal)
    assert began(repo) == ["tuner"]
    with at_terminal(repo, "resume", ANTHROPIC_API_KEY=KEY) as terminal:
        stop(repo, terminal)
        assert QUESTION not in terminal.written
    assert began(repo) == ["tuner"]


def test_the_cli_of_the_config_can_be_chosen_by_name(tmp_path: Path, bare: Path) -> None:
    agent = bare / "claude"
    agent.write_text("#!/bin/sh\nexec sleep 60\n")
    agent.chmod(0o755)
    repo = make_target(tmp_path / "r", toml=AUTO + "\n[limits]\ndollars = 2.5\n")
    with at_terminal(repo, "run", CLAUDE_CODE_OAUTH_TOKEN="x" * 20) as terminal:
        terminal.until(lambda: b"Which [1]" in terminal.written)
        assert "claude-code" in terminal.written.decode()
        assert "logged in; pauses at $2.5" in " ".join(terminal.written.decode().split())
        terminal.press("7\r")
        terminal.until(lambda: b"from 1 to 2" in terminal.written)
        terminal.press("claude-code\r")
        terminal.until(lambda: began(repo))
        stop(repo, terminal)
    assert began(repo) == ["command"]


def test_ctrl_c_at_the_question_starts_nothing(tmp_path: Path, bare: Path) -> None:
    repo = make_target(tmp_path / "r", toml=AUTO)
    with at_terminal(repo, "run", ANTHROPIC_API_KEY=KEY) as terminal:
        terminal.until(lambda: b"Which [1]" in terminal.written)
        terminal.press("\x03")
        assert terminal.wait() == 130
    with pytest.raises(SessionError):
        session(repo)


@pytest.mark.parametrize(
    ("toml", "args", "env"),
    [
        (AUTO, ["run"], {}),
        (AUTO, ["run", "--agent", "tuner"], {"ANTHROPIC_API_KEY": KEY}),
        (TOML.replace('"replay"', '"tuner"'), ["run"], {"ANTHROPIC_API_KEY": KEY}),
    ],
)
def test_nothing_is_asked_where_there_is_nothing_to_choose(
    tmp_path: Path, bare: Path, toml: str, args: list[str], env: dict[str, str]
) -> None:
    repo = make_target(tmp_path / "r", toml=toml)
    with at_terminal(repo, *args, **env) as terminal:
        terminal.until(lambda: began(repo))
        stop(repo, terminal)
        assert QUESTION not in terminal.written
    assert began(repo) == ["tuner"]


def test_without_a_terminal_it_is_the_tuner_and_one_line_says_what_else(tmp_path: Path, bare: Path) -> None:
    repo = make_target(tmp_path / "r", toml=AUTO)
    first = run(repo, "--max-experiments", "1", expect=3, ANTHROPIC_API_KEY=KEY).stdout
    assert len([line for line in first.splitlines() if "`--agent claude`" in line]) == 1
    assert KEY not in first
    assert began(repo) == ["tuner"]
    assert "--agent claude" not in run(repo, "--max-experiments", "1", expect=3, ANTHROPIC_API_KEY=KEY).stdout


def test_the_offers_name_the_limit_and_the_others(tmp_path: Path, bare: Path) -> None:
    for name in ("codex", "gemini"):
        (bare / name).write_text("#!/bin/sh\nexit 1\n")
        (bare / name).chmod(0o755)
    environ = {"PATH": str(bare), "HOME": str(tmp_path)}
    found, said = offers(loads(AUTO), 10.0, 0.0, environ)
    assert [offer.kind for offer in found] == ["tuner"]
    assert 'codex, gemini. To take one, write command = "codex"' in said[0]
    found, said = offers(loads(AUTO.replace("[agent]", '[agent]\ncommand = "codex"')), 0.0, 1.0, environ)
    assert [offer.kind for offer in found] == ["tuner", "command"]
    assert "not logged in (call `codex login`" in found[1].text
    assert "no limit in dollars" in found[1].text
    assert 'write command = "gemini"' in said[0]


def test_a_key_file_that_others_can_read_is_said(tmp_path: Path, bare: Path) -> None:
    key = tmp_path / "key"
    key.write_text(KEY)
    key.chmod(0o644)
    environ = {"PATH": str(bare), "HOME": str(tmp_path), "ANTHROPIC_API_KEY_FILE": str(key)}
    found, said = offers(loads(AUTO), 10.0, 0.0, environ)
    assert [offer.kind for offer in found] == ["tuner"]
    assert "chmod 600" in said[0]
    key.chmod(0o600)
    assert [offer.kind for offer in offers(loads(AUTO), 10.0, 4.0, environ)[0]] == ["tuner", "claude"]
    assert "$4.00 of it spent" in offers(loads(AUTO), 10.0, 4.0, environ)[0][1].text
