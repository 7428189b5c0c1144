"""docs/tour.md names only pictures that are there and keys that are bound; every picture can be made again."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from autoresearch.tui.app.key_catalogue import catalogue
from autoresearch.tui.app.pages import Pages
from autoresearch.tui.look.keys import key_of

DOCS = Path(__file__).parents[3] / "docs"
TOUR = (DOCS / "tour.md").read_text(encoding="utf-8")
KEYS = re.findall(r"<kbd([^>]*)>(.*?)</kbd>", TOUR)


@pytest.fixture(scope="module")
def screens() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_screens", DOCS / "tools" / "make_screens.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


def test_the_pictures_named_are_those_that_are_made_and_are_there(screens: ModuleType) -> None:
    named = set(re.findall(r"!\[[^\]]+\]\(pictures/(.+?)\.svg\)", TOUR))
    assert named == set(screens.PICTURES) == {path.stem for path in (DOCS / "pictures").iterdir()}


@pytest.mark.parametrize(("attributes", "key"), KEYS, ids=lambda text: str(text))
def test_a_key_named_is_bound_to_what_its_title_says(attributes: str, key: str) -> None:
    found = re.fullmatch(r' title="([\w.]+)"', attributes)
    assert found, f"the key {key} is named without its id"
    known = catalogue()[found[1]]
    assert key_of(key) in {key_of(each) for each in known.keys}


def test_the_tour_shows_every_page_of_a_session() -> None:
    assert KEYS
    titles = {re.sub(r".*\"(.*)\"", r"\1", attributes) for attributes, _ in KEYS}
    bound = {f"app.{name.removeprefix('action_')}" for name in vars(Pages) if name.startswith("action_")}
    assert bound
    assert bound <= titles


def test_a_picture_fetches_nothing_and_is_the_same_twice(screens: ModuleType) -> None:
    first = screens.taken(screens.PICTURES["home"])
    assert "RUNNING" in first
    assert "url(http" not in first
    assert re.findall(r"https?://(?!www\.w3\.org|www\.textualize\.io)\S*", first) == []
    assert screens.taken(screens.PICTURES["home"]) == first
