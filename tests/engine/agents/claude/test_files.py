"""What a model can see and change of a propose tree: everything in scope, nothing outside, no secrets."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from autoresearch.engine.agents.claude import files as tree_files
from autoresearch.engine.agents.claude.files import Files, Refused
from autoresearch.engine.workspace import Scope


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "src" / "deep").mkdir(parents=True)
    (tree / "src" / "a.py").write_text("one\ntwo\nthree\n")
    (tree / "src" / "deep" / "b.py").write_text("two\n")
    (tree / "eval.py").write_text("protected\n")
    (tree / ".git").write_text("gitdir: /nowhere\n")
    (tmp_path / "outside.py").write_text("not yours\n")
    return tree


@pytest.fixture
def files(tree: Path) -> Files:
    return Files(tree, Scope(("src/**", "!src/fixed.py")), ("held-out", "/abs/hidden"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and not p.is_symlink()}


CHANGES: list[Callable[[Files, str], str]] = [
    lambda files, name: files.write(name, "x"),
    lambda files, name: files.edit(name, "o", "x", all=True),
    lambda files, name: files.delete(name),
]


@pytest.mark.parametrize("change", CHANGES, ids=["write", "edit", "delete"])
@pytest.mark.parametrize(
    "name",
    ["eval.py", "../outside.py", "src/../eval.py", "src/../../outside.py", "/etc/hostname", ".git", "src/.git/config",
     "src/fixed.py", "src/to-protected.py", "src/to-outside.py", "src/out/outside.py", "src/.env", "src/x\0y", "src"],
)  # fmt: skip
def test_only_what_is_in_scope_can_be_changed(
    files: Files, tree: Path, name: str, change: Callable[[Files, str], str]
) -> None:
    (tree / "src" / "fixed.py").write_text("fixed\n")
    (tree / "src" / "to-protected.py").symlink_to("../eval.py")
    (tree / "src" / "to-outside.py").symlink_to("../../outside.py")
    (tree / "src" / "out").symlink_to("../..")
    (tree / "src" / ".env").write_text("SECRET=o\n")
    before = contents(tree.parent)
    with pytest.raises(Refused):
        change(files, name)
    assert contents(tree.parent) == before
    assert not files.changed


@pytest.mark.parametrize(
    "name", ["../outside.py", "/etc/hostname", "src/out/outside.py", ".git", ".env", "sub/.env.local", "id_rsa", "link",
             "held-out/test.txt", "alias/test.txt"],
)  # fmt: skip
async def test_what_is_not_to_be_read_is_neither_read_nor_found_nor_listed(files: Files, tree: Path, name: str) -> None:
    for secret in (".env", "sub/.env.local", "id_rsa", "held-out/test.txt"):
        (tree / secret).parent.mkdir(exist_ok=True)
        (tree / secret).write_text("treasure\n")
    (tree / "link").symlink_to(".env")
    (tree / "alias").symlink_to("held-out")
    (tree / "src" / "out").symlink_to("../..")
    (tree.parent / "outside.py").write_text("treasure\n")
    with pytest.raises(Refused):
        files.read(name)
    assert await files.grep("treasure") == "Nothing matches."
    with pytest.raises(Refused):
        await files.grep("treasure", name)
    listed = files.list(deep=True).split("\n")
    assert [line.split()[0] for line in listed] == [
        "eval.py", "src/", "src/a.py", "src/deep/", "src/deep/b.py", "sub/"
    ]  # fmt: skip


def test_a_link_inside_the_scope_is_followed(files: Files, tree: Path) -> None:
    (tree / "src" / "same.py").symlink_to("a.py")
    files.edit("src/same.py", "two", "2")
    assert (tree / "src" / "a.py").read_text() == "one\n2\nthree\n"
    assert (tree / "src" / "same.py").is_symlink()
    files.delete("src/same.py")
    assert (tree / "src" / "a.py").exists()


def test_an_edit_keeps_line_ends_mode_and_every_other_byte(files: Files, tree: Path) -> None:
    path = tree / "src" / "dos.sh"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\r\nc \t\r\nd")
    path.chmod(0o755)
    assert files.edit("src/dos.sh", "b\nc", "b\nx\nc") == "Replaced at line 2 of src/dos.sh."
    assert path.read_bytes() == b"\xef\xbb\xbfa\r\nb\r\nx\r\nc \t\r\nd"
    assert path.stat().st_mode & 0o777 == 0o755


def test_an_edit_has_to_be_exact_and_unambiguous(files: Files, tree: Path) -> None:
    for old, told in [("four", "does not stand"), ("o", "stands 2 times"), ("", "empty"), ("one", "the same")]:
        with pytest.raises(Refused, match=told):
            files.edit("src/a.py", old, "one")
    assert files.edit("src/a.py", "o", "0", all=True) == "Replaced 2 times in src/a.py."
    assert (tree / "src" / "a.py").read_text() == "0ne\ntw0\nthree\n"


def test_changes_that_cancel_out_are_none(files: Files, tree: Path) -> None:
    files.edit("src/a.py", "one", "1")
    files.write("src/new.py", "x")
    assert files.changed
    files.edit("src/a.py", "1", "one")
    files.delete("src/new.py")
    assert not files.changed
    files.delete("src/a.py")
    assert files.changed


def test_a_new_file_gets_its_folders(files: Files, tree: Path) -> None:
    assert files.write("src/x/y/z.py", "a\nb") == "Wrote src/x/y/z.py (2 lines)."
    assert (tree / "src" / "x" / "y" / "z.py").read_text() == "a\nb"


def test_reading_goes_by_ranges_with_what_is_left(files: Files, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_files, "READ_LINES", 2)
    assert files.read("src/a.py") == "     1\tone\n     2\ttwo\n[lines 1 to 2 of 3; go on at 3]"
    assert files.read("src/a.py", 3) == "     3\tthree"
    with pytest.raises(Refused, match="has 3 lines"):
        files.read("src/a.py", 4)


def test_what_is_no_text_is_refused(files: Files, tree: Path) -> None:
    (tree / "src" / "a.bin").write_bytes(b"\0\1")
    (tree / "src" / "latin.py").write_bytes(b"\xe9")
    os.mkfifo(tree / "src" / "pipe")
    for name in ("src/a.bin", "src/latin.py", "src/pipe", "src", "src/none.py"):
        with pytest.raises(Refused):
            files.read(name)


async def test_grep_takes_patterns_literals_and_folders(files: Files) -> None:
    assert (await files.grep("^two$")).split("\n") == ["src/a.py:2:two", "src/deep/b.py:1:two"]
    assert await files.grep("^two", "src/deep") == "src/deep/b.py:1:two"
    assert await files.grep("t.o", literal=True) == "Nothing matches."
    with pytest.raises(Refused, match="grep refused"):
        await files.grep("(")


async def test_a_pattern_cannot_hold_the_engine_up(files: Files, tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_files, "GREP_S", 0.2)
    os.mkfifo(tree / "src" / "pipe")
    with pytest.raises(Refused, match="took longer"):
        await files.grep("x", "src/pipe")


async def test_much_output_is_cut(files: Files, tree: Path) -> None:
    (tree / "src" / "big.txt").write_text("two\n" * 200_000)
    found = await files.grep("two", "src/big.txt")
    assert found.endswith("[more matches: search a folder or a narrower pattern]")
    assert len(found) < tree_files.FOUND_CHARS + 200
