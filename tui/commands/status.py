"""`status` and `summary`: where the session stands, from its files, while an engine runs or not."""

from __future__ import annotations

import time
from typing import Any

import click

from autoresearch.state.journal import History, records
from autoresearch.state.text import numbers
from autoresearch.state.text.numbers import plural
from autoresearch.tui.facts import documents
from autoresearch.tui.facts.engine import look
from autoresearch.tui.facts.text import fitted
from autoresearch.tui.terminal.console import Console, emit_json
from autoresearch.tui.terminal.options import Where, common
from autoresearch.tui.terminal.session_text import (
    best_text,
    counts_text,
    flagged_text,
    holdout_text,
    limits_text,
    print_summary,
    say_score_note,
    spend_text,
)


@click.command()
@click.option("--watch", is_flag=True, help="Again whenever it changes, until it is interrupted.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document; with --watch one a line.")
@common
def status(where: Where, watch: bool, as_json: bool) -> None:
    """What the session does now and where it stands."""
    if not watch:
        show_status(where, as_json)
        return
    from autoresearch.tui.commands.watch import watch_status

    _, session = where.open()
    watch_status(session, _print, as_json)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@common
def summary(where: Where, as_json: bool) -> None:
    """What was tried, kept and gained, what it cost, and how to merge it."""
    _, session = where.open()
    history = session.history()
    document = documents.summary(session, history)
    if as_json:
        emit_json(document)
    else:
        print_summary(Console(), document, history)


def show_status(where: Where, as_json: bool = False) -> None:
    _, session = where.open()
    beat = look(session)
    history = session.history()
    document = documents.status(session, history, records.now_ms(), beat)
    if as_json:
        emit_json(document)
    else:
        _print(Console(), document, history)


def _print(console: Console, document: dict[str, Any], history: History) -> None:
    name = fitted(document["name"] or document["target"] or "this target")
    state = document["state"]
    style = "keep" if state == "running" else "warn" if state in ("silent", "lost", "looking") else "strong"
    pid = f" (pid {document['engine']['pid']})" if document["engine"]["pid"] else ""
    console.say(
        f"{console.paint(name, 'strong')} · session {document['session']} · {console.paint(state + pid, style)}"
    )
    console.facts(
        [
            ("now", _now(document)),
            ("why", fitted(document["reason"])),
            ("next", fitted(document["fix"])),
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
        fix = f" {fitted(notice['fix'])}" if notice["fix"] else ""
        console.say(console.paint(f"  ! {fitted(notice['text'])}{fix}", "warn"))
    if document["bad_lines"]:
        first = document["bad_lines"][0]
        problem = f"line {first['line']}: {fitted(first['problem'])}"
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
        parts.append(fitted(document["description"]))
    if document["k"]:
        parts.append(f"run {document['k']} of at most {document['of']}" if document["of"] else f"run {document['k']}")
    if document["since"]:
        parts.append(numbers.duration(time.time() - document["since"] / 1000))
    if document["elsewhere"]:
        parts.append(f"on {fitted(document['elsewhere'])}")
    if document["waiting_for"]:
        waits = fitted(document["waiting_for"])
        parts.append(waits if waits.startswith("waiting ") else f"waiting for {waits}")
    if document["pausing"]:
        parts.append("pauses after this" if document["pausing"] == "pause" else "stopping")
    return " · ".join(parts)
