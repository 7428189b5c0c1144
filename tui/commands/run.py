"""`run`, `resume`, `attach` and the bare command: start an engine, or only look at one.

On a terminal the engine is a process of its own and the screen a viewer of it; without one, or with --headless, this
process is the engine.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from autoresearch.state.session import (
    NoRepository,
    NoSession,
    Place,
    Session,
    SessionError,
    list_sessions,
    open_session,
)
from autoresearch.tui.terminal.console import Console, echo, interactive, is_terminal
from autoresearch.tui.terminal.options import Where, common, on_screen, only_reading

if TYPE_CHECKING:
    from autoresearch.engine.sessions import RunOptions

AGENTS = ("auto", "claude", "command", "tuner", "replay")


def open_screen(where: Where) -> int:
    """The bare `autoresearch`: the only session, all of them, or a first one; without a terminal, the status."""
    place = where.place()
    if not list_sessions(place) and not place.config_file.is_file():
        if interactive():
            return view(where, place, None)
        raise SessionError(
            f"There is no autoresearch.toml in {place.folder}; write one with `autoresearch init`, "
            "or look at an example with `autoresearch demo`."
        )
    if not interactive():
        from autoresearch.tui.commands.status import show_status

        show_status(where)
        return 0
    if where.session is None and len([each for each in list_sessions(place) if not each.archived]) > 1:
        return view(where, place, None)
    try:
        place, session = where.open()
    except NoSession:
        if where.session is not None or not click.confirm("This target has no session yet; start one?", default=True):
            raise
        from autoresearch.engine.sessions import RunOptions

        return start(where, place, RunOptions(), headless=False)
    return view(where, place, session, None if where.read_only else _chosen(place, session))


@click.command()
@click.option("--headless", is_flag=True, help="This process is the engine; print a line per event.")
@click.option("--new", is_flag=True, help="A new session, named by the date or by --session.")
@click.option("--max-experiments", type=click.IntRange(min=1), metavar="N", help="Pause after N more experiments.")
@click.option("--agent", type=click.Choice(AGENTS), help="What makes the proposals, for this call.")
@click.option("--replay", metavar="DIR|BASE..TIP", help="Try prepared patches, or the commits of a git range.")
@click.option(
    "--budget", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="measure.budget_s for this call."
)
@click.option("--git-init", is_flag=True, help="Make a git repository of the folder when it is in none.")
@click.option("--trust", is_flag=True, help="Run this target's commands without asking, wherever they came from.")
@on_screen
@common
def run(
    where: Where,
    headless: bool,
    new: bool,
    max_experiments: int | None,
    agent: str | None,
    replay: str | None,
    budget: float | None,
    git_init: bool,
    trust: bool,
) -> int:
    """Start or continue a session and watch it.

    Without --session it continues the target's latest one, or makes one named by the date.
    """
    from autoresearch.engine.sessions import RunOptions

    _check_agent(agent, replay)
    place = _place_or_new(where, git_init)
    options = RunOptions(
        session=where.session,
        new=new,
        max_experiments=max_experiments,
        agent=agent,
        replay=_replay(replay, where.start()) if replay is not None else None,
        budget_s=budget,
        trust=trust,
    )
    return start(where, place, options, headless)


@click.command()
@click.option("--headless", is_flag=True, help="This process is the engine; print a line per event.")
@click.option("--trust", is_flag=True, help="Run this target's commands without asking, wherever they came from.")
@on_screen
@common
def resume(where: Where, headless: bool, trust: bool) -> int:
    """Go on with a paused or stopped session; a pause that is asked for and not yet done is taken back."""
    from autoresearch.engine.sessions import RunOptions

    place, session = where.open()
    pid = session.engine_pid()
    if pid is not None:
        from autoresearch.tui.actions.requests import ask

        ask(session, "unpause")
        echo(f"Session {session.name} runs already (pid {pid}); watch it with `autoresearch attach`.", err=True)
        return view(where, place, session) if interactive() and not headless else 0
    return start(where, place, RunOptions(session=session.name, trust=trust), headless)


@click.command()
@only_reading
@on_screen
@common
def attach(where: Where) -> int:
    """Watch a session; closing the screen leaves the engine running."""
    place, session = where.open()
    if not interactive():
        raise SessionError(
            "The screen needs a terminal; without one, use `autoresearch status` and `autoresearch log`."
        )
    return view(where, place, session)


def start(where: Where, place: Place, options: RunOptions, headless: bool, demo: bool = False) -> int:
    """Run the engine: detached under the screen on a terminal, else here with a line per event."""
    from autoresearch.engine.start import start_detached
    from autoresearch.tui.terminal.ask import ask_or_refuse

    if place.config_file.is_file():
        options = ask_or_refuse(place, options)
    if headless or not interactive():
        return _foreground(where, place, options)
    from autoresearch.tui.terminal.ask import ask_agent

    where.preferences()  # what is wrong in them is said before anything runs
    options = ask_agent(place, options)
    session = start_detached(place, options)
    where.opened = session
    return view(where, place, session, replace(options, session=session.name, new=False), demo=demo)


def _foreground(where: Where, place: Place, options: RunOptions) -> int:
    from autoresearch.engine.host import engine_main
    from autoresearch.tui.terminal.ask import hint_of
    from autoresearch.tui.terminal.line_mode import Printer

    hint = hint_of(place, options)
    printer = Printer(sys.stdout, tty=is_terminal(sys.stdout), goal=options.max_experiments, hint=hint)
    code = engine_main(place, options, printer.observe, printer.live)
    if printer.session is not None:
        where.opened = open_session(place, printer.session)
        printer.finish(where.opened)
    return code


def _chosen(place: Place, session: Session) -> RunOptions:
    """What an engine started from a session's screen gets; asks for the agent while nobody has chosen one."""
    from autoresearch.engine.sessions import RunOptions
    from autoresearch.state.config import ConfigError
    from autoresearch.tui.actions.engines import Starter
    from autoresearch.tui.terminal.ask import ask_agent

    options = RunOptions(session=session.name)
    try:
        return ask_agent(place, options) if Starter().can_resume(place, session) else options
    except ConfigError:
        return options  # to look needs no config; who starts an engine is told what is wrong with it


