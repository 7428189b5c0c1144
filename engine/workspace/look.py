"""What of a tree differs from its commit: one walk, compared with what git noted of every file it checked out."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from autoresearch.engine.git import GITLINK, SYMLINK, Entry

_SECOND = 1_000_000_000
_DEEPEST = 3500
"""Characters of a folder's path: what lies deeper could have a path longer than the kernel takes (4,096)."""
_32_BITS = 0xFFFFFFFF


@dataclass(slots=True)
class Found:
    changed: list[str] = field(default_factory=list)
    rewritten: list[str] = field(default_factory=list)
    """Touched, and with the content they had."""
    extras: list[str] = field(default_factory=list)

    def beyond(self) -> list[str]:
        """What a checkout has to remove or write again. Git's own look at a changed file can be deceived."""
        return [*self.extras, *self.changed, *self.rewritten]


class Look:
    """Looks at the tree `root` of which git wrote `index`."""

    def __init__(self, root: Path, index: Mapping[str, Entry]) -> None:
        self._root = root
        self._index = index
        self._folders = _parents(index)
        """Every folder that holds something tracked."""

    def find(self, links: Collection[str], *, deep: bool = False) -> Found:
        """Walk the tree, but for `links`. `deep` lists every file beyond the commit, not just folders."""
        folders = self._folders
        above = _parents(links)
        found = Found()
        here: set[str] = set()
        stack = [("", str(self._root))]
        while stack:
            prefix, folder = stack.pop()
            if len(folder) > _DEEPEST:
                found.extras.append(self._top_beyond_commit(prefix.rstrip("/")))
                continue
            try:
                open_to_us(folder)
                entries = list(os.scandir(folder))
            except OSError:
                found.extras.append(prefix.rstrip("/"))
                continue
            for item in entries:
                path = prefix + item.name
                if path == ".git" or path in links:
                    continue
                tracked = self._index.get(path)
                is_folder = item.is_dir(follow_symlinks=False)
                if tracked is not None and (not is_folder or tracked.mode == GITLINK):
                    here.add(path)
                    now = item.stat(follow_symlinks=False)
                    # The usual case, spelled out here: a call per file would double the walk's time.
                    if not is_folder and not (
                        now.st_ctime_ns == tracked.ctime_s * _SECOND + tracked.ctime_ns
                        and now.st_mtime_ns == tracked.mtime_s * _SECOND + tracked.mtime_ns
                        and now.st_size & _32_BITS == tracked.size
                        and now.st_ino & _32_BITS == tracked.inode
                    ):
                        same = self._same(path, tracked, now)
                        (found.rewritten if same else found.changed).append(path)
                elif is_folder and (path in folders or path in above or deep):
                    stack.append((path + "/", item.path))
                else:
                    found.extras.append(path)
        if len(here) != len(self._index):
            found.changed += [path for path in self._index if path not in here]
        return found

    def _top_beyond_commit(self, path: str) -> str:
        """The highest folder of `path` that holds nothing tracked."""
        parts = path.split("/")
        for depth in range(1, len(parts)):
            if "/".join(parts[:depth]) not in self._folders:
                return "/".join(parts[:depth])
        return path

    def _same(self, path: str, entry: Entry, now: os.stat_result) -> bool:
        """Whether a file whose times or size differ from what git noted is still what was checked out.

        One that filters change (line endings, LFS) may be taken for changed: an agent's edits are read by git again.
        """
        if stat.S_ISLNK(now.st_mode) != (entry.mode == SYMLINK):
            return False
        if not stat.S_ISLNK(now.st_mode) and not stat.S_ISREG(now.st_mode):
            return False  # a pipe would block us
        if entry.size and now.st_size != entry.size:  # git notes 0 where it is not sure
            return False
        if entry.mode != SYMLINK and bool(now.st_mode & 0o100) != bool(entry.mode & 0o100):
            return False
        full = self._root / path
        if entry.mode == SYMLINK:
            return _blob(os.fsencode(full.readlink()), len(entry.oid)) == entry.oid
        try:
            return _blob(full.read_bytes(), len(entry.oid)) == entry.oid
        except OSError:
            return False


def open_to_us(folder: str) -> None:
    """A run may have taken its owner's permissions from a folder: later ones have no privileges to pass over that."""
    mode = os.lstat(folder).st_mode
    if mode & stat.S_IRWXU != stat.S_IRWXU:
        os.chmod(folder, stat.S_IMODE(mode) | stat.S_IRWXU)  # noqa: PTH101 - hot


def _parents(paths: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        while (cut := path.rfind("/")) > 0:
            path = path[:cut]
            if path in found:
                break
            found.add(path)
    return found


def _blob(data: bytes, length: int) -> bytes:
    digest = hashlib.sha256() if length == 32 else hashlib.sha1(usedforsecurity=False)
    digest.update(b"blob %d\0" % len(data))
    digest.update(data)
    return digest.digest()
