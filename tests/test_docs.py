"""README, CONTRIBUTING, AGENTS, SECURITY and docs/ say what is so: links, rooms, dependencies, configs and commands."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from autoresearch.state.config import from_dict
from autoresearch.tui.app.preferences_file import read_preferences
from autoresearch.tui.cli import COMMANDS, cli

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "targets").glob("*/README.md")])
SIDES = ("state", "engine", "tui")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


pages = pytest.mark.parametrize("page", PAGES, ids=named)

# -- links


@pages
def test_every_link_leads_to_a_file_and_its_heading(page: Path) -> None:
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, heading = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (heading and heading not in headings(file)):
            lost.append(target)
    assert lost == []


def headings(page: Path) -> set[str]:
    """As the usual renderers name them: lower case, no signs, hyphens for spaces."""
    lines = re.findall(r"^#+ (.+)$", _prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


def _prose(page: Path) -> str:
    return re.sub(r"^(`{3,})[^\n]*\n.*?^\1$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pages
def test_every_file_that_is_named_is_there(page: Path) -> None:
    named_here = re.findall(r"`((?:state|engine|tui|tests|targets|docs)/[\w./-]+)`", _prose(page))
    assert [path for path in named_here if not (ROOT / path).exists()] == []


def test_every_page_that_the_code_names_is_there() -> None:
    code = [file for folder in (*SIDES, "targets") for file in (ROOT / folder).rglob("*.py")]
    told = {path for file in code for path in re.findall(r"docs/[\w-]+\.md", file.read_text(encoding="utf-8"))}
    assert [path for path in sorted(told) if not (ROOT / path).is_file()] == []


# -- docs/architecture.md


def test_the_architecture_names_every_room_and_none_that_is_not_there() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for side in SIDES:
        section = re.split(r"^## ", text.partition(f"## {side}/")[2], flags=re.MULTILINE)[0]
        rows = re.findall(r"^\| `([\w.]+)/?` \|", section, re.MULTILINE)
        there = {path.stem for path in (ROOT / side).iterdir() if path.suffix in ("", ".py")}
        assert sorted(rows) == sorted(there - {"__init__", "__pycache__"}), side


# -- docs/dependencies.md and constraints.txt

_PACKAGES = {
    "git": "gitpython",
    "pynvml": "nvidia-ml-py",
    "sqlite_utils": "sqlite-utils",
    "genai_prices": "genai-prices",
}


def imports() -> dict[str, tuple[set[str], set[str]]]:
    """By package, the rooms that import it when they are imported themselves, and those that do in functions."""
    found: dict[str, tuple[set[str], set[str]]] = {}
    for file in (file for side in SIDES for file in (ROOT / side).rglob("*.py")):
        parts = file.relative_to(ROOT).with_suffix("").parts
        for module, inside in _imported(ast.parse(file.read_text(encoding="utf-8"))):
            if module not in sys.stdlib_module_names and module != "autoresearch":
                found.setdefault(_PACKAGES.get(module, module), (set(), set()))[inside].add(".".join(parts[:2]))
    return {name: (top, inside - top) for name, (top, inside) in found.items()}


def _imported(node: ast.AST, inside: bool = False) -> Iterator[tuple[str, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((name.name.partition(".")[0], inside) for name in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            yield child.module.partition(".")[0], inside
        elif not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from _imported(child, inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))


def test_the_table_of_dependencies_is_what_the_code_imports() -> None:
    text = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w-]+) \|.*\| ([^|]*) \| ([^|]*) \|$", text, re.MULTILINE)
    told = {package: tuple(set(re.findall(r"`(.+?)`", cell)) for cell in cells) for package, *cells in rows}
    assert {name: rooms for name, rooms in told.items() if any(rooms)} == imports()
    assert set(told) >= {Requirement(each).name.lower() for each in PROJECT["dependencies"]}


def test_every_version_that_is_tested_together_is_pinned() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {
        canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines) if version
    }
    extras = PROJECT["optional-dependencies"]
    wanted = [Requirement(each) for each in (*PROJECT["dependencies"], *extras["train"], *extras["dev"])]
    seen: set[tuple[str, str]] = set()
    while wanted:
        needed = wanted.pop()
        name = canonicalize_name(needed.name)
        if name == "pip" or (name.startswith(("nvidia-", "cuda-", "triton")) and name not in pins):
            continue  # what installs the others; what torch brings where there is a GPU
        assert needed.specifier.contains(pins[name]), needed
        for extra in (needed.extras or {""}) - {extra for known, extra in seen if known == name}:
            seen.add((name, extra))
            for line in importlib.metadata.requires(name) or ():
                inner = Requirement(line)
                if inner.marker is None or inner.marker.evaluate({"extra": extra}):
                    wanted.append(inner)


# -- what a reader copies


def blocks(page: Path) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pages
def test_every_toml_block_is_a_config(page: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a block need not say again is put beside it. The block of docs/keys.md is a person's own file."""
    least = {"name": "x", "metric": {"name": "x"}, "scope": {"edit": ["x.py"]}, "measure": {"run": "true"}}
    for text in (text for kind, text in blocks(page) if kind == "toml"):
        if page.name == "keys.md":
            monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
            (tmp_path / "autoresearch").mkdir()
            (tmp_path / "autoresearch" / "config.toml").write_text(text)
            assert read_preferences().keys
        else:
            from_dict(least | tomllib.loads(text), named(page))


@pages
def test_every_json_block_is_json(page: Path) -> None:
    for text in (text for kind, text in blocks(page) if kind == "json"):
        json.loads(text)


def commands(page: Path) -> Iterator[list[str]]:
    """The words of every call of `autoresearch` and `make`, from blocks and from code in a sentence or a table."""
    text = page.read_text(encoding="utf-8")
    lines = [line for kind, block in blocks(page) if kind in ("", "sh") for line in block.splitlines()]
    for line in [*lines, *re.findall(r"`([^`\n]+)`", text)]:
        if re.match(r"(autoresearch|make)( [^|]*)?$", line.partition(" #")[0].strip()):
            yield shlex.split(line.partition(" #")[0])


@pages
def test_every_command_exists_with_its_options(page: Path) -> None:
    targets = re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for program, *words in commands(page):
        if program == "make":
            assert set(words[:1]) <= {*targets}, words
            continue
        if words and words[0] in COMMANDS:
            command = cli.get_command(click.Context(cli), words.pop(0))
        else:
            assert not words or words[0].startswith("-"), f"{words[0]} is no command"
            command = cli
        assert command is not None
        with click.Context(command, parent=click.Context(cli, **cli.context_settings)) as context:
            command.make_parser(context).parse_args(words)
