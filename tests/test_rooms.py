"""The house: every module of a room is behind its door, and the contracts in pyproject.toml leave none out."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
VOCABULARIES = {"autoresearch.state.journal.records", "autoresearch.state.text.numbers"}


def test_every_room_has_a_door_that_is_held() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    protected = {name for each in contracts if each["type"] == "protected" for name in each["protected_modules"]}
    for side in ("state", "engine"):
        for room in sorted(path for path in (ROOT / side).iterdir() if (path / "__init__.py").is_file()):
            name = f"autoresearch.{side}.{room.name}"
            modules = {f"{name}.{path.stem}" for path in room.iterdir() if path.stem not in ("__init__", "__pycache__")}
            assert f"{name}.*" in protected or modules - protected <= VOCABULARIES, name
    assert not any("ignore_imports" in each for each in contracts if each["type"] == "protected")
