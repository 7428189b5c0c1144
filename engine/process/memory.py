"""The memory that a command's processes hold, also in files that are memory.

Pages of processes are what the kernel counts as theirs. A file in a /dev/shm of the command's own and a memfd hold
memory that nobody needs to have mapped; as much of it as is mapped counts once. Not seen: memory files that neither an
open descriptor nor a mapping leads to, System V segments that nobody has attached, further file systems in memory that
a command mounts in namespaces of its own, and the kernel's buffers (pipes, sockets).
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from autoresearch.engine.process.seen import LINUX, Seen

_BLOCK = 512
"""The unit of `st_blocks`."""


class Memory:
    """Of one command's processes, from its start on."""

    def __init__(self, shared: int | None, *, memory_files: bool) -> None:
        """`shared`: a descriptor of a /dev/shm of its own, closed with this. `memory_files`: look for memfds too, which
        costs a system call for each open file at each look."""
        self._memory_files = memory_files
        self._shared = shared

    def held_mb(self, family: Collection[Seen], *, fair: bool = False) -> float:
        """Of these processes; `fair` divides pages among those who share them, which is dear."""
        files_mb = self._files_mb(family)
        if fair:
            shares = [_fair_share_mb(seen) for seen in family]
            return sum(held for held, _ in shares) + max(files_mb - sum(shared for _, shared in shares), 0.0)
        held_mb = sum(seen.rss_mb for seen in family)
        return held_mb + max(files_mb - sum(map(_mapped_mb, family)), 0.0) if files_mb else held_mb

    def close(self) -> None:
        if self._shared is not None:
            os.close(self._shared)

    def _files_mb(self, family: Iterable[Seen]) -> float:
        """What memory files hold, mapped or not."""
        held = 0
        if self._shared is not None:
            info = os.fstatvfs(self._shared)
            held = (info.f_blocks - info.f_bfree) * info.f_frsize
        if self._memory_files and LINUX:
            held += sum(dict(file for seen in family for file in _memory_files(seen.pid)).values())
        return held / 2**20


def _memory_files(pid: int) -> Iterator[tuple[tuple[int, int], int]]:
    """The memfds that it has open, by device and inode, and their bytes; [] of one that has ended."""
    folder = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208 - hot
            with contextlib.suppress(OSError):
                if os.readlink(f"{folder}/{name}").startswith("/memfd:"):  # noqa: PTH115 - hot
                    info = os.stat(f"{folder}/{name}")  # noqa: PTH116 - hot
                    yield (info.st_dev, info.st_ino), info.st_blocks * _BLOCK


def _mapped_mb(seen: Seen) -> float:
    """Of a process's memory, what is in memory files or otherwise shared."""
    return _kilobytes(seen.pid, "status", rb"^RssShmem:") / 2**10


def _fair_share_mb(seen: Seen) -> tuple[float, float]:
    """A process's memory with shared pages divided among those who share them; and what of it is shared memory."""
    held = _kilobytes(seen.pid, "smaps_rollup", rb"^Pss:")
    if not held and _kilobytes(seen.pid, "status", rb"^VmRSS:"):
        return seen.rss_mb, _mapped_mb(seen)  # it is closed to us
    return held / 2**10, _kilobytes(seen.pid, "smaps_rollup", rb"^Pss_Shmem:") / 2**10


def _kilobytes(pid: int, file: str, name: bytes) -> int:
    try:
        data = Path(f"/proc/{pid}/{file}").read_bytes()
    except OSError:
        return 0
    found = re.search(name + rb"\s+(\d+) kB", data, re.MULTILINE)
    return int(found[1]) if found else 0
