"""Files of the user's own tree that commands see through `scope.link`: were they changed?

They are not copied (data is large, an environment has 30,000 files), so a change of theirs cannot be undone, and is
not: nobody can tell a run's edit from the user's. Where commands are confined they can write there only when it lies in
what they were given (`measure.writable`). There, and where they are not confined, every run is followed by a look at
size, times, inode and mode of each file (5 microseconds for one), one number kept per folder. What lies beyond the
first `MOST` entries is not looked at.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

LARGE = 1 << 20
"""From this size a file is also known by samples of its content."""
MOST = 100_000
_SAMPLE = 64 << 10
_NAMED = 5
_TICK_NS = 10_000_000
"""The kernel stamps files by a clock that may be so much behind."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """The linked inputs `paths` below `top`, without what in them runs are meant to write."""

    top: Path
    paths: tuple[str, ...]
    without: frozenset[str] = frozenset()

    @classmethod
    def of(cls, top: Path, links: Sequence[str], writable: Sequence[str]) -> Inputs:
        """A writable path below a link is no input; one that holds a link leaves it an input, that is watched."""
        paths = tuple(link.strip("/") for link in links)
        given = [(top / Path(name).expanduser()).resolve() for name in writable]
        without = {
            f"{path}/{one.relative_to(real)}"
            for path in paths
            for real in [(top / path).resolve()]
            for one in given
            if one != real and one.is_relative_to(real)
        }
        return cls(top, paths, frozenset(without))

    def folders(self) -> Iterator[tuple[str, Path, list[_Stat]]]:
        """(name, folder, what is in it, sorted) for each folder of them."""
        for path in self.paths:
            yield from _folders(path, self.top / path, self.without)


class Linked:
    """Linked inputs as they were when last looked at."""

    def __init__(self, inputs: Inputs) -> None:
        self._inputs = inputs
        self._folders: dict[str, int] | None = None
        self._looked_ns = 0

    def look(self) -> None:
        """Remember how they are now."""
        self._looked_ns = time.time_ns() - _TICK_NS
        self._folders = {name: hash(tuple(entries)) for name, _, entries in self._inputs.folders()}

    def changed(self) -> tuple[str, ...]:
        """What changed since the last look, by file where the kernel's clock tells, else by folder; looks again."""
        before, since_ns = self._folders, self._looked_ns
        if before is None or not self._inputs.paths:
            self.look()
            return ()
        found: list[str] = []
        here: set[str] = set()
        for name, _, entries in self._inputs.folders():
            here.add(name)
            if before.get(name) != hash(tuple(entries)):
                newer = [entry[0] for entry in entries if entry[3] >= since_ns]
                found += [f"{name}/{file}".lstrip("/") for file in newer] or [name]
        found += [name for name in before if name not in here]
        if not found:
            return ()
        self.look()
        return tuple(sorted(found)[:_NAMED])


_Stat = tuple[str, int, int, int, int, int]
"""name, size, mtime, ctime (ns), inode, mode."""


def fingerprint(inputs: Inputs) -> str:
    """One hash over them: name, size and time of each file, and samples of the large ones; "" without any.

    Compiled Python files are left out: they come and go with whoever runs the code.
    """
    if not inputs.paths:
        return ""
    digest = hashlib.sha256()
    for name, folder, entries in inputs.folders():
        if name.endswith("__pycache__"):
            continue
        for file, size, mtime_ns, _, _, mode in entries:
            if stat.S_ISDIR(mode):
                continue
            digest.update(os.fsencode(f"{name}/{file}\0{size}\0{mtime_ns}\0"))
            if size >= LARGE and stat.S_ISREG(mode):
                digest.update(_samples(folder / file, size))
    return digest.hexdigest()


def _folders(path: str, root: Path, without: Collection[str]) -> Iterator[tuple[str, Path, list[_Stat]]]:
    """The folders of everything at `root`, called `path`; a file is in the folder above."""
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
            inputs = (item for item in listed if f"{name}/{item.name}" not in without)
            entries = sorted(_seen(item.name, item.stat(follow_symlinks=False)) for item in inputs)
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
