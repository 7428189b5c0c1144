from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from repos import write

from autoresearch.engine.workspace import Inputs, Linked, linked


def same_size_and_times(file: Path) -> None:
    info = file.stat()
    file.write_text("two")
    os.utime(file, ns=(info.st_atime_ns, info.st_mtime_ns))


CHANGES: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "nothing": (lambda data: (data / "a" / "one").read_text(), ()),
    "an edit": (lambda data: (data / "a" / "one").write_text("longer"), ("data/a/one",)),
    "an edit in disguise": (lambda data: same_size_and_times(data / "a" / "one"), ("data/a/one",)),
    "a new file": (lambda data: (data / "new").write_text("x"), ("data/new",)),
    "a new folder": (lambda data: (data / "b").mkdir(), ("data", "data/b")),
    "a deleted file": (lambda data: (data / "a" / "one").unlink(), ("data/a",)),
    "a mode": (lambda data: (data / "a" / "one").chmod(0o600), ("data/a/one",)),
    "times": (lambda data: os.utime(data / "a" / "one", (1, 1)), ("data/a/one",)),
    "a link instead": (lambda data: ((data / "x").symlink_to("a"), (data / "x").replace(data / "top")), ("data/top",)),
    "all moved away": (lambda data: data.rename(data.with_name("elsewhere")), ("data", "data/a")),
    "the single file": (lambda data: (data.parent / "weights").write_text("other"), ("weights",)),
}  # fmt: skip


def fingerprint(top: Path, *links: str, writable: tuple[str, ...] = ()) -> str:
    return linked.fingerprint(Inputs.of(top, links, writable))


@pytest.fixture
def top(tmp_path: Path) -> Path:
    write(tmp_path, {"data/a/one": "one", "data/top": "x", "weights": "w", "other": "not linked"})
    return tmp_path


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_a_linked_input_is_named(change: str, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linked, "_TICK_NS", 0)
    watched = Linked(Inputs(top, ("data", "weights")))
    watched.look()
    act, named = CHANGES[change]
    while (top / "other").stat().st_ctime_ns <= watched._looked_ns:
        (top / "other").touch()  # the kernel's clock for files goes in steps; the change must come after the look
    act(top / "data")
    assert watched.changed() == named
    assert watched.changed() == ()


def test_a_linked_input_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    watched = Linked(Inputs(tmp_path, ("nowhere",)))
    watched.look()
    assert watched.changed() == ()
    assert fingerprint(tmp_path, "nowhere") == fingerprint(tmp_path, "nowhere")


def test_the_fingerprint_tells_inputs_apart_and_not_who_looked(top: Path) -> None:
    write(top, {"data/large": "x" * 2 * linked.LARGE})
    seen = [fingerprint(top, "data")]
    write(top, {"data/__pycache__/m.pyc": "x"})
    assert fingerprint(top, "data") == seen[0]
    same_size_and_times(top / "data" / "a" / "one")
    assert fingerprint(top, "data") == seen[0], "a small file is known by its size and time"
    info = (top / "data" / "large").stat()
    with (top / "data" / "large").open("r+b") as file:
        file.seek(linked.LARGE)
        file.write(b"y")
    os.utime(top / "data" / "large", ns=(info.st_atime_ns, info.st_mtime_ns))
    for change in (lambda: None, lambda: (top / "data/top").write_text("longer"), lambda: (top / "data/top").unlink()):
        change()
        seen.append(fingerprint(top, "data"))
    assert len(set(seen)) == 4
    assert fingerprint(top) == ""


def test_what_runs_are_meant_to_write_below_a_link_is_no_input(top: Path) -> None:
    elsewhere = top / "elsewhere"
    (top / "data").rename(elsewhere)
    (top / "data").symlink_to(elsewhere)
    write(elsewhere, {"cache/old": "1", "index.db": "1"})
    writable = ("data/cache", str(elsewhere / "index.db"), str(top))
    inputs, before = Inputs.of(top, ("data/", "weights"), writable), fingerprint(top, "data", writable=writable)
    assert inputs.without == {"data/cache", "data/index.db"}, "what holds a link leaves it an input"
    watched = Linked(inputs)
    watched.look()
    write(elsewhere, {"cache/new/one": "2", "cache/old": "3", "index.db": "4"})
    assert watched.changed() == ()
    assert fingerprint(top, "data", writable=writable) == before
    write(elsewhere, {"a/new": "2"})
    assert watched.changed()
    assert fingerprint(top, "data", writable=writable) != before
