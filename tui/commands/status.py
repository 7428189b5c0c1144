"""`autoresearch status`: what the session does now and where it stands, from its files, while an engine runs or not."""

from __future__ import annotations

import time
from typing import Any

import click

from autoresearch.state import numbers, records
from autoresearch.state.history import SCORE_NOTES, History
from autoresearch.state.model import FLAG_WORDS
from autoresearch.state.numbers import plural
from autoresearch.tui import answers
from autoresearch.tui.alive import look
from autoresearch.tui.cli import Where, common
from autoresearch.tui.console import Console, clean, emit_json

_BUSY_FROM_S = 60.0
"""Below this much running the share of measuring says nothing."""
_FLAGGED_SHOWN = 5


@click.command()
@click.option("--watch", is_flag=True, help="Again whenever it changes, until it is interrupted.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document; with --watch one a line.")
@common
@click.pass_obj
def status(where: Where, watch: bool, as_json: bool) -> None:
    """What the session does now and where it stands."""
    if not watch:
        show_status(where, as_json)
        return
    from autoresearch.tui.commands.following import watch_status

    _, session = where.open()
    watch_status(session, _print, as_json)


def show_status(where: Where, as_json: bool = False) -> None:
    _, session = where.open()
    beat = look(session)
    history = session.history()
    document = answers.status(session, history, records.now_ms(), beat)
    if as_json:
        emit_json(document)
    else:
        _print(Console(), document, history)


def _print(console: Console, document: dict[str, Any], history: History) -> None:
    name = clean(document["name"] or document["target"] or "this target")
    state = document["state"]
    style = "keep" if state == "running" else "warn" if state in ("silent", "lost", "looking") else "strong"
    pid = f" (pid {document['engine']['pid']})" if document["engine"]["pid"] else ""
    console.say(
        f"{console.paint(name, 'strong')} · session {document['session']} · {console.paint(state + pid, style)}"
    )
    console.facts(
        [
            ("now", _now(document)),
            ("why", clean(document["reason"])),
            ("next", clean(document["fix"])),
            ("best", best_text(document, history)),
            ("tried", counts_text(document["counts"])),
            ("flagged", flagged_text(document["flagged"])),
            ("holdout", holdout_text(document)),
            ("spent", spend_text(document["spend"])),
            ("limits", limits_text(document["limits"])),
            ("branch", document["branch"]),
        ]
    )
    say_score_note(console, document["scored"])
    for notice in document["notices"]:
        if notice["code"] == "own-score":
            continue  # said just now, whenever the warning was given
        fix = f" {clean(notice['fix'])}" if notice["fix"] else ""
        console.say(console.paint(f"  ! {clean(notice['text'])}{fix}", "warn"))
    if document["bad_lines"]:
        first = document["bad_lines"][0]
        problem = f"line {first['line']}: {clean(first['problem'])}"
        console.say(
            console.paint(f"  ! {plural(len(document['bad_lines']), 'bad journal line')} left out ({problem})", "warn")
        )


def _now(document: dict[str, Any]) -> str:
    if document["phase"] is None:
        if document["experiment"] is not None:
            return f"experiment {document['experiment']} is open and goes on at its next sample"
        return ""
    words = [document["phase"]]
    if document["experiment"] is not None:
        words.append(f"#{document['experiment']}")
    parts = [" ".join(words)]
    if document["description"]:
        parts.append(clean(document["description"]))
    if document["k"]:
        parts.append(f"run {document['k']} of at most {document['of']}" if document["of"] else f"run {document['k']}")
    if document["since"]:
        parts.append(numbers.duration(time.time() - document["since"] / 1000))
    if document["elsewhere"]:
        parts.append(f"on {clean(document['elsewhere'])}")
    if document["waiting_for"]:
        waits = clean(document["waiting_for"])
        parts.append(waits if waits.startswith("waiting ") else f"waiting for {waits}")
    if document["pausing"]:
        parts.append("pauses after this" if document["pausing"] == "pause" else "stopping")
    return " · ".join(parts)


