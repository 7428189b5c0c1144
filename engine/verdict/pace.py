"""What follows from the time of a run and of a proposal: the odds of a keep, the runs of a baseline, who waits for
whom.

Where runs are cheap beside proposals, a keep can be made nearly certain for nothing: the slot would stand idle. Where a
night holds a hundred runs, the odds are what one clean block can reach, and the stated luck stays below one keep a
night.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from autoresearch.engine.verdict.noise import median
from autoresearch.state.journal import History

PROPOSAL_S = 60.0
"""What a proposal takes before the first was made, and how long a change of a finite list is measured by itself."""
LEAST_ODDS = 9.0
MOST_ODDS = 1000.0
MOST_TUNER_ODDS = 5000.0
IDEAS_PER_LUCK = 50
"""A tuner's odds are at least its ideas of a night divided by this."""
NIGHT_S = 8 * 3600.0
_KNOWN_RATE = 10
CHEAP = 8
"""From so many runs per proposal on, thinking time is long enough to race in: no bundles, fresh runs after a keep."""
FOUR_BLOCKS = 24
"""Runs per proposal from which a candidate begins with a block: a look at a level that is a minute old says nothing."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How many runs fit in the time in which a proposal is made. Recorded with each intent."""

    run_s: float
    proposal_s: float = PROPOSAL_S
    ideas: float = 0.0
    """How many ideas a night of eight hours holds, for an agent that answers at once (a tuner)."""

    @property
    def free_runs(self) -> float:
        """rho: how many runs a proposal takes."""
        return self.proposal_s / self.run_s if self.run_s > 0 else math.inf

    @property
    def whole_runs(self) -> int:
        return math.floor(min(self.free_runs, 100.0))

    @property
    def odds(self) -> float:
        """9 (1 + n^2) with n whole free runs, at most 1000; for a tuner at least a fiftieth of the ideas of a night.

        So by proof there is less than about one lucky keep in eight hours. 9 and 18 can be reached by one clean block
        (20 to 1), 1000 by three (8000 to 1).
        """
        by_pace = min(MOST_ODDS, LEAST_ODDS * (1 + self.whole_runs**2))
        return max(by_pace, min(MOST_TUNER_ODDS, self.ideas / IDEAS_PER_LUCK))

    @property
    def baseline_runs(self) -> int:
        return max(4, min(20, self.whole_runs))

    @property
    def cheap(self) -> bool:
        """Whether a race can go on while the agent thinks; where not, unproven changes are tried in bundles."""
        return self.free_runs >= CHEAP

    @property
    def looks(self) -> bool:
        """Whether a candidate has a first look."""
        return self.free_runs < FOUR_BLOCKS


def pace_of(history: History, patience_s: float | None = None) -> Pace:
    """As far as it is known by now: from the best's last runs, the last proposals and the experiments so far.

    `patience_s` is for a list of prepared changes: it is finite and each is asked for, so one is measured for so long
    before the next one waits. Runs that cost money are dear, however short they are.
    """
    durations = history.repeats.durations
    run_s = median(durations) if durations else 0.0
    if history.runs_cost:
        return Pace(run_s, 0.0)
    proposal_s = median(history.proposals_s) if history.proposals_s else PROPOSAL_S
    if patience_s is not None:
        return Pace(run_s, patience_s)
    each_s = history.running_ms / 1000 / len(history.rows) if len(history.rows) >= _KNOWN_RATE else run_s + proposal_s
    return Pace(run_s, proposal_s, NIGHT_S / max(each_s, run_s, 1e-3))


def expected_luck(odds: Iterable[float]) -> float:
    """Bound on the expected number of kept changes that are no better: the sum of 1/odds over the races begun.

    The share of false keeps is at most this divided by the keeps (R. Wang and A. Ramdas, "False discovery rate control
    with e-values", 2022, read as a statement).
    """
    return math.fsum(1 / each for each in odds)
