"""What an agent is asked for: the brief as a document with its limits, and the failure it may fix first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autoresearch.state.config import Config
from autoresearch.state.journal import History
from autoresearch.state.session import Session


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
