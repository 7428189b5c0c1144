"""Read a worktree's index: what git itself noted about every file it checked out.

The index is the manifest of a tree right after a reset: path, mode, blob, and the file's size, times and inode.
Comparing the tree against it costs one walk and no process. Format: git's Documentation/gitformat-index, versions 2 and
3 (we ask for version 2; an agent's git may write 3).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

_ENTRY = struct.Struct(">10I")
GITLINK = 0o160000
SYMLINK = 0o120000


class UnreadableIndex(Exception):
    """The index is missing, damaged or of a version we do not read."""


@dataclass(frozen=True, slots=True)
class Entry:
    mode: int
    oid: str
    size: int
    """Modulo 2**32, as git stores it."""
    mtime: tuple[int, int]
    ctime: tuple[int, int]
    inode: int
    """Modulo 2**32."""


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
    for _ in range(count):
        start = at
        ctime_s, ctime_ns, mtime_s, mtime_ns, _dev, inode, mode, _uid, _gid, size = _ENTRY.unpack_from(data, at)
        at += _ENTRY.size
        oid = data[at : at + oid_bytes].hex()
        at += oid_bytes
        flags = data[at] << 8 | data[at + 1]
        at += 4 if flags & 0x4000 else 2
        end = data.index(b"\0", at)
        name = data[at:end].decode("utf-8", "surrogateescape")
        at = start + (end - start + 8) // 8 * 8
        found.append((name, Entry(mode, oid, size, (mtime_s, mtime_ns), (ctime_s, ctime_ns), inode)))
    return found
