"""docs/cli.md and the commands say the same: every command, option and JSON key of one is in the other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from journals import told

from autoresearch.tui.cli import COMMANDS, cli

TEXT = (Path(__file__).parents[3] / "docs" / "cli.md").read_text(encoding="utf-8")
COMMON = {"--session", "-s", "--repo", "-C", "--debug", "--help", "-h"}
_OPTION = re.compile(r"(?<![\w-])(--?[a-zA-Z][\w-]*)")


def sections() -> dict[str, str]:
    parts = re.split(r"^### (.+)$", TEXT, flags=re.MULTILINE)
    return {
        name: re.split(r"^## ", body, flags=re.MULTILINE)[0]
        for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }


def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


def options(of: click.Command) -> set[str]:
    context = click.Context(of, parent=click.Context(cli, **cli.context_settings))
    return {
        name
        for param in of.get_params(context)
        if isinstance(param, click.Option)
        for name in (*param.opts, *param.secondary_opts)
    }


def documented_options(section: str) -> set[str]:
    """What the section's bullets open with, up to the colon."""
    heads = re.findall(r"^- (.+?`):", section, flags=re.MULTILINE)
    return {option for head in heads for option in _OPTION.findall(head)}


def keys(text: str) -> set[str]:
    return set(re.findall(r"`(\w+)`", text))


def test_every_command_is_documented_and_every_documented_one_exists() -> None:
    assert set(sections()) == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_commands_options_are_documented_and_exist(name: str) -> None:
    assert documented_options(sections()[name]) == options(command(name)) - COMMON


def test_the_common_options_are_documented_and_every_command_takes_them() -> None:
    part = TEXT.partition("## Common options")[2].partition("\n## ")[0]
    assert documented_options(part) == COMMON
    for name in COMMANDS:
        assert options(command(name)) >= COMMON


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_table_tells_each_command_as_its_help_does(name: str) -> None:
    """The table lets `--help` do without loading every command; both must lead to a command with a help text."""
    assert command(name).name == name
    assert (command(name).help or "").strip()
    assert name in CliRunner().invoke(cli, ["--help"]).output


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (["status"], ["status"]),
        (["sessions"], ["status", "sessions"]),
        (["summary"], ["status", "summary"]),
        (["log"], ["log"]),
        (["log", "--recompute"], ["log"]),
        (["show", "3"], ["log", "show", "status"]),
        (["ideas"], ["ideas"]),
        (["search", "knob"], ["search"]),
        (["steer", "--list"], ["steer"]),
        (["review"], ["review"]),
    ],
)
def test_every_json_key_is_documented(tmp_path: Path, args: list[str], parts: list[str]) -> None:
    repo = told(tmp_path / "repo").repo
    result = CliRunner().invoke(cli, [*args, "-C", str(repo), "--json"])
    known = keys(" ".join(sections()[part] for part in parts))
    assert found_keys(json.loads(result.stdout)) - known == set()


_FREE = {"metrics", "verdict", "params", "logs", "call", "limits", "samples"}
"""Keys whose value is an object of somebody else's names."""


def found_keys(value: Any) -> set[str]:
    if isinstance(value, list):
        return set().union(*(found_keys(item) for item in value))
    if not isinstance(value, dict):
        return set()
    inner = (found_keys(item) for key, item in value.items() if key not in _FREE)
    return set(value).union(*inner)


def test_every_status_key_of_the_docs_exists(tmp_path: Path) -> None:
    repo = told(tmp_path / "repo").repo
    found = found_keys(json.loads(CliRunner().invoke(cli, ["status", "-C", str(repo), "--json"]).stdout))
    words = keys(sections()["status"].partition("with the keys")[2])
    states = {"running", "starting", "looking", "silent", "paused", "stopped", "lost", "new", "pause", "stop"}
    assert words - states - {"call", "text"} == found & words - states - {"call", "text"}
