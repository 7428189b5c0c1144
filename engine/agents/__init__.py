"""What makes proposals. An agent edits files in the *propose* tree and says why; it measures and judges nothing.

`tuner` needs no key and no network, `replay` tries prepared patches or a git range, `claude` and `command` are
language models (they come with the next issue). A short name maps to a class in `create`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from autoresearch.state.config import Config
from autoresearch.state.history import History


@dataclass(frozen=True, slots=True)
class Brief:
    """What an agent is given for one proposal."""

    number: int
    """The proposal's id, counted over the session; a stable seed for agents that draw."""
    incumbent: str
    """The commit the propose tree is checked out at."""
    config: Config
    history: History
    """The read model; agents only read it."""
    text: str = ""
    """The written brief, for agents that read prose."""
    avoid: tuple[str, ...] = ()
    """Ideas of proposals that are made but not yet judged."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Proposal:
    """The words to the edits an agent left in the propose tree."""

    description: str
    hypothesis: str = ""
    category: str = ""
    expected_effect: str = ""
    idea: str | None = None
    model: str = ""
    params: dict[str, Any] = field(default_factory=dict)
    mends: int | None = None
    tokens: dict[str, int] = field(default_factory=dict)
    cost_usd: float | None = None
    problem: str = ""
    """A crash cause (`conflict`, `no_proposal`) when the agent could leave no edits; `reason` says why."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished experiment, as told to the agent that proposed it."""

    experiment: int
    status: str
    cause: str
    reason: str
    metric: float | None
    feedback: str = ""


@dataclass(frozen=True, slots=True)
class Lesson:
    lesson: str
    retry_if: str = ""


class Exhausted(Exception):
    """The agent has nothing left to propose; the session pauses with this reason."""


class Agent(Protocol):
    name: str

    async def propose(self, brief: Brief, tree: Path) -> Proposal:
        """Edit files under `tree` (the target's folder in the propose tree) and return the words.

        Raises Exhausted when there is nothing left to try.
        """
        ...

    async def learn(self, outcome: Outcome) -> Lesson | None:
        """Told the verdict; may answer with a lesson."""
        ...
