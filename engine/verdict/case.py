"""The figures of one contest, computed once, and how they read. Pure; values are scaled here: lower is better."""

from __future__ import annotations

import math
from functools import cached_property
from itertools import pairwise
from typing import Any

from autoresearch.engine.verdict import flags as suspicion
from autoresearch.engine.verdict import spread as spreads
from autoresearch.engine.verdict.blocks import HALF, Place, Race, draw
from autoresearch.engine.verdict.contest import LOOK, Contest
from autoresearch.engine.verdict.noise import mean
from autoresearch.state.text import numbers

_SIGNIFICANT = 1.96
_MOST_EXPONENT = 700.0


class Case:
    def __init__(self, contest: Contest) -> None:
        self.contest = contest
        known = contest.known
        self.looked = [run for run in contest.seen if run.block == LOOK]
        self.changes = [self.scaled(run.value) for run in self.looked if run.mine]
        self.race = self._race()
        self.s = self.race.s or self._basis("s") or self.s_now
        """The sd of one run, by which this race is told; 0 where nothing has differed yet."""
        if self.s <= 0 and self.race.runs:
            self.s = self._own_spread()
        self.exact = not self.race.blocks and known.agree
        """Whether all repeats of all commits have agreed so far."""
        self.level = self._level()
        """The best's, which differences are told against."""
        self.difference = self._difference()
        """How much better the change is by all that was run."""
        self.d, self.se = self.race.estimate(self.s) if self.s > 0 else (self.race.look or 0.0, 1.0)
        self.margin = self.least_gain if contest.removed > 0 else None
        """What a change that removes lines may cost at most, where that is more than s; None for others."""
        self.log_evidence = self.race.log_evidence()
        self.jump = (
            suspicion.jump(self.gain, known.earlier, self.in_unit(self.s)) if self.changes or self.race.runs else None
        )
        self.flags = ((self.jump.code,) if self.jump else ()) + contest.flags

    # -- from runs to a race

    @cached_property
    def s_now(self) -> float:
        """The spread that a block begun now gets."""
        contest = self.contest
        return contest.known.s(contest.terms.scale, contest.direction, paired=contest.terms.paired)

    def scaled(self, value: float) -> float:
        return spreads.scaled(value, self.contest.terms.scale, self.contest.direction)

    def drawn(self, block: int) -> tuple[Place, ...]:
        contest = self.contest
        return draw(contest.secret, contest.experiment, contest.parent, block, paired=contest.terms.paired)

    def _race(self) -> Race:
        look = next((run for run in self.looked if run.mine and run.basis), None)
        race = Race(paired=self.contest.terms.paired)
        if look is not None:
            race.look = spreads.first_look(self.scaled(look.value), look.basis["level"], look.basis["s"])
            race.look_runs = int(look.basis["runs"])
        for run in (run for run in self.contest.seen if run.block > LOOK):
            if race.under_way is None:
                race.begin([place.mine for place in self.drawn(run.block)], run.basis.get("s", 0.0))
            race.add(self.scaled(run.value))
        return race

    def _basis(self, name: str) -> float | None:
        return next((run.basis[name] for run in self.looked if run.mine and name in run.basis), None)

    def _own_spread(self) -> float:
        """Of a race whose values differ where no earlier ones did."""
        race = self.race
        pairs = [pair for block in race.blocks for arm in (True, False) for pair in pairwise(block.of(arm))]
        return spreads.spread([abs(a - b) for a, b in pairs]) or abs(race.difference() or 0.0)

    def _level(self) -> float:
        if self.race.best:
            return mean(self.race.best)
        if (level := self._basis("level")) is not None:
            return level
        known = [self.scaled(value) for value, _ in self.contest.known.best]
        return spreads.level(known)[0] if known else 0.0

    def _difference(self) -> float:
        if (found := self.race.difference()) is not None:
            return found
        return self.level - mean(self.changes) if self.changes else 0.0

    # -- in the metric's unit

    @property
    def gain(self) -> float:
        return self.in_unit(self.difference)

    def in_unit(self, difference: float) -> float:
        if self.contest.terms.scale == "linear":
            return difference
        sign = 1.0 if self.contest.direction == "lower" else -1.0

        def value(scaled: float) -> float:
            return math.exp(max(-_MOST_EXPONENT, min(_MOST_EXPONENT, sign * scaled)))

        return sign * (value(self.level) - value(self.level - difference))

    @property
    def least_gain(self) -> float:
        """`min_effect` on the scale."""
        contest = self.contest
        if not contest.min_effect:
            return 0.0
        level = self.level if contest.direction == "lower" else -self.level
        if contest.terms.scale == "ratio":
            level = math.exp(min(_MOST_EXPONENT, level))
        return spreads.step_of(contest.min_effect, level, contest.terms.scale, contest.direction)

    @property
    def interval(self) -> float | None:
        """Half width of the 95% interval of the gain."""
        return abs(self.in_unit(self._half)) if self._half else None

    @property
    def _half(self) -> float:
        return _SIGNIFICANT * self.se * self.s if math.isfinite(self.se) else 0.0

    @property
    def promise(self) -> float:
        return self.d / (1 + self.se**2) if math.isfinite(self.se) else 0.0

    # -- seeds

    @property
    def no_effect(self) -> bool:
        """Whether the change gave the best's very value at the same seed, where that says it all."""
        theirs = {seed: value for value, seed in self.contest.known.best}
        ours = [run for run in self.looked if run.mine]
        return (
            not self.race.runs
            and self.contest.known.seeds_fix
            and bool(ours)
            and all(theirs.get(run.seed) == run.value for run in ours)
        )

    @property
    def seedless(self) -> bool:
        """Whether the change gives one value at all seeds, where the best's value depends on the seed."""
        return self.race.paired and len(set(self.race.change)) == 1 and len(set(self.race.best)) > 1

    # -- words

    @property
    def compared(self) -> str:
        """ "better by 0.0041 ±0.0012", "better by 12% ±3%", "worse by …" or "no difference"."""
        if self.difference == 0:
            return "no difference"
        return f"{'better' if self.difference > 0 else 'worse'} by {self.amount}"

    @property
    def amount(self) -> str:
        if self.exact or not self._half:
            return self.told(abs(self.difference))
        if self.contest.terms.scale == "linear":
            return f"{self.told(abs(self.difference))} {numbers.plus_minus(self._half)}"
        return f"{self.told(abs(self.difference))} {numbers.plus_minus(self._percent(self._half))}%"

    def told(self, difference: float) -> str:
        """A difference in the metric's unit, or in percent on a scale of ratios."""
        if self.contest.terms.scale == "linear":
            return numbers.metric(difference, self._half)
        return f"{numbers.metric(self._percent(difference), self._percent(self._half))}%"

    def _percent(self, difference: float) -> float:
        """Of the best's level."""
        held = max(-_MOST_EXPONENT, min(_MOST_EXPONENT, difference))
        return 100 * abs(math.expm1(-held if self.contest.direction == "lower" else held))

    @cached_property
    def won(self) -> float:
        """Comparisons inside blocks that the change won; half for a tie."""
        return sum(self.race.comparisons()) / 2

    @property
    def proof(self) -> str:
        """ "in random order, 9 runs of it beat 9 of the best in 26 of 27 comparisons"."""
        n = HALF * len(self.race.complete)
        if self.race.paired:
            return f"in random order, it beat the best at {self.won:g} of {n} seeds"
        return f"in random order, {n} runs of it beat {n} of the best in {self.won:g} of {HALF * n} comparisons"

    @property
    def shorter(self) -> str:
        return f"{numbers.plural(self.contest.removed, 'line')} shorter without a real loss"

    # -- for the record

    def figures(self, rule: str, log_evidence: float) -> dict[str, Any]:
        race, raced = self.race, rule == "blocks"
        known = self.s > 0 and math.isfinite(self.se)
        return {
            "rule": rule,
            "s": self.s,
            "d": self.d if known else None,
            "se": self.se if known else None,
            "blocks": len(race.complete),
            "runs": race.runs,
            "wins": self.won,
            "log_evidence": log_evidence if raced else None,
            "odds": self.contest.terms.odds if raced else None,
            "look": race.look,
            "stakes": list(race.stakes()),
            "flags": list(self.flags),
        }
