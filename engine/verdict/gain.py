"""What was gained, and what keeping every better number would have claimed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from autoresearch.engine.verdict.noise import student_t
from autoresearch.state.journal import History, Row, read_objects
from autoresearch.state.journal.records import Direction
from autoresearch.state.session import Session


def gain_of(session: Session, history: History) -> dict[str, Any]:
    """How much better the best is than the baseline of its segment; positive is better. 95%, by Student's t."""
    best = history.by_number.get(history.incumbent.number) if history.incumbent else None
    base = history.baseline
    if best is None or base is None or best is base or best.metric is None or base.metric is None:
        return {"estimate": None, "interval": None}
    sign = 1.0 if history.header is None or history.header.direction == "lower" else -1.0
    half = None
    runs_best, runs_base = runs_behind(session, best), runs_behind(session, base)
    if (sd := history.spread.sd) is not None and runs_best and runs_base:
        half = student_t(history.spread.nu) * sd * math.sqrt(1 / runs_best + 1 / runs_base)
    return {"estimate": sign * (base.metric - best.metric), "interval": half}


def runs_behind(session: Session, row: Row) -> int:
    """How many samples an experiment's reported metric is the mean of."""
    arms = [
        data.get("arm")
        for _, data in read_objects(session.journal, max(0, row.intent_at), row.line_at)
        if data.get("type") == "sample" and data.get("experiment") == row.number and not data.get("cause")
    ]
    return arms.count("fresh") or arms.count("candidate")


def keep_if_better(history: History) -> dict[str, Any]:
    """What a loop that keeps every single better run would have kept and claimed, from the first samples on record.

    It starts from the baseline's first run, as such a loop does. Crashes and failed guards are left out.
    """
    base = history.baseline.first if history.baseline else None
    if base is None:
        return {"kept": None, "claimed": None}
    firsts = [
        row.first
        for row in history.rows
        if row.segment == history.segment and row.cause != "baseline" and row.status in ("keep", "discard")
    ]
    direction = history.header.direction if history.header is not None else "lower"
    kept, claimed = kept_and_claimed(firsts, base, direction)
    return {"kept": kept, "claimed": claimed}


def kept_and_claimed(first_samples: Sequence[float | None], baseline: float, direction: Direction) -> tuple[int, float]:
    """The keeps of such a loop, by one run each and against the record, and the gain that it would claim."""
    sign = 1.0 if direction == "lower" else -1.0
    record, kept = sign * baseline, 0
    for sample in first_samples:
        if sample is not None and sign * sample < record:
            record, kept = sign * sample, kept + 1
    return kept, sign * baseline - record
