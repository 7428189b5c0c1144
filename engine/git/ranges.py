"""A range of commits as a person writes it, fixed to ids."""

from __future__ import annotations

from pathlib import Path

from autoresearch.engine.git.git import Git


def fixed_range(git: Git, source: str) -> str:
    """A range with its ends as commits, resolved where the person stands; a folder, or what git refuses, as it is."""
    if Path(source).is_dir() or ".." not in source:
        return source
    base, _, tip = source.partition("..")
    shas = [git.resolve(f"{name or 'HEAD'}^{{commit}}") for name in (base, tip)]
    return source if None in shas else "..".join(filter(None, shas))
