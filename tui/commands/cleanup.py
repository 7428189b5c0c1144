"""`gc` and `delete`: make room, by a rule or a whole session; both say what goes and ask first."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from autoresearch.state.journal.records import now_ms
from autoresearch.state.session import NoSession, Place, SessionError, list_sessions, open_session
from autoresearch.state.text.numbers import plural
from autoresearch.tui.actions.deletion import loss_words, size_text
from autoresearch.tui.facts.documents import picked
from autoresearch.tui.facts.text import fitted
from autoresearch.tui.terminal.console import Console, echo, emit_json, is_terminal
from autoresearch.tui.terminal.options import Where, common

if TYPE_CHECKING:
    from autoresearch.engine.sessions import CleanupItem


@click.command()
@click.option("--keep-logs", type=click.FloatRange(min=0), metavar="DAYS", help="Remove logs older than DAYS days.")
@click.option("--logs-of", type=click.Choice(["keeps"]), help="Keep the logs of kept experiments alone.")
@click.option("--trees", is_flag=True, help="Remove the worktrees of sessions without an engine; they are made again.")
@click.option("--dry-run", is_flag=True, help="Show what would go, and nothing more.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@common
def gc(
    where: Where, keep_logs: float | None, logs_of: str | None, trees: bool, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Remove old logs and trees of the repository's sessions (or of --session), by the rule that the options give.

    Without an option it shows what takes room. Journals, notebooks, commits and kept outputs never go.
    """
    from autoresearch.engine.sessions import CleanupRule, clean_up, survey

    place = where.place()
    sessions = [open_session(place, where.session)] if where.session else list_sessions(place)
    rule = CleanupRule(keep_logs is not None or logs_of is not None, keep_logs, logs_of is not None, trees)
    items = survey(place, sessions, rule, now_ms())
    chosen = [item for item in items if item.selected]
    acts = bool(chosen) and not dry_run
    if as_json and acts and not yes:
        raise click.UsageError("--json asks nothing; say --dry-run or --yes with it")
    if not as_json:
        _show(Console(), items, chosen, rule.logs or rule.trees)
    left = []
    if acts:
        if not yes and not _sure(f"Remove {size_text(sum(item.bytes for item in chosen))}?"):
            echo("Nothing was removed.")
            return
        left = clean_up(place, chosen)
    freed = sum(item.bytes for item in chosen if item not in left) if acts else 0
    if as_json:
        keys = ("session", "what", "bytes", "count", "selected", "note")
        emit_json({"items": [picked(item, *keys) for item in items], "freed_bytes": freed})
        return
    for item in left:
        echo(f"The trees of {item.session} stay: an engine has started on it.")
    if acts:
        echo(f"Removed {size_text(freed)}.")


def _show(console: Console, items: list[CleanupItem], chosen: list[CleanupItem], asked: bool) -> None:
    if not items:
        console.say("No session here has logs or trees that could go.")
        return
    shown = chosen if asked else items
    rows = [
        (item.session, item.what, plural(item.count, "experiment") if item.what == "logs" else item.note,
         size_text(item.bytes))
        for item in shown
    ]  # fmt: skip
    if rows:
        console.table(rows, right=frozenset())
    if asked and not chosen:
        console.say("Nothing is covered by this rule.")
    elif not asked:
        console.prose(
            "Nothing is removed without a rule: --keep-logs DAYS, --logs-of keeps, --trees; "
            "the logs of the newest experiments always stay."
        )


@click.command()
@click.argument("name", required=False, metavar="[SESSION]")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@common
def delete(where: Where, name: str | None, yes: bool) -> None:
    """Remove a session whole: journal, notebook, logs, trees, refs and branch. Without SESSION, the latest one."""
    from autoresearch.engine import workspace
    from autoresearch.engine.sessions import delete as delete_sessions
    from autoresearch.engine.sessions import finish_deletion

    place, name = where.place(), where.named(name)
    if name is not None and not any(found.name == name for found in list_sessions(place)):
        if finish_deletion(place, name):
            echo(f"Session {name} is deleted; an earlier call had begun it.")
            return
        workspace.take_over_states(place)
        restored = workspace.restore_state(place, name)
        if restored is None:
            raise _no_session(place, name)
    session = open_session(place, name)
    if (pid := session.engine_pid()) is not None:
        raise SessionError(
            f"An engine runs on session {session.name} (pid {pid}); "
            f"`autoresearch stop --session {session.name}` ends it, then delete it.",
            code=4,
        )
    workspace.refuse_held_branch(place, session)
    console = Console()
    for sentence in loss_words(place, session):
        console.prose(sentence)
    console.stream.flush()
    if not yes and not _sure(f"Delete session {session.name}? It cannot be undone."):
        echo("Nothing was deleted.")
        return
    delete_sessions(place, session)
    echo(f"Session {session.name} is deleted.")


def _no_session(place: Place, name: str) -> SessionError:
    from autoresearch.engine.sessions import unfinished

    known = ", ".join(session.name for session in list_sessions(place)[:8]) or "none yet"
    half = unfinished(place)
    also = f"; half deleted: {', '.join(half)}" if half else ""
    return NoSession(f"There is no session {fitted(name)!r} in this repository (there are: {known}{also}).")


def _sure(question: str) -> bool:
    if not is_terminal(sys.stdin):
        raise SessionError("Nobody can be asked here; say --yes to go on without a question.")
    return click.confirm(question, default=False)
