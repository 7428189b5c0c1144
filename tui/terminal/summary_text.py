"""What a session tried, kept and gained."""

from __future__ import annotations

from typing import Any

from autoresearch.state.journal import History
from autoresearch.state.text import numbers
from autoresearch.state.text.numbers import plural
from autoresearch.tui.facts import documents
from autoresearch.tui.facts.text import fitted
from autoresearch.tui.terminal.console import Console
from autoresearch.tui.terminal.session_text import (
    best_text,
    counts_text,
    flagged_text,
    holdout_text,
    say_score_note,
    spend_text,
)

_KEPT_SHOWN = 20


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
