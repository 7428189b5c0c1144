"""What the screen says in words: the engine's state, the phase, the best against the baseline. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from autoresearch.state.journal import History
from autoresearch.state.session import Live
from autoresearch.state.text import numbers, safe_line
from autoresearch.tui.facts.engine import Engine

_PHASES = {
    "starting": "starting",
    "preparing": "preparing",
    "baseline": "measuring the baseline",
    "proposing": "waiting for a proposal",
    "building": "building",
    "measuring": "measuring",
    "evaluating": "evaluating",
    "guarding": "running the guards",
    "judging": "judging",
    "waiting": "waiting",
    "pausing": "pausing",
    "ended": "ending",
}

_BADGES = {
    "new": "NOT STARTED",
    "starting": "STARTING",
    "running": "RUNNING",
    "looking": "LOOKING",
    "silent": "NOT RESPONDING",
    "paused": "PAUSED",
    "stopped": "STOPPED",
    "lost": "ENGINE LOST",
    "gone": "NO SESSION",
}


def badge(engine: Engine | None, live: Live | None) -> str:
    """The engine's state in a word or two; None while the journal is still being read."""
    if engine is None:
        return "…"
    if engine.state == "running" and live is not None and live.pausing:
        return "STOPPING" if live.pausing == "stop" else "PAUSING"
    return _BADGES[engine.state]


def doing(engine: Engine | None, live: Live | None, history: History, *, can_start: bool = True) -> str:
    """What it does now, or why it does nothing, in one clause; with the key that starts an engine where one can be."""
    if engine is None:
        return "reading the journal"
    if engine.state == "running" and live is not None:
        return _phase(live, history)
    if engine.state == "silent" and live is not None:
        return f"last seen {_phase(live, history)}; look at engine.log"
    if engine.state == "starting":
        return "the engine is starting"
    if engine.state == "looking":
        return f"watching for a sign of the engine{f' on {safe_line(engine.host)}' if engine.host else ''}"
    if engine.state == "lost":
        if engine.host:
            return "no sign of it" + ("; r goes on here" if can_start else "")
        return "it ended without a word" + ("; r goes on where it was" if can_start else "")
    if engine.state == "new":
        return "no engine has run yet" + ("; r starts one" if can_start else "")
    if engine.state == "gone":
        return safe_line(engine.reason)
    return safe_line(engine.reason).rstrip(".") or (
        "r goes on" if can_start and engine.state != "paused" else "as asked"
    )


def more(engine: Engine | None) -> str:
    """Where the way to go on stands, when it rests and there is one: a line has room for the reason alone."""
    return " – B says more" if engine is not None and engine.state in ("paused", "stopped") and engine.fix else ""


def _phase(live: Live, history: History) -> str:
    words = _PHASES.get(live.phase, live.phase)
    waits = waiting(live)
    baseline = live.phase == "baseline" or (history.open is not None and history.open.proposal is None)
    if waits and not beside(live):
        return f"preparing: {safe_line(live.waiting_for)}" if live.phase == "preparing" else waits
    if live.phase in ("measuring", "evaluating", "baseline", "building"):
        if baseline:
            words = "measuring the baseline" if live.phase in ("measuring", "baseline") else words
            return f"{words}, run {live.k} of {live.of}" if live.k and live.of else words
        if live.arm == "incumbent":
            return f"{words} the best again"
        if live.arm == "holdout":
            return f"{words} the holdout of #{live.experiment}"
        if live.arm == "fresh":
            return f"kept! {words} it afresh, run {live.k}" if live.k else f"kept! {words} it afresh"
        if live.k:
            return f"{words}, run {live.k}" + (f" of ≤{live.of}" if live.of else "")
    return words


def waiting(live: Live) -> str:
    """What is waited for, as the agent says it ("waiting for the API since 03:12 (…)"); "" for nothing."""
    text = safe_line(live.waiting_for)
    return text if not text or text.startswith("waiting ") else f"waiting for {text}"


def beside(live: Live) -> bool:
    """Whether the agent waits while something else is done: a measurement goes on through an outage."""
    return bool(live.waiting_for) and live.phase not in ("proposing", "preparing", "starting", "waiting", "pausing")


@dataclass(frozen=True, slots=True)
class Best:
    """The best against the baseline."""

    value: str
    unit: str
    change: str
    """"4.2% better ±0.3"; empty before the first keep after the baseline."""
    baseline: str
    confirmed: bool


