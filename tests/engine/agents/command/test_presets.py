"""How the CLIs that are known by name are called, and which word is one of their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoresearch.engine.agents.command.presets import PRESETS, call_of, misnamed, model_of, preset_of
from autoresearch.state.config import AgentSettings


def test_a_persons_flags_and_model_reach_the_cli(tmp_path: Path) -> None:
    settings = AgentSettings(command="codex -c model_reasoning_effort=high", model="gpt-9")
    argv = call_of(settings, tmp_path / "b", tmp_path).argv
    assert argv[:2] == ("codex", "exec")
    assert argv[-5:] == ("--model", "gpt-9", "-c", "model_reasoning_effort=high", "-")
    assert "--model" not in call_of(AgentSettings(command="codex"), tmp_path / "b", tmp_path).argv
    plain = call_of(AgentSettings(command="claude-code"), tmp_path / "b", tmp_path).argv
    shell = call_of(AgentSettings(command="claude-code", shell=True), tmp_path / "b", tmp_path).argv
    assert all(word.startswith("Bash(autoresearch ") for word in ",".join(plain).split(",") if "Bash" in word)
    assert "Bash" in ",".join(shell).split(",")
    assert shell.count("--allowedTools") == 1
    assert call_of(AgentSettings(command="codex exec --fast"), tmp_path / "b", tmp_path).argv[0] == "bash"


@pytest.mark.parametrize(
    ("command", "name", "flags"),
    [
        ("codex", "codex", ()),
        ("  codex  -c 'a b' ", "codex", ("-c", "a b")),
        ("aider --model {model}", "aider", ("--model", "{model}")),
        ("codex exec", "", ()),
        ("claude-code {brief}", "", ()),
        ("codex --cd {tree}", "", ()),
        ("claude", "", ()),
        ("codex 'unclosed", "", ()),
        ("", "", ()),
    ],
)
def test_a_command_is_a_preset_with_flags_or_a_template(command: str, name: str, flags: tuple[str, ...]) -> None:
    assert preset_of(command) == ((PRESETS[name], flags) if name else None)


@pytest.mark.parametrize(
    ("command", "hint"),
    [("claude-cod", 'did you mean "claude-code"?'), ("zzzzz", "{brief} in it."), ("codex", ""), ("mine", ""),
     ("no-such --flag", ""), ("no-such {brief}", "")],
)  # fmt: skip
def test_only_a_plain_word_that_is_nothing_is_misnamed(tmp_path: Path, command: str, hint: str) -> None:
    (tmp_path / "mine").write_text("#!/bin/sh\n")
    (tmp_path / "mine").chmod(0o755)
    found = misnamed(command, str(tmp_path))
    assert bool(found) == bool(hint)
    assert found.endswith(hint)


def test_a_model_is_passed_on_when_a_person_chose_one_and_their_flag_wins() -> None:
    assert model_of(AgentSettings()) == ""
    assert model_of(AgentSettings(model="gpt-9")) == "gpt-9"
    settings = AgentSettings(command="codex --model gpt-8", model="gpt-9")
    assert [word for word in call_of(settings, Path("b"), Path("t")).argv if word.startswith("gpt")] == ["gpt-8"]


def test_a_templates_marks_are_quoted_for_the_shell() -> None:
    call = call_of(AgentSettings(command="run {tree} {model} < {brief}", model="a;b"), Path("/x y/brief"), Path("/t"))
    assert call.argv == ("bash", "-c", "run /t 'a;b' < '/x y/brief'")
    assert not call.on_stdin
    assert call_of(AgentSettings(command="run {tree}"), Path("b"), Path("t")).on_stdin


def test_the_files_are_named_to_the_one_that_wants_them_named() -> None:
    files = ("a.py", "b.py")
    assert call_of(AgentSettings(command="aider"), Path("/brief"), Path("t"), files).argv[-2:] == files
    assert "/brief" in call_of(AgentSettings(command="aider"), Path("/brief"), Path("t"), files).argv
    assert "a.py" not in call_of(AgentSettings(command="codex"), Path("/brief"), Path("t"), files).argv
