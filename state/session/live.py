"""What the engine does now, as live.json says it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Live:
    """live.json: what the engine does now. Replaced on change and every 2 s, so it is the heartbeat too."""

    pid: int
    host: str
    phase: str
    """starting, baseline, proposing, building, measuring, evaluating, guarding, judging, waiting, pausing or ended."""
    since: int
    """When the phase began, ms."""
    updated: int
    experiment: int | None = None
    description: str = ""
    arm: str = ""
    k: int = 0
    of: int = 0
    """At most this many candidate runs."""
    sha: str = ""
    waiting_for: str = ""
    pausing: str = ""
    """`pause` or `stop` once asked for and not yet done."""
    agent: str = ""
    proposing: str = ""
    """What the agent does beside the measurement."""
    limits: dict[str, Any] = field(default_factory=dict)
    """Limits in force for this call, e.g. {"experiments": 8, "done": 3, "until": 1763712000000}."""
    reason: str = ""
    """Why it ended."""
