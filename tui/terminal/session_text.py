"""Where a session stands, and what it tried, kept and gained, in the words of the command line."""

from __future__ import annotations

from typing import Any

from autoresearch.state.journal import FLAG_WORDS, SCORE_NOTES, History
from autoresearch.state.text import numbers
from autoresearch.state.text.numbers import plural
from autoresearch.tui.facts import documents
from autoresearch.tui.facts.text import fitted
from autoresearch.tui.terminal.console import Console

_BUSY_FROM_S = 60.0
"""Below this much running the share of measuring says nothing."""

_FLAGGED_SHOWN = 5
_KEPT_SHOWN = 20


def best_text(document: dict[str, Any], history: History) -> str:
    """ "val_bpb 0.9932 (#7) · better by 0.0041 ±0.0012 than the baseline's 0.9973"."""
    best, base, metric = document["best"], document["baseline"], document["metric"]
    if best is None:
        return "no baseline yet" if base is None else ""
    unit = f" {fitted(metric['unit'])}" if metric["unit"] else ""
    value = f"{fitted(metric['name'])} {documents.metric_text(best['metric'], history)}{unit} (#{best['number']})"
    if base is None or base["number"] == best["number"]:
        return f"{value}, the baseline"
    gain = documents.gain_text(document["estimate"], document["interval"])
    return f"{value} · {gain} than the baseline's {documents.metric_text(base['metric'], history)}"


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
    if counts["parked"]:
        parts.append(f"{counts['parked']:,} parked")
    return f"{counts['tried']:,}: {', '.join(parts)}"


def flagged_text(flagged: list[dict[str, Any]]) -> str:
    """ "#7 keep: touches the seed; #4: far outside history": keeps first, the newest first."""
    ranked = sorted(flagged, key=lambda one: (one["status"] != "keep", -one["number"]))
    parts = []
    for one in ranked[:_FLAGGED_SHOWN]:
        words = ", ".join(FLAG_WORDS.get(code, fitted(code)) for code in one["flags"])
        parts.append(f"#{one['number']} {one['status'].replace('_', ' ')}: {words}")
    more = f"; and {len(ranked) - len(parts):,} more" if len(ranked) > len(parts) else ""
    return "; ".join(parts) + more


def holdout_text(document: dict[str, Any]) -> str:
    if document["gap"] is not None:
        return fitted(document["gap"]["text"])
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
    return numbers.metric(value) if isinstance(value, (int, float)) else fitted(value)


def print_summary(console: Console, document: dict[str, Any], history: History) -> None:
    name = fitted(document["name"] or "this target")
    console.say(f"{console.paint(name, 'strong')} · session {document['session']} · {document['state']}")
    earlier = document["segments"] - 1
    console.facts(
        [
            ("tried", counts_text(document["counts"])),
            ("best", best_text(document, history)),
            ("compare", compare_text(document)),
            ("flagged", flagged_text(document["flagged"])),
            ("holdout", holdout_text(document)),
            ("spent", spend_text(document["spend"])),
            (
                "earlier",
                f"{plural(earlier, 'segment')} before this one, whose numbers do not compare" if earlier > 0 else "",
            ),
            ("merge", document["merge"] or ""),
        ]
    )
    say_score_note(console, document["scored"])
    for said in document["lessons"]:
        console.say(f"  lesson   #{said['experiment']} {fitted(said['lesson'])}")
    kept = document["kept"][-_KEPT_SHOWN:]
    if kept:
        console.say()
        console.table(
            [
                (f"#{row['number']}", documents.gain_text(row["estimate"], row["interval"]), fitted(row["description"]))
                for row in kept
            ],
            right=frozenset({0}),
        )


def compare_text(document: dict[str, Any]) -> str:
    """What keep-if-better would have kept and claimed, beside what was proven."""
    naive = document["keep_if_better"]
    if naive["kept"] is None or document["counts"]["tried"] == 0:
        return ""
    better = "lower" if document["metric"]["direction"] == "lower" else "higher"
    step = document["interval"]
    claimed = numbers.metric(naive["claimed"], step)
    return f"keep-if-{better} on single runs would have kept {naive['kept']} and claimed a gain of {claimed}"
