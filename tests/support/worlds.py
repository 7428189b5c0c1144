"""Machines with eleven kinds of noise, and whole nights on them, driven by the real verdict as the loop drives it.

Lower is better and one run has sd 1. Effects add up, bundles always merge; drift, regimes and bursts move by the clock.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

from autoresearch.engine.verdict import blocks
from autoresearch.engine.verdict.contest import Contest, Decision, Known, Seen, Terms
from autoresearch.engine.verdict.pace import Pace
from autoresearch.engine.verdict.rule import judge
from autoresearch.state.journal import Repeats

NOISES = (
    "gaussian", "skewed", "t3", "ar1", "mild drift", "strong drift", "regimes", "bursts", "k of 20", "lognormal",
    "outliers",
)  # fmt: skip
NIGHT_S = 8 * 3600.0
UNIT_S = 60.0
POOL = 16


class World:
    """A machine with a noise; `mean` is what the best gains over the start, in sd."""

    def __init__(self, noise: str, seed: str, run_s: float = 1.0, unit_s: float = 1.0) -> None:
        self.random = random.Random(f"{noise} {seed}")
        self.noise, self.run_s, self.unit_s = noise, run_s, unit_s
        self.time = self.busy = self.mean = self.last = 0.0
        self.runs = 0
        self.state = self.random.gauss(0, 1)
        self.mode = self.random.random() < (0.242 if noise == "bursts" else 0.5)

    def run(self, effect: float = 0.0) -> float:
        self.time += self.run_s
        self.busy += self.run_s
        self.runs += 1
        passed, self.last = (self.time - self.last) / self.unit_s, self.time
        return self._value(passed, self.mean + effect)

    def _slow(self, passed: float, tau: float) -> float:
        keep = math.exp(-passed / tau)
        self.state = keep * self.state + math.sqrt(1 - keep * keep) * self.random.gauss(0, 1)
        return self.state

    def _value(self, passed: float, effect: float) -> float:
        r = self.random
        match self.noise:
            case "gaussian":
                e = r.gauss(0, 1)
            case "skewed":
                e = (0.55 * r.gauss(0, 1) + (2 * r.expovariate(1) if r.random() < 0.1 else 0) - 0.2) / 0.98
            case "t3":
                e = r.gauss(0, 1) / math.sqrt(r.gammavariate(1.5, 2) / 3) / 1.732
            case "ar1":
                e = self._slow(passed, 4.5)
            case "mild drift":
                e = 0.8 * self._slow(passed, 50) + 0.6 * r.gauss(0, 1)
            case "strong drift":
                e = 0.93 * self._slow(passed, 33) + 0.36 * r.gauss(0, 1)
            case "regimes":
                self.mode ^= r.random() < 0.5 * (1 - math.exp(-passed / 6))
                e = 0.6 * r.gauss(0, 1) + 1.6 * self.mode - 0.8
            case "bursts":
                self.mode = r.random() < 0.242 + (self.mode - 0.242) * math.exp(-0.165 * passed)
                e = (0.4 * r.gauss(0, 1) + (1.8 * r.expovariate(1) if self.mode else 0)) / 1.24 - 0.35
            case "k of 20":
                p = 1 / (1 + math.exp(0.4 - 0.447 * effect))
                return -(sum(r.random() < p for _ in range(20)) / 20 - 0.4) / 0.1118
            case "lognormal":
                e = (math.exp(0.8 * r.gauss(0, 1)) - 1.377) / 1.30
            case _:
                e = (0.5 * r.gauss(0, 1) + (6 * r.expovariate(1) if r.random() < 0.03 else 0)) / 1.55
        return e - effect


def idea(r: random.Random) -> tuple[float, str]:
    """5% of ideas gain 0.5 to 2 sd, 1% gain 5, 15% lose, the rest does nothing."""
    u = r.random()
    if u < 0.05:
        return r.uniform(0.5, 2), "gain"
    if u < 0.06:
        return 5.0, "big"
    if u < 0.21:
        return -r.expovariate(1), "loss"
    return 0.0, "null"


@dataclass
class Change:
    """An idea being tried."""

    effect: float
    kind: str
    number: int
    terms: Terms
    removed: int = 0
    parent: int = 0
    seen: list[Seen] = field(default_factory=list)
    last: Decision | None = None


class Bench:
    """A world, and what its runs have told: what the journal's folds keep."""

    def __init__(self, world: World, pace: Pace) -> None:
        self.world, self.pace = world, pace
        self.repeats = Repeats()
        self.number = self.parent = 0
        self.repeats.baseline([(world.run(), k) for k in range(pace.baseline_runs)])

    @property
    def known(self) -> Known:
        told = self.repeats
        return Known(tuple(told.best), told.since_best, told.neighbours, told.twins)

    def change(self, effect: float, kind: str = "", *, removed: int = 0, asked_for: bool = False) -> Change:
        self.number += 1
        terms = Terms.at(self.pace, self.known, self.repeats.looks, asked_for=asked_for)
        return Change(effect, kind, self.number, terms, removed, self.parent)

    def judge(self, change: Change, *, waiting: bool, resumed: bool = False, most_runs: int = 400) -> Decision:
        contest = Contest(
            change.number, str(change.parent), self.world.noise, change.terms, self.known, change.seen,
            most_runs=most_runs, removed=change.removed, bundle=change.kind == "bundle",
        )  # fmt: skip
        change.last = judge(contest, waiting=waiting, resumed=resumed)
        return change.last

    def take(self, change: Change, decision: Decision) -> None:
        run = decision.run
        assert run is not None
        value = self.world.run(change.effect if run.mine else 0.0)
        change.seen.append(Seen(run.mine, run.block, run.place, run.seed, value, run.basis))
        told = self.repeats
        if run.block < 0:
            return
        if run.block > 0:
            told.in_block(run.mine, (value, run.seed))
            if run.place == blocks.SIZE:
                told.block([(s.mine, (s.value, s.seed)) for s in change.seen if s.block == run.block])
        elif run.mine:
            told.other_ran()
        else:
            told.best_ran((value, run.seed))

    def keep(self, change: Change) -> None:
        self.world.mean += change.effect
        fresh = [(self.world.run(), k) for k in range(3 if self.pace.cheap else 0)]
        raced = [(s.value, s.seed) for s in change.seen if s.mine and s.block > 0]
        self.repeats.kept(raced, fresh)
        self.parent += 1


