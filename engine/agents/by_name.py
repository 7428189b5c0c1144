"""From the name in the config to the agent; and where those that are known by name keep their logins."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from autoresearch.engine.agents.command.presets import PRESETS
from autoresearch.engine.agents.credentials import KEY_FILE
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


def login_files(environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Files and folders that no run may read, whether they are there or not."""
    home = Path(environ.get("HOME") or Path.home())
    key_file = [Path(environ[KEY_FILE]).expanduser()] if environ.get(KEY_FILE) else []
    return (*(home / name for preset in PRESETS.values() for name in preset.private), *key_file)
