"""The read model's parts: what a session's journal says, as compact rows and small states.

`history` folds lines into them; screens, limits, agents and the verdict read them.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from autoresearch.state.journal import knobs, records
from autoresearch.state.journal.heldout import HeldOut
from autoresearch.state.journal.repeats import Repeats
from autoresearch.state.text import numbers

LISTS = ("worked", "refuted", "unproven", "crashed")
FLAG_WORDS = {
    "jump": "far outside history",
    "seed": "touches the seed",
    "budget": "touches the evaluation's time or budget",
    "score": "touches the printing of the metric",
    "long": "too long to look at all of it",
}
"""Of `records.FLAGS`, as a list says them."""
UNDECIDED = frozenset({"unproven", "too_noisy", "seedless"})
"""Causes of a discard that do not say that the change is worse."""
LISTED = 25
"""So many of each list are shown one by one; older ones fold into families."""
WINDOW = 30
"""Of how many of the last measurements the incumbent's count (docs/verdict.md)."""
JUDGED = 200
"""So many of the last estimates are kept, to tell what lies far outside them."""


@dataclass(init=False, repr=False, eq=False, slots=True)
class Row:
    """One finished experiment, as tables, charts and briefs need it; `line_at` leads to the rest."""

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
    def baseline(self) -> bool:
        """Whether it measured a segment's starting point: nobody proposed it. One that crashed is one all the same."""
        return self.cause == "baseline" or (self.proposal is None and self.intent_at >= 0)


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
    block: int | None = None
    place: int | None = None
    basis: dict[str, float] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        return self.cause is None and self.metric is not None


@dataclass(slots=True)
class Open:
    """An experiment that has a number and no verdict yet: the one that is measured, or one that is parked."""

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
    terms: dict[str, Any] = field(default_factory=dict)
    """What it is judged by (`records.Intent.terms`); empty in a line of an older version."""
    waiting: Waiting | None = None
    """The proposal that it measures; None for a baseline."""
    samples: list[SampleRow] = field(default_factory=list)
    left: list[SampleRow] = field(default_factory=list)
    """Those of a race against an earlier best, which count for nothing now."""
    verdict: dict[str, Any] = field(default_factory=dict)
    """Its figures when it was parked last."""
    looked: bool = False
    """Its first look is among those of the segment."""
    clean: bool = False
    """The engine that ran it was stopped on purpose, it did not die."""
    failed: bool = False
    """The engine failed at it, which is no purpose: an error line names it."""
    died: bool = False
    """Its engine died, and the one that follows has not said yet that it tries again."""

    def of(self, arm: str) -> list[SampleRow]:
        return [sample for sample in self.samples if sample.arm == arm]

    def of_block(self, block: int) -> list[SampleRow]:
        """Those that count."""
        return [sample for sample in self.samples if sample.block == block and sample.good]

    @property
    def odds(self) -> str:
        """Those so far of a parked one, in words."""
        return numbers.odds(numbers.finite(self.verdict.get("log_evidence")) or 0.0)

    def begin_anew(self, parent: str, sha: str) -> None:
        """On another best: what it was seen to be at first stands, its race does not."""
        self.parent, self.sha = parent, sha
        self.left += [sample for sample in self.samples if sample.block != 0]
        self.samples = [sample for sample in self.samples if sample.block == 0]


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
    """The kept experiment that the next proposal starts from."""

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

    def add(self, values: Sequence[float]) -> None:
        if len(values) < 2:
            return
        self.nu += len(values) - 1
        if all(value == values[0] for value in values):
            return  # exactly 0: rounding must not turn agreement into noise
        self.identical = False
        values = [numbers.cut(value) for value in values]
        mean = math.fsum(values) / len(values)
        self.ss += math.fsum((value - mean) ** 2 for value in values)

    @property
    def sd(self) -> float | None:
        """The standard deviation of one run; None where nothing was repeated."""
        if self.nu <= 0:
            return None
        # Rounding in a mean can leave a trace in `ss` even where all values agree.
        return 0.0 if self.identical else math.sqrt(self.ss / self.nu)


@dataclass(slots=True)
class IdeaState:
    """An idea, and what has become of it."""

    id: str
    text: str
    by: str
    state: Literal["open", "taken", "tried", "vetoed"] = "open"
    reason: str = ""
    experiments: list[int] = field(default_factory=list)
    timestamp: int = 0


@dataclass(slots=True)
class DeadEndState:
    """A dead end that somebody wrote down."""

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
        return "unproven" if row.cause in UNDECIDED else "refuted"
    return "crashed"