def best_text(document: dict[str, Any], history: History) -> str:
    """ "val_bpb 0.9932 (#7) · better by 0.0041 ±0.0012 than the baseline's 0.9973"."""
    best, base, metric = document["best"], document["baseline"], document["metric"]
    if best is None:
        return "no baseline yet" if base is None else ""
    unit = f" {clean(metric['unit'])}" if metric["unit"] else ""
    value = f"{clean(metric['name'])} {answers.metric_text(best['metric'], history)}{unit} (#{best['number']})"
    if base is None or base["number"] == best["number"]:
        return f"{value}, the baseline"
    gain = answers.gain_text(document["estimate"], document["interval"])
    return f"{value} · {gain} than the baseline's {answers.metric_text(base['metric'], history)}"


def counts_text(counts: dict[str, int]) -> str:
    if not counts["tried"]:
        return "nothing yet" if not counts["experiments"] else "the baseline only"
    parts = [f"{counts['kept']:,} kept", f"{counts['discard']:,} discarded"]
    if counts["unproven"]:
        parts[-1] += f" ({counts['unproven']:,} of them unproven)"
    if counts["crash"]:
        parts.append(f"{counts['crash']:,} crashed")
    if counts["checks_failed"]:
        parts.append(f"{counts['checks_failed']:,} failed a guard")
    return f"{counts['tried']:,}: {', '.join(parts)}"


def flagged_text(flagged: list[dict[str, Any]]) -> str:
    """ "#7 keep: touches the seed; #4: far outside history": keeps first, the newest first."""
    ranked = sorted(flagged, key=lambda one: (one["status"] != "keep", -one["number"]))
    parts = []
    for one in ranked[:_FLAGGED_SHOWN]:
        words = ", ".join(FLAG_WORDS.get(code, clean(code)) for code in one["flags"])
        parts.append(f"#{one['number']} {one['status'].replace('_', ' ')}: {words}")
    more = f"; and {len(ranked) - len(parts):,} more" if len(ranked) > len(parts) else ""
    return "; ".join(parts) + more


def holdout_text(document: dict[str, Any]) -> str:
    if document["gap"] is not None:
        return clean(document["gap"]["text"])
    if document["holdout"]:
        one = document["holdout"][-1]
        return f"{numbers.metric(one['value'])} for #{one['experiment']}"
    return ""


def say_score_note(console: Console, scored: str) -> None:
    """The one line that stands wherever the number does, when it is not read apart from the agent's code."""
    if scored in SCORE_NOTES:
        console.say(console.paint(f"  ! {SCORE_NOTES[scored]}", "warn"))


def spend_text(spend: dict[str, Any]) -> str:
    parts = [f"{numbers.duration(spend['running_s'])} of running"]
    if spend["running_s"] >= _BUSY_FROM_S and spend["measured_s"]:
        parts.append(f"measuring {min(1.0, spend['measured_s'] / spend['running_s']):.0%} of it")
    if spend["usd"]:
        unused = f" (${spend['unused_usd']:,.2f} of it for proposals never measured)" if spend["unused_usd"] else ""
        parts.append(f"${spend['usd']:,.2f}{unused}")
        each = [(spend["usd_per_experiment"], "an experiment"), (spend["usd_per_keep"], "a keep")]
        parts += [f"{dollars(usd)} {what}" for usd, what in each if usd is not None]
    if spend["tokens"]:
        parts.append(plural(spend["tokens"], "token"))
    return " · ".join(parts)


def dollars(usd: float) -> str:
    """Cents, and more digits where a cent would be nothing."""
    return f"${usd:,.2f}" if usd >= 0.1 else f"${usd:.2g}"


def limits_text(limits: dict[str, Any]) -> str:
    words = {
        "hours": "{} h",
        "until": "until {}",
        "dollars": "${}",
        "tokens": "{} tokens",
        "no_keep": "{} without a keep",
    }
    parts = []
    call = limits.get("call") or {}
    if call.get("experiments"):
        parts.append(f"{call.get('done', 0)} of {plural(call['experiments'], 'experiment')} in this call")
    if limits.get("experiments"):
        parts.append(plural(limits["experiments"], "experiment"))
    parts += [text.format(_short(limits[name])) for name, text in words.items() if limits.get(name)]
    return " · ".join(parts)


def _short(value: Any) -> str:
    return numbers.metric(value) if isinstance(value, (int, float)) else clean(value)
