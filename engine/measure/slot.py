"""What a slot is: a place that can take one measurement."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from autoresearch.engine.process import Exit
from autoresearch.state.config import Guard
from autoresearch.state.journal.records import Arm, Sample

SPOILED = 3
"""Runs in a row that something beside the commit may spoil (`Sample.again`) before nobody measures on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One sample that is wanted."""

    experiment: int | None
    sha: str
    arm: Arm
    k: int
    seed: int
    folder: Path
    """The experiment's folder of logs; it exists."""
    metric: str
    constraints: tuple[str, ...] = ()
    """Metrics that must be reported besides the primary one."""
    expected_s: float | None = None
    """The mean duration of the baseline's runs, once known."""


@dataclass(frozen=True, slots=True)
class GuardResult:
    passed: bool
    cause: str | None = None
    detail: str = ""
    duration_s: float = 0.0
    crashed: bool = False
    """Not the guard said no: there was no build to look at, or the run changed or took what it may not."""


class Slot(Protocol):
    """Where measurements run, one at a time. Cancelling any of these ends all their processes first."""

    name: str
    changed_inputs: tuple[str, ...]
    """Linked inputs that changed while a command ran: what is measured from then on is something else."""

    async def prepare(self, folder: Path) -> Exit:
        """Run `setup` in the measure tree as it stands; its log goes to `folder`."""
        ...

    async def sample(self, job: Job) -> Sample: ...

    async def guard(self, job: Job, guard: Guard) -> GuardResult: ...
