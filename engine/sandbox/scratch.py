"""The folders that a command may write: made before, removed after."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autoresearch.engine.files import clear_way, remove, strip
from autoresearch.engine.sandbox.places import holds_keys, key_places

_LONGEST_TMP = 64
"""Python's multiprocessing makes sockets up to 34 characters below TMPDIR, and a socket's path has at most 107."""
_MOST_LINKS = 1000
_TOOLCHAINS = (
    ".asdf .bun .cabal .cargo .conda .deno .dotnet .elan .fnm .gem .ghcup .gradle .ivy2 .julia .m2 .mamba .mix .nuget "
    ".nvm .opam .pyenv .rbenv .rustup .sbt .sdkman .stack .virtualenvs .volta .yarn"
).split()
"""What else is hidden at home is settings and state, which programs write: of these a run has its own."""


@dataclass(frozen=True, slots=True)
class Scratch:
    """The folders of a slot that are no part of its trees."""

    root: Path

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def caches(self) -> Path:
        return self.root / "caches"

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
        """HOME and TMPDIR as they are before each run: empty, but for links to what programs look for in the user's.

        That is data (`$HOME/corpus`), toolchains that ask no variable, and what lies in the user's `~/.cache`.
        """
        source = user_home or Path.home()
        clear_way(self.root.parent, f"{self.root.name}/home")
        for folder, wanted in (
            (self.tmp, {}),
            (self.home, _found_at_home(source) | {".cache": None}),
            (self.home / ".cache", {path.name: path for path in _entries(source / ".cache")}),
        ):
            _private(folder)
            _make_links(folder, wanted)


def _found_at_home(home: Path) -> dict[str, Path | None]:
    closed = set(key_places({**os.environ, "HOME": str(home)}))
    entries = {path.name: path for path in _entries(home) if not path.name.startswith(".")}
    entries |= {name: home / name for name in _TOOLCHAINS if (home / name).exists()}
    return {name: path for name, path in entries.items() if path not in closed and not holds_keys(name)}


def _entries(folder: Path) -> list[Path]:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        return list(itertools.islice(folder.iterdir(), _MOST_LINKS))
    return []


def _make_links(folder: Path, wanted: Mapping[str, Path | None]) -> None:
    """Nothing is in `folder` but these links (None: what is there stays)."""
    for entry in list(folder.iterdir()):
        target = wanted.get(entry.name)
        stays = entry.name in wanted and (target is None or (entry.is_symlink() and entry.readlink() == target))
        if not stays:
            remove(entry)
    for name, target in wanted.items():
        if target is not None and not (folder / name).is_symlink():
            (folder / name).symlink_to(target)


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
        strip(folder)
        return
    try:  # a run put something else in its place, or gave it away
        remove(folder)
        folder.mkdir(mode=0o700)
    except OSError:
        raise PermissionError(
            f"{folder} belongs to somebody else: remove it, or set AUTORESEARCH_TREES to another folder."
        ) from None
