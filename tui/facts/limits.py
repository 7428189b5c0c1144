"""The limits in words: what each one counts, how far it is, what is left, and which would pause an engine at once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from autoresearch.engine.limits import KINDS as KINDS
from autoresearch.engine.limits import Progress, Reached, left_words, reached, with_values
from autoresearch.state.config import Limits, Metric
from autoresearch.state.journal import History
from autoresearch.state.text import clean_line, numbers
from autoresearch.state.text.numbers import plural


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
    kind = KINDS.get(name)
    if kind is None or kind.spent is None:
        return ""
    spent = kind.spent(history)
    if name == "hours":
        return numbers.duration(spent * 3600)
    return {"dollars": f"${spent:,.2f}", "tokens": f"{spent:,}"}.get(name, str(spent))


def left(history: History, bounds: dict[str, Any]) -> list[str]:
    """What is left of each limit that is set; `bounds` as from `documents.limits`."""
    call = bounds.get("call") or {}
    more = call.get("experiments")
    of_call = [f"{plural(max(0, more - call.get('done', 0)), 'more experiment')} in this call"] if more else []
    return of_call + left_words(bounds, history)


def used_up(history: History, bounds: dict[str, Any]) -> Reached | None:
    """The limit that would pause a new engine before its first experiment, by the engine's own rule.

    A time of day is never one: an engine goes on until then tomorrow. An open experiment is finished before any is.
    """
    if history.open is not None:
        return None
    now = datetime.now().astimezone()
    progress = Progress(history, now, now, free_mb=0.0)
    set_now = with_values(Limits(), {name: value for name, value in bounds.items() if name != "until"})
    return reached(progress, set_now, Metric(name=""), least_free_mb=0.0)
