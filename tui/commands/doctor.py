"""`autoresearch doctor`: what this machine has of what a run can use, and what to do about the rest."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from autoresearch.tui.cli import Where, common
from autoresearch.tui.console import Console, clean, emit_json

if TYPE_CHECKING:
    from autoresearch.engine.machine import AgentCli

_STYLES = {"ok": "", "note": "quiet", "warn": "warn", "fail": "crash"}
_MARKS = {"ok": "✓", "note": "-", "warn": "!", "fail": "×"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@common
@click.pass_obj
def doctor(where: Where, as_json: bool) -> int:
    """What this machine has: git, confinement, GPUs, agent CLIs and their logins."""
    from autoresearch.engine import machine

    checks, agents = machine.checks(), machine.agent_clis()
    code = 1 if any(check.state == "fail" for check in checks) else 0
    if as_json:
        emit_json({"checks": [asdict(check) for check in checks], "agents": [asdict(agent) for agent in agents]})
        return code
    console = Console()
    console.say(console.paint("This machine", "strong"))
    for check in checks:
        _line(console, check.state, check.name, f"{check.text}. {check.fix}" if check.fix else check.text)
    console.say()
    console.say(console.paint('Agent CLIs (agent.kind = "command", agent.command = one of these)', "strong"))
    for agent in agents:
        _line(console, "ok" if agent.logged_in else "warn" if agent.path else "note", agent.name, _agent_text(agent))
    return code


def _agent_text(agent: AgentCli) -> str:
    if agent.path is None:
        return f"not found: {agent.fix}"
    if agent.logged_in:
        return f"{agent.path}, logged in ({agent.by}). Protection: {agent.protection}."
    seen = "not logged in" if agent.logged_in is False else "no login seen"
    return f"{agent.path}, {seen}: {agent.fix}"


def _line(console: Console, state: str, name: str, text: str) -> None:
    console.say(console.paint(f"  {_MARKS[state]} {name.ljust(16)} {clean(text)}", _STYLES[state]))
