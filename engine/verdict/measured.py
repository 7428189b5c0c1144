"""What samples come to: values, means, the constraints they keep, the baseline in a sentence. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from autoresearch.engine.verdict.noise import mean
from autoresearch.state.config import bound
from autoresearch.state.journal import SampleRow
from autoresearch.state.text import numbers


def usable(samples: list[SampleRow]) -> list[SampleRow]:
    return [sample for sample in samples if sample.cause is None and sample.metric is not None]


def values_of(samples: list[SampleRow]) -> list[float]:
    return [sample.metric for sample in samples if sample.cause is None and sample.metric is not None]


def mean_of(values: list[float]) -> float:
    return mean([numbers.cut(value) for value in values])


def means_of(samples: list[SampleRow]) -> dict[str, float]:
    """Means of every metric that all of the samples have."""
    measured = usable(samples)
    names = set.intersection(*(set(sample.metrics) for sample in measured)) if measured else ()
    return {name: mean_of([sample.metrics[name] for sample in measured]) for name in sorted(names)}


def violated(constraints: Mapping[str, float | str], baseline: Mapping[str, float], means: Mapping[str, float]) -> str:
    """Which constraints the means exceed, as part of a sentence; "" when none. A missing metric exceeds its limit.

    `constraints` are as the config writes them. Raises ValueError when the baseline lacks a metric a factor needs.
    """
    broken = []
    for name, text in constraints.items():
        limit = bound(text)
        if limit.of_baseline and name not in baseline:
            raise ValueError(
                f"constraints.{name} is relative to the baseline, which has no {name}: print it, or remove it"
            )
        value, base = means.get(name), baseline.get(name, 0.0)
        if value is None:
            broken.append(f"{name} has no value")
        elif not limit.holds(value, base):
            most, side = limit.limit(base), "above" if limit.upper else "below"
            shown = numbers.metric(value, abs(value - most) or None)  # with enough digits to be told from its limit
            broken.append(f"{name} {shown} is {side} its limit of {numbers.metric(most)}")
    return " and ".join(broken)


def rank_unproven(pool: Mapping[int, tuple[float, int]]) -> list[int]:
    """Experiments whose changes may be small gains, by (estimate, runs) of each, best first; on a tie the older."""
    return sorted(pool, key=lambda number: (-pool[number][0], number))


def describe_baseline(values: Sequence[float], spread: float) -> str:
    """The baseline's sentence; `spread` is the standard deviation of its runs."""
    if len(values) == 1:
        return f"{numbers.metric(values[0])} in 1 run"
    if all(value == values[0] for value in values):
        return f"{numbers.metric(values[0])} in each of {len(values)} runs: no noise"
    noise = numbers.metric(spread, spread)
    return f"{numbers.metric(mean(values), spread)} on average of {len(values)} runs, which differ by {noise} (one sd)"
