"""`sessions` and `archive`: every session of the repository in a line, and which of them lists leave out."""

from __future__ import annotations

import click

from autoresearch.state.journal import SCORE_MARKS
from autoresearch.state.journal.records import now_ms
from autoresearch.state.session import SessionError, list_sessions, open_session, watch_heartbeat
from autoresearch.tui.facts import words
from autoresearch.tui.facts.overview import Overview, old, overview_of
from autoresearch.tui.facts.text import fitted
from autoresearch.tui.terminal.console import Console, echo, emit_json
from autoresearch.tui.terminal.options import Where, common


@click.command()
@click.option("--all", "with_archived", is_flag=True, help="Archived sessions too.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@common
def sessions(where: Where, with_archived: bool, as_json: bool) -> None:
    """Every session of the repository: its state, best, counts, age and spend."""
    found = list_sessions(where.place())
    shown = [session for session in found if with_archived or not session.archived]
    beats = watch_heartbeat(shown)
    now = now_ms()
    overviews = [overview_of(session, session.history(), now, beats[session.name]) for session in shown]
    if as_json:
        emit_json({"sessions": [each.document for each in overviews]})
        return
    console = Console()
    if not overviews:
        console.say("No session yet; start one with `autoresearch run`." if not found else "Every session is archived.")
    else:
        console.table([_line(each, now) for each in overviews], right=frozenset({3, 4}))
    if hidden := len(found) - len(shown):
        console.say(console.paint(f"{hidden} archived and not shown; all: `autoresearch sessions --all`", "quiet"))


def _line(each: Overview, now: int) -> tuple[str, ...]:
    count, usd = each.document["counts"], each.document["spend"]["usd"]
    printed = SCORE_MARKS.get(each.document["scored"], "") if each.best is not None else ""
    mark = "*" * bool(printed)
    best = f"{each.best.value}{mark} {each.best.change}".rstrip() if each.best is not None else "no result yet"
    state = words.badge(each.engine, each.live).lower() + (", archived" if each.archived else "")
    why = "" if each.engine.state == "running" else fitted(each.engine.reason)
    spent = f"${usd:,.2f}" if usd else ""
    facts = (fitted(each.target), old(now, each.began_ms), spent, mark + printed, why)
    about = " · ".join(filter(None, facts))
    return (each.session.name, state, best, f"{count['tried']:,} tried", f"{count['kept']:,} kept", about)


@click.command()
@click.option("--undo", is_flag=True, help="Take it into the lists again.")
@common
def archive(where: Where, undo: bool) -> None:
    """Leave a session out of lists and out of what is continued; all of it is kept."""
    session = open_session(where.place(), where.session)
    if undo:
        session.archive_mark.unlink(missing_ok=True)
        echo(f"Session {session.name} is in the lists again.")
        return
    if session.engine_pid() is not None:
        raise SessionError(f"Session {session.name} is running; pause or stop it first.")
    session.archive_mark.touch()
    echo(
        f"Session {session.name} is archived and all of it kept; "
        f"`autoresearch archive --undo -s {session.name}` takes it back."
    )
