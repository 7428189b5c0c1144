"""What the held-out command says beside the metric. Pure; for people alone, never for agents.

An agent sees the metric and never the holdout, so what it gains on the one and not on the other was fitted to the
metric: its seeds, its data, its measuring.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from autoresearch.state.text import numbers

_NOISES = 2 * math.sqrt(1 + 1 + 1 / 3 + 1 / 4)
"""Two standard errors of the difference between the gains: one holdout run each, three and four runs of the metric."""
_SHARE = 0.25
"""Less than this part of the metric's gain is no gap that grows: a holdout is rarely as large as what is measured."""


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One kept experiment's value of the held-out command, beside its value of the metric."""

    experiment: int
    value: float
    metric: float


@dataclass(frozen=True, slots=True)
class Gap:
    """The gain since the baseline on the metric and on the holdout; positive is better."""

    experiment: int
    gained: float
    held: float
    grows: bool
    text: str


def gap(
    values: Sequence[HeldOut], name: str, direction: Literal["lower", "higher"], sd: float | None, min_effect: float
) -> Gap | None:
    """The last value against the first, the baseline's; None before there are two. `sd`: of one run of the metric."""
    if len(values) < 2:
        return None
    sign = 1.0 if direction == "lower" else -1.0
    first, last = values[0], values[-1]
    gained, held = sign * (first.metric - last.metric), sign * (first.value - last.value)
    lost = gained - held
    grows = lost > max(_NOISES * (sd or 0.0), min_effect, _SHARE * gained, 0.0)
    on_metric, on_holdout = _better(gained, sd), _better(held, sd)
    if grows:
        text = (
            f"The gap to the holdout grows: since the baseline #{last.experiment} is {on_metric} on {name}, "
            f"and {on_holdout} on the holdout."
        )
    else:
        text = f"Holdout: since the baseline #{last.experiment} is {on_holdout} there, and {on_metric} on {name}."
    return Gap(last.experiment, gained, held, grows, text)


def _better(gain: float, sd: float | None) -> str:
    if gain == 0:
        return "no better"
    return f"{'better' if gain > 0 else 'worse'} by {numbers.metric(abs(gain), sd)}"
