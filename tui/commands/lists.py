"""`log`, `ideas` and `search`: lists, read from the session's files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from autoresearch.state.journal import SCORE_MARKS, History, IdeaState, Row
from autoresearch.state.journal.records import STATUSES
from autoresearch.state.session import Session, open_session
from autoresearch.state.text import numbers
from autoresearch.state.text.numbers import plural
from autoresearch.tui.facts import documents
from autoresearch.tui.facts.ideas import families
from autoresearch.tui.facts.search import found_in
from autoresearch.tui.facts.text import SIGNS, fitted
from autoresearch.tui.terminal.console import Console, emit_json
from autoresearch.tui.terminal.options import Where, common
from autoresearch.tui.terminal.session_text import say_score_note

_SHOWN = 30


@click.command()
@click.option("--number", "-n", "count", type=click.IntRange(min=0), default=None, metavar="N",
              help="The last N; 0: all. Default: 30, all with --json.")  # fmt: skip
@click.option("--follow", "-f", is_flag=True, help="Then each as its verdict falls, until it is interrupted.")
@click.option("--recompute", is_flag=True, help="Judge every experiment again from its samples and compare.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document; with --follow one experiment a line.")
@common
def log(where: Where, count: int | None, follow: bool, recompute: bool, as_json: bool) -> int:
    """The experiments, oldest first."""
    if follow and recompute:
        raise click.UsageError("--follow and --recompute cannot be combined; leave one out")
    _, session = where.open()
    if follow:
        from autoresearch.tui.commands.watch import follow_log

        follow_log(session, _SHOWN if count is None else count, _say_rows, as_json)
    if recompute:
        return _judge_again(session, as_json)
    history = session.history()
    if count is None:
        count = 0 if as_json else _SHOWN
    rows = history.rows[-count:] if count else history.rows
    if as_json:
        found = [documents.experiment(row, history) for row in rows]
        emit_json({"session": session.name, "scored": history.scored, "experiments": found})
        return 0
    console = Console()
    if not rows:
        console.say("No experiment has a verdict yet.")
        return 0
    say_score_note(console, history.scored)
    if len(rows) < len(history.rows):
        console.say(
            console.paint(f"the last {len(rows)} of {len(history.rows):,}; all: `autoresearch log -n 0`", "quiet")
        )
    _table(console, rows, history)
    return 0


def _judge_again(session: Session, as_json: bool) -> int:
    """Every judgement again, from the samples in the journal alone; exit code 1 when one comes out differently."""
    from autoresearch.engine import verdict

    found = list(verdict.recompute(session.journal))
    different = [one for one in found if not one.agrees]
    if as_json:
        again = [asdict(one) | {"agrees": one.agrees} for one in found]
        emit_json({"session": session.name, "judged": len(found), "differ": len(different), "experiments": again})
        return 1 if different else 0
    console = Console()
    for one in different:
        console.say(f"#{one.run} {fitted(one.recorded)}: {fitted('; '.join(one.differences))}")
    answer = f"{len(different)} of them come out differently" if different else "all come out as recorded"
    console.say(f"{plural(len(found), 'verdict')} judged again from the samples on record: {answer}.")
    return 1 if different else 0


def _say_rows(rows: list[Row], history: History) -> None:
    console = Console()
    _table(console, rows, history)
    console.stream.flush()


def _table(console: Console, rows: list[Row], history: History) -> None:
    console.table([_line(row, history) for row in rows], [row.status for row in rows], right=frozenset({0, 2}))


def _line(row: Row, history: History) -> tuple[str, str, str, str, str]:
    evidence = documents.evidence_text(row) or row.cause.replace("_", " ")
    metric = documents.metric_text(row.metric, history)
    if row.flags:
        evidence = f"{evidence} (flagged)" if evidence else "(flagged)"
    what = documents.mending_text(row.mends, fitted(row.description))
    return (f"#{row.number}", SIGNS[row.status], metric, evidence, what)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@common
def ideas(where: Where, as_json: bool) -> None:
    """Ideas, dead ends and notes of the notebook, with the ids that `veto` takes."""
    _, session = where.open()
    history = session.history()
    if as_json:
        emit_json({"session": session.name, "scored": history.scored, **documents.ideas(history)})
        return
    console = Console()
    by_state: dict[str, list[IdeaState]] = {}
    for idea in history.ideas.values():
        by_state.setdefault(idea.state, []).append(idea)
    titles = {"open": "To try", "taken": "Being tried", "tried": "Tried", "vetoed": "Vetoed"}
    for state, title in titles.items():
        _section(console, title, [(idea.id, _tried(idea), fitted(idea.text)) for idea in by_state.get(state, [])])
    dead = documents.dead_ends(history)
    _section(console, "Dead ends", [_dead_end(end) for end in dead])
    found = families(history)
    if found:
        say_score_note(console, history.scored)
    tried = [(family.called, f"{family.tried} tried, {family.kept} kept", family.line) for family in found]
    _section(console, "Families", [(fitted(name), counted, fitted(line)) for name, counted, line in tried])
    _section(console, "Notes", [(note.id, fitted(note.by), fitted(note.text)) for note in history.notes.values()])
    if not (history.ideas or dead or history.notes):
        console.say("No ideas, dead ends or notes yet; add one with `autoresearch idea TEXT`.")


def _tried(idea: IdeaState) -> str:
    if idea.experiments:
        return " ".join(f"#{number}" for number in idea.experiments[-3:])
    return fitted(idea.reason, 40) if idea.state == "vetoed" else fitted(idea.by)


def _dead_end(end: documents.Document) -> tuple[str, str, str]:
    number = f" #{end['experiment']}" if end["experiment"] else ""
    again = f" (again if {fitted(end['retry_if'])})" if end["retry_if"] else ""
    return (end["id"] or "", end["list"] + number, fitted(end["text"]) + again)


def _section(console: Console, title: str, rows: Sequence[tuple[str, str, str]]) -> None:
    if rows:
        console.say(console.paint(title, "strong"))
        console.table([(f"  {id}", middle, text) for id, middle, text in rows])


@click.command()
@click.argument("words", nargs=-1)
@click.option("--number", "-n", "count", type=click.IntRange(min=1), default=20, metavar="N", show_default=True,
              help="At most N results.")  # fmt: skip
@click.option("--status", type=click.Choice(STATUSES), default=None, help="Only these.")
@click.option("--category", default="", metavar="NAME", help="Only of this category.")
@click.option("--cause", default="", metavar="NAME", help="Only with this cause, such as unproven or timeout.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@common
def search(
    where: Where, words: tuple[str, ...], count: int, status: str | None, category: str, cause: str, as_json: bool
) -> None:
    """Full-text search over description, hypothesis, reason, tags and files of every experiment here.

    All sessions of the repository; with --session, that one. Without WORDS, the newest that pass the filters.
    """
    if not words and not (status or category or cause):
        raise click.UsageError("Say what to search for: WORDS, or one of --status, --category, --cause")
    found = _found(where, " ".join(words), count, status=status or "", category=category, cause=cause)
    if as_json:
        emit_json(found)
    else:
        _print_found(Console(), found)


def _found(where: Where, words: str, count: int, **filters: str) -> dict[str, Any]:
    """The document of `search --json`; `filters` are status, category, cause and where.

    Raises SessionError when the index stays busy or the session is unknown.
    """
    place = where.place()
    only = open_session(place, where.session).name if where.session is not None else ""
    document = found_in(place, words, count, only, **filters)
    scored = {
        name: open_session(place, name).history().scored for name in {hit["session"] for hit in document["found"]}
    }
    return {**document, "found": [{**hit, "scored": scored[hit["session"]]} for hit in document["found"]]}


def _print_found(console: Console, document: dict[str, Any]) -> None:
    found = document["found"]
    if not found:
        console.say(f"Nothing on record matches {fitted(document['query'])!r}.")
        return
    for scored in dict.fromkeys(hit["scored"] for hit in found):
        say_score_note(console, scored)
    console.table(
        [(hit["session"], f"#{hit['number']}", SIGNS[hit["status"]], _metric(hit), _what(hit)) for hit in found],
        [hit["status"] for hit in found],
        right=frozenset({1, 3}),
    )


def _metric(hit: dict[str, Any]) -> str:
    """With the mark of one that is not read apart from the agent's code: hits may be of several sessions."""
    return numbers.metric(hit["metric"]) + "*" * (hit["metric"] is not None and hit["scored"] in SCORE_MARKS)


def _what(hit: dict[str, Any]) -> str:
    """The description, and the passage that matched where that is another one."""
    description, snippet = fitted(hit["description"]), fitted(hit["snippet"])
    return (
        description if snippet.replace("[", "").replace("]", "") in ("", description) else f"{description} · {snippet}"
    )
