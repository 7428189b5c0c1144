"""Randomised blocks: a change races the best in an order that nobody can know. Evidence in, odds out. Pure.

What may be better is raced in blocks of six runs, three of the change and three of the best, in an order drawn at
random (`draw`). If the change makes no difference, each of the 20 orders was equally likely to go with the six values
seen, whatever the noise is like: drift, skew, bursts, two regimes, ties. A block's e-value

    E = exp(delta * sum of u over the change's runs) / mean over the 20 orders of the same          (`block_evidence`)

has mean 1 then, and mean <= 1 if the change is worse. Blocks multiply, so by Ville's inequality

    P(odds ever reached | no better) <= 1 / odds,

however often one looks, pauses or goes on later. The spread s, the first look, the level of the best and the stakes on
each delta set the power alone: if they are wrong, gains are missed, but no luck gets in. (Randomised order: R. A.
Fisher, "The Design of Experiments", 1935. E-values of permutation tests: N. Koning, "Post-hoc and anytime valid
inference for group invariance", arXiv 2310.01153. Bets on randomised labels: F. Zampieri, arXiv 2512.04366. Ville: G.
Shafer and V. Vovk, "Game-Theoretic Foundations for Probability and Finance", 2019.)

Where seeds decide the value, a block is three pairs: three seeds, each run by both arms, the first arm drawn. The eight
ways to draw them take the place of the 20 orders (`pair_evidence`; B. Efron, "Student's t-test under symmetry
conditions", 1969).

Unlike a likelihood ratio against the mean of earlier runs of the best, this needs no stationarity: each block brings
its own runs of the best. Two things it does not cover: a candidate that changes the machine for the next run (a
carry-over), and a change that alters the shape of the noise but not its place; there "better" means "more often better
in a block".

An incomplete block must be completed, never replaced: to abandon a block that looks bad and to draw a new one would let
luck in. When the best changes, a race starts afresh at odds 1, and counts as another race.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations, product
from typing import TYPE_CHECKING, NamedTuple

from autoresearch.engine.verdict.noise import mean, median

if TYPE_CHECKING:
    from autoresearch.state.journal.records import Header

HALF = 3
"""Runs of each arm in a block. 20 orders: one block in which all three are clearly better gives almost 20 to 1."""
SIZE = 2 * HALF
EFFECTS = (0.5, 1.0, 2.0, 4.0)
"""The gains that a block bets on, in sd of one run (of one pair's difference, in blocks of pairs)."""
SHARED = 0.2
"""This part of the stake is spread evenly over EFFECTS; the rest follows the first look."""
CAP = 2.0
"""Values count up to so many sd from their block's median, so that one outlier cannot decide a block."""
_MOST_STAKED = 6.0


# -- what is drawn


class Place(NamedTuple):
    """One of the six runs of a block."""

    mine: bool
    """Whether it is the change's."""
    seed: int
    """Of 31 bits, which every random number generator takes."""


@lru_cache(maxsize=512)
def draw(secret: str, experiment: int, parent: str, block: int, *, paired: bool = False) -> tuple[Place, ...]:
    """A block's six runs: one of the 20 orders and six seeds, or three seeds twice with the first arm of each drawn.

    From a hash, so that a journal replays. `secret` is drawn when the segment begins and stands in its header; no
    candidate can know it. Seeds belong to places, never to an arm.
    """
    digest = hashlib.sha256(f"{secret}:{experiment}:{parent}:{block}".encode()).digest()
    number = int.from_bytes(digest[:8], "big")
    seeds = [int.from_bytes(digest[at : at + 4], "big") >> 1 for at in range(8, 32, 4)]
    if paired:
        first = [bool(number >> pair & 1) for pair in range(HALF)]
        return tuple(Place(mine, seeds[pair]) for pair in range(HALF) for mine in (first[pair], not first[pair]))
    chosen = _orders()[number % len(_orders())]
    return tuple(Place(place in chosen, seeds[place]) for place in range(SIZE))


def seed_alone(header: Header, sha: str, k: int, *, baseline: bool) -> int:
    """The seed of a commit's k-th run outside all contests, which no race has used.

    A baseline runs two seeds twice, then the next two: that shows what seeds decide.
    """
    turn = (k - 1) // 4 * 2 + (k - 1) % 2 if baseline else k
    return draw(str(header.verdict.get("seed", "")), turn, sha, 0)[0].seed


@lru_cache(maxsize=1)
def _orders() -> tuple[frozenset[int], ...]:
    return tuple(frozenset(chosen) for chosen in combinations(range(SIZE), HALF))


# -- what a block says


def stakes(look: float | None, runs: int) -> tuple[float, ...]:
    """The stake on each of EFFECTS: how well it explains the first look, N(look; effect, 1 + 1/runs).

    `runs` is of how many runs the level was that it was compared with; 0 for the one value at the same seed.
    """
    even = 1 / len(EFFECTS)
    if look is None:
        return (even,) * len(EFFECTS)
    z, variance = min(look, _MOST_STAKED), _variance(runs)
    fits = [math.exp(-((z - effect) ** 2) / (2 * variance)) for effect in EFFECTS]
    total = math.fsum(fits)
    return tuple((1 - SHARED) * (fit / total if total > 0 else even) + SHARED * even for fit in fits)


def _variance(runs: int) -> float:
    return 1 + (1 / runs if runs else 0.0)


@lru_cache(maxsize=512)
def block_evidence(
    values: tuple[float, ...], mine: tuple[bool, ...], s: float, margin: float = 0.0
) -> tuple[float, ...]:
    """log E of one complete block for each of EFFECTS; lower values are better.

    u = (the block's median - value) / s, cut at CAP. With a `margin` it is evidence against "worse by the margin or
    more": the change's values are made better by it first.
    """
    moved = [value - margin if is_mine else value for value, is_mine in zip(values, mine, strict=True)]
    middle = median(moved)
    u = [_capped(middle - value, s) for value in moved]
    ours = [place for place, is_mine in enumerate(mine) if is_mine]
    if len(ours) != HALF or len(u) != SIZE:
        raise ValueError("a block has three runs of each arm")
    sums = [math.fsum(u[place] for place in chosen) for chosen in _orders()]
    return _logs(math.fsum(u[place] for place in ours), sums)


@lru_cache(maxsize=512)
def pair_evidence(differences: tuple[float, ...], s: float, margin: float = 0.0) -> tuple[float, ...]:
    """The same of three pairs that ran the same seeds; `differences` are by how much the change was better in each.

    u = difference / s, cut at CAP; s is the sd of such a difference.
    """
    u = [_capped(each + margin, s) for each in differences]
    sums = [
        math.fsum(sign * each for sign, each in zip(signs, u, strict=True)) for signs in product((1, -1), repeat=HALF)
    ]
    return _logs(math.fsum(u), sums)


def _capped(difference: float, s: float) -> float:
    if s > 0:
        return max(-CAP, min(CAP, difference / s))
    return CAP if difference > 0 else -CAP if difference < 0 else 0.0


def _logs(seen: float, sums: Sequence[float]) -> tuple[float, ...]:
    """log of exp(effect * seen) over the mean of exp(effect * sum) for all sums that could have been drawn."""
    return tuple(
        math.log(len(sums)) - math.log(math.fsum(math.exp(effect * (each - seen)) for each in sums))
        for effect in EFFECTS
    )


def combined(staked: Sequence[float], logs: Sequence[float]) -> float:
    """log of the sum of stake * E, the wealth of a race."""
    top = max(logs)
    return top + math.log(math.fsum(stake * math.exp(log - top) for stake, log in zip(staked, logs, strict=True)))


# -- a race


@dataclass(slots=True)
class Block:
    """Six runs in the order drawn, as far as they have been taken."""

    mine: tuple[bool, ...]
    s: float
    """The spread as it was when the block began."""
    values: list[float] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        return len(self.values) == SIZE

    def of(self, mine: bool) -> list[float]:
        return [value for value, is_mine in zip(self.values, self.mine, strict=False) if is_mine is mine]

    @property
    def differences(self) -> tuple[float, ...]:
        """Of pairs that are complete: by how much the change's run was better."""
        pairs = zip(self.values[::2], self.values[1::2], self.mine[::2], strict=False)
        return tuple(second - first if first_is_mine else first - second for first, second, first_is_mine in pairs)


@dataclass(slots=True)
class Race:
    """One change against one best: its first look, complete blocks and the block under way. Lower values are better."""

    look: float | None = None
    look_runs: int = 0
    paired: bool = False
    blocks: list[Block] = field(default_factory=list)
    change: list[float] = field(default_factory=list)
    best: list[float] = field(default_factory=list)
    """The runs of each arm in all blocks."""

    def begin(self, mine: Sequence[bool], s: float) -> None:
        if self.under_way is not None:
            raise ValueError("a block must be completed, never replaced")
        self.blocks.append(Block(tuple(mine), s))

    def add(self, value: float) -> None:
        """The next run of the block under way."""
        block = self.blocks[-1]
        (self.change if block.mine[len(block.values)] else self.best).append(value)
        block.values.append(value)

    @property
    def under_way(self) -> Block | None:
        return self.blocks[-1] if self.blocks and not self.blocks[-1].complete else None

    @property
    def complete(self) -> list[Block]:
        return self.blocks[:-1] if self.under_way is not None else self.blocks

    @property
    def runs(self) -> int:
        return len(self.change) + len(self.best)

    @property
    def s(self) -> float | None:
        """The spread that the last block began with."""
        return self.blocks[-1].s if self.blocks else None

    def stakes(self, margin: float = 0.0) -> tuple[float, ...]:
        """`margin` in sd."""
        return stakes(None if self.look is None else self.look + margin, self.look_runs)

    def log_evidence(self, least_margin: float | None = None) -> float:
        """Of the complete blocks, against "no better"; with a margin, against "worse by max(margin, s) or more"."""
        logs = [0.0] * len(EFFECTS)
        for block in self.complete:
            margin = 0.0 if least_margin is None else max(least_margin, block.s)
            if self.paired:
                found = pair_evidence(block.differences, block.s, margin)
            else:
                found = block_evidence(tuple(block.values), block.mine, block.s, margin)
            logs = [log + each for log, each in zip(logs, found, strict=True)]
        in_sd = 0.0 if least_margin is None else self._in_sd(least_margin)
        return combined(self.stakes(in_sd), logs)

    def _in_sd(self, least_margin: float) -> float:
        s = self.blocks[0].s if self.blocks else 0.0
        return max(least_margin / s, 1.0) if s > 0 else 1.0

    def comparisons(self) -> Iterator[int]:
        """Of each comparison inside complete blocks, twice how much of it the change won: 2, 1 for a tie, 0."""
        for block in self.complete:
            if self.paired:
                differences = list(block.differences)
            else:
                differences = [b - a for a in block.of(True) for b in block.of(False)]
            yield from ((d > 0) + (d >= 0) for d in differences)

    def difference(self) -> float | None:
        """How much better the change is in the race, in the scale's unit; the first look is not in it."""
        if self.paired:
            found = [d for block in self.blocks for d in block.differences]
            return mean(found) if found else None
        if not self.change or not self.best:
            return None
        return mean(self.best) - mean(self.change)

    def estimate(self, s: float) -> tuple[float, float]:
        """(d, se) in units of s, from the race; until its first block is complete, the first look counts as well.

        A look that was passed because it was good is luck in part, and the level it was compared with is old.
        """
        found = weight = 0.0
        difference = self.difference()
        if difference is not None:
            w = self._weight()
            found, weight = w * difference / s, w
        if self.look is not None and not self.complete:
            w = 1 / _variance(self.look_runs)
            found, weight = found + w * self.look, weight + w
        return (found / weight, weight**-0.5) if weight else (0.0, math.inf)

    def _weight(self) -> float:
        if self.paired:
            return float(sum(len(block.differences) for block in self.blocks))
        return 1 / (1 / len(self.change) + 1 / len(self.best))


def shrunk(difference: float, s: float, runs: int) -> float:
    """What to report of a kept gain until later runs of it exist: a stopped race overstates.

    d / (1 + 2 (se/d)^2) with se^2 = 2 s^2 / runs of the smaller arm.
    """
    return difference / (1 + 4 * s * s / (runs * difference * difference)) if difference else 0.0