def best_of(history: History, half: float | None) -> Best | None:
    """`half`: half the width of the 95% interval of best minus baseline, where it is known."""
    incumbent, baseline, header = history.incumbent, history.baseline, history.header
    if incumbent is None or incumbent.metric is None or header is None:
        return None
    confirmed = header.verdict.get("mode", "race") != "single"
    value = numbers.metric(incumbent.metric, half or history.spread.sd)
    if baseline is None or baseline.metric is None or baseline.number == incumbent.number:
        return Best(value, header.metric_unit, "", "", confirmed)
    gain = incumbent.metric - baseline.metric
    if header.direction == "lower":
        gain = -gain
    change = _percent(gain, baseline.metric, half)
    return Best(value, header.metric_unit, change, numbers.metric(baseline.metric, half), confirmed)


def _percent(gain: float, baseline: float, half: float | None) -> str:
    if baseline == 0:
        return f"{numbers.signed(gain, half)} {numbers.plus_minus(half)}".strip()
    percent = abs(gain) * 100 / abs(baseline)
    step = half * 100 / abs(baseline) if half else percent / 50
    decimals = min(max(-math.floor(math.log10(step)), 0), 4) if step else 0
    text = f"{percent:.{decimals}f}% {'better' if gain >= 0 else 'worse'}"
    return f"{text} ±{step:.{decimals}f}" if half else text


def spend(history: History, bounds: dict[str, Any], now_ms: int) -> list[str]:
    """Money and time against their limits, only where there is something to say."""
    said = []
    dollars = bounds.get("dollars")
    if history.cost_usd or (dollars and history.tokens):
        said.append(f"${history.cost_usd:.2f}" + (f" of ${dollars:g}" if dollars else ""))
    hours = bounds.get("hours")
    ran = numbers.duration(history.running_ms / 1000)
    if history.running_ms >= 60_000 or hours:
        said.append(f"{ran} of {hours:g}h" if hours else f"ran {ran}")
    until = bounds.get("until")
    if isinstance(until, (int, float)) and until > now_ms:
        said.append(f"{numbers.duration((until - now_ms) // 60_000 * 60)} left")
    elif until and isinstance(until, str):
        said.append(f"until {safe_line(until)}")
    return said


_PACED = 3
"""Experiments from which their pace says something."""


def time_left(history: History, bounds: dict[str, Any], now_ms: int) -> str:
    """Until the first limit pauses it, "≈2h05m left"; "" where no limit is near enough to tell.

    Hours count exactly; experiments and dollars at the pace so far.
    """
    since = max(0, now_ms - history.last_ms) if history.last_ms else 0
    ran_s = (history.running_ms + since) / 1000
    tried = len(history.rows)
    ends = []
    if hours := bounds.get("hours"):
        ends.append(hours * 3600 - ran_s)
    if (limit := bounds.get("experiments")) and tried >= _PACED:
        done = bounds.get("done")
        ends.append((limit - (tried if done is None else done)) * ran_s / tried)
    if (dollars := bounds.get("dollars")) and history.cost_usd > 0 and tried >= _PACED:
        ends.append((dollars / history.cost_usd - 1) * ran_s)
    left = min(ends, default=-1.0)
    if left < 0:
        return ""
    return f"≈{numbers.duration(max(60, left // 60 * 60)).removesuffix('00s')} left"


def confined(history: History) -> str:
    """How measured commands are held, where that is less than fully; "" where it is not known."""
    level = history.header.protection.partition(":")[0] if history.header is not None else ""
    return {"partial": "confined in part", "none": "not confined", "off": "not confined"}.get(level, "")


def empty_chart(engine: Engine | None, live: Live | None, history: History, *, can_start: bool = True) -> str:
    """What stands where the chart will be."""
    if engine is None:
        return "Reading the journal …"
    if engine.state == "running" and live is not None:
        runs = history.open.samples if history.open else []
        values = [numbers.metric(sample.metric) for sample in runs if sample.metric is not None]
        so_far = f"  So far: {', '.join(values[-6:])}." if values else ""
        text = _phase(live, history)
        return f"{text[:1].upper()}{text[1:]}.{so_far}"
    text = doing(engine, live, history, can_start=can_start)
    return f"{text[:1].upper()}{text[1:]}."
