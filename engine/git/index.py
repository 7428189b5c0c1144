"""Read a worktree's index: what git itself noted about every file it checked out.

The index is the manifest of a tree right after a reset: path, mode, blob, and the file's size, times and inode.
Comparing the tree against it costs one walk and no process. Format: git's Documentation/gitformat-index, versions 2 and
3 (we ask for version 2; an agent's git may write 3).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

_ENTRY = struct.Struct(">10I")
GITLINK = 0o160000
SYMLINK = 0o120000


class UnreadableIndex(Exception):
    """The index is missing, damaged or of a version we do not read."""


class Entry(NamedTuple):
    """A tuple, not a dataclass: a thousand of them are made at every checkout, five times as fast."""

    ctime_s: int
    ctime_ns: int
    mtime_s: int
    mtime_ns: int
    device: int
    inode: int
    """Modulo 2**32, as git stores it."""
    mode: int
    uid: int
    gid: int
    size: int
    """Modulo 2**32."""
    oid: bytes


def read_index(path: Path, oid_bytes: int) -> dict[str, Entry]:
    """Entries by path (surrogateescape where a name is not UTF-8). `oid_bytes`: 20, or 32 in a SHA-256 repository."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableIndex(str(error)) from error
    try:
        signature, version, count = struct.unpack_from(">4sII", data)
        if signature != b"DIRC" or version not in (2, 3):
            raise UnreadableIndex(f"index version {version}")
        return dict(_entries(data, count, oid_bytes))
    except (struct.error, ValueError, IndexError) as error:
        raise UnreadableIndex(str(error)) from error


def _entries(data: bytes, count: int, oid_bytes: int) -> list[tuple[str, Entry]]:
    found = []
    at = 12
    unpack, make = _ENTRY.unpack_from, Entry._make
    for _ in range(count):
        start = at
        at += _ENTRY.size
        oid_end = at + oid_bytes
        extended = data[oid_end] & 0x40
        name_at = oid_end + (4 if extended else 2)
        end = data.index(b"\0", name_at)
        name = data[name_at:end].decode("utf-8", "surrogateescape")
        found.append((name, make((*unpack(data, start), data[at:oid_end]))))
        at = start + (end - start + 8) // 8 * 8
    return found
