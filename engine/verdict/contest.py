"""What a contest is judged from, and what it comes to: one change against one best. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from autoresearch.engine.verdict import spread as spreads
from autoresearch.engine.verdict.flags import Flag
from autoresearch.engine.verdict.pace import Pace
from autoresearch.engine.verdict.spread import Scale

VERSION = 3
"""Of the rule. 3: randomised blocks. What began under an earlier one is judged by that."""
LEAVE = 1.2
"""While a proposal waits, a race goes on as long as the estimate is at least this. Also the line of a bundle or
retry."""
MOST_RUNS = 400
WARM, LOOK = -1, 0
"""What stands for a block's number in the runs before the first: a warm-up that counts for nothing, the first look."""

Action = Literal["keep", "discard", "park", "run"]


@dataclass(frozen=True, slots=True)
class Terms:
    """What one experiment is judged by, fixed when it gets its number, and on record in its intent."""

    odds: float
    line: float = spreads.ENTER
    """What its first look must reach while a proposal waits."""
    looks: bool = True
    """Whether it has a first look; without one it begins with a block, after a warm-up of each arm."""
    cheap: bool = False
    """Whether it can wait for thinking time. Where not, what would be parked is dropped."""
    paired: bool = False
    """Whether both arms run the same seeds."""
    scale: Scale = "linear"
    run_s: float = 0.0
    proposal_s: float = 0.0
    ideas: float = 0.0
    """These three are the pace it all follows from."""

    @classmethod
    def at(
        cls,
        pace: Pace,
        known: Known,
        looks: Sequence[float],
        *,
        direction: str = "lower",
        scale: Scale = "linear",
        odds: float | None = None,
        asked_for: bool = False,
        think: bool = True,
    ) -> Terms:
        """At this pace. `odds` fixes them; `asked_for`: a bundle or a retry, which there is more reason for than for
        most."""
        return cls(
            odds=odds or pace.odds,
            line=LEAVE if asked_for else spreads.entry_line(looks),
            looks=pace.looks,
            cheap=pace.cheap and think,
            paired=known.seeds_decide(scale, direction),
            scale=scale,
            run_s=pace.run_s,
            proposal_s=pace.proposal_s,
            ideas=pace.ideas,
        )

    def for_line(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_line(cls, held: Mapping[str, Any]) -> Terms:
        return cls(**{each.name: held[each.name] for each in fields(cls) if each.name in held})


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement of a contest, and what it will be judged by."""

    mine: bool
    """Whether it is the change's; else the best's."""
    block: int
    place: int
    """From 1; in a block, the order drawn says whose each is."""
    seed: int
    basis: dict[str, float] = field(default_factory=dict)
    """`s` of a block's first run and of a look; of a look also the best's `level` and of how many `runs` it is."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A run of the contest that has its value, the metric's own."""

    mine: bool
    block: int
    place: int
    seed: int
    value: float
    basis: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """What the segment's runs have told by now. Values are the metric's own."""

    best: Sequence[tuple[float, int]] = ()
    """The best's last runs: value and seed."""
    since_best: int = 0
    """Measurements since the last of them."""
    neighbours: Sequence[tuple[float, float]] = ()
    """Two runs of one commit, as near in time as there were, at seeds that differ."""
    twins: Sequence[tuple[float, ...]] = ()
    """Two runs of one commit at one seed; or two such pairs of a block, best and change each."""
    earlier: Sequence[float] = ()
    """By how much the segment's last candidates were better, in the metric's unit."""

    def s(self, scale: Scale, direction: str, *, paired: bool = False) -> float:
        """The spread that a block begun now is judged by: the sd of a run, or of the difference of two at one seed."""
        others = self._apart(self.neighbours, scale, direction)
        if not paired:
            return spreads.spread([*others, *self._apart(self._plain_twins, scale, direction)])
        twins = [_twin([spreads.scaled(x, scale, direction) for x in values]) for values in self.twins]
        # Where one seed always gives one value, all that is known of a difference is how far seeds lie apart.
        return spreads.spread(twins) or math.sqrt(2) * spreads.spread(others)

    @property
    def agree(self) -> bool:
        """Whether all repeats of all commits have given one value each: there is no noise."""
        return all(a == b for a, b in self.neighbours) and all(a == b for a, b in self._plain_twins)

    def seeds_decide(self, scale: Scale, direction: str) -> bool:
        """Whether races should be of pairs."""
        twins = self._apart(self._plain_twins, scale, direction)
        return spreads.seeds_decide(self._apart(self.neighbours, scale, direction), twins)

    @property
    def seeds_fix(self) -> bool:
        """Whether one seed has always given one value, and not only because all runs agree."""
        return (
            bool(self._plain_twins)
            and all(a == b for a, b in self._plain_twins)
            and any(a != b for a, b in self.neighbours)
        )

    @property
    def _plain_twins(self) -> list[tuple[float, float]]:
        return [(values[0], values[1]) for values in self.twins if len(values) == 2]

    def _apart(self, pairs: Sequence[tuple[float, float]], scale: Scale, direction: str) -> list[float]:
        held = [(spreads.scaled(a, scale, direction), spreads.scaled(b, scale, direction)) for a, b in pairs]
        return [abs(a - b) for a, b in held]


def _twin(values: Sequence[float]) -> float:
    """As a difference between two differences of pairs, whatever it was made of."""
    if len(values) == 2:
        return math.sqrt(2) * abs(values[0] - values[1])
    best, change, best_next, change_next = values
    return abs((best - change) - (best_next - change_next))


@dataclass(frozen=True, slots=True)
class Contest:
    """One change against one best, as far as it has been run."""

    experiment: int
    parent: str
    secret: str
    """What the orders are drawn from."""
    terms: Terms
    known: Known
    seen: Sequence[Seen] = ()
    direction: Literal["lower", "higher"] = "lower"
    mode: Literal["blocks", "fast", "single"] = "blocks"
    min_effect: float = 0.0
    most_runs: int = MOST_RUNS
    removed: int = 0
    """How many more lines it removes than it adds."""
    bundle: bool = False
    flags: tuple[str, ...] = ()
    violated: str = ""
    """Which constraint its means exceed."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do next. `cause`, `estimate`, `interval` and `verdict` are what an experiment line records."""

    action: Action
    reason: str = ""
    """One sentence for people."""
    cause: str = ""
    estimate: float | None = None
    """How much better than the best, in the metric's unit; positive is better. Of a keep, shrunk as `shrunk` says."""
    interval: float | None = None
    """Half width of its 95% interval."""
    verdict: dict[str, Any] = field(default_factory=dict)
    jump: Flag | None = None
    """Set where a gain that would be kept lies far outside history."""
    run: Run | None = None
    """Of `run`: which."""
    log_evidence: float = 0.0
    promise: float = 0.0
    """Which of several parked races goes on first: the one with the most. d / (1 + se^2)."""

    @property
    def final(self) -> bool:
        return self.action != "run"
