"""From a verdict to the experiment's line. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autoresearch.engine.verdict import rule
from autoresearch.engine.verdict.arguments import good, mean_of, means_of, values_of
from autoresearch.engine.verdict.flags import Flag
from autoresearch.state.journal import Open, Waiting, records
from autoresearch.state.journal.records import Status


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an experiment line says."""

    status: Status
    cause: str
    reason: str
    decision: rule.Decision | None = None


def experiment_line(
    opened: Open, waiting: Waiting | None, reached: Verdict, touched: Sequence[Flag], segment: int
) -> records.Experiment:
    """`waiting` is the proposal, None for a baseline; `touched` what its diff is flagged for."""
    decision = reached.decision
    samples = good(opened.of("fresh") if reached.status == "keep" else []) or good(opened.of("candidate"))
    values = values_of(samples)
    status = _status(reached, bool(values))
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
        duration_s=sum(sample.duration_s for sample in opened.samples),
        cost_usd=waiting.cost_usd if waiting else None,
        warnings=(*_warnings(waiting), *(flag.text for flag in flags)),
        flags=tuple(flag.code for flag in flags),
    )


def _status(reached: Verdict, measured: bool) -> Status:
    """Without a value there is nothing to keep or to discard."""
    return "crash" if not measured and reached.status in ("keep", "discard") else reached.status


def _flags(opened: Open, decision: rule.Decision | None, touched: Sequence[Flag]) -> tuple[Flag, ...]:
    """Those it was judged with."""
    jump = (decision.jump,) if decision is not None and decision.jump is not None else ()
    return (*jump, *(flag for flag in touched if flag.code in opened.flags))


def _warnings(waiting: Waiting | None) -> tuple[str, ...]:
    if waiting is None or not waiting.dropped:
        return ()
    return (f"not taken, outside the scope: {', '.join(waiting.dropped)}",)
