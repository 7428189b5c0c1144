"""Files of the user's own tree that commands see through `scope.link`: were they changed?

They are not copied (data is large, an environment has 30,000 files), so a change of theirs cannot be undone, and is
not: nobody can tell a run's edit from the user's. Where commands are confined they cannot write there at all. Elsewhere
every run is followed by a look at size, times, inode and mode of each file (5 microseconds for one), one number kept
per folder. What lies beyond the first `MOST` entries is not looked at.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

LARGE = 1 << 20
"""From this size a file is also known by samples of its content."""
MOST = 100_000
_SAMPLE = 64 << 10
_NAMED = 5
_TICK_NS = 10_000_000
"""The kernel stamps files by a clock that may be so much behind."""


class Linked:
    """The linked inputs `paths` below `top`, as they were when last looked at."""

    def __init__(self, top: Path, paths: tuple[str, ...]) -> None:
        self._top = top
        self._paths = paths
        self._folders: dict[str, int] | None = None
        self._looked_ns = 0

    def look(self) -> None:
        """Remember how they are now."""
        self._looked_ns = time.time_ns() - _TICK_NS
        self._folders = {name: hash(tuple(entries)) for name, entries in self._walk()}

    def changed(self) -> tuple[str, ...]:
        """What changed since the last look, by file where the kernel's clock tells, else by folder; looks again."""
        before, since_ns = self._folders, self._looked_ns
        if before is None or not self._paths:
            self.look()
            return ()
        found: list[str] = []
        here: set[str] = set()
        for name, entries in self._walk():
            here.add(name)
            if before.get(name) != hash(tuple(entries)):
                newer = [entry[0] for entry in entries if entry[3] >= since_ns]
                found += [f"{name}/{file}".lstrip("/") for file in newer] or [name]
        found += [name for name in before if name not in here]
        if not found:
            return ()
        self.look()
        return tuple(sorted(found)[:_NAMED])

    def _walk(self) -> Iterator[tuple[str, list[_Stat]]]:
        for path in self._paths:
            for name, _, entries in _folders(path, self._top / path):
                yield name, entries


_Stat = tuple[str, int, int, int, int, int]
"""name, size, mtime, ctime (ns), inode, mode."""


def fingerprint(top: Path, paths: tuple[str, ...]) -> str:
    """One hash over the linked inputs: name, size and time of each file, and samples of the large ones; "" without any.

    Compiled Python files are left out: they come and go with whoever runs the code.
    """
    if not paths:
        return ""
    digest = hashlib.sha256()
    for path in paths:
        for name, folder, entries in _folders(path, top / path):
            if name.endswith("__pycache__"):
                continue
            for file, size, mtime_ns, _, _, mode in entries:
                if stat.S_ISDIR(mode):
                    continue
                digest.update(os.fsencode(f"{name}/{file}\0{size}\0{mtime_ns}\0"))
                if size >= LARGE and stat.S_ISREG(mode):
                    digest.update(_samples(folder / file, size))
    return digest.hexdigest()


def _folders(path: str, root: Path) -> Iterator[tuple[str, Path, list[_Stat]]]:
    """(name, folder, what is in it, sorted) for everything at `root`, called `path`; a file is in the folder above."""
    try:
        info = root.stat()
    except OSError:
        return  # it is not there; that it was is known by its folder's name
    if not stat.S_ISDIR(info.st_mode):
        yield path.rpartition("/")[0], root.parent, [_seen(root.name, info)]
        return
    left = MOST
    stack = [(path, root)]
    while stack and left > 0:
        name, folder = stack.pop()
        entries: list[_Stat] = []
        with contextlib.suppress(OSError), os.scandir(folder) as listed:  # it vanished, or is closed to us
            entries = sorted(_seen(item.name, item.stat(follow_symlinks=False)) for item in listed)
        stack += [(f"{name}/{entry[0]}", folder / entry[0]) for entry in reversed(entries) if stat.S_ISDIR(entry[5])]
        left -= len(entries)
        yield name, folder, entries


def _seen(name: str, info: os.stat_result) -> _Stat:
    if stat.S_ISDIR(info.st_mode):  # a folder's own times change with what is in it, which is looked at
        return (name, 0, 0, 0, info.st_ino, info.st_mode)
    return (name, info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino, info.st_mode)


def _samples(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as file:
            parts = []
            for at in (0, size // 2, max(size - _SAMPLE, 0)):
                file.seek(at)
                parts.append(file.read(_SAMPLE))
            return hashlib.sha256(b"".join(parts)).digest()
    except OSError:
        return b""
