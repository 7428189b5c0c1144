"""The folders that a command may write are empty for each, whatever the one before left in them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from autoresearch.engine.sandbox import Scratch


def test_home_and_tmp_are_empty_again_but_caches_can_be_read(places: dict[str, Path], tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "t")
    (places["home"] / ".cache/autoresearch").mkdir(parents=True)
    (places["home"] / ".cache/autoresearch/data").write_text("prepared")
    scratch.make_empty(places["home"])
    (scratch.home / ".cache/sneaky").write_text("for the next one")
    (scratch.home / "deep/er").mkdir(parents=True)
    (scratch.tmp / "left").symlink_to(places["home"])
    scratch.make_empty(places["home"])
    assert (scratch.home / ".cache/autoresearch/data").read_text() == "prepared"
    assert sorted(path.name for path in scratch.home.rglob("*")) == [".cache", "autoresearch"]
    assert list(scratch.tmp.iterdir()) == []
    assert (places["home"] / ".cache/autoresearch/data").exists()


def test_what_programs_look_for_at_home_is_found_and_nothing_that_they_write_or_that_holds_keys(
    places: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, scratch = places["home"], Scratch(tmp_path / "t")
    for name in ("corpus/text", ".julia/packages", ".config/app/state", ".ssh/id_rsa", "server.pem", "key.json"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(name)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(home / "key.json"))
    (home / "disk").symlink_to(places["user"])
    (places["user"] / "data").write_text("large")
    scratch.make_empty(home)
    (scratch.home / "corpus").unlink()
    (scratch.home / "corpus").mkdir()
    (scratch.home / "disk").unlink()
    (scratch.home / "disk").symlink_to(tmp_path)
    (scratch.home / ".config").mkdir()
    scratch.make_empty(home)
    assert (scratch.home / "corpus/text").read_text() == "corpus/text"
    assert (scratch.home / ".julia/packages").exists()
    assert (scratch.home / "disk/data").read_text() == "large"
    assert {path.name for path in scratch.home.iterdir()} == {"corpus", ".julia", "disk", ".cache"}
    (home / "corpus/text").unlink()
    (home / "corpus").rmdir()
    scratch.make_empty(home)
    assert not (scratch.home / "corpus").is_symlink()


def test_a_replaced_cache_folder_is_made_again(places: dict[str, Path], tmp_path: Path) -> None:
    scratch = Scratch(tmp_path / "t")
    scratch.make_empty(places["home"])
    (scratch.home / ".cache").rmdir()
    (scratch.home / ".cache").symlink_to(places["user"])
    (places["user"] / "precious").touch()
    scratch.make_empty(places["home"])
    assert not (scratch.home / ".cache").is_symlink()
    assert (places["user"] / "precious").exists()


def test_sockets_fit_below_tmp_however_deep_the_trees_are(tmp_path: Path) -> None:
    deep = Scratch(tmp_path / ("x" * 100))
    assert len(str(deep.tmp)) <= 64
    assert deep.tmp != Scratch(tmp_path / ("y" * 100)).tmp
    deep.make_empty(tmp_path)
    assert deep.tmp.stat().st_uid == os.getuid()
    deep.tmp.rmdir()
