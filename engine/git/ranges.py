"""A range of commits as a person writes it, fixed to ids."""

from __future__ import annotations

from pathlib import Path

from autoresearch.engine.git.git import Git


def fixed_range(git: Git, source: str) -> str:
    """A range with its ends as commits, resolved where the person stands; a folder, or what git refuses, as it is."""
    if Path(source).is_dir() or ".." not in source:
        return source
    base, _, tip = source.partition("..")
    shas = []
    for name in (base, tip):
        code, out, _ = git.attempt(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name or 'HEAD'}^{{commit}}"
        )
        if code:
            return source
        shas.append(out.decode().strip().splitlines()[-1])
    return "..".join(shas)
