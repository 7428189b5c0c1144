"""Which limits hold, which is reached, what is left. Pure: the clock and the disk are arguments.

Limits are looked at between experiments, never inside one. Each names its reason and the way to go on. Stagnation is no
limit: it changes what the agent is asked for, because those who stop at a plateau miss the breakthrough behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime, time, timedelta
from typing import Any

from autoresearch.engine.files import LEAST_FREE_MB
from autoresearch.state.config import Limits, Metric
from autoresearch.state.journal import History
from autoresearch.state.text import clean_line, numbers

CRASHES_UNTIL_CHECK = 5


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the limits, for people."""

    words: str
    """What it counts."""
    example: str
    """A value that a person may type, and what it means."""
    spent: Callable[[History], float] | None = None
    """How far it has come; None for what does not grow."""


KINDS = {
    "experiments": Kind("experiments in all", "200, for 200 experiments in all", lambda history: history.measured),
    "hours": Kind(
        "hours of running in all", "8, for 8 hours of running in all", lambda history: history.running_ms / 3_600_000
    ),
    "until": Kind("the time of day", "07:30, by this machine's clock"),
    "dollars": Kind("dollars spent in all", "25, for $25 in all", lambda history: history.cost_usd),
    "tokens": Kind("tokens used in all", "2000000, for two million in all", lambda history: history.tokens),
    "no_keep": Kind("experiments in a row without a keep", "40, for 40 in a row", lambda history: history.since_keep),
}
"""By the keys of `[limits]`, in the order in which they are offered."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a session stands. `started` and `now` are aware local times."""

    history: History
    started: datetime
    """When this engine started."""
    now: datetime
    free_mb: float
    """On the fullest of the file systems that are written to."""
    free_at: str = ""
    """A folder on that file system."""
    call_experiments: int = 0
    """Finished by this call."""
    max_experiments: int | None = None
    """This call's `--max-experiments`."""


@dataclass(frozen=True, slots=True)
class Reached:
    """Why the session pauses. `limit` is the key of `[limits]`, or `goal` or `disk`."""

    limit: str
    reason: str
    fix: str


def in_force(own: Limits, history: History) -> Limits:
    """`own` is the config's; what people have set since goes over it."""
    set_since = {
        key.removeprefix("limits."): value for key, value in history.settings.items() if key.startswith("limits.")
    }
    return with_values(own, set_since)


def with_values(limits: Limits, values: Mapping[str, Any]) -> Limits:
    """As far as they can be used; None is the default again."""
    changes: dict[str, Any] = {}
    for field in (field for field in fields(Limits) if field.name in values):
        value = field.default if values[field.name] is None else values[field.name]
        if isinstance(value, str if field.name == "until" else (int, float)):
            changes[field.name] = value
    return replace(limits, **changes)


def left(bounds: Mapping[str, Any], history: History) -> list[tuple[str, Any]]:
    """(key, amount) of each limit that is set; a time of day is its own amount."""
    set_now = [(name, kind, bounds[name]) for name, kind in KINDS.items() if bounds.get(name)]
    return [(name, max(0, most - kind.spent(history)) if kind.spent else most) for name, kind, most in set_now]


def left_words(bounds: Mapping[str, Any], history: History, dollars: str = "g") -> list[str]:
    """What is left of each limit that is set; `dollars` is the format of that limit."""
    return [_left_words(name, amount, bounds[name], dollars) for name, amount in left(bounds, history)]


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
    history = progress.history
    if progress.free_mb < least_free_mb:
        free, least = numbers.metric(round(progress.free_mb)), numbers.metric(least_free_mb)
        at = f" at {progress.free_at}" if progress.free_at else ""
        yield Reached(
            "disk",
            f"only {free} MB of disk are free{at}",
            f"free at least {least} MB there, then `autoresearch resume`",
        )
    best = history.incumbent.metric if history.incumbent else None
    lower = metric.direction == "lower"
    if metric.goal is not None and best is not None and (best <= metric.goal if lower else best >= metric.goal):
        reason = f"goal reached ({metric.name} {numbers.metric(best)}, goal {numbers.metric(metric.goal)})"
        fix = "set another metric.goal in autoresearch.toml, or remove it, then `autoresearch resume`"
        yield Reached("goal", reason, fix)
    if progress.max_experiments is not None and progress.call_experiments >= progress.max_experiments:
        yield _experiments(progress.max_experiments)
    if 0 < limits.experiments <= history.measured:
        yield _experiments(limits.experiments)
    if 0 < limits.hours <= history.running_ms / 3_600_000:
        yield Reached(
            "hours",
            f"time limit reached ({limits.hours:g} {'hour' if limits.hours == 1 else 'hours'})",
            _raise("hours"),
        )
    if (end := deadline(progress.started, limits.until)) and progress.now.replace(tzinfo=None) >= end:
        fix = "`autoresearch resume` goes on until then tomorrow; `autoresearch limit until HH:MM` sets another time"
        yield Reached("until", f"time of day reached ({limits.until})", fix)
    if 0 < limits.dollars <= history.cost_usd:
        reason = f"dollar limit reached (${history.cost_usd:,.2f} of ${limits.dollars:,.2f} spent)"
        yield Reached("dollars", reason, _raise("dollars"))
    if 0 < limits.tokens <= history.tokens:
        yield Reached("tokens", f"token limit reached ({history.tokens:,} of {limits.tokens:,})", _raise("tokens"))
    if 0 < limits.no_keep <= history.since_keep:
        fix = f"`autoresearch steer` it elsewhere and {_raise('no_keep')}"
        yield Reached("no_keep", f"no keep in {numbers.plural(history.since_keep, 'experiment')}", fix)


def _experiments(limit: int) -> Reached:
    fix = "raise it with `autoresearch limit experiments N`, or run again with --max-experiments"
    return Reached("experiments", f"experiment limit reached ({limit})", fix)


def _raise(key: str) -> str:
    return f"raise it with `autoresearch limit {key} N` (0 for none), then `autoresearch resume`"


def _left_words(name: str, amount: Any, most: Any, dollars: str) -> str:
    match name:
        case "experiments":
            return f"{amount} of {numbers.plural(most, 'experiment')}"
        case "hours":
            return f"{numbers.duration(amount * 3600)} of {most:g}h"
        case "dollars":
            return f"${amount:.2f} of ${most:{dollars}}"
        case "tokens":
            return f"{amount:,} of {most:,} tokens"
        case "no_keep":
            return f"{numbers.plural(amount, 'more experiment')} without a keep"
    return f"until {clean_line(str(amount), 20)}"
