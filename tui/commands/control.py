"""What people ask of a session: each becomes a request in its inbox, obeyed by the engine or, without one, at once."""

from __future__ import annotations

from dataclasses import asdict

import click

from autoresearch.state.config import ConfigError, Limits
from autoresearch.state.journal import NOTHING_TAKEN, History, IdeaState, Row
from autoresearch.state.session import Session
from autoresearch.tui.actions.requests import ask, limit_value
from autoresearch.tui.facts.spelling import did_you_mean
from autoresearch.tui.facts.text import fitted
from autoresearch.tui.terminal.console import echo, emit_json
from autoresearch.tui.terminal.options import Where, common


def say(done: str, how: str) -> None:
    """What was done, and that it is still to come where the engine is busy."""
    later = " The engine is busy and takes it up as soon as it can." if how == "waiting" else ""
    echo(done + later)


@click.command()
@click.option("--now", is_flag=True, help="Do not finish this experiment; it goes on at its next sample.")
@common
def pause(where: Where, now: bool) -> None:
    """Pause after the running experiment, or with --now at once; `autoresearch resume` goes on."""
    _, session = where.open()
    _ask_end(session, "pause", "pauses now" if now else "pauses after", now=now)


@click.command()
@common
def stop(where: Where) -> None:
    """Stop the engine now; the open experiment goes on at its next sample with `autoresearch resume`."""
    _, session = where.open()
    _ask_end(session, "stop", "stops now")


def _ask_end(session: Session, kind: str, does: str, **args: bool) -> None:
    history, running = session.history(), session.engine_pid() is not None
    how = ask(session, kind, **args)
    what = _open_experiment(session)
    if not running:
        _already(session, history)
    elif args.get("now", True):
        going = f"{what or 'what is open'} goes on at the next `autoresearch resume`"
        say(f"Session {session.name} {does}; {going}.", how)
    else:
        say(f"Session {session.name} {does} {what or 'this experiment'}; `autoresearch resume` goes on.", how)


def _already(session: Session, before: History) -> None:
    state = before.control.state
    if state == "running":
        echo(f"No engine runs on session {session.name}: it ended without a word. `autoresearch resume` goes on.")
    else:
        why = f" ({fitted(before.control.reason)})" if before.control.reason else ""
        echo(f"Session {session.name} is {state} already{why}; `autoresearch resume` goes on.")


def _open_experiment(session: Session) -> str:
    live = session.read_live()
    return f"experiment {live.experiment}" if live is not None and live.experiment is not None else ""


@click.command()
@click.argument("text", nargs=-1)
@click.option("--list", "listed", is_flag=True, help="The messages so far, and when each was read.")
@click.option("--json", "as_json", is_flag=True, help="With --list: one JSON document.")
@common
def steer(where: Where, text: tuple[str, ...], listed: bool, as_json: bool) -> None:
    """Give the agent TEXT with its next brief; --list shows what was said and when it was read."""
    _, session = where.open()
    if listed:
        _list_messages(session, as_json)
        return
    if not text:
        raise click.UsageError("Missing argument TEXT, the message; --list shows earlier ones")
    how = ask(session, "steer", text=_text(text, "steer"))
    say("The agent reads it with its next brief.", how)


def _list_messages(session: Session, as_json: bool) -> None:
    from autoresearch.tui.facts.messages import fate, messages
    from autoresearch.tui.facts.pending import pending

    history = session.history()
    found = messages(history, pending(session.asked(), history))
    if as_json:
        emit_json({"session": session.name, "messages": [asdict(message) for message in found]})
        return
    if not found:
        echo("No message was given yet.")
    for message in found:
        echo(f"{fitted(message.text)}\n    {fate(message, agent=history.agent[0])}")


@click.command(context_settings={"ignore_unknown_options": True})  # "-1" is a value, and told to be a wrong one
@click.argument("name")
@click.argument("value")
@common
def limit(where: Where, name: str, value: str) -> None:
    """Set the limit NAME to VALUE; "off" takes it away. A session that this limit paused goes on when it is raised.

    Names: experiments, hours, until ("07:30"), dollars, tokens, no_keep, stagnation_after.
    """
    place, session = where.open()
    known = tuple(Limits.__dataclass_fields__)
    name = name.replace("-", "_")
    if name not in known:
        raise click.UsageError(f"There is no limit {name!r}{did_you_mean(name, known)}; there are {', '.join(known)}")
    try:
        new = limit_value(name, value)
    except ConfigError as error:
        raise click.UsageError("; ".join(error.problems)) from error
    before = session.history()
    how = ask(session, "limit", name=name, value=new)
    shown = "off" if new in (0, "") else f"{new}"
    say(f"The limit {name} is now {shown}.", how)
    if how != "done" or before.control.state != "paused" or before.control.limit != name:
        return
    from autoresearch.engine import sessions, start
    from autoresearch.tui.terminal.ask import ask_or_refuse

    started = start.start_detached(place, ask_or_refuse(place, sessions.RunOptions(session=session.name)))
    echo(f"Session {started.name} goes on (engine pid {started.engine_pid()}).")


