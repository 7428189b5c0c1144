"""When a session pauses by itself, and when it should change its tune. Pure: the clock and the disk are arguments.

Limits are looked at between experiments, never inside one. Each names its reason and the way to go on. Stagnation is no
limit: it changes what the agent is asked for, because those who stop at a plateau miss the breakthrough behind it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from autoresearch.engine.files import LEAST_FREE_MB
from autoresearch.state import config as configs
from autoresearch.state.config import Config, Limits, Metric
from autoresearch.state.journal import History
from autoresearch.state.text import numbers

CRASHES_UNTIL_CHECK = 5


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a session stands. `started` and `now` are aware local times."""

    experiments: int
    """Finished in this session, the baseline included."""
    call_experiments: int
    """Finished by this call."""
    max_experiments: int | None
    """This call's `--max-experiments`."""
    hours: float
    """Of a running engine, over all calls."""
    started: datetime
    """When this engine started."""
    now: datetime
    dollars: float
    tokens: int
    best: float | None
    """The incumbent's value."""
    since_keep: int
    free_mb: float
    """On the fullest of the file systems that are written to."""
    free_at: str = ""
    """A folder on that file system."""


@dataclass(frozen=True, slots=True)
class Reached:
    """Why the session pauses. `limit` is the key of `[limits]`, or `goal` or `disk`."""

    limit: str
    reason: str
    fix: str


def reached(progress: Progress, limits: Limits, metric: Metric, least_free_mb: float = LEAST_FREE_MB) -> Reached | None:
    """The first limit that is reached; a limit of 0 (or "") is none."""
    return next(_reached(progress, limits, metric, least_free_mb), None)


def stagnant(since_keep: int, after: int) -> bool:
    """Whether the brief should ask for a mechanistically different direction."""
    return 0 < after <= since_keep


def environment_suspect(crash_streak: int) -> bool:
    """After every fifth crash in a row the incumbent is measured: if it crashes too, the environment broke."""
    return crash_streak > 0 and crash_streak % CRASHES_UNTIL_CHECK == 0


def deadline(started: datetime, until: str) -> datetime | None:
    """The first local time `until` ("07:30") after `started`, as a naive wall-clock time; None for ""."""
    if not until:
        return None
    wall = started.replace(tzinfo=None)
    today = datetime.combine(wall.date(), time.fromisoformat(until.zfill(5)))
    return today if today > wall else today + timedelta(days=1)


def _reached(progress: Progress, limits: Limits, metric: Metric, least_free_mb: float) -> Iterator[Reached]:
    if progress.free_mb < least_free_mb:
        free, least = numbers.metric(round(progress.free_mb)), numbers.metric(least_free_mb)
        at = f" at {progress.free_at}" if progress.free_at else ""
        yield Reached(
            "disk",
            f"only {free} MB of disk are free{at}",
            f"free at least {least} MB there, then `autoresearch resume`",
        )
    if metric.goal is not None and progress.best is not None and _goal_met(progress.best, metric.goal, metric):
        best, goal = numbers.metric(progress.best), numbers.metric(metric.goal)
        fix = "set another metric.goal in autoresearch.toml, or remove it, then `autoresearch resume`"
        yield Reached("goal", f"goal reached ({metric.name} {best}, goal {goal})", fix)
    if progress.max_experiments is not None and progress.call_experiments >= progress.max_experiments:
        yield _experiments(progress.max_experiments)
    if 0 < limits.experiments <= progress.experiments:
        yield _experiments(limits.experiments)
    if 0 < limits.hours <= progress.hours:
        yield Reached(
            "hours",
            f"time limit reached ({limits.hours:g} {'hour' if limits.hours == 1 else 'hours'})",
            _raise("hours"),
        )
    if (end := deadline(progress.started, limits.until)) and progress.now.replace(tzinfo=None) >= end:
        fix = "`autoresearch resume` goes on until then tomorrow; `autoresearch limit until HH:MM` sets another time"
        yield Reached("until", f"time of day reached ({limits.until})", fix)
    if 0 < limits.dollars <= progress.dollars:
        reason = f"dollar limit reached (${progress.dollars:,.2f} of ${limits.dollars:,.2f} spent)"
        yield Reached("dollars", reason, _raise("dollars"))
    if 0 < limits.tokens <= progress.tokens:
        yield Reached("tokens", f"token limit reached ({progress.tokens:,} of {limits.tokens:,})", _raise("tokens"))
    if 0 < limits.no_keep <= progress.since_keep:
        fix = f"`autoresearch steer` it elsewhere and {_raise('no_keep')}"
        yield Reached("no_keep", f"no keep in {numbers.plural(progress.since_keep, 'experiment')}", fix)


def _goal_met(best: float, goal: float, metric: Metric) -> bool:
    return best <= goal if metric.direction == "lower" else best >= goal


def _experiments(limit: int) -> Reached:
    fix = "raise it with `autoresearch limit experiments N`, or run again with --max-experiments"
    return Reached("experiments", f"experiment limit reached ({limit})", fix)


def _raise(key: str) -> str:
    return f"raise it with `autoresearch limit {key} N` (0 for none), then `autoresearch resume`"


def limits_in_force(config: Config, history: History) -> Limits:
    for key, value in history.settings.items():
        if key.startswith("limits."):
            config = configs.with_change(config, key, value)
    return config.limits
