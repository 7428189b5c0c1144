"""The agents that this machine offers, and what they may spend."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from autoresearch.engine.agents import KEY_FILE, Unavailable, find_key, preset_of
from autoresearch.engine.doctor import AgentCli, agent_clis
from autoresearch.state.config import Config, ConfigError, Limits, loads
from autoresearch.state.journal import History
from autoresearch.state.session import Session
from autoresearch.tui.facts.text import fitted


@dataclass(frozen=True, slots=True)
class Offer:
    kind: str
    """What `--agent` takes."""
    name: str
    text: str


def offers(
    config: Config, dollars: float, spent: float, environ: Mapping[str, str] = os.environ
) -> tuple[list[Offer], list[str]]:
    """The tuner, then what was found; and sentences about what else there is."""
    budget = f"pauses at ${dollars:g} (limits.dollars)" if dollars else "no limit in dollars (limits.dollars = 0)"
    if dollars and spent:
        budget += f", ${spent:.2f} of it spent"
    found = [Offer("tuner", "tuner", "varies the numbers in the code; no model, no cost")]
    said = []
    try:
        find_key(environ)
        found.append(Offer("claude", "claude", f"{fitted(config.agent.model)} over the API; {budget}"))
    except Unavailable as no:
        if environ.get(KEY_FILE):
            said.append(str(no))
    clis = [cli for cli in agent_clis(environ) if cli.path]
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
    known = preset_of(command)
    if known is None:
        own = ("command", f"your agent.command, {fitted(command, 40)}") if command.strip() else None
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
    if session is None or history is None or "limits.dollars" not in history.settings:
        return config.limits.dollars
    try:
        before = loads(session.config.read_text(encoding="utf-8"))
    except (OSError, ConfigError):
        return config.limits.dollars  # the engine warns of it, and takes this one
    if before.limits.dollars != config.limits.dollars:
        return config.limits.dollars
    value = history.settings["limits.dollars"]
    return float(value) if value is not None else Limits().dollars
