"""Which path a command was not allowed to touch, out of its own words, whatever language they are in.

Only a path that this process could touch itself is taken: then it is the confinement that refused, and not the modes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_WORDS = re.compile(
    r"read-only file ?system|permission denied|operation not permitted|\bEROFS\b|\bEACCES\b|\bEPERM\b|AccessDenied",
    re.IGNORECASE,
)
_PATH = re.compile(r"['\"‘“`](/[^'\"’”`\n]+)['\"’”`]|(?<![\w.\-/])(/[^\s'\"‘’“”`:()<>|;,]+)")
_TEMPORARY = ("/tmp", "/var/tmp")
_OF_THE_KERNEL = ("/proc", "/sys", "/dev")


@dataclass(frozen=True, slots=True)
class Refused:
    path: Path
    reading: bool
    """It holds keys or is hidden, and so was not to be read."""

    @property
    def fix(self) -> str:
        if self.reading:
            return "Give it what it needs in another way: a variable (measure.env), or a file of the checkout."
        place = "below $TMPDIR" if any(map(self.path.is_relative_to, _TEMPORARY)) else "into the checkout"
        first = "" if self.path.exists() else "make it and "
        return f'Let it write {place}, or {first}name it: measure.writable = ["{self.path}"].'


def refused_path(output: str, may_write: Callable[[Path], bool], closed: Iterable[Path]) -> Refused | None:
    """The last one named that the command may not write, or that is `closed` to it."""
    not_to_read = [path.resolve() for path in closed]
    for path in _named(output):
        if any(path.resolve().is_relative_to(place) for place in not_to_read):
            return Refused(path, reading=True)
        if not may_write(path) and not any(map(path.is_relative_to, _OF_THE_KERNEL)) and _is_ours(path):
            return Refused(path, reading=False)
    return None


def _named(output: str) -> Iterator[Path]:
    """The paths that lines with a refusal name: the one after its words, else the last before them."""
    for line in reversed(output.splitlines()):
        for words in _WORDS.finditer(line):
            after = _PATH.search(line, words.end())
            before = list(_PATH.finditer(line, 0, words.start()))
            for found in (*([after] if after else []), *before[::-1]):
                yield Path(found[1] or found[2])


def _is_ours(path: Path) -> bool:
    """Whether we may write it, or make it where it would be."""
    if path.exists():
        return os.access(path, os.W_OK) and not (path.is_file() and os.access(path, os.X_OK))
    parent = next(folder for folder in path.parents if folder.exists())
    return os.access(parent, os.W_OK)
