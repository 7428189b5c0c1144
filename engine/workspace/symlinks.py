"""Links in a proposal: one may lead to files that are in scope, and nowhere else.

An evaluator may read what is hidden from an agent; through a link it would read that as the candidate's answer.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath


def leads_astray(root: Path, path: str, is_ours: Callable[[str], bool]) -> bool:
    """Whether the link at `path` in the tree `root` leads, itself or through others, to what is not `is_ours`.

    What its text says must stay in the tree on the whole way: another checkout of it lies elsewhere. It may not go back
    up either (`a/../b`): a later proposal may make a link of `a`. A folder is judged by all that lies in it.
    """
    link = root / path
    said = link.readlink().parts
    up = said.count("..")
    if said[:1] == ("/",) or ".." in said[up:] or up >= len(PurePosixPath(path).parts):
        return True
    try:
        target = link.resolve()
        target.relative_to(root)
        inner = (one for one in target.rglob("*") if one.is_symlink() or not one.is_dir())
        ends = (one.resolve() for one in inner) if target.is_dir() else (target,)
        return not all(not end.is_dir() and is_ours(end.relative_to(root).as_posix()) for end in ends)
    except (OSError, RuntimeError, ValueError):  # a ring of links; outside
        return True
