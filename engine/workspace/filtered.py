"""Files that a filter makes at a checkout, above all Git LFS: what is said when their content is not there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from autoresearch.engine.git import SYMLINK, Entry, GitError
from autoresearch.state.session import SessionError
from autoresearch.state.text import clean_line, listed, numbers

_POINTER = b"version https://git-lfs.github.com/spec/"
_LARGEST_POINTER = 1024
_FAILED = re.compile(r"(?:^|[\n:] ?)fatal: (.+): (?:smudge|clean) filter (\S+) failed")


def pointers_left(root: Path, index: Mapping[str, Entry]) -> str:
    """A sentence when files of the checkout `root` are but pointers of Git LFS; "" else."""
    attributes = (path for path in index if path.rpartition("/")[2] == ".gitattributes")
    if not any(b"filter=lfs" in _beginning(root / path, 1 << 20) for path in attributes):
        return ""
    found = [
        path
        for path, entry in index.items()
        if len(_POINTER) < entry.size < _LARGEST_POINTER and entry.mode != SYMLINK and _is_pointer(root / path)
    ]
    if not found:
        return ""
    files = numbers.plural(len(found), "file")
    return (
        f"Measured trees have {files} of Git LFS without the content ({listed(found, 3)}); "
        "`git lfs install` and `git lfs pull` get it."
    )


def checkout_failed(error: GitError) -> Exception:
    """The error of a checkout as a sentence with the fix, where it was a filter's."""
    failed = _FAILED.search(error.stderr)
    if failed is None:
        return error
    path, name = clean_line(failed[1], 100), clean_line(failed[2], 40)
    fix = "`git lfs pull` gets what it needs" if name == "lfs" else f"see `git config --get-regexp filter.{name}`"
    return SessionError(f"{path} cannot be checked out, since its filter {name} fails; {fix}.", code=1)


def _is_pointer(file: Path) -> bool:
    return _beginning(file, len(_POINTER)) == _POINTER


def _beginning(file: Path, size: int) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(size)
    except OSError:
        return b""