@click.command()
@click.argument("text", nargs=-1, required=True)
@click.option("--first", is_flag=True, help="To the head of the list.")
@click.option("--id", "id", metavar="ID", default=None, help="Change the text of this idea instead.")
@common
def idea(where: Where, text: tuple[str, ...], first: bool, id: str | None) -> None:
    """Add the idea TEXT to the notebook."""
    _, session = where.open()
    before = session.history()
    if id is not None:
        known_idea(before, id)
        say(f"{id} has its new text.", ask(session, "idea", id=id, text=_text(text, "idea"), first=first))
        return
    how = ask(session, "idea", text=_text(text, "idea"), first=first)
    new = [id for id in session.history().ideas if id not in before.ideas]
    say(f"Noted as {new[0]}." if new else "Noted.", how)


@click.command()
@click.argument("id")
@click.option("--reason", default="", metavar="TEXT", help="Why; the agent reads it.")
@common
def veto(where: Where, id: str, reason: str) -> None:
    """Take the idea, dead end or note ID (as `autoresearch ideas` shows it) off the notebook."""
    _, session = where.open()
    history = session.history()
    known = [*history.ideas, *history.dead_ends, *history.notes]
    if id not in known:
        raise click.UsageError(
            f"There is no idea, dead end or note {id!r}{did_you_mean(id, known)}; `autoresearch ideas` lists them"
        )
    if id in history.ideas and history.ideas[id].state == "vetoed":
        echo(f"{id} is vetoed already.")
        return
    say(f"{id} is off the list.", ask(session, "veto", id=id, reason=reason))


@click.command()
@click.argument("number", type=int)
@common
def retry(where: Where, number: int) -> None:
    """Try the change of experiment NUMBER again, on the present best; the best itself is measured once more."""
    _, session = where.open()
    history = session.history()
    changed(history, number)
    best = history.incumbent is not None and history.incumbent.number == number
    say(
        f"Experiment {number} is {'measured' if best else 'tried'} again next.",
        ask(session, "retry", experiment=number),
    )


@click.command()
@click.argument("number", type=int)
@click.argument("action", type=click.Choice(["keep", "discard"]))
@click.option("--note", required=True, metavar="TEXT", help="Why; it stays on record.")
@common
def overrule(where: Where, number: int, action: str, note: str) -> None:
    """Decide against the verdict on experiment NUMBER: keep re-applies its change, discard reverts it.

    It becomes a new experiment; old lines stay as they are.
    """
    _, session = where.open()
    row = changed(session.history(), number)
    if (row.status == "keep") == (action == "keep"):
        raise click.UsageError(f"Experiment {number} is {'kept' if row.status == 'keep' else 'discarded'} already")
    if not note.strip():
        raise click.UsageError("Overruling needs a note that says why")
    how = ask(session, "overrule", experiment=number, action=action, note=note)
    say(f"Experiment {number} is {'re-applied' if action == 'keep' else 'reverted'} next, as a new experiment.", how)


def known_idea(history: History, id: str) -> IdeaState:
    """Raises a usage error when there is no such idea."""
    if id not in history.ideas:
        near = did_you_mean(id, history.ideas)
        raise click.UsageError(f"There is no idea {id!r}{near}; `autoresearch ideas` lists them")
    return history.ideas[id]


def finished(history: History, number: int) -> Row:
    """The experiment, with a verdict and not a baseline; a usage error otherwise."""
    row = history.by_number.get(number)
    if row is None:
        last = f"the last one is {history.rows[-1].number}" if history.rows else "there is none yet"
        raise click.UsageError(f"There is no finished experiment {number}; {last}")
    if row.cause == "baseline":
        raise click.UsageError(f"Experiment {number} is a baseline; name one that changed something")
    return row


def changed(history: History, number: int) -> Row:
    """A finished experiment with a change that could be tried again; a usage error otherwise."""
    row = finished(history, number)
    if row.cause in NOTHING_TAKEN:
        raise click.UsageError(f"Experiment {number} changed nothing ({row.cause.replace('_', ' ')}); name another")
    return row


def _text(words: tuple[str, ...], command: str) -> str:
    text = " ".join(words).strip()
    if not text:
        raise click.UsageError(f"`autoresearch {command}` needs a text")
    return text
