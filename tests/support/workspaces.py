"""Workspaces that tests open, and what they take in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

from autoresearch.engine.workspace import Workspace

Open = Callable[..., Workspace]


def take(workspace: Workspace, base: str) -> Any:
    """What is taken, with the commit made of it as its `sha`."""
    taken = workspace.take(base)
    sha = workspace.commit(taken.tree, base, "a change", {"description": "a change"}) if taken.tree else ""
    return SimpleNamespace(sha=sha, **asdict(taken))


def merge(workspace: Workspace, onto: str, change: str) -> str | None:
    merged = workspace.merge(onto, change)
    if merged is None or not merged.tree:
        return None if merged is None else onto
    return workspace.commit(merged.tree, onto, "merged", {})
