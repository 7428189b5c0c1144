"""Remove what a run left, whatever it is: of any depth, without permissions, and never through a link.

What stands in a tree or a scratch folder after a run was made by a candidate. Removing it must not fail, because the
next experiment needs the room, and must not reach outside, because a link may lead to the user's files.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path, PurePosixPath

_LEFT_BY_RUNS = ("user.", "trusted.", "system.posix_acl_")
_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602
"""Linux's, of a file's flags as `lsattr` shows them."""


def remove(path: Path) -> None:
    """Remove a file, link or whole folder; nothing there is fine. Raises OSError when it cannot be done at all."""
    try:
        if path.is_symlink() or not path.is_dir():
            path.unlink(missing_ok=True)
        else:
            shutil.rmtree(path)
    except NotADirectoryError:
        return  # a file stands where its folder would be
    except (OSError, RecursionError):
        _by_force(path)


def remove_below(root: Path, path: str) -> None:
    """Remove `path` below `root`, or what stands in its way: a link on the way there leads somewhere else."""
    clear_way(root, path)
    remove(root / path)


def clear_way(root: Path, path: str) -> None:
    """Remove what would lead a path below `root` elsewhere: a link, or a file, where it needs a folder."""
    for parent in reversed(PurePosixPath(path).parents[:-1]):
        standing = root / parent
        if standing.is_symlink() or (standing.exists() and not standing.is_dir()):
            remove(standing)
            return


def strip(folder: Path) -> None:
    """Leave a folder that stays as one made anew would be: no attributes, no lists of who may do what, no flags."""
    if sys.platform != "linux":
        return
    for name in os.listxattr(folder):
        if name.startswith(_LEFT_BY_RUNS):
            os.removexattr(folder, name)
    with contextlib.suppress(OSError):  # many file systems have no flags
        _set_flags(folder, _flags(folder.parent))


def _flags(folder: Path) -> array.array[int]:
    flags = array.array("l", [0])
    _control(folder, _GET_FLAGS, flags)
    return flags


def _set_flags(folder: Path, flags: array.array[int]) -> None:
    if _flags(folder) != flags:
        _control(folder, _SET_FLAGS, flags)


def _control(folder: Path, request: int, flags: array.array[int]) -> None:
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(opened, request, flags)
    finally:
        os.close(opened)


def _by_force(path: Path) -> None:
    """A folder deeper than our recursion or than a path may be long, or one whose permissions were taken away."""
    if not os.access(path.parent, os.W_OK | os.X_OK):
        path.parent.chmod(0o700)
    subprocess.run(["chmod", "-R", "u+rwX", "--", str(path)], stderr=subprocess.DEVNULL, check=False)
    done = subprocess.run(["rm", "-rf", "--", str(path)], capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise OSError(f"{path} cannot be removed: {done.stderr.strip().splitlines()[-1]}")
