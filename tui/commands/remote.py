"""`push` and `pull`: a session from box to box, over any git remote."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from autoresearch.state.session import CONFIG_FILE
from autoresearch.state.text.numbers import plural
from autoresearch.tui.facts.text import fitted
from autoresearch.tui.terminal.console import echo, emit_json, is_terminal
from autoresearch.tui.terminal.options import Where, common, dash_c

if TYPE_CHECKING:
    from autoresearch.engine.sessions import Moved

_SHOWN = 5


@click.command()
@click.argument("remote")
@click.argument("name", required=False, metavar="[SESSION]")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@common
def push(where: Where, remote: str, name: str | None, as_json: bool) -> None:
    """Send a session to the git remote REMOTE (a name, URL or path): journal, notebook, config and every commit.

    It works while an engine runs. Logs stay here. What the remote has and this session has not is never overwritten.
    """
    from autoresearch.engine import sessions
    from autoresearch.engine.git import Remote

    where.session = where.named(name)
    place, session = where.open()
    with _progress() as say:
        moved = sessions.push(place, session, Remote(place, remote, where.start(), say, is_terminal(sys.stdin)))
    if as_json:
        emit_json(asdict(moved))
        return
    if moved.did == "nothing":
        echo(f"{moved.remote} has all of session {moved.session} already ({_whole(moved)}).")
    else:
        _say_moved(moved, f"Pushed session {moved.session} to {moved.remote}", "Logs stay here.")


@click.command()
@click.argument("remote")
@click.argument("name", required=False, metavar="[SESSION]")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@common
def pull(where: Where, remote: str, name: str | None, as_json: bool) -> None:
    """Get a session from the git remote REMOTE (a name, URL or path), or bring the one here up to it.

    Without SESSION it is the only one there, else the target's latest one here.
    """
    from autoresearch.engine import sessions
    from autoresearch.engine.git import Remote

    place = where.place()
    with _progress() as say:
        source = Remote(place, remote, where.start(), say, is_terminal(sys.stdin))
        moved = sessions.pull(place, source, where.named(name))
    if as_json:
        emit_json(asdict(moved))
        return
    if moved.did == "nothing":
        echo(f"Session {moved.session} here has all that {moved.remote} has ({_whole(moved)}).")
        return
    after = "Logs do not move; on another host the next start opens a new segment."
    _say_moved(moved, f"Pulled session {moved.session} from {moved.remote}", after)
    folder = place.top / moved.target
    at = "" if folder == place.folder and where.repo is None else dash_c(folder)
    if not (folder / CONFIG_FILE).is_file():
        echo(f"There is no {CONFIG_FILE} in {folder} yet: commit and fetch it from where this came.")
    echo(f"Next: autoresearch{at} run --session {moved.session}")


def _whole(moved: Moved) -> str:
    waiting = f", {plural(moved.proposals, 'waiting proposal')}" if moved.proposals else ""
    return f"{plural(moved.experiments, 'experiment')}, {moved.kept} kept{waiting}"


def _say_moved(moved: Moved, done: str, after: str) -> None:
    new = plural(moved.new, "new experiment") if moved.new else "no new experiment"
    echo(f"{done}: {new}; it has {_whole(moved)}. Set {plural(moved.refs, 'ref')}. {after}")
    if moved.missing:
        echo(f"{plural(moved.missing, 'commit')} of the session could not be moved: git does not have them.")
    for said in moved.left_out[:_SHOWN]:
        echo(f"Left out: {fitted(said)}")
    if len(moved.left_out) > _SHOWN:
        echo(f"… and {plural(len(moved.left_out) - _SHOWN, 'more line')} like these; `autoresearch status` names them.")


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str], None] | None]:
    """One line on a terminal's stderr, gone at the end; nothing elsewhere."""
    if not is_terminal(sys.stderr):
        yield None
        return

    def say(text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{fitted(text, 78)}")
        sys.stderr.flush()

    try:
        yield say
    finally:
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()
