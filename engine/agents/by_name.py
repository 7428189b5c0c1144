"""From the name in the config to the agent."""

from __future__ import annotations

from importlib import import_module

from autoresearch.engine.agents.protocol import Agent, Unavailable, Wanted

_AGENTS = {
    "auto": "tuner.agent:Tuner",
    "tuner": "tuner.agent:Tuner",
    "replay": "replay:Replay",
    "command": "command.agent:Command",
    "claude": "claude.agent:Claude",
}
"""Where each lies in this room: imported when it is asked for."""


def create(wanted: Wanted, kind: str = "") -> Agent:
    """The agent of a short name: `kind`, else the config's. Raises Unavailable."""
    kind = "replay" if wanted.replay is not None else kind or wanted.config.agent.kind
    if kind not in _AGENTS:
        raise Unavailable(f"There is no agent {kind!r}; there are {', '.join(_AGENTS)}.")
    module, _, name = _AGENTS[kind].partition(":")
    agent: Agent = getattr(import_module(f"autoresearch.engine.agents.{module}"), name).made(wanted)
    return agent