class Model:
    """What the lines of one session add up to. Only the folds change it."""

    def __init__(self) -> None:
        self.header: records.Header | None = None
        self.first_header: records.Header | None = None
        self.segment = 0
        self.rows: list[Row] = []
        self.by_number: dict[int, Row] = {}
        self.imported = 0
        """Experiments that another program ran, or that were closed without being measured here."""
        self.open: Open | None = None
        """The experiment that is measured."""
        self.parked: dict[int, Open] = {}
        """Experiments that left the slot undecided."""
        self.last_number = 0
        """The highest number that was given."""
        self.waiting: dict[int, Waiting] = {}
        self.next_proposal = 1
        self.incumbent: Incumbent | None = None
        self.baseline: Row | None = None
        self.baseline_metrics: dict[str, float] = {}
        self.baseline_duration_s = 0.0
        self.spread = Spread()
        self.repeats = Repeats()
        """The segment's runs beside each other, for the verdict."""
        self.proposals_s: deque[float] = deque(maxlen=5)
        """How long the last proposals took their agents."""
        self.recent: deque[tuple[str, float, bool]] = deque(maxlen=WINDOW)
        self.sampled: dict[str, int] = {}
        """How many samples the open experiment's and the incumbent's commits have had: seeds go on counting."""
        self.unproven: dict[int, tuple[float, int]] = {}
        self.estimates: deque[float] = deque(maxlen=JUDGED)
        """How much better each of the segment's last judged candidates was than its incumbent."""
        self.flagged: list[int] = []
        """Experiments with something worth a second look (`Row.flags`)."""
        self.holdout: list[HeldOut] = []
        """The segment's values of the held-out command, the baseline's first. For people, never for agents."""
        self.held_out: dict[str, list[bool]] = {}
        """Whether each of a commit's held-out runs in this segment gave a value."""
        self.baselines = 0
        self.counts: Counter[str] = Counter()
        """Experiments by status, baselines left out; `unproven` is a part of `discard`."""
        self.since_keep = 0
        self.crash_streak = 0
        self.cost_usd = 0.0
        self.tokens = 0
        self.measured_s = 0.0
        """Seconds the slot spent in `run`."""
        self.runs_cost = False
        """Whether a run has said what it cost."""
        self.withdrawn_usd = 0.0
        """What proposals cost that were made ahead and never measured."""
        self.running_ms = 0
        self.started_ms = 0
        self.last_ms = 0
        self.resumed_ms = 0
        """When an engine started last."""
        self.rows_before = 0
        """Experiments that were finished when it did."""
        self.control = Control()
        self.requests: set[str] = set()
        self.ideas: dict[str, IdeaState] = {}
        self.dead_ends: dict[str, DeadEndState] = {}
        self.lessons: dict[int, tuple[str, str]] = {}
        self.notes: dict[str, Text] = {}
        self.steers: list[Text] = []
        self.notices: deque[Text] = deque(maxlen=200)
        self.warned: set[str] = set()
        """The codes of all warnings so far: some are given once in a session."""
        self.settings: dict[str, Any] = {}
        self.agent: tuple[str, str] = ("", "")
        """The agent that was used last, and its source where it has one: a resumed session goes on with it."""
        self.retries: list[int] = []
        """Experiments that people want tried again and that no proposal has taken up yet."""
        self.again = 0
        """Further runs of the incumbent that people want and that are not measured yet."""
        self.overrules: list[records.Overrule] = []
        """Decisions against a verdict that no proposal has taken up yet."""
        self.decisions: dict[int, Decision] = {}
        """The last decision of a person against the verdict of each experiment."""
        self.problems: list[tuple[int, str]] = []
        """(line number, what is wrong) of lines that were skipped."""
        self.lines = 0
        self.offset = 0

    @property
    def tried(self) -> int:
        """Experiments that are finished, and those that are parked."""
        return len(self.rows) + len(self.parked)

    @property
    def unfinished(self) -> list[Open]:
        """Experiments with a number and no verdict: parked ones, then the one that is measured."""
        return [*self.parked.values(), *([self.open] if self.open is not None else [])]

    @property
    def opened_proposal(self) -> Waiting | None:
        """The proposal that the open experiment measures."""
        return self.open.waiting if self.open is not None else None

    def incumbent_values(self) -> list[float]:
        """The incumbent's runs among the last `WINDOW` measurements of any arm."""
        if self.incumbent is None:
            return []
        sha = self.incumbent.sha
        return [value for commit, value, counts in self.recent if counts and commit == sha]

    @property
    def scored(self) -> str:
        """What prints the number: `evaluate`, a protected file of the `run`, a file in `scope`; "" where unknown."""
        scored = self.header.scored if self.header is not None else ""
        return scored or ("scope" if "own-score" in self.warned else "")

    @property
    def self_scored(self) -> bool:
        """Whether code that the agent may edit prints the number itself."""
        return self.scored == "scope"
