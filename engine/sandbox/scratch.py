"""The folders that a command may write: made before, removed after."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from autoresearch.engine.files import clear_way, remove

_LONGEST_TMP = 64
"""Python's multiprocessing makes sockets up to 34 characters below TMPDIR, and a socket's path has at most 107."""


@dataclass(frozen=True, slots=True)
class Scratch:
    """The folders of a slot that are no part of its trees."""

    root: Path
    scoring: bool = False
    """Whoever writes a compile cache runs code in whoever reads it: evaluators have caches of their own."""

    def for_evaluators(self) -> Scratch:
        return Scratch(self.root, scoring=True)

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def caches(self) -> Path:
        return self.root / ("evaluator-caches" if self.scoring else "caches")

    @property
    def bin(self) -> Path:
        return self.root / "bin"

    @property
    def tmp(self) -> Path:
        """Below `root`, or in the system's folder for such things when that path would be too long for sockets."""
        inside = self.root / "tmp"
        if len(str(inside)) <= _LONGEST_TMP:
            return inside
        name = hashlib.sha256(str(self.root).encode()).hexdigest()[:12]
        return Path("/tmp") / f"autoresearch-{os.getuid()}-{name}"

    def make_empty(self, user_home: Path | None = None) -> None:
        """HOME and TMPDIR as they are before each run: empty, but for links to the user's caches.

        Some programs keep their data in `~/.cache/<name>` and ask no variable; the links let them read it.
        """
        clear_way(self.root.parent, f"{self.root.name}/home")
        for folder in (self.home, self.tmp):
            _private(folder)
            for entry in os.scandir(folder):
                if folder != self.home or entry.name != ".cache":
                    remove(Path(entry.path))
        linked = self.home / ".cache"
        if linked.is_symlink() or not linked.is_dir():
            remove(linked)
        linked.mkdir(exist_ok=True)
        linked.chmod(0o700)
        wanted = {}
        with contextlib.suppress(FileNotFoundError, PermissionError):
            wanted = {entry.name: entry.path for entry in os.scandir((user_home or Path.home()) / ".cache")}
        for entry in os.scandir(linked):
            if not (entry.is_symlink() and wanted.pop(entry.name, None) == os.readlink(entry.path)):  # noqa: PTH115
                remove(Path(entry.path))
        for name, path in wanted.items():
            (linked / name).unlink(missing_ok=True)
            (linked / name).symlink_to(path)


def _private(folder: Path) -> None:
    """The folder, ours alone. Raises PermissionError when somebody else made it first (in a shared /tmp)."""
    try:
        status = folder.lstat()
    except (FileNotFoundError, NotADirectoryError):
        folder.mkdir(mode=0o700, parents=True)
        return
    if stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid():
        if status.st_mode & 0o777 != 0o700:
            folder.chmod(0o700)
        return
    try:  # a run put something else in its place, or gave it away
        remove(folder)
        folder.mkdir(mode=0o700)
    except OSError:
        raise PermissionError(
            f"{folder} belongs to somebody else: remove it, or set AUTORESEARCH_TREES to another folder."
        ) from None
