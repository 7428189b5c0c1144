"""What a slot is asked for, and what it answers beside a sample."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from autoresearch.engine.workspace import NewFiles
from autoresearch.state.journal.records import Arm

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
    new: NewFiles | None = None
    """What the candidate adds, where it is to be asked first whether the command that decides would take it."""
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
