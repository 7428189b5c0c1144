"""What one call of `run` or `resume` asks for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a person says for one call of `run`."""

    session: str | None = None
    new: bool = False
    max_experiments: int | None = None
    agent: str | None = None
    replay: str | None = None
    budget_s: float | None = None
    trust: bool = False
    """A person or script said that this target's commands may run, wherever they came from."""
