"""The limits in words: what each one counts, how far it is, what is left, and which would pause an engine at once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from autoresearch.state.config import Limits, Metric
from autoresearch.state.journal import History
from autoresearch.state.text import clean_line, numbers
from autoresearch.state.text.numbers import plural

if TYPE_CHECKING:
    from autoresearch.engine.limits import Reached


@dataclass(frozen=True, slots=True)
class Kind:
    words: str
    """What it counts."""
    example: str
    """A value that a person may type, and what it means."""


KINDS = {
    "experiments": Kind("experiments in all", "200, for 200 experiments in all"),
    "hours": Kind("hours of running in all", "8, for 8 hours of running in all"),
    "until": Kind("the time of day", "07:30, by this machine's clock"),
    "dollars": Kind("dollars spent in all", "25, for $25 in all"),
    "tokens": Kind("tokens used in all", "2000000, for two million in all"),
    "no_keep": Kind("experiments in a row without a keep", "40, for 40 in a row"),
}
"""By the keys of `[limits]`, in the order in which they are offered."""


def words(name: str) -> str:
    return KINDS[name].words if name in KINDS else clean_line(name, 20)


def amount(name: str, value: Any) -> str:
    """ "130", "8h", "$25", "07:30"; "off" for none."""
    if value in (0, "", None):
        return "off"
    if not isinstance(value, (int, float)):
        return clean_line(str(value), 20)
    text = f"{value:,}" if isinstance(value, int) else f"{value:g}"
    return {"hours": f"{text}h", "dollars": f"${text}"}.get(name, text)


def becomes(name: str, value: Any) -> str:
    """What a new value does, as the end of a sentence."""
    new = amount(name, value)
    return f"limit on {words(name)} {'is taken away' if new == 'off' else f'becomes {new}'}"


def so_far(name: str, history: History) -> str:
    """How far it has come; "" for what does not grow."""
    match name:
        case "experiments":
            return str(history.measured)
        case "hours":
            return numbers.duration(history.running_ms / 1000)
        case "dollars":
            return f"${history.cost_usd:,.2f}"
        case "tokens":
            return f"{history.tokens:,}"
        case "no_keep":
            return str(history.since_keep)
    return ""


def left(history: History, bounds: dict[str, Any]) -> list[str]:
    """What is left of each limit that is set; `bounds` as from `answers.limits`."""
    said = []
    call = bounds.get("call") or {}
    if more := call.get("experiments"):
        said.append(f"{plural(max(0, more - call.get('done', 0)), 'more experiment')} in this call")
    if total := bounds.get("experiments"):
        said.append(f"{max(0, total - history.measured)} of {plural(total, 'experiment')}")
    if hours := bounds.get("hours"):
        spent = history.running_ms / 1000
        said.append(f"{numbers.duration(max(0.0, hours * 3600 - spent))} of {hours:g}h")
    if until := bounds.get("until"):
        said.append(f"until {clean_line(str(until), 20)}")
    if dollars := bounds.get("dollars"):
        said.append(f"${max(0.0, dollars - history.cost_usd):.2f} of ${dollars:g}")
    if tokens := bounds.get("tokens"):
        said.append(f"{max(0, tokens - history.tokens):,} of {tokens:,} tokens")
    if no_keep := bounds.get("no_keep"):
        said.append(f"{plural(max(0, no_keep - history.since_keep), 'more experiment')} without a keep")
    return said


def used_up(history: History, bounds: dict[str, Any]) -> Reached | None:
    """The limit that would pause a new engine before its first experiment, by the engine's own rule.

    A time of day is never one: an engine goes on until then tomorrow. An open experiment is finished before any is.
    """
    if history.open is not None:
        return None
    from autoresearch.engine import limits

    now = datetime.now().astimezone()
    progress = limits.Progress(
        experiments=history.measured,
        call_experiments=0,
        max_experiments=None,
        hours=history.running_ms / 3_600_000,
        started=now,
        now=now,
        dollars=history.cost_usd,
        tokens=history.tokens,
        best=None,
        since_keep=history.since_keep,
        free_mb=0.0,
    )
    set_now = {item.name: bounds[item.name] for item in fields(Limits) if item.name in bounds and item.name != "until"}
    return limits.reached(progress, Limits(**set_now), Metric(name=""), least_free_mb=0.0)
