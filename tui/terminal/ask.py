"""What is asked in a terminal before an engine starts: whose commands may run here, and what makes the proposals.

`agent.kind = "auto"` asks once a session, when there is something to choose from. Spending money is a decision: the
answer to a bare Enter, and without a terminal, is the tuner.
"""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import replace

import click

from autoresearch.engine import sessions
from autoresearch.engine.agents import Unavailable, find_key
from autoresearch.engine.doctor import agent_clis
from autoresearch.engine.sessions import RunOptions, read_config
from autoresearch.state.config import Config
from autoresearch.state.journal import History, Reader
from autoresearch.state.session import Place, Session, SessionError, open_session
from autoresearch.tui.actions.agents import Offer, dollars_in_force, offers
from autoresearch.tui.actions.engines import trust_question
from autoresearch.tui.facts.text import fitted
from autoresearch.tui.terminal.console import Console, is_terminal

_SHOWN_CHARS = 400


def ask_agent(place: Place, options: RunOptions) -> RunOptions:
    """The options with the person's answer; as they are when nothing is to be asked. The engine keeps the answer."""
    open_question = _undecided(place, options)
    if open_question is None:
        return options
    config, session, history = open_question
    found, others = offers(config, dollars_in_force(config, session, history), history.cost_usd if history else 0.0)
    if len(found) == 1:
        return options
    console = Console()
    console.say("What is to make the proposals? It is asked once; `--agent` changes it later.")
    console.facts([(f"{number}  {offer.name}", offer.text) for number, offer in enumerate(found, 1)])
    for line in others:
        console.prose(line)
    console.stream.flush()
    return replace(options, agent=_answer(found))


def hint_of(place: Place, options: RunOptions) -> str:
    """A sentence for those who cannot be asked; "" when there is nothing to choose."""
    open_question = _undecided(place, options)
    if open_question is None:
        return ""
    with contextlib.suppress(Unavailable):
        find_key(os.environ)
        return "The tuner makes the proposals; a key was found, so `--agent claude` would let a model make them."
    name = open_question[0].agent.command
    if any(cli.path and cli.logged_in and cli.name == name for cli in agent_clis(os.environ)):
        return f"The tuner makes the proposals; {name} was found, so `--agent command` would let it make them."
    return ""


def _undecided(place: Place, options: RunOptions) -> tuple[Config, Session | None, History | None] | None:
    """Config and session when nobody has chosen an agent yet: not this call, not the config, not an earlier call."""
    if options.agent is not None or options.replay is not None:
        return None
    config = read_config(place, options)
    if config.agent.kind != "auto":
        return None
    session = None
    if not options.new:
        with contextlib.suppress(SessionError):
            session = open_session(place, options.session)
    if session is None:
        return config, None, None
    if session.engine_pid() is not None:
        return None
    history = History()
    for at, line in Reader(session.journal).lines():
        history.feed(at, line)
        if history.agent[0]:
            return None  # an agent's first line is near the start: 10,000 experiments are not read before the screen
    return config, session, history


def _answer(found: list[Offer]) -> str:
    def kind(text: str) -> str:
        for number, offer in enumerate(found, 1):
            if text.strip().lower() in (str(number), offer.name, offer.kind):
                return offer.kind
        raise click.UsageError(f"Type a number from 1 to {len(found)}.")

    return str(click.prompt("Which", default="1", value_proc=kind))


def ask_or_refuse(place: Place, options: RunOptions) -> RunOptions:
    """Commands that arrived with a clone or a pull are shown and confirmed before their first run, as editors do.

    Gives the options, with `trust` after a yes. Raises SessionError after a no, and where nobody can be asked.
    """
    if options.trust:
        return options
    commands = sessions.pending(place, options.session, options.new)
    if not commands:
        return options
    if not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        raise sessions.refusal(commands)
    console = Console()
    source = None if options.new else sessions.pulled_from(place, options.session)
    for line in trust_question(place, source):
        console.prose(line)
    console.facts([(command.key, fitted(command.text, _SHOWN_CHARS)) for command in commands])
    console.stream.flush()
    if not click.confirm("Run them here?", default=False):
        raise SessionError("Nothing was run; look at autoresearch.toml and the code it names, then call it again.")
    sessions.accept(place, options.session, options.new)
    return replace(options, trust=True)
