"""Importing any module of ours stays light: the heavy libraries are imported where they are used."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "anthropic", "optuna", "sqlite_utils", "git", "numpy", "genai_prices", "httpx2", "pydantic")
SCREEN = ("textual", "rich")


def modules() -> list[str]:
    found = []
    for folder in ("state", "engine", "tui"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            found.append(".".join(("autoresearch", *(part for part in parts if part != "__init__"))))
    return found


@pytest.mark.parametrize("folder", ["state", "engine", "tui"])
def test_no_module_drags_a_heavy_library_in(folder: str) -> None:
    """All modules of a folder in one process each: whatever is loaded then was loaded by an import of ours."""
    names = [name for name in modules() if name.startswith(f"autoresearch.{folder}")]
    forbidden = HEAVY if folder == "tui" else (*HEAVY, *SCREEN)
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}:\n"
        "    importlib.import_module(name)\n"
        f"    heavy = [m for m in {forbidden!r} if m in sys.modules]\n"
        "    if heavy: sys.exit(f'{name} imports {heavy}')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("args", [["--version"], ["--help"], ["status"], ["log"], ["run", "--help"]])
def test_light_commands_load_neither_screen_nor_heavy_libraries(args: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from autoresearch.tui.cli import main\n"
        f"sys.argv = ['autoresearch', *{args!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"heavy = [m for m in {(*HEAVY, 'textual')!r} if m in sys.modules]\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr


def test_the_bare_folder_names_are_never_imported() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--select", "TID251", "."], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout.decode()
