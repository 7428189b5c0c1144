"""The read model's parts: what a session's journal says, as compact rows and small states.

`history` folds lines into them; screens, limits, agents and the verdict read them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Literal

from autoresearch.state.journal import knobs, records

_LARGEST = 1e150
"""A candidate that prints 1e308 must not overflow a square, here or at any later reading of its line."""

LISTS = ("worked", "refuted", "unproven", "crashed")
FLAG_WORDS = {
    "jump": "far outside history",
    "seed": "touches the seed",
    "budget": "touches the evaluation's time or budget",
    "score": "touches the printing of the metric",
    "long": "too long to look at all of it",
}
"""Of `records.FLAGS`, as a list says them."""
LISTED = 25
"""So many of each list are shown one by one; older ones fold into families."""


class Row:
    """One finished experiment, as tables, charts and briefs need it; `line_at` leads to the rest."""

    __slots__ = (
        "agent",
        "bundle",
        "category",
        "cause",
        "cost_usd",
        "description",
        "duration_s",
        "estimate",
        "first",
        "flags",
        "idea",
        "intent_at",
        "interval",
        "line_at",
        "log_evidence",
        "mends",
        "metric",
        "net_lines",
        "number",
        "params",
        "parent",
        "proposal",
        "proposal_at",
        "runs",
        "segment",
        "sha",
        "status",
        "timestamp",
        "warnings",
    )

    number: int
    proposal: int | None
    sha: str
    parent: str
    status: records.Status
    cause: str
    metric: float | None
    """The mean of the fresh samples for a keep, of the race otherwise; None without a sample."""
    first: float | None
    """The first sample: what keep-if-better would have judged by."""
    estimate: float | None
    interval: float | None
    log_evidence: float | None
    runs: int
    """Candidate samples taken."""
    segment: int
    description: str
    category: str
    agent: str
    idea: str | None
    mends: int | None
    bundle: tuple[int, ...]
    params: dict[str, Any] | None
    net_lines: int
    warnings: int
    flags: tuple[str, ...]
    """Of `records.FLAGS`: why the result is worth a second look."""
    timestamp: int
    duration_s: float
    cost_usd: float | None
    proposal_at: int
    intent_at: int
    line_at: int

    @property
    def knobs(self) -> dict[str, Any]:
        """The knobs it turned, with the values they got."""
        return knobs.knob_values(self.params)

    @property
    def family(self) -> str:
        """What to group by: the tuner's knobs, else the category."""
        return ", ".join(self.knobs) or self.category

    @property
    def flagged(self) -> bool:
        return bool(self.flags)


@dataclass(slots=True)
class SampleRow:
    """One sample of the open experiment."""

    sha: str
    arm: str
    k: int
    seed: int
    metric: float | None
    metrics: dict[str, float]
    cause: str | None
    detail: str
    duration_s: float
    at: int


@dataclass(slots=True)
class Open:
    """The experiment that has a number and no verdict yet."""

    number: int
    proposal: int | None
    parent: str
    sha: str
    attempt: int
    at: int
    version: int = 1
    """Of the rule that judges it."""
    flags: tuple[str, ...] = ()
    """What in its diff asks for more runs."""
    noise: Spread | None = None
    """The segment's noise when it began; None in a line of an older version."""
    samples: list[SampleRow] = field(default_factory=list)
    clean: bool = False
    """The engine that ran it was stopped on purpose, it did not die."""
    failed: bool = False
    """The engine failed at it, which is no purpose: an error line names it."""
    died: bool = False
    """Set by the engine that follows a dead one, until it has said so in the journal."""

    def of(self, arm: str) -> list[SampleRow]:
        return [sample for sample in self.samples if sample.arm == arm]


@dataclass(slots=True)
class Waiting:
    """A proposal that is committed and recorded but has no number yet."""

    id: int
    base: str
    sha: str
    description: str
    hypothesis: str
    category: str
    agent: str
    idea: str | None
    mends: int | None
    bundle: tuple[int, ...]
    params: dict[str, Any] | None
    net_lines: int
    cost_usd: float | None
    files: tuple[str, ...]
    dropped: tuple[str, ...]
    problem: str
    reason: str
    at: int


@dataclass(slots=True)
class Incumbent:
    number: int
    sha: str
    metric: float | None
    """The mean of its fresh samples (of the baseline's runs for a baseline)."""
    metrics: dict[str, float]
    duration_s: float


@dataclass(slots=True)
class Spread:
    """Pooled within-arm spread of a segment's finished arms: baseline, races, fresh samples."""

    ss: float = 0.0
    """Sum of squared deviations from each arm's own mean."""
    nu: int = 0
    """Degrees of freedom: samples minus arms."""
    identical: bool = True
    """Every repeat agreed with the first of its arm so far."""

    def add(self, values: list[float]) -> None:
        if len(values) < 2:
            return
        self.nu += len(values) - 1
        if all(value == values[0] for value in values):
            return  # exactly 0: rounding must not turn agreement into noise
        self.identical = False
        cut = [max(-_LARGEST, min(_LARGEST, value)) for value in values]
        mean = math.fsum(cut) / len(cut)
        self.ss += math.fsum((value - mean) ** 2 for value in cut)


@dataclass(slots=True)
class Family:
    """Experiments of one kind with one fate, as a count and a range."""

    first: int
    last: int = 0
    count: int = 0
    best: float | None = None

    def add(self, row: Row, header: records.Header | None) -> None:
        self.count += 1
        self.last = row.number
        if row.metric is None:
            return
        higher = header is not None and header.direction == "higher"
        if self.best is None or (row.metric > self.best if higher else row.metric < self.best):
            self.best = row.metric


@dataclass(slots=True)
class IdeaState:
    id: str
    text: str
    by: str
    state: Literal["open", "taken", "tried", "vetoed"] = "open"
    reason: str = ""
    experiments: list[int] = field(default_factory=list)
    timestamp: int = 0


@dataclass(slots=True)
class DeadEndState:
    id: str
    text: str
    list: str
    experiment: int | None
    retry_if: str
    by: str
    idea: str | None = None
    timestamp: int = 0


@dataclass(slots=True)
class Decision:
    """A person decided against a verdict."""

    action: str
    """`keep` or `discard`."""
    note: str
    by: str
    timestamp: int
    proposal: int | None = None
    """What carries it out, once there is one."""


@dataclass(slots=True)
class Text:
    """A note, a message, a warning or an error, with when it was written."""

    text: str
    timestamp: int
    id: str = ""
    by: str = ""
    experiment: int | None = None
    code: str = ""
    fix: str = ""
    read_by: int | None = None
    """Of a message: the proposal whose brief was the first to hold it."""
    read_ms: int = 0


@dataclass(slots=True)
class Control:
    """What the journal says about the engine; whether one is alive is for the lock to tell."""

    state: Literal["running", "paused", "stopped"] = "running"
    reason: str = ""
    limit: str = ""
    fix: str = ""
    since: int = 0


def list_of(row: Row) -> str:
    """Where an experiment stands in the notebook: worked, refuted, unproven or crashed."""
    if row.status == "keep":
        return "worked"
    if row.status == "discard":
        return "unproven" if row.cause == "unproven" else "refuted"
    return "crashed"
