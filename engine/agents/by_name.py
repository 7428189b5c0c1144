"""From the name in the config to the agent."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from autoresearch.engine.agents.protocol import Agent, Unavailable
from autoresearch.engine.git import Git
from autoresearch.state.config import Config

if TYPE_CHECKING:  # it knows the agents' logins, so it imports us
    from autoresearch.engine.agents.claude.shell import Shell
    from autoresearch.engine.sandbox import View


def _silent(_: str) -> None:
    """Where nobody listens."""


def create(
    config: Config,
    *,
    git: Git,
    kind: str = "",
    replay: str | None = None,
    prefix: str = "",
    seed: int = 0,
    say: Callable[[str], None] = _silent,
    warn: Callable[[str], None] = _silent,
    view: View | None = None,
    shell: Shell | None = None,
) -> Agent:
    """The agent of a short name: `kind`, else the config's.

    `git` is bound to the propose tree, `prefix` is the target's folder in it. `replay` is the folder or range of
    `--replay`; given, it decides. A language model tells with `say` what it waits for ("" when no longer), and with
    `warn` what should stay on record. `view` is what an agent's CLI may touch, `shell` runs commands for `claude`.

    Raises Unavailable.
    """
    kind = "replay" if replay is not None else kind or config.agent.kind
    makers: dict[str, Callable[[], Agent]] = {
        "auto": lambda: _tuner(seed),
        "tuner": lambda: _tuner(seed),
        "replay": lambda: _replay(replay, git, prefix),
        "command": lambda: _command(config, git, prefix, say, warn, view),
        "claude": lambda: _claude(config, say, shell),
    }
    if kind not in makers:
        raise Unavailable(f"There is no agent {kind!r}; there are {', '.join(makers)}.")
    return makers[kind]()


def _tuner(seed: int) -> Agent:
    from autoresearch.engine.agents.tuner.agent import Tuner

    return Tuner(seed)


def _replay(source: str | None, git: Git, prefix: str) -> Agent:
    from autoresearch.engine.agents.replay import Replay

    if source is None:
        raise Unavailable("The agent 'replay' needs --replay FOLDER or --replay BASE..TIP.")
    try:
        return Replay(source, git, prefix)
    except ValueError as error:
        raise Unavailable(str(error)) from error


def _claude(config: Config, say: Callable[[str], None], shell: Shell | None) -> Agent:
    from autoresearch.engine.agents.claude.agent import Claude

    return Claude(config.agent, say=say, shell=shell)


def _command(
    config: Config,
    git: Git,
    prefix: str,
    say: Callable[[str], None],
    warn: Callable[[str], None],
    view: View | None,
) -> Agent:
    from autoresearch.engine.agents.command.agent import Command

    agent = Command(config.agent, git=git, prefix=prefix, say=say, warn=warn, view=view)
    missing = agent.missing()
    if missing is not None:
        raise Unavailable(f"{missing.reason} {missing.fix}")
    return agent
