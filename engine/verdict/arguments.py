"""From the read model to the rule: the arguments of `judge` for the open experiment.

The loop asks with its history as it is, `recompute` with the history as it was: both give the same answers.
"""

from __future__ import annotations

from collections.abc import Mapping

from autoresearch.engine.verdict import rule
from autoresearch.engine.verdict.noise import Noise, mean
from autoresearch.state.journal import History, Open, SampleRow
from autoresearch.state.text import numbers


def noise_of(history: History) -> Noise:
    """What the open experiment is judged by: the noise its intent holds, whatever has been learned since.

    A line of an older version holds none; then it is the segment's as it is now.
    """
    spread = history.spread
    if history.open is not None and history.open.noise is not None:
        spread = history.open.noise
    return Noise(ss=spread.ss, nu=spread.nu, identical=spread.identical)


def judge_open(
    history: History, noise: Noise, settings: rule.Settings, constraints: Mapping[str, float | str]
) -> rule.Decision:
    """What the open experiment's samples so far mean."""
    opened, waiting = history.open, history.opened_proposal
    assert opened is not None
    assert waiting is not None
    samples = opened.of("candidate")
    limits = rule.constraint_limits(constraints, history.baseline_metrics)
    return rule.judge(
        values_of(samples),
        history.incumbent_values(),
        noise,
        settings,
        between=_incumbent_last(opened),
        net_lines=waiting.net_lines,
        bundle=bool(waiting.bundle),
        violated=rule.violated(limits, means_of(samples)) if samples else "",
        flags=opened.flags,
        earlier=history.estimates,
        version=opened.version,
    )


def good(samples: list[SampleRow]) -> list[SampleRow]:
    return [sample for sample in samples if sample.cause is None and sample.metric is not None]


def values_of(samples: list[SampleRow]) -> list[float]:
    return [sample.metric for sample in samples if sample.cause is None and sample.metric is not None]


def mean_of(values: list[float]) -> float:
    return mean([numbers.cut(value) for value in values])


def means_of(samples: list[SampleRow]) -> dict[str, float]:
    """Means of every metric that all of the samples have."""
    usable = good(samples)
    if not usable:
        return {}
    names = set.intersection(*(set(sample.metrics) for sample in usable))
    return {name: mean_of([sample.metrics[name] for sample in usable]) for name in sorted(names)}


def _incumbent_last(opened: Open) -> bool:
    """Whether the last sample with a value is the incumbent's."""
    usable = good(opened.samples)
    return bool(usable) and usable[-1].arm == "incumbent"
