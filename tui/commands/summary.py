"""`autoresearch summary`: what was tried, kept and gained, what it cost, and the line that merges it."""

from __future__ import annotations

from typing import Any

import click

from autoresearch.state import numbers
from autoresearch.state.history import History
from autoresearch.state.numbers import plural
from autoresearch.tui import answers
from autoresearch.tui.cli import Where, common
from autoresearch.tui.commands.status import (
    best_text,
    counts_text,
    flagged_text,
    holdout_text,
    say_score_note,
    spend_text,
)
from autoresearch.tui.console import Console, clean, emit_json

_KEPT_SHOWN = 20


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@common
@click.pass_obj
def summary(where: Where, as_json: bool) -> None:
    """What was tried, kept and gained, what it cost, and how to merge it."""
    _, session = where.open()
    history = session.history()
    document = answers.summary(session, history)
    if as_json:
        emit_json(document)
    else:
        print_summary(Console(), document, history)


def print_summary(console: Console, document: dict[str, Any], history: History) -> None:
    name = clean(document["name"] or "this target")
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
        console.say(f"  lesson   #{said['experiment']} {clean(said['lesson'])}")
    kept = document["kept"][-_KEPT_SHOWN:]
    if kept:
        console.say()
        console.table(
            [
                (f"#{row['number']}", answers.gain_text(row["estimate"], row["interval"]), clean(row["description"]))
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
