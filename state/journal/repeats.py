"""What a segment's runs tell of its noise, as raw pairs of values: the verdict makes a spread and a level of them.
Pure.

Compared are runs of one commit that are near in time, because a machine drifts; which commit it is does not matter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise

REMEMBERED = 400
"""So many of the last pairs are kept."""
LEVEL_RUNS = 6
"""The best's level is told by so many of its last runs. Of fewer runs of a baseline, each is compared with each."""
LOOKS = 60
DURATIONS = 8

Measured = tuple[float, int]
"""A run's value and its seed."""


class Repeats:
    """Only the folds change it."""

    def __init__(self) -> None:
        self.best: deque[Measured] = deque(maxlen=LEVEL_RUNS)
        """The best's last runs, whichever arm they were taken for."""
        self.since_best = 0
        """Measurements since the last of them."""
        self.neighbours: deque[tuple[float, float]] = deque(maxlen=REMEMBERED)
        """Two runs of one commit at seeds that differ."""
        self.twins: deque[tuple[float, ...]] = deque(maxlen=REMEMBERED)
        """Two runs of one commit at one seed; or (best, change, best, change) of two pairs that share a seed each."""
        self.durations: deque[float] = deque(maxlen=DURATIONS)
        """Seconds of the best's last runs."""
        self.looks: deque[float] = deque(maxlen=LOOKS)
        """How many sd better than the best the last candidates seemed by their first runs."""
        self.luck = 0.0
        """The sum of 1/odds over the races begun: at least so many keeps that are no better are to be expected at
        most."""

    def baseline(self, runs: Sequence[Measured]) -> None:
        if len(runs) <= LEVEL_RUNS:
            self._compare(combinations(runs, 2))
        else:
            self._compare(pair for pair in pairwise(runs) if pair[0][1] != pair[1][1])
            for seed in dict.fromkeys(seed for _, seed in runs):
                self._compare(pairwise([run for run in runs if run[1] == seed]))
        self.best.extend(runs)
        self.since_best = 0

    def best_ran(self, run: Measured) -> None:
        """Once more, beside no block."""
        if self.best:
            self._compare([(self.best[-1], run)])
        self.best.append(run)
        self.since_best = 0

    def other_ran(self) -> None:
        self.since_best += 1

    def again(self, before: Measured, run: Measured) -> None:
        """A candidate's run that repeats an earlier one."""
        self._compare([(before, run)])

    def in_block(self, mine: bool, run: Measured) -> None:
        if not mine:
            self.best.append(run)
        self.since_best = 0

    def block(self, runs: Sequence[tuple[bool, Measured]]) -> None:
        """A complete block, in the order it was run in."""
        for arm in (True, False):
            self._compare(pairwise([run for mine, run in runs if mine is arm]))
        pairs = [sorted(pair, key=lambda each: each[0]) for pair in zip(runs[::2], runs[1::2], strict=True)]
        if all(best[1][1] == change[1][1] for best, change in pairs):
            for (best, change), (then_best, then_change) in pairwise(pairs):
                self.twins.append((best[1][0], change[1][0], then_best[1][0], then_change[1][0]))

    def kept(self, raced: Sequence[Measured], fresh: Sequence[Measured]) -> None:
        """There is a new best, known by its fresh runs, else by those of its race."""
        self._compare(pairwise(fresh))
        self.best.clear()
        self.best.extend(fresh or raced)
        self.since_best = 0

    def _compare(self, pairs: Iterable[tuple[Measured, Measured]]) -> None:
        for (value, seed), (other, other_seed) in pairs:
            if seed == other_seed:
                self.twins.append((value, other))
            else:
                self.neighbours.append((value, other))
