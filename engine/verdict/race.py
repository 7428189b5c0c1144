"""One experiment: from the journal to what the rule is asked, and from the verdict to its line. Pure.

The loop asks with its history as it is, `recompute` with the history as it was: both get the same answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autoresearch.engine.verdict import frozen
from autoresearch.engine.verdict import spread as spreads
from autoresearch.engine.verdict.contest import WARM, Contest, Decision, Known, Seen, Terms
from autoresearch.engine.verdict.flags import Flag
from autoresearch.engine.verdict.measured import mean_of, means_of, usable, values_of, violated
from autoresearch.engine.verdict.pace import Pace
from autoresearch.engine.verdict.settings import Settings
from autoresearch.state.journal import History, Open, Repeats, SampleRow, Waiting, records
from autoresearch.state.journal.records import Status


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an experiment line says."""

    status: Status
    cause: str
    reason: str
    decision: Decision | frozen.Decision | None = None


def known_of(history: History) -> Known:
    """What the segment's runs have told."""
    told = history.repeats
    return Known(tuple(told.best), told.since_best, told.neighbours, told.twins, history.estimates)


def repeats_of(values: Sequence[float]) -> Known:
    """What runs of one commit tell by themselves, at seeds that differ."""
    told = Repeats()
    told.baseline([(value, k) for k, value in enumerate(values)])
    return Known(tuple(told.best), 0, told.neighbours, told.twins)


def terms_of(history: History, settings: Settings, pace: Pace, waiting: Waiting, *, think: bool = True) -> Terms:
    """What the next experiment is judged by. `think`: races go on while the agent thinks."""
    header, known = history.header, known_of(history)
    assert header is not None
    measured = [value for value, _ in known.best]
    measured += [row.metric for row in (history.baseline,) if row is not None and row.metric is not None]
    return Terms.at(
        pace, known, history.repeats.looks, direction=settings.direction, odds=settings.odds,
        scale=spreads.scale_of(header.metric_name, header.metric_unit, settings.scale, measured),
        asked_for=bool(waiting.bundle) or waiting.agent == "retry", think=think,
    )  # fmt: skip


def contest_of(history: History, opened: Open, settings: Settings, constraints: Mapping[str, float | str]) -> Contest:
    """An experiment of version 3, open or parked, as the rule sees it."""
    waiting, runs = opened.waiting, [sample for sample in opened.samples if sample.block is not None]
    assert waiting is not None
    mine = [sample for sample in runs if sample.arm == "candidate" and sample.block != WARM]
    return Contest(
        experiment=opened.number,
        parent=opened.parent,
        secret=settings.seed,
        terms=Terms.of_line(opened.terms),
        known=known_of(history),
        seen=[
            Seen(run.arm == "candidate", run.block or 0, run.place or 0, run.seed, run.metric, run.basis)
            for run in runs
            if run.metric is not None and run.cause is None
        ],
        direction=settings.direction,
        mode=settings.mode,
        min_effect=settings.min_effect,
        most_runs=settings.max_runs,
        removed=max(0, -waiting.net_lines),
        bundle=bool(waiting.bundle),
        flags=opened.flags,
        violated=violated(constraints, history.baseline_metrics, means_of(mine)) if mine else "",
    )


def experiment_line(opened: Open, reached: Verdict, touched: Sequence[Flag], segment: int) -> records.Experiment:
    """`touched` is what its diff is flagged for."""
    decision, waiting = reached.decision, opened.waiting
    samples = usable(opened.of("fresh") if reached.status == "keep" else []) or _raced(opened)
    values = values_of(samples)
    unmeasured = not values and reached.status in ("keep", "discard")  # nothing to keep or to discard
    status: Status = "crash" if unmeasured else reached.status
    flags = _flags(opened, decision, touched)
    asi = {"hypothesis": waiting.hypothesis} if waiting and waiting.hypothesis else {}
    if status != "keep":
        asi["rollback_reason"] = reached.reason
    return records.Experiment(
        run=opened.number,
        commit=opened.sha[:7],
        metric=mean_of(values) if values and status != "crash" else 0.0,
        metrics=means_of(samples),
        status=status,
        description=waiting.description if waiting else "baseline",
        segment=segment,
        asi=asi,
        proposal=opened.proposal,
        sha=opened.sha,
        parent=opened.parent,
        cause=reached.cause,
        reason=reached.reason,
        estimate=decision.estimate if decision else None,
        interval=decision.interval if decision else None,
        verdict=decision.verdict if decision else {},
        hypothesis=waiting.hypothesis if waiting else "",
        category=waiting.category if waiting else "",
        files=waiting.files if waiting else (),
        duration_s=sum(sample.duration_s for sample in [*opened.left, *opened.samples]),
        cost_usd=waiting.cost_usd if waiting else None,
        warnings=(*_warnings(waiting), *(flag.text for flag in flags)),
        flags=tuple(flag.code for flag in flags),
    )


def _raced(opened: Open) -> list[SampleRow]:
    """The candidate's runs that its value is told by: those of its race, and only where there are none, its looks."""
    runs = [sample for sample in usable(opened.of("candidate")) if sample.block != WARM]
    return [sample for sample in runs if sample.block] or runs


def _flags(opened: Open, decision: Decision | frozen.Decision | None, touched: Sequence[Flag]) -> tuple[Flag, ...]:
    """Those it was judged with."""
    jump = (decision.jump,) if decision is not None and decision.jump is not None else ()
    return (*jump, *(flag for flag in touched if flag.code in opened.flags))


def _warnings(waiting: Waiting | None) -> tuple[str, ...]:
    if waiting is None or not waiting.dropped:
        return ()
    return (f"not taken, outside the scope: {', '.join(waiting.dropped)}",)
