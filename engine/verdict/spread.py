"""How far runs of one commit lie apart, where the best stands, and on which scale. Pure; lower values are better here.

None of it can let luck into a keep: a wrong spread or level costs power alone (`blocks`). So both are made of medians,
which one diverging run does not move, and of neighbours, which a slow drift does not widen.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Literal

from autoresearch.engine.verdict.noise import low_median, mean, median
from autoresearch.state.text import numbers

LEVEL_RUNS = 6
"""The best's level is the median of so many of its last runs."""
ENTER = 2.0
"""While a proposal waits, a first look must be so many sd better to be raced at once ..."""
TOP = 0.98
"""... and among the best 2% of the last LOOKS first looks, so that a spread set too small cannot fill the night."""
LOOKS = 60
SEEDS_DECIDE = 0.5
"""From this share of the variance on that lies between seeds, both arms of a block run the same seeds."""

Scale = Literal["linear", "ratio"]

_MOST_LOOK, _LEAST_LOOK = 8.0, -4.0
_NO_LOOKS = (-1.9, -1.26, -0.9, -0.6, -0.35, -0.12, 0.12, 0.35, 0.6, 0.9, 1.26, 1.9)
"""Twelve normal quantiles, which stand in for looks not taken yet."""
_MOVED = 2.0
_RATIO_UNITS = frozenset(
    "s sec secs seconds ms milliseconds us µs microseconds ns nanoseconds min minutes h hours time latency duration "
    "b bytes kb kib mb mib gb gib size memory rate throughput qps rps fps speed speedup hz mhz per".split()
)
"""Words of a metric's name or unit that tell a time, a size, a rate or a throughput: there, gains are ratios."""


# -- on which scale


def scale_of(name: str, unit: str, wanted: str, values: Sequence[float]) -> Scale:
    """`wanted` is `metric.scale`; "auto" is the ratio of positive values that are times, rates or sizes by their name,
    or that have moved by more than a factor of two."""
    if wanted == "linear" or not values or min(values) <= 0:
        return "linear"
    if wanted == "ratio" or max(values) > _MOVED * min(values):
        return "ratio"
    words = {unit.lower(), *unit.lower().split("/"), *name.lower().replace("-", "_").split("_")}
    return "ratio" if words & _RATIO_UNITS else "linear"


def scaled(value: float, scale: Scale, direction: str) -> float:
    """A metric's value where lower is better and equal steps matter equally."""
    held = numbers.cut(value) if scale == "linear" else math.log(max(numbers.cut(value), sys.float_info.min))
    return held if direction == "lower" else -held


def step_of(amount: float, level: float, scale: Scale, direction: str) -> float:
    """How far apart on the scale `level` lies from what is better than it by `amount` of the metric's unit."""
    better = level - amount if direction == "lower" else level + amount
    return abs(scaled(level, scale, direction) - scaled(better, scale, direction))


# -- spread


def spread(differences: Sequence[float]) -> float:
    """Sd of one run from |differences| of two runs of one commit: median / (0.6745 sqrt 2). 0 where all agree.

    The low median: of the six differences of four runs three are free of an outlier, so one does not blind the night
    (as Qn of P. Rousseeuw and C. Croux, 1993). Where most runs agree (scores such as 17/20) the mean takes over: the
    mean |difference| of two normals is 2 sd / sqrt(pi).
    """
    if not differences:
        return 0.0
    middle = low_median(differences)
    return 1.0483 * middle if middle > 0 else 0.8862 * mean(differences)


def seed_share(other_seeds: Sequence[float], same_seed: Sequence[float]) -> float:
    """Which part of the variance lies between seeds, from |differences| of one commit's runs; 0 where unknown.

    The same seed must have been run twice, with two seeds at least.
    """
    if len(same_seed) < 2 or not other_seeds:
        return 0.0
    between = mean([x * x for x in other_seeds])
    within = mean([x * x for x in same_seed])
    return max(0.0, 1 - within / between) if between > 0 else 0.0


def seeds_decide(other_seeds: Sequence[float], same_seed: Sequence[float]) -> bool:
    """Whether both arms must run the same seeds: seeds make half of the variance, by five pairs; fewer must agree
    better.

    Without any effect of the seed, two pairs are five times closer than the others by luck in one of six cases (the F
    distribution). That costs little: a block of pairs is as telling, but gives 8 to 1 at most.
    """
    return seed_share(other_seeds, same_seed) >= max(SEEDS_DECIDE, 1 - 0.1 * len(same_seed))


# -- level and first look


def level(best: Sequence[float]) -> tuple[float, int]:
    """The median of the last runs of the best, and how many they are."""
    recent = best[-LEVEL_RUNS:]
    return median(recent), len(recent)


def first_look(value: float, middle: float, s: float) -> float:
    """How many sd better than the best's recent level one run is."""
    if s > 0:
        return max(_LEAST_LOOK, min(_MOST_LOOK, (middle - value) / s))
    return _MOST_LOOK if value < middle else 0.0 if value == middle else _LEAST_LOOK


def entry_line(looks: Sequence[float]) -> float:
    """What a first look must reach while a proposal waits."""
    known = sorted((*_NO_LOOKS, *looks)[-LOOKS:])
    at = TOP * (len(known) - 1)
    low = math.floor(at)
    high = known[min(low + 1, len(known) - 1)]
    return max(ENTER, known[low] + (at - low) * (high - known[low]))
