"""Files that a run produced: opened, copied and removed without being led astray by links.

What a run writes is untrusted. A link anywhere in a path, a pipe or a device is refused; sizes are capped.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path, PurePosixPath

from autoresearch.engine.files import removal

LEAST_FREE_MB = 2000.0


class NotTaken(Exception):
    """A produced file that is missing or is not what it may be; the message is a clause for people."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path} {why}")
        self.missing = why == "was not written"


def open_regular(root: Path, path: str) -> int:
    """A descriptor on the regular file `path` below `root`, no component of which may be a link. Raises NotTaken."""
    parts = PurePosixPath(path).parts
    if not parts or ".." in parts or path.startswith("/"):
        raise NotTaken(path, "is not a path inside the folder")
    folder = -1
    try:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for part in parts[:-1]:
            below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = below
        # Without O_NONBLOCK a pipe would block us until somebody writes.
        file = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        raise NotTaken(path, "was not written") from None
    except OSError as error:
        raise NotTaken(path, f"is not a regular file without links on its way ({error.strerror})") from None
    finally:
        if folder >= 0:
            os.close(folder)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise NotTaken(path, "is not a regular file")
    return file


def tail(path: Path, most_bytes: int = 64 * 1024, *, start: int = 0, end: int | None = None) -> str:
    """The end of a text file between `start` and `end`, cut at a line's end where it is cut; "" when it is not taken.

    A file that is shorter than `start` was emptied meanwhile, and all of it is newer.
    """
    try:
        file = open_regular(path.parent, path.name)
    except NotTaken:
        return ""
    try:
        size = os.fstat(file).st_size
        end = size if end is None else min(end, size)
        start = start if start <= size else 0
        at = max(start, end - most_bytes)
        data = os.pread(file, max(end - at, 0), at)
    finally:
        os.close(file)
    return (data.partition(b"\n")[2] or data if at > start else data).decode("utf-8", "replace")


def copy(root: Path, path: str, into: Path, limit_mb: float = 0, *, to: str = "") -> Path:
    """Copy one produced file to the same path below `into`, which is ours, or to another. Raises NotTaken."""
    with open(open_regular(root, path), "rb") as source:
        size = os.fstat(source.fileno()).st_size
        if limit_mb and size > limit_mb * 2**20:
            raise NotTaken(path, f"has {size / 2**20:.0f} MB, more than the {limit_mb:g} MB that are copied")
        # A file of a terabyte may be nothing but a hole: copied, it would fill the disk.
        room = shutil.disk_usage(into if into.is_dir() else root).free - least_free_mb() * 1e6
        if size > max(room, 0):
            raise NotTaken(path, f"has {size / 2**20:,.0f} MB, more than the disk has room for")
        to = to or path
        target = into / to
        if any((into / folder).is_symlink() for folder in PurePosixPath(to).parents if folder.parts):
            raise NotTaken(path, "would be copied through a link")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise NotTaken(path, "would be copied to where a file stands in the place of its folder") from None
        remove_regular(into, to)
        with target.open("xb") as copied:
            shutil.copyfileobj(source, copied, 1 << 20)
    return target


def remove_regular(root: Path, path: str) -> None:
    """Remove what stands at `path` below `root`, itself and not what it points to."""
    target = root / path
    if any((root / folder).is_symlink() for folder in PurePosixPath(path).parents if folder.parts):
        return  # elsewhere: nothing there is ours to remove, and opening it will be refused
    removal.remove(target)


def least_free_mb() -> float:
    """Less free disk than this ends a command and pauses the session; AUTORESEARCH_MIN_FREE_MB is for small disks."""
    return float(os.environ.get("AUTORESEARCH_MIN_FREE_MB", LEAST_FREE_MB))


def printable(path: str) -> str:
    """A path as JSON can hold it; bytes that are no UTF-8 become the replacement character."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