def view(
    where: Where, place: Place, session: Session | None, options: RunOptions | None = None, demo: bool = False
) -> int:
    """The screen on a session, or on all of them. Resuming from it starts an engine with `options`."""
    from autoresearch.tui.actions.engines import Starter
    from autoresearch.tui.app.app import run_dashboard
    from autoresearch.tui.terminal.parting_words import parting_words

    code, shown = run_dashboard(
        place,
        session,
        demo=demo,
        starter=Starter(options),
        preferences=where.preferences(),
        read_only=where.read_only,
    )
    for line in parting_words(*shown) if shown is not None else ():
        Console().prose(line)
    return code


def _place_or_new(where: Where, git_init: bool) -> Place:
    """The place, made a repository when it is none and the person says so, by the option or when asked."""
    try:
        return where.place()
    except NoRepository:
        folder = where.start()
        if not git_init and not (
            interactive()
            and click.confirm(f"{folder} is not in a git repository. Make one there and commit what is in it?")
        ):
            raise
    from autoresearch.tui.actions.repository import make_repository

    make_repository(folder, "The state autoresearch starts from")
    echo(f"Made a git repository in {folder} and committed what is in it.", err=True)
    return where.place()


def _check_agent(agent: str | None, replay: str | None) -> None:
    if replay is not None and agent not in (None, "replay"):
        raise click.UsageError(f"--replay tries prepared changes and --agent {agent} makes its own; give one of them")
    if agent == "replay" and replay is None:
        raise click.UsageError("--agent replay needs --replay DIR or --replay BASE..TIP")


def _replay(text: str, start: Path) -> str:
    """An absolute folder, or a git range as it is."""
    folder = (start / text).resolve()
    if folder.is_dir():
        return str(folder)
    if ".." in text and not text.startswith((".", "/")):
        return text
    raise click.UsageError(
        f"--replay takes a folder of patches or a git range such as main..topic; {text!r} is neither"
    )
