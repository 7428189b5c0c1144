"""`agent.kind = "auto"`: which agent makes the proposals, asked once a session when there is something to choose from.

Spending money is a decision: the answer to a bare Enter, and without a terminal, is the tuner.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from autoresearch.state.session import Place, Session, SessionError, open_session
from autoresearch.tui.console import Console, clean

if TYPE_CHECKING:
    from autoresearch.engine.machine import AgentCli
    from autoresearch.engine.opening import RunOptions
    from autoresearch.state.config import Config
    from autoresearch.state.history import History


@dataclass(frozen=True, slots=True)
class Offer:
    kind: str
    """What `--agent` takes."""
    name: str
    text: str


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
    from autoresearch.engine.agents import Unavailable
    from autoresearch.engine.agents.credentials import find_key

    with contextlib.suppress(Unavailable):
        find_key(os.environ)
        return "The tuner makes the proposals; a key was found, so `--agent claude` would let a model make them."
    name = open_question[0].agent.command
    if any(cli.path and cli.logged_in and cli.name == name for cli in _clis(os.environ)):
        return f"The tuner makes the proposals; {name} was found, so `--agent command` would let it make them."
    return ""


def offers(
    config: Config, dollars: float, spent: float, environ: Mapping[str, str] = os.environ
) -> tuple[list[Offer], list[str]]:
    """The tuner, then what was found; and sentences about what else there is."""
    budget = f"pauses at ${dollars:g} (limits.dollars)" if dollars else "no limit in dollars (limits.dollars = 0)"
    if dollars and spent:
        budget += f", ${spent:.2f} of it spent"
    found = [Offer("tuner", "tuner", "varies the numbers in the code; no model, no cost")]
    said = []
    from autoresearch.engine.agents import Unavailable
    from autoresearch.engine.agents.credentials import KEY_FILE, find_key

    try:
        find_key(environ)
        found.append(Offer("claude", "claude", f"{clean(config.agent.model)} over the API; {budget}"))
    except Unavailable as no:
        if environ.get(KEY_FILE):
            said.append(str(no))
    clis = [cli for cli in _clis(environ) if cli.path]
    named, others = _split(config.agent.command, clis)
    if named is not None:
        found.append(Offer("command", named[0], f"{named[1]}; {budget}, as far as it tells its cost"))
    if others:
        names = ", ".join(others)
        said.append(
            f'Found too: {names}. To take one, write command = "{others[0]}" under [agent] in autoresearch.toml.'
        )
    return found, said


def _split(command: str, clis: list[AgentCli]) -> tuple[tuple[str, str] | None, list[str]]:
    """(name, words) of what `agent.command` names, if it is there, and the names of the other CLIs."""
    from autoresearch.engine.agents.presets import preset_of

    known = preset_of(command)
    if known is None:
        own = ("command", f"your agent.command, {clean(command, 40)}") if command.strip() else None
        return own, [cli.name for cli in clis]
    here = next((cli for cli in clis if cli.name == known[0].name), None)
    others = [cli.name for cli in clis if cli is not here]
    if here is None:
        return None, others
    if here.logged_in:
        return (here.name, f"{here.path}, logged in"), others
    seen = "not logged in" if here.logged_in is False else "no login seen"
    return (here.name, f"{here.path}, {seen} ({here.fix})"), others


def dollars_in_force(config: Config, session: Session | None, history: History | None) -> float:
    """The limit that the engine will have: the config's, unless people set another since the config last changed."""
    from autoresearch.state import config as configs

    if session is None or history is None or "limits.dollars" not in history.settings:
        return config.limits.dollars
    try:
        before = configs.loads(session.config.read_text(encoding="utf-8"))
    except (OSError, configs.ConfigError):
        return config.limits.dollars  # the engine warns of it, and takes this one
    if before.limits.dollars != config.limits.dollars:
        return config.limits.dollars
    value = history.settings["limits.dollars"]
    return float(value) if value is not None else configs.Limits().dollars


def _undecided(place: Place, options: RunOptions) -> tuple[Config, Session | None, History | None] | None:
    """Config and session when nobody has chosen an agent yet: not this call, not the config, not an earlier call."""
    if options.agent is not None or options.replay is not None:
        return None
    from autoresearch.engine.opening import read_config
    from autoresearch.state.history import History
    from autoresearch.state.journal import Reader

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


def _clis(environ: Mapping[str, str]) -> list[AgentCli]:
    from autoresearch.engine.machine import agent_clis

    return agent_clis(environ)


def _answer(found: list[Offer]) -> str:
    def kind(text: str) -> str:
        for number, offer in enumerate(found, 1):
            if text.strip().lower() in (str(number), offer.name, offer.kind):
                return offer.kind
        raise click.UsageError(f"Type a number from 1 to {len(found)}.")

    return str(click.prompt("Which", default="1", value_proc=kind))
