"""Limits: each pauses with a reason and a way to go on; none of them at 0."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

from autoresearch.engine.limits import Progress, Reached, deadline, environment_suspect, reached, stagnant
from autoresearch.state.config import Limits, Metric

ZONE = timezone(timedelta(hours=2))
START = datetime(2026, 3, 28, 23, 0, tzinfo=ZONE)
LOSS = Metric("loss")
NO_LIMITS = Limits(dollars=0)

BUSY = Progress(
    SimpleNamespace(  # type: ignore[arg-type]
        measured=500, running_ms=900 * 3_600_000, cost_usd=5000.0, tokens=10**9, since_keep=400,
        incumbent=SimpleNamespace(metric=0.5),
    ),
    started=START, now=START + timedelta(days=40), free_mb=5000, call_experiments=500,
)  # fmt: skip


def but(progress: Progress, *, now: datetime | None = None, **facts: object) -> Progress:
    """The same with other facts in its history."""
    history = SimpleNamespace(**{**vars(progress.history), **facts})
    return replace(progress, history=history, now=now or progress.now)  # type: ignore[arg-type]


QUIET = replace(
    but(BUSY, measured=1, running_ms=360_000, now=START, cost_usd=0.0, tokens=0, since_keep=0), call_experiments=1
)


def test_without_limits_nothing_stops_a_session() -> None:
    assert reached(BUSY, NO_LIMITS, LOSS) is None


@pytest.mark.parametrize(
    ("limits", "at", "before", "limit", "reason"),
    [
        (Limits(experiments=8), {"measured": 8}, {"measured": 7}, "experiments", "experiment limit reached (8)"),
        (
            Limits(hours=2.5),
            {"running_ms": 9_000_000},
            {"running_ms": 8_640_000},
            "hours",
            "time limit reached (2.5 hours)",
        ),
        (
            Limits(dollars=10),
            {"cost_usd": 10.004},
            {"cost_usd": 9.999},
            "dollars",
            "dollar limit reached ($10.00 of $10.00 spent)",
        ),
        (
            Limits(tokens=10**6),
            {"tokens": 1_200_000},
            {"tokens": 999_999},
            "tokens",
            "token limit reached (1,200,000 of 1,000,000)",
        ),
        (Limits(hours=1), {"running_ms": 3_600_000}, {"running_ms": 3_564_000}, "hours", "time limit reached (1 hour)"),
        (Limits(no_keep=20), {"since_keep": 20}, {"since_keep": 19}, "no_keep", "no keep in 20 experiments"),
        (
            Limits(until="07:30"),
            {"now": datetime(2026, 3, 29, 7, 30, tzinfo=ZONE)},
            {"now": datetime(2026, 3, 29, 7, 29, 59, tzinfo=ZONE)},
            "until",
            "time of day reached (07:30)",
        ),
    ],
)
def test_a_limit_is_reached_exactly(
    limits: Limits, at: dict[str, object], before: dict[str, object], limit: str, reason: str
) -> None:
    found = reached(but(QUIET, **at), limits, LOSS)  # type: ignore[arg-type]
    assert found is not None
    assert (found.limit, found.reason) == (limit, reason)
    assert "autoresearch " in found.fix
    assert reached(but(QUIET, **before), limits, LOSS) is None  # type: ignore[arg-type]


def test_max_experiments_counts_what_this_call_finished() -> None:
    fix = "raise it with `autoresearch limit experiments N`, or run again with --max-experiments"
    progress = replace(but(QUIET, measured=30), call_experiments=8, max_experiments=8)
    assert reached(progress, NO_LIMITS, LOSS) == Reached("experiments", "experiment limit reached (8)", fix)
    assert reached(replace(progress, call_experiments=7), NO_LIMITS, LOSS) is None
    assert reached(replace(progress, call_experiments=0, max_experiments=0), NO_LIMITS, LOSS) is not None


@pytest.mark.parametrize(
    ("direction", "best", "met"),
    [
        ("lower", 0.9, True),
        ("lower", 0.91, False),
        ("higher", 0.9, True),
        ("higher", 0.89, False),
        ("lower", None, False),
    ],
)
def test_the_goal(direction: str, best: float | None, met: bool) -> None:
    metric = Metric("score", direction, goal=0.9)  # type: ignore[arg-type]
    found = reached(but(QUIET, incumbent=best and SimpleNamespace(metric=best)), NO_LIMITS, metric)
    assert (found is not None and found.limit == "goal") is met


def test_a_goal_of_zero_is_a_goal() -> None:
    assert reached(but(QUIET, incumbent=SimpleNamespace(metric=0.0)), NO_LIMITS, Metric("errors", goal=0.0)) is not None


def test_a_nearly_full_disk_comes_before_everything_else() -> None:
    found = reached(replace(BUSY, free_mb=1999), Limits(experiments=1), LOSS)
    assert found is not None
    assert found.limit == "disk"
    assert found.reason == "only 1,999 MB of disk are free"
    named = reached(replace(BUSY, free_mb=1999, free_at="/scratch"), Limits(experiments=1), LOSS)
    assert named is not None
    assert named.reason == "only 1,999 MB of disk are free at /scratch"
    assert reached(replace(BUSY, free_mb=1999), NO_LIMITS, LOSS, least_free_mb=1000) is None


@pytest.mark.parametrize(
    ("started", "until", "end"),
    [
        (datetime(2026, 11, 20, 23, 0), "07:30", datetime(2026, 11, 21, 7, 30)),
        (datetime(2026, 11, 20, 7, 29), "07:30", datetime(2026, 11, 20, 7, 30)),
        (datetime(2026, 11, 20, 7, 30), "07:30", datetime(2026, 11, 21, 7, 30)),
        (datetime(2026, 12, 31, 12, 0), "7:30", datetime(2027, 1, 1, 7, 30)),
        (datetime(2026, 12, 31, 12, 0), "", None),
    ],
)
def test_until_is_the_next_such_time_after_the_start(started: datetime, until: str, end: datetime | None) -> None:
    assert deadline(started.replace(tzinfo=ZONE), until) == end


def test_until_follows_the_wall_clock_through_a_clock_change() -> None:
    """At night the clocks went forward: 07:30 by the clock is half an hour of running earlier or later, never 08:30."""
    now = datetime(2026, 3, 29, 7, 30, tzinfo=timezone(timedelta(hours=3)))
    found = reached(but(QUIET, now=now), replace(NO_LIMITS, until="07:30"), LOSS)
    assert found is not None
    assert found.limit == "until"


def test_stagnation_and_crash_streaks() -> None:
    assert [stagnant(since, 20) for since in (0, 19, 20, 21)] == [False, False, True, True]
    assert not stagnant(1000, 0)
    assert [streak for streak in range(12) if environment_suspect(streak)] == [5, 10]
