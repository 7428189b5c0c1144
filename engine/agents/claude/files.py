"""The files of a propose tree, as a model may see and change them.

Everything in the tree can be read but what is git's, what holds secrets, and what the target hides; only what is in
scope can be changed. Links are followed before anything is decided, and nothing outside the tree is ever touched. A
refusal is an ordinary answer: it says what can be done instead.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from autoresearch.engine.process import claim, release
from autoresearch.engine.sandbox import holds_keys
from autoresearch.engine.workspace import Scope

READ_LINES = 800
READ_CHARS = 40_000
LISTED = 400
FOUND = 200
FOUND_CHARS = 20_000
GREP_S = 20.0
LARGEST = 4_000_000
"""Bytes: a larger file is searched, not read."""

_LONGEST_LINE = 2000
PASSED_OVER = frozenset({".git", "__pycache__", ".venv", "node_modules", ".autoresearch", ".mypy_cache", ".ruff_cache"})


class Refused(Exception):
    """A tool does not do that; the sentence goes back to the model."""


@dataclass(frozen=True, slots=True)
class Place:
    """A path in the tree."""

    name: str
    """As it was asked for, relative to the target's folder, with slashes."""
    path: Path
    """Where it leads, links followed."""


class Files:
    def __init__(self, tree: Path, scope: Scope, hidden: tuple[str, ...] = ()) -> None:
        """`hidden` are paths that nobody may read, relative to the tree or absolute."""
        self.root = tree.resolve()
        self._scope = scope
        self._hidden = tuple((self.root / path).resolve() for path in hidden)
        self._before: dict[Path, bytes | None] = {}
        self._seen: dict[str, tuple[int, int, int]] | None = None

    # -- looking

    def read(self, path: str, first: int = 1, last: int = 0) -> str:
        """Lines `first` to `last` (0: the end) with their numbers."""
        lines = self._text(self._readable(path)).split("\n")
        if lines and not lines[-1]:
            lines.pop()
        if not lines:
            return f"{path} is empty."
        if first < 1 or first > len(lines):
            raise Refused(f"{path} has {len(lines)} lines; ask for lines from 1 to {len(lines)}.")
        last = min(last or len(lines), len(lines), first + READ_LINES - 1)
        shown: list[str] = []
        room = READ_CHARS
        for number in range(first, last + 1):
            line = _cut(lines[number - 1].rstrip("\r"))
            room -= len(line) + 8
            if room < 0 and shown:
                break
            shown.append(f"{number:6d}\t{line}")
        end = first + len(shown) - 1
        more = f"\n[lines {first} to {end} of {len(lines)}; go on at {end + 1}]" if end < len(lines) else ""
        return "\n".join(shown) + more

    def list(self, path: str = ".", deep: bool = False) -> str:
        """What a folder holds; files in scope are marked."""
        place = self._locate(path)
        if not place.path.is_dir():
            raise Refused(f"{path} is no folder." if place.path.exists() else f"There is no {path}.")
        found: list[str] = []
        for entry in self._walk(place.path, deep):
            relative = entry.relative_to(self.root).as_posix()
            if entry.is_dir() and not entry.is_symlink():
                found.append(f"{relative}/")
            else:
                mark = "  (yours to edit)" if self._scope.contains(relative) else ""
                found.append(f"{relative}  {_size(entry)}{mark}")
            if len(found) > LISTED:
                return "\n".join([*found[:LISTED], f"[more than {LISTED} entries: list a folder below]"])
        return "\n".join(found) or "The folder is empty."

    async def grep(self, pattern: str, path: str = ".", literal: bool = False) -> str:
        """Lines that match, as `file:line:text`. A process of its own, so that no pattern can hold the engine up."""
        place = self._locate(path)
        if not place.path.exists():
            raise Refused(f"There is no {path}.")
        where = place.path.relative_to(self.root).as_posix()
        flags = ["-rnIHs", "-F" if literal else "-E", *(f"--exclude-dir={folder}" for folder in sorted(PASSED_OVER))]
        pattern = pattern if literal else pattern.replace(r"\d", "[0-9]").replace(r"\D", "[^0-9]")
        command = ["grep", *flags, "-e", pattern, "--", where]
        out, words, late = await asyncio.to_thread(_output, command, self.root)
        if late:
            raise Refused(f"The search took longer than {GREP_S:g} s; search a folder, or a simpler pattern.")
        if words and not out:
            raise Refused(f"grep refused: {words.removeprefix('grep: ')}")
        return self._found(out.decode("utf-8", "replace"))

    def _found(self, text: str) -> str:
        shown: list[str] = []
        room = FOUND_CHARS
        for line in text.split("\n"):
            name = line.split(":", 1)[0].removeprefix("./")
            if not line or not self._may_read(self.root / name, name):
                continue
            line = _cut(line.removeprefix("./"), 300)
            room -= len(line) + 1
            if len(shown) == FOUND or room < 0:
                return "\n".join([*shown, "[more matches: search a folder or a narrower pattern]"])
            shown.append(line)
        return "\n".join(shown) or "Nothing matches."

    # -- changing

    def edit(self, path: str, old: str, new: str, all: bool = False) -> str:
        """Replace text that stands there exactly once (or with `all`), whatever the file's line ends."""
        place = self._writable(path)
        if not place.path.is_file():
            raise Refused(f"There is no {path}; write makes a new file.")
        if not old:
            raise Refused("old is empty: give the text to replace, or use write for a whole file.")
        if old == new:
            raise Refused("old and new are the same: nothing would change.")
        text = self._text(place)
        if "\r\n" in text and "\r\n" not in old:
            old, new = old.replace("\n", "\r\n"), new.replace("\n", "\r\n")
        count = text.count(old)
        if not count:
            raise Refused(f"old does not stand in {path} exactly like that; read the lines and copy them.")
        if count > 1 and not all:
            raise Refused(f"old stands {count} times in {path}: take in more lines around it, or set all.")
        self._put(place, text.replace(old, new).encode())
        line = text[: text.index(old)].count("\n") + 1
        return f"Replaced {count} times in {path}." if count > 1 else f"Replaced at line {line} of {path}."

    def write(self, path: str, text: str) -> str:
        """A whole file, new or replaced."""
        place = self._writable(path)
        if place.path.is_dir():
            raise Refused(f"{path} is a folder.")
        existed = place.path.exists()
        self._put(place, text.encode("utf-8", "replace"))
        return f"{'Replaced' if existed else 'Wrote'} {path} ({text.count(chr(10)) + 1} lines)."

    def delete(self, path: str) -> str:
        place = self._writable(path)
        link = self.root / place.name
        if not link.is_symlink() and not link.is_file():
            raise Refused(f"There is no file {path}.")
        if not link.is_symlink():
            self._remember(place.path)
        link.unlink()
        return f"Deleted {path}."

    @property
    def changed(self) -> bool:
        """Whether any file differs from what it was when this began."""
        if any(_content(path) != before for path, before in self._before.items()):
            return True
        return self._seen is not None and self._in_scope() != self._seen

    def watch(self) -> None:
        """From now on, others than this may change files, too."""
        if self._seen is None:
            self._seen = self._in_scope()

    def _in_scope(self) -> dict[str, tuple[int, int, int]]:
        """The files in scope, with what changes when they do."""
        found = {}
        for folder, folders, files in os.walk(self.root):
            if ".git" in folders:
                folders.remove(".git")
            for name in files:
                path = Path(folder, name)
                relative = path.relative_to(self.root).as_posix()
                if self._scope.contains(relative):
                    info = path.lstat()
                    found[relative] = (info.st_mode, info.st_size, info.st_mtime_ns)
        return found

    def _put(self, place: Place, data: bytes) -> None:
        if len(data) > LARGEST:
            raise Refused(f"That is more than {LARGEST} bytes; artifacts belong into the run, not into the change.")
        self._remember(place.path)
        try:
            place.path.parent.mkdir(parents=True, exist_ok=True)
            place.path.write_bytes(data)  # in place: the mode stays
        except OSError as error:
            raise Refused(f"{place.name} cannot be written: {error.strerror}.") from error

    def _remember(self, path: Path) -> None:
        self._before.setdefault(path, _content(path))

    # -- where

    def _locate(self, name: str) -> Place:
        """The path, links followed. Raises Refused when it leaves the tree or is nobody's to see."""
        if "\0" in name:
            raise Refused("A path has no NUL characters.")
        inside = name.removeprefix(f"{self.root.as_posix()}/") if name.startswith("/") else name
        pure = PurePosixPath(inside or ".")
        if pure.is_absolute() or ".." in pure.parts:
            raise Refused(f"{name} is not in the tree; name files relative to the target's folder.")
        try:
            path = (self.root / pure).resolve()
        except (OSError, RuntimeError) as error:
            raise Refused(f"{name} leads nowhere.") from error
        if not path.is_relative_to(self.root):
            raise Refused(f"{name} leads outside the tree and cannot be read or changed.")
        if not self._may_read(path, pure.as_posix()):
            raise Refused(f"{name} is not to be read: it is git's, holds secrets, or the target hides it.")
        return Place(pure.as_posix(), path)

    def _may_read(self, path: Path, name: str) -> bool:
        real = path.resolve()
        if not real.is_relative_to(self.root) or any(real.is_relative_to(hidden) for hidden in self._hidden):
            return False
        parts = {*PurePosixPath(name).parts, *real.relative_to(self.root).parts}
        return ".git" not in parts and not any(holds_keys(part) for part in parts)

    def _readable(self, name: str) -> Place:
        place = self._locate(name)
        if place.path.is_dir():
            raise Refused(f"{name} is a folder; list shows what is in it.")
        if not place.path.is_file():
            raise Refused(f"There is no {name}.")
        return place

    def _writable(self, name: str) -> Place:
        place = self._locate(name)
        real = place.path.relative_to(self.root).as_posix()
        if not (self._scope.contains(place.name) and self._scope.contains(real)):
            scope = ", ".join(self._scope.edit)
            raise Refused(f"{name} is protected: only files in scope may change ({scope}).")
        return place

    def _text(self, place: Place) -> str:
        if place.path.stat().st_size > LARGEST:
            raise Refused(f"{place.name} is larger than {LARGEST} bytes; use grep.")
        data = place.path.read_bytes()
        if b"\0" in data[:8192]:
            raise Refused(f"{place.name} is binary ({len(data)} bytes).")
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise Refused(f"{place.name} is not UTF-8 text.") from error

    def _walk(self, folder: Path, deep: bool) -> Iterator[Path]:
        for path in sorted(folder.iterdir(), key=lambda path: path.name):
            relative = path.relative_to(self.root).as_posix()
            if path.name in PASSED_OVER or not self._may_read(path, relative):
                continue
            yield path
            if deep and path.is_dir() and not path.is_symlink():
                yield from self._walk(path, deep)


def _output(command: list[str], folder: Path) -> tuple[bytes, str, bool]:
    """(as much output as can be shown, complaint, whether it took too long) of a command without our environment."""
    late = threading.Event()
    with subprocess.Popen(
        command, cwd=folder, env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as child:  # fmt: skip
        claim(child.pid)

        def end() -> None:
            late.set()
            child.kill()

        timer = threading.Timer(GREP_S, end)
        timer.start()
        try:
            assert child.stdout is not None
            assert child.stderr is not None
            out = child.stdout.read(8 * FOUND_CHARS)
            complaint = "" if out else child.stderr.read(400).decode("utf-8", "replace").strip()
        finally:
            timer.cancel()
            child.kill()
            release(child.pid)
    return out, complaint, late.is_set()


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _cut(line: str, longest: int = _LONGEST_LINE) -> str:
    return line if len(line) <= longest else f"{line[:longest]}… [{len(line) - longest} characters more]"


def _size(path: Path) -> str:
    try:
        size = path.stat().st_size
    except OSError:
        return "broken link"
    return f"{size} B" if size < 10_000 else f"{size // 1000} kB"
