"""Compile and package caches: what kept commits left lies below, what a candidate writes in a layer of its own above.

Whoever writes a compile cache runs code in whoever reads it. So a candidate's layer is seen by its own runs alone and
joins what all see when the change is kept; evaluators have a cache that no run writes, and a guard, which runs the
candidate's code, throws away what it wrote. Without views all runs share one folder, and evaluators another.

All of it is only there to save time: what was not used for longest goes first when the disk runs low.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from autoresearch.engine.files import least_free_mb, remove
from autoresearch.engine.sandbox.layers import Layer, make_above
from autoresearch.engine.sandbox.view import Cached

LARGEST_MB = 20_000.0
"""Of everything that kept commits and evaluators left."""
_COMPILE, _HOME = "compile", "home"
"""What environment variables point to, and `~/.cache`: the tree and the home of a candidate's layer."""


class Caches:
    def __init__(self, folder: Path, seen: Path, *, has_views: bool) -> None:
        """`seen` is where commands with a view find theirs."""
        self._folder = folder
        self._seen = seen
        self._has_views = has_views

    def keep(self, layer: Layer) -> None:
        """What the runs of a kept commit wrote is seen by all from now on."""
        _join(layer.tree, self._kept(_COMPILE))
        _join(layer.home, self._kept(_HOME))
        self.limit()

    def limit(self, others: Iterable[Path] = ()) -> None:
        """Where there is too much of it or too little room, the oldest goes first, of these folders too."""
        kept = (self._kept(_COMPILE), self._kept(_HOME), self._judges)
        places = [place for place in (*kept, *others) if place.is_dir()]
        files = [seen for place in places for seen in _files(place)]
        free_mb = shutil.disk_usage(self._folder).free / 1e6 if self._folder.is_dir() else 0.0
        excess_mb = sum(size for _, size, _ in files) / 1e6 - LARGEST_MB
        excess_mb = max(excess_mb, 2 * least_free_mb() - free_mb)
        for _, size, path in sorted(files):
            if excess_mb <= 0:
                return
            with contextlib.suppress(OSError):
                path.unlink()
                excess_mb -= size / 1e6

    # -- what commands find

    def place(self, judges: bool) -> Path:
        """What the variables of the environment point to."""
        if self._has_views:
            return self._seen
        place = self._judges if judges else self._kept(_COMPILE)
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        return place

    def of(self, role: str, layer: Layer, candidate: Layer | None, home: Path | None) -> list[Cached]:
        """With a view: the caches of a command in this role. `setup` is the user's own, and writes what all see."""
        if role in ("evaluate", "holdout"):
            return [Cached(self._seen, None, (self._made(self._judges),))]
        compiled = self._made(self._kept(_COMPILE))
        if role == "guard":
            make_above(layer.folder / "caches")
            return [Cached(self._seen, layer.folder / "caches", (self._made(self._judges),))]
        if candidate is None:
            return [Cached(self._seen, None, (compiled,))]
        found = [Cached(self._seen, candidate.tree.parent, (compiled,))]
        if home is not None:
            at = (home / ".cache").resolve()
            below = [self._made(self._kept(_HOME)), *([at] if at.is_dir() else [])]
            found.append(Cached(at, candidate.home.parent, tuple(below)))
        return found

    @property
    def _judges(self) -> Path:
        return self._folder / "judges"

    def _kept(self, part: str) -> Path:
        return self._folder / "kept" / part

    def _made(self, place: Path) -> Path:
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        return place


def _join(upper: Path, kept: Path) -> None:
    """What a layer has takes the place of what lay below it."""
    kept.mkdir(parents=True, exist_ok=True, mode=0o700)
    for entry in list(os.scandir(upper)):
        target, info = kept / entry.name, entry.stat(follow_symlinks=False)
        if stat.S_ISCHR(info.st_mode):  # it was removed
            remove(target)
        elif stat.S_ISDIR(info.st_mode) and target.is_dir() and not target.is_symlink():
            _join(Path(entry.path), target)
        elif stat.S_ISDIR(info.st_mode) or stat.S_ISREG(info.st_mode) or stat.S_ISLNK(info.st_mode):
            remove(target)
            Path(entry.path).rename(target)


def _files(place: Path) -> Iterable[tuple[float, int, Path]]:
    """(when it was last used, bytes, path) of each file below."""
    for parent, _, names in os.walk(place):
        for name in names:
            path = Path(parent, name)
            with contextlib.suppress(OSError):
                info = path.lstat()
                yield max(info.st_atime, info.st_mtime), info.st_blocks * 512, path
