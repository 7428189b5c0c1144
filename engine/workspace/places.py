"""Where the trees of a session lie, and the name of this machine."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from autoresearch.state.session import Place


def machine_name(place: Place, session: str) -> str:
    """The session's name on this machine, which measured processes carry: two repositories may both have a `nov20`."""
    return f"{session}@{_key(place)}"


def _key(place: Place) -> str:
    return hashlib.sha256(str(place.common_dir).encode()).hexdigest()[:12]


def trees_folder(place: Place, session: str) -> Path:
    """Where a session's trees are: a cache, keyed by the repository's path so that a moved repository gets new ones."""
    return trees_root() / _key(place) / session


def trees_root() -> Path:
    root = os.environ.get("AUTORESEARCH_TREES")
    if root is None:
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        root = str(Path(cache) / "autoresearch" / "trees")
    # Resolved: git registers a worktree by its real path, and a home folder is often behind a link.
    return Path(root).resolve()
