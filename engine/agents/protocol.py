"""What an agent is: it proposes, it learns. The words that every agent and everybody who asks one share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from autoresearch.engine.brief import Brief
from autoresearch.engine.git import Git
from autoresearch.engine.sandbox import View
from autoresearch.engine.secrets import NONE, Secrets
from autoresearch.state.config import Config
from autoresearch.state.journal.records import Experiment
from autoresearch.state.session import SessionError


@dataclass(frozen=True, slots=True)
class Added:
    """Something an agent adds to the record besides its proposal: an idea, a dead end, a lesson on an experiment."""

    kind: str
    """idea, close_idea, dead_end or lesson."""
    text: str = ""
    id: str = ""
    list: str = "refuted"
    experiment: int | None = None
    retry_if: str = ""


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
    """The failed experiment that the brief asked to mend."""
    tokens: dict[str, int] = field(default_factory=dict)
    cost_usd: float | None = None
    added: tuple[Added, ...] = ()
    heard: int = 0
    """How many of the people's messages the brief held; set by the engine."""
    briefed: int = 0
    """When the brief was given, ms."""
    problem: str = ""
    """A crash cause (`conflict`, `no_proposal`) when the agent could leave no edits; `reason` says why."""
    reason: str = ""


class Exhausted(Exception):
    """The agent has nothing left to propose; the session pauses with this reason."""


class Blocked(Exception):
    """The agent cannot go on until a person does something: a refused key, a missing program. The session pauses."""

    def __init__(self, reason: str, fix: str = "") -> None:
        self.reason = reason
        self.fix = fix
        super().__init__(reason)


class Agent(Protocol):
    name: str
    reads: bool
    """Whether it reads a written brief: a language model."""

    async def propose(self, brief: Brief, tree: Path) -> Proposal:
        """Edit files under `tree` (the target's folder in the propose tree) and return the words.

        Raises Exhausted when there is nothing left to try.
        """
        ...


@dataclass(frozen=True, slots=True)
class Reporter:
    """How an agent reaches people while it works."""

    say: Callable[[str], None] = lambda _: None
    """What it waits for, "" when no longer."""
    warn: Callable[[str], None] = lambda _: None
    """What should stay on record."""


UNHEARD = Reporter()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an agent is made from; each takes what it needs."""

    config: Config
    git: Git
    """Bound to the propose tree."""
    prefix: str = ""
    """The target's folder in it."""
    replay: str | None = None
    """The folder or range of `--replay`; given, it decides which agent it is."""
    reporter: Reporter = UNHEARD
    view: View | None = None
    """What an agent's CLI may touch; None: what its user may."""
    shell: Any = None
    """Runs commands for `claude`, when it may."""
    secrets: Secrets = NONE
    """What it may not be told."""


@runtime_checkable
class Learner(Protocol):
    """An agent whose session outlives a proposal. Others read the verdicts in their next brief, or in the journal."""

    async def learn(self, verdict: Experiment, feedback: str = "") -> Added | None:
        """Told the verdict and what its evaluation left for agents; may answer with a lesson."""
        ...

    def settle(self) -> tuple[dict[str, int], float | None]:
        """Tokens and dollars that no proposal has reported yet: of lessons, of proposals that were cancelled."""
        ...

    async def close(self) -> None:
        """Let go of connections; the engine ends."""
        ...


class Unavailable(SessionError):
    """The agent that was asked for cannot work; says what to do instead."""
