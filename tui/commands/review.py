"""`autoresearch review`: what to check before a restart, without a screen."""

from __future__ import annotations

import click

from autoresearch.state.journal import records
from autoresearch.state.text.numbers import plural
from autoresearch.tui.facts import documents, ideas
from autoresearch.tui.facts.engine import engine_now, look
from autoresearch.tui.facts.messages import clock
from autoresearch.tui.facts.pending import pending
from autoresearch.tui.facts.restart import Returning, as_document, planned, returning
from autoresearch.tui.facts.text import SIGNS, fitted
from autoresearch.tui.terminal.console import Console, emit_json
from autoresearch.tui.terminal.options import Where, common
from autoresearch.tui.terminal.session_text import say_score_note


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@common
def review(where: Where, as_json: bool) -> None:
    """What to check before a restart: why it stopped, what was in flight, what failed since, what is left."""
    place, session = where.open()
    beat = look(session)
    history = session.history()
    engine, _ = engine_now(session, history, records.now_ms(), beat)
    steps = [] if engine.alive else planned(place, session, history)
    bounds = documents.next_limits(place, session, history, {})
    facts = returning(history, engine, bounds, pending(session.asked(), history), steps)
    if as_json:
        emit_json({"session": session.name, **as_document(facts), "scored": history.scored})
    else:
        _print(Console(), facts, history.scored)


def _print(console: Console, facts: Returning, scored: str) -> None:
    def section(title: str, lines: list[str]) -> None:
        if lines:
            console.say(f"\n{console.paint(title, 'strong')}")
        for line in lines:
            console.prose(f"  {line}")

    when = f" ({clock(facts.since)})" if facts.since else ""
    console.prose(f"{facts.state}{when}: {facts.why} {facts.fix}".rstrip())
    say_score_note(console, scored)
    section("What goes on", list(facts.in_flight) or ["Nothing was in flight."])
    section("Limits left", [", ".join(facts.left) or "no limit is set"])
    section("In the inbox", [each.words for each in facts.asked])
    warnings = [fitted(each.text) for each in facts.warnings if each.code != "own-score"]
    section("Warnings since the last start", warnings)
    section("Ideas to try, in this order", [f"{entry.id} {entry.text}" for entry in facts.ideas])
    keeps = [f"#{row.number} {fitted(row.description)}: {documents.evidence_text(row)}" for row in facts.keeps]
    section(f"Kept since the last start ({plural(facts.finished, 'experiment')})", keeps)
    for name, entries in facts.dead.items():
        section(f"{ideas.TITLES[name]}, since the last start", [_dead_end(entry) for entry in entries])


def _dead_end(entry: ideas.Entry) -> str:
    id = "" if entry.kind == "knob" else entry.id
    return " ".join(filter(None, (id, SIGNS.get(entry.status, ""), entry.text, entry.estimate)))
