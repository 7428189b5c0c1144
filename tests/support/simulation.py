"""Whole sessions on simulated noise, driven by the real verdict as the loop drives it.

A session spends a budget of measurements. The noise is normal with sd 1; a lower metric is better. Of all ideas a share
`gainful` gains `gain`; of the rest half change nothing and half harm by an exponentially distributed amount (mean 1).
The incumbent's true level starts at 0; effects add up, and bundles always merge.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, fields

from autoresearch.engine.verdict import Noise, rule
from autoresearch.engine.verdict.gain import kept_and_claimed
from autoresearch.state.journal import WINDOW, Spread

BUDGET = 400


@dataclass(frozen=True, slots=True)
class Ideas:
    gainful: float
    gain: float

    def next(self, rng: random.Random) -> float:
        if rng.random() < self.gainful:
            return self.gain
        return 0.0 if rng.random() < 0.5 else -rng.expovariate(1.0)


@dataclass(slots=True)
class Outcome:
    """Of one session; `averages` makes it the mean of many. `claimed` is baseline minus the last keep's fresh mean."""

    false_keeps: float = 0
    """Keeps, bundles included, that gain nothing or do harm."""
    true_gain: float = 0
    claimed: float = 0
    best_claimed: float = 0
    """Baseline minus the lowest value ever reported: the height of the curve of the best."""
    ideas: float = 0
    nulls: float = 0
    """Ideas that gain nothing or do harm, tried by themselves."""
    null_keeps: float = 0
    bundles: float = 0
    bundle_keeps: float = 0
    spent: float = 0


class OutOfBudget(Exception):
    pass


class Session:
    """One session under the real rule."""

    def __init__(self, rng: random.Random, ideas: Ideas, settings: rule.Settings) -> None:
        self.rng, self.ideas, self.settings = rng, ideas, settings
        self.outcome = Outcome()
        self.spread = Spread()
        self.window: deque[tuple[int | None, float]] = deque(maxlen=WINDOW)
        self.level = 0.0
        self.incumbent = 0
        """Names the incumbent among the window's measurements; a candidate's runs bear no name there."""
        self.pool: dict[int, tuple[float, int]] = {}
        self.effects: dict[int, float] = {}
        self.spent = 0
        self.tried = 0

    def run(self) -> Outcome:
        values = [self.measure(self.level, self.incumbent) for _ in range(self.settings.baseline_runs)]
        self.spread.add(values)
        self.baseline = self.reported = self.lowest = sum(values) / len(values)
        try:
            while True:
                self.experiment()
        except OutOfBudget:
            pass
        self.outcome.true_gain = -self.level
        self.outcome.claimed = self.baseline - self.reported
        self.outcome.best_claimed = self.baseline - self.lowest
        self.outcome.spent = self.spent
        return self.outcome

    def measure(self, level: float, name: int | None) -> float:
        if self.spent == BUDGET:
            raise OutOfBudget
        self.spent += 1
        value = self.rng.gauss(level, 1.0)
        self.window.append((name, value))
        return value

    def experiment(self) -> None:
        self.tried += 1
        effect, bundle = self.next_change()
        decision, values = self.race(self.level - effect, bundle)
        self.spread.add(values)
        if not bundle:
            self.outcome.ideas += 1
            self.outcome.nulls += effect <= 0
        else:
            self.outcome.bundles += 1
        if decision.action == "keep":
            self.keep(effect, bundle)
        elif decision.cause == "unproven" and not bundle:
            assert decision.estimate is not None
            self.pool[self.tried] = (decision.estimate, len(values))
            self.effects[self.tried] = effect

    def next_change(self) -> tuple[float, bool]:
        count = self.settings.bundle
        if not count or len(self.pool) < count:
            return self.ideas.next(self.rng), False
        chosen = rule.rank_unproven(self.pool)[:count]
        for number in chosen:
            del self.pool[number]
        return sum(self.effects[number] for number in chosen), True

    def race(self, level: float, bundle: bool) -> tuple[rule.Decision, list[float]]:
        noise, values, between = Noise.of(self.spread), list[float](), False
        while True:
            recent = [value for name, value in self.window if name == self.incumbent]
            decision = rule.judge(values, recent, noise, self.settings, between=between, bundle=bundle)
            if decision.final:
                return decision, values
            between = decision.action == "incumbent"
            if between:
                self.measure(self.level, self.incumbent)
            else:
                values.append(self.measure(level, None))

    def keep(self, effect: float, bundle: bool) -> None:
        self.level -= effect
        self.incumbent = self.tried
        self.outcome.false_keeps += effect <= 0
        self.outcome.null_keeps += effect <= 0 and not bundle
        self.outcome.bundle_keeps += bundle
        fresh = [self.measure(self.level, self.incumbent) for _ in range(self.settings.fresh_runs)]
        self.spread.add(fresh)
        self.reported = sum(fresh) / len(fresh)
        self.lowest = min(self.lowest, self.reported)


def with_rule(settings: rule.Settings) -> Callable[[random.Random, Ideas], Outcome]:
    return lambda rng, ideas: Session(rng, ideas, settings).run()


def keep_if_lower(rng: random.Random, ideas: Ideas) -> Outcome:
    """The usual loop: one run each, kept when below the record."""
    level = 0.0
    first, samples, falsely = rng.gauss(0.0, 1.0), list[float | None](), 0
    record = first
    for _ in range(BUDGET - 1):
        effect = ideas.next(rng)
        value = rng.gauss(level - effect, 1.0)
        samples.append(value)
        if value < record:
            record, level = value, level - effect
            falsely += effect <= 0
    _, claimed = kept_and_claimed(samples, first, "lower")
    return Outcome(false_keeps=falsely, true_gain=-level, claimed=claimed, best_claimed=claimed, ideas=len(samples))


def one_confirming_run(rng: random.Random, ideas: Ideas) -> Outcome:
    """Below the record: run again; kept when the mean of both is below it, and that mean is the new record."""
    level, spent, falsely = 0.0, 1, 0
    first = record = rng.gauss(0.0, 1.0)
    while spent < BUDGET:
        effect = ideas.next(rng)
        value = rng.gauss(level - effect, 1.0)
        spent += 1
        if value >= record or spent == BUDGET:
            continue
        both = (value + rng.gauss(level - effect, 1.0)) / 2
        spent += 1
        if both < record:
            record, level = both, level - effect
            falsely += effect <= 0
    return Outcome(false_keeps=falsely, true_gain=-level, claimed=first - record, best_claimed=first - record)


def averages(play: Callable[[random.Random, Ideas], Outcome], ideas: Ideas, sessions: int, seed: int) -> Outcome:
    outcomes = [play(random.Random(f"{seed}/{number}"), ideas) for number in range(sessions)]
    means = {f.name: sum(getattr(o, f.name) for o in outcomes) / sessions for f in fields(Outcome)}
    return Outcome(**means)
