"""`autoresearch doctor` on a made-up PATH and HOME, with real executables for the CLIs."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from autoresearch.engine.agents import PRESETS
from autoresearch.engine.doctor import machine
from autoresearch.engine.sandbox import kernel
from autoresearch.tui.cli import cli


@pytest.fixture
def bin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on a PATH that has git and the usual commands, but no agent CLI; and an empty HOME."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("git", "bash", "sh", "env"):
        found = shutil.which(program)
        assert found is not None
        (folder / program).symlink_to(found)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in [*os.environ]:
        if any(word in name for word in ("KEY", "TOKEN", "ANTHROPIC", "OPENAI", "GOOGLE")):
            monkeypatch.delenv(name)
    return folder


def install(bin: Path, name: str, body: str = "exit 0") -> None:
    (bin / name).write_text(f"#!{bin}/bash\n{body}\n")
    (bin / name).chmod(0o755)


def document(code: int = 0) -> dict[str, Any]:
    result = CliRunner().invoke(cli, ["doctor", "--json"])
    assert result.exit_code == code, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def check(name: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = next(check for check in document(code)["checks"] if check["name"] == name)
    return found


def agent(name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(agent for agent in document()["agents"] if agent["name"] == name)
    return found


def test_every_preset_is_listed_and_a_missing_one_says_how_to_install_it(bin: Path) -> None:
    agents = document()["agents"]
    assert [agent["name"] for agent in agents] == list(PRESETS)
    assert all(agent["path"] is None and "install" in agent["fix"] for agent in agents)


@pytest.mark.parametrize("name", [name for name, preset in PRESETS.items() if not preset.check])
def test_a_login_is_seen_by_a_key_or_by_what_it_leaves_at_home(
    bin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    preset = PRESETS[name]
    install(bin, preset.program, "exit 99")
    found = agent(name)
    assert found["path"] == str(bin / preset.program)
    assert found["logged_in"] is None
    assert found["fix"] == preset.login
    for file in preset.credentials:
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text("{}")
        assert agent(name)["logged_in"] is None
        (tmp_path / file).write_text('{"a": {"refresh": "r"}}')
        assert (agent(name)["logged_in"], agent(name)["by"]) == (True, f"~/{file}")
    monkeypatch.setenv(preset.keys[0], "sk-canary-123456789")
    assert (agent(name)["logged_in"], agent(name)["by"]) == (True, preset.keys[0])
    assert "canary" not in json.dumps(document())


@pytest.mark.parametrize(("code", "logged_in"), [(0, True), (1, False)])
def test_codex_is_asked_whether_it_is_logged_in(bin: Path, code: int, logged_in: bool) -> None:
    install(bin, "codex", f'[ "$*" = "login status" ] && exit {code}; exit 9')
    found = agent("codex")
    assert found["logged_in"] is logged_in
    assert (found["fix"] == "") is logged_in


def test_a_machine_without_git_fails(bin: Path) -> None:
    assert check("git")["state"] == "ok"
    (bin / "git").unlink()
    found = check("git", code=1)
    assert (found["state"], found["fix"]) == ("fail", "Install git 2.38 or newer.")


def test_an_old_git_fails(bin: Path) -> None:
    (bin / "git").unlink()
    install(bin, "git", "echo git version 2.30.1")
    assert "2.30 is too old" in check("git", code=1)["text"]


def test_the_kernels_confinement_is_told_by_name(bin: Path) -> None:
    abi = kernel.landlock_abi()
    landlock = check("landlock")
    assert (landlock["state"] == "ok") is (abi > 0)
    assert (f"ABI {abi}" in landlock["text"]) is (abi > 0)
    assert check("user namespaces")["state"] in ("ok", "note")
    assert check("gpu")["text"]


@pytest.mark.parametrize(
    ("files", "state"),
    [
        ({}, "ok"),
        ({"etc/systemd/logind.conf": "[Login]\nKillUserProcesses=yes\n"}, "warn"),
        ({"etc/systemd/logind.conf": "[Login]\n#KillUserProcesses=yes\n"}, "ok"),
        ({"etc/systemd/logind.conf": "KillUserProcesses=yes\n", "etc/systemd/logind.conf.d/a.conf":
          "KillUserProcesses = no\n"}, "ok"),
        ({"usr/lib/systemd/logind.conf.d/a.conf": "KillUserProcesses=yes\n"}, "warn"),
        ({"usr/lib/systemd/logind.conf.d/a.conf": "KillUserProcesses=yes\n",
          "etc/systemd/logind.conf.d/a.conf": "\n"}, "ok"),
        ({"etc/systemd/logind.conf": "KillUserProcesses=yes\nKillExcludeUsers=root ann\n"}, "ok"),
        ({"etc/systemd/logind.conf": "KillUserProcesses=yes\n", "var/lib/systemd/linger/ann": ""}, "ok"),
    ],
)  # fmt: skip
def test_a_logout_that_would_end_the_engine_is_warned_of(tmp_path: Path, files: dict[str, str], state: str) -> None:
    assert machine.logout(tmp_path, "ann") == []  # no systemd here
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (found,) = machine.logout(tmp_path, "ann")
    assert found.state == state
    for line in (
        "`loginctl enable-linger ann`",
        "`systemd-run --user --scope autoresearch run`",
        "`systemd-run --user --scope tmux`",
    ):
        assert (line in found.fix) is (state == "warn")


def test_a_key_for_claude_is_seen_and_never_shown(bin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check("claude key")["state"] == "note"
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-canary-123456789")
    assert check("claude key")["state"] == "ok"
    assert "canary" not in json.dumps(document())


def test_people_read_lines_with_marks_and_fixes(bin: Path, tmp_path: Path) -> None:
    install(bin, "codex", "exit 1")
    install(bin, "claude")
    (tmp_path / ".claude").mkdir()
    (tmp_path / ".claude/.credentials.json").write_text('{"token": "x"}')
    result = CliRunner().invoke(cli, ["doctor"])
    assert result.exit_code == 0
    lines = {line.split()[1]: line for line in result.output.splitlines() if line.startswith("  ")}
    assert lines["git"].startswith("  ✓ git")
    assert "logged in (~/.claude/.credentials.json). Protection: Claude Code's permissions" in lines["claude-code"]
    assert "not logged in: call `codex login`" in lines["codex"]
    assert "not found" in lines["gemini"]
