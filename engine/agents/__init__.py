"""What makes proposals. An agent edits files in the *propose* tree and says why; it measures and judges nothing.

`tuner` needs no key and no network, `replay` tries prepared patches or a git range, `claude` and `command` are
language models (they come with the next issue). A short name maps to a class in `create`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from autoresearch.engine.git import Git
from autoresearch.state.config import Config
from autoresearch.state.history import History
from autoresearch.state.session import Session, SessionError

if TYPE_CHECKING:  # it knows the agents' logins, so it imports us
    from autoresearch.engine.agents.shell import Shell
    from autoresearch.engine.confine import View


@dataclass(frozen=True, slots=True)
class Mend:
    """A crashed or guarded experiment that the agent may mend with its next proposal."""

    experiment: int
    kind: str
    """`debug` for a crash, `rework` for a failed guard."""
    error: str
    """What went wrong, from the run's own output: untrusted, cleaned and cut."""
    attempt: int = 1
    of: int = 1


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
    """The written brief, for agents whose `reads` is true."""
    folder: Path | None = None
    """Where this proposal's files go: brief.md, agent.jsonl, agent.log. It becomes the experiment's folder."""
    session: Session | None = None
    """For looking things up; agents write nothing there."""
    mend: Mend | None = None
    """The failure to mend; the propose tree then holds the failed candidate's files."""
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
    added: tuple[Added, ...] = ()
    heard: int = 0
    """How many of the people's messages the brief held; set by the engine."""
    briefed: int = 0
    """When the brief was given, ms."""
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

    async def learn(self, outcome: Outcome) -> Lesson | None:
        """Told the verdict; may answer with a lesson."""
        ...


@runtime_checkable
class Spender(Protocol):
    """An agent that spends outside proposals too: on lessons, on proposals that were cancelled."""

    def settle(self) -> tuple[dict[str, int], float | None]:
        """Tokens and dollars that no proposal has reported yet."""
        ...

    async def close(self) -> None:
        """Let go of connections; the engine ends."""
        ...


class Unavailable(SessionError):
    """The agent that was asked for cannot work; says what to do instead."""


def _silent(_: str) -> None:
    """Where nobody listens."""


def create(
    config: Config,
    *,
    git: Git,
    kind: str = "",
    replay: str | None = None,
    prefix: str = "",
    seed: int = 0,
    say: Callable[[str], None] = _silent,
    warn: Callable[[str], None] = _silent,
    view: View | None = None,
    shell: Shell | None = None,
) -> Agent:
    """The agent of a short name: `kind`, else the config's.

    `git` is bound to the propose tree, `prefix` is the target's folder in it. `replay` is the folder or range of
    `--replay`; given, it decides. A language model tells with `say` what it waits for ("" when no longer), and with
    `warn` what should stay on record. `view` is what an agent's CLI may touch, `shell` runs commands for `claude`.

    Raises Unavailable.
    """
    kind = "replay" if replay is not None else kind or config.agent.kind
    makers: dict[str, Callable[[], Agent]] = {
        "auto": lambda: _tuner(seed),
        "tuner": lambda: _tuner(seed),
        "replay": lambda: _replay(replay, git, prefix),
        "command": lambda: _command(config, git, prefix, say, warn, view),
        "claude": lambda: _claude(config, say, shell),
    }
    if kind not in makers:
        raise Unavailable(f"There is no agent {kind!r}; there are {', '.join(makers)}.")
    return makers[kind]()


def _tuner(seed: int) -> Agent:
    from autoresearch.engine.agents.tuner import Tuner

    return Tuner(seed)


def _replay(source: str | None, git: Git, prefix: str) -> Agent:
    from autoresearch.engine.agents.replay import Replay

    if source is None:
        raise Unavailable("The agent 'replay' needs --replay FOLDER or --replay BASE..TIP.")
    try:
        return Replay(source, git, prefix)
    except ValueError as error:
        raise Unavailable(str(error)) from error


def _claude(config: Config, say: Callable[[str], None], shell: Shell | None) -> Agent:
    from autoresearch.engine.agents.claude import Claude

    return Claude(config.agent, say=say, shell=shell)


def _command(
    config: Config,
    git: Git,
    prefix: str,
    say: Callable[[str], None],
    warn: Callable[[str], None],
    view: View | None,
) -> Agent:
    from autoresearch.engine.agents.command import Command

    agent = Command(config.agent, git=git, prefix=prefix, say=say, warn=warn, view=view)
    missing = agent.missing()
    if missing is not None:
        raise Unavailable(f"{missing.reason} {missing.fix}")
    return agent
