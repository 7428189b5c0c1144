from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def places(tmp_path: Path) -> dict[str, Path]:
    made = {name: tmp_path / name for name in ("tree", "user", "home")}
    for folder in made.values():
        folder.mkdir()
    return made
