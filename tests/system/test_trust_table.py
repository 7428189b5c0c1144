"""docs/trust.md names every attack of the suite, and no test that does not exist."""

from __future__ import annotations

import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from attacks import Attack

DOCS = Path(__file__).parents[2] / "docs" / "trust.md"
MODULES = sorted(path.stem for path in Path(__file__).parent.glob("test_attacks_*.py"))


def attacks_of(module: str) -> list[Attack]:
    values = [value if isinstance(value, list) else [value] for value in vars(_load(module)).values()]
    return [one for some in values for one in some if isinstance(one, Attack)]


def _load(module: str) -> object:
    spec = spec_from_file_location(f"{module}_of_the_table", Path(__file__).with_name(f"{module}.py"))
    assert spec is not None
    assert spec.loader is not None
    loaded = sys.modules[f"{module}_of_the_table"] = module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.mark.parametrize("module", MODULES)
def test_every_attack_is_in_the_table(module: str) -> None:
    text = DOCS.read_text()
    attacks = attacks_of(module)
    assert attacks
    assert [attack.name for attack in attacks if f"| {attack.name} |" not in text] == []


def test_every_attack_of_the_table_is_tried_somewhere() -> None:
    names = {attack.name for module in MODULES for attack in attacks_of(module)}
    rows = re.findall(r"^\| ([^|]+) \|", DOCS.read_text(), re.MULTILINE)
    assert set(rows) - {"attack"} - {"---"} <= names


def test_every_test_that_it_names_exists() -> None:
    sources = "".join(path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py"))
    named = re.findall(r"`(test_\w+)`", DOCS.read_text())
    assert named
    assert [name for name in named if f"def {name}(" not in sources] == []
    paths = re.findall(r"`(tests/[\w/]+\.py)`", DOCS.read_text())
    assert [path for path in paths if not (DOCS.parents[1] / path).is_file()] == []
