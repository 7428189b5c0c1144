"""`autoresearch doctor`: what this machine has, and whether the target here measures what it claims."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from autoresearch.state.config import load
from autoresearch.state.session import CONFIG_FILE, NoRepository, Place, SessionError
from autoresearch.tui.terminal.console import Console, emit_json
from autoresearch.tui.terminal.dry_run import finding, prove
from autoresearch.tui.terminal.options import Where, common

if TYPE_CHECKING:
    from autoresearch.engine.doctor import AgentCli, Check, Finding, Report


@click.command()
@click.option("--quick", is_flag=True, help="Look only; run nothing.")
@click.option("--runs", type=click.IntRange(1, 100), metavar="N", help="Runs for the noise; default: the baseline's.")
@click.option("--no-canaries", is_flag=True, help="Do not try whether broken files are noticed.")
@click.option("--network", is_flag=True, help="Where a run needs the network, try once with it on.")
@click.option("--trust", is_flag=True, help="Run this target's commands without asking, wherever they came from.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@common
def doctor(
    where: Where, quick: bool, runs: int | None, no_canaries: bool, network: bool, trust: bool, as_json: bool
) -> int:
    """What this machine has, and in a target a dry run: does it measure what it claims?"""
    from autoresearch.engine.doctor import agent_clis, machine_checks

    console = None if as_json else Console()
    checks, agents = machine_checks(), agent_clis()
    if console is not None:
        _show_machine(console, checks, agents)
    has_git = all(check.state != "fail" for check in checks if check.name == "git")
    folder, place, findings = _target(where) if has_git else (None, None, ())
    report: Report | None = None
    if console is not None and folder is not None:
        console.say()
        console.say(console.paint(f"The target in {folder}", "strong"))
        _show(console, findings)
    if place is not None:
        if quick:
            report = _look(place, console)
        else:
            config = load(place.config_file)
            report = prove(place, config, console, canaries=not no_canaries, runs=runs, network=network, trust=trust)
        findings = report.findings
    failed = any(check.state == "fail" for check in (*checks, *findings))
    if console is None:
        emit_json({
            "checks": [asdict(check) for check in checks],
            "agents": [asdict(agent) for agent in agents],
            "target": _document(folder, findings, report) if folder is not None else None,
        })  # fmt: skip
    elif report is not None and not quick:
        _conclude(console, report, failed)
    return 1 if failed else 0


def _look(place: Place, console: Console | None) -> Report:
    from autoresearch.engine.doctor import Report, look

    report = Report(tuple(look(place, load(place.config_file))))
    _show(console, report.findings)
    return report


def _target(where: Where) -> tuple[Path | None, Place | None, tuple[Finding, ...]]:
    """(folder, place, what is wrong with its git): no folder where there is no target, no place where git has none."""
    from autoresearch.engine.doctor import Finding

    try:
        place = where.place()
        return (place.folder, place, ()) if place.config_file.is_file() else (None, None, ())
    except SessionError as no:
        start = where.start().resolve()
        folder = next((path for path in (start, *start.parents) if (path / CONFIG_FILE).is_file()), None)
        if folder is None:
            return None, None, ()
        if isinstance(no, NoRepository):
            text = f"{folder} is not in a git repository, and experiments are commits on a branch of their own"
            return folder, None, (Finding("git", "fail", text, "`git init && git add -A && git commit -m start`."),)
        return folder, None, (Finding("git", "fail", str(no).rstrip(".")),)


# -- shown


def _show_machine(console: Console, checks: list[Check], agents: list[AgentCli]) -> None:
    console.say(console.paint("This machine", "strong"))
    _show(console, tuple(checks))
    console.say()
    console.say(console.paint('Agent CLIs (agent.kind = "command", agent.command = one of these)', "strong"))
    for agent in agents:
        state = "ok" if agent.logged_in else "warn" if agent.path else "note"
        finding(console, state, agent.name, _agent_text(agent))


def _show(console: Console | None, findings: tuple[Check, ...]) -> None:
    if console is not None:
        for each in findings:
            finding(console, each.state, each.name, each.text, each.fix, each.lines)


def _agent_text(agent: AgentCli) -> str:
    if agent.path is None:
        return f"not found: {agent.fix}"
    if agent.logged_in:
        return f"{agent.path}, logged in ({agent.by}). Protection: {agent.protection}."
    seen = "not logged in" if agent.logged_in is False else "no login seen"
    return f"{agent.path}, {seen}: {agent.fix}"


def _conclude(console: Console, report: Report, failed: bool) -> None:
    console.say()
    if failed:
        console.prose("What is marked × has to be mended before a session is worth its night.")
    elif report.kept:
        count = len(report.samples)
        runs = "this run counts" if count == 1 else f"these {count} runs count"
        console.prose(f"All good. Start within 3 hours and {runs} as the baseline's: autoresearch run")
    else:
        console.prose("All good: autoresearch run")


def _document(folder: Path, findings: tuple[Finding, ...], report: Report | None) -> dict[str, object]:
    """What `--json` says of the target. `outlook` and `samples` are those of the dry run."""
    samples = report.samples if report is not None else ()
    return {
        "folder": str(folder),
        "findings": [asdict(each) for each in findings],
        "outlook": asdict(report.outlook) if report is not None and report.outlook is not None else None,
        "samples": [{"metric": sample.metric, "duration_s": sample.duration_s} for sample in samples],
        "kept": report is not None and report.kept,
    }