@dataclass
class Night:
    ideas: int = 0
    kept: list[tuple[float, str]] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    claimed: float = 0.0
    gain: float = 0.0
    idle: float = 0.0

    @property
    def false(self) -> int:
        return sum(effect <= 0 for effect, _ in self.kept)

    def share(self, kind: str) -> tuple[int, int]:
        """Kept and tried."""
        return sum(k == kind for _, k in self.kept), self.seen.count(kind)


def night(world: World, r: random.Random, proposal_s: float) -> Night:
    """The slot's schedule: a waiting proposal is looked at; else the most promising parked race goes on."""
    told, bench = Night(), Bench(world, Pace(world.run_s, proposal_s))
    ready, pool, unproven = proposal_s, list[Change](), list[Change]()
    while world.time < NIGHT_S:
        resumed = False
        if ready <= world.time:
            if not bench.pace.cheap and len(unproven) >= 6:
                unproven.sort(key=lambda change: -_d(change))
                now = bench.change(sum(change.effect for change in unproven[:6]), "bundle", asked_for=True)
                unproven = unproven[6:]
            else:
                effect, kind = idea(r)
                ready = world.time + proposal_s
                told.ideas += 1
                told.seen.append(kind)
                now = bench.change(effect, kind)
        elif pool:
            now = max(pool, key=_promise)
            pool.remove(now)
            resumed = True
        else:
            world.time = ready
            continue
        while not (decision := bench.judge(now, waiting=ready <= world.time, resumed=resumed)).final:
            if world.time >= NIGHT_S:
                break
            bench.take(now, decision)
        look = decision.verdict.get("look")
        if look is not None and not resumed and now.kind != "bundle":
            bench.repeats.looks.append(look)
        if decision.action == "keep":
            assert decision.estimate is not None
            told.kept.append((now.effect, now.kind))
            told.claimed += decision.estimate
            bench.keep(now)
            for other in pool:
                other.seen = [seen for seen in other.seen if seen.block == 0]
                other.parent = bench.parent
        elif decision.action == "park":
            pool = sorted([*pool, now], key=lambda change: -_promise(change))[:POOL]
        elif decision.action == "discard" and decision.cause in ("unproven", "too_noisy") and now.kind != "bundle":
            if not bench.pace.cheap and _d(now) >= 0.35:
                unproven.append(now)
    told.gain = world.mean
    told.idle = 1 - min(1.0, world.busy / NIGHT_S)
    return told


def _d(change: Change) -> float:
    assert change.last is not None
    return float(change.last.verdict.get("d") or 0.0)


def _promise(change: Change) -> float:
    assert change.last is not None
    return change.last.promise


def tried(
    noise: str, effect: float, count: int, proposal_s: float, *, removed: int = 0, most_runs: int = 30, chain: int = 40
) -> tuple[int, float]:
    """One idea after another on a best that never moves, by runs of one second: how many are kept, and each one's runs.

    Where runs are dear a proposal always waits; where they are cheap none does.
    """
    kept = runs = 0
    for c in range(count // chain):
        world = World(noise, f"{effect} {c}")
        bench = Bench(world, Pace(1.0, proposal_s))
        before = world.runs
        for _ in range(chain):
            change = bench.change(effect, removed=removed)
            while not (decision := bench.judge(change, waiting=not bench.pace.cheap, most_runs=most_runs)).final:
                bench.take(change, decision)
            kept += decision.action == "keep"
        runs += world.runs - before
    return kept, runs / count
