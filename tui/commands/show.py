"""`autoresearch show N`: one experiment whole, from the journal, the experiment's ref and its run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from autoresearch.engine import files
from autoresearch.engine.workspace import diff_of
from autoresearch.state.journal import History, read_line, records
from autoresearch.state.session import Place, Session
from autoresearch.state.text import numbers
from autoresearch.tui.facts import documents
from autoresearch.tui.facts.evidence import because
from autoresearch.tui.facts.logs import last
from autoresearch.tui.facts.text import SIGNS, fitted
from autoresearch.tui.terminal.console import Console, emit_json
from autoresearch.tui.terminal.options import Where, common
from autoresearch.tui.terminal.session_text import say_score_note

_TAIL_LINES = 20
_DIFF_LINES = 400
_LOGS = ("output.log", "evaluate.log", "guard.log", "build.log", "agent.log")


@click.command()
@click.argument("number", type=int)
@click.option("--holdout", is_flag=True, help="Holdout samples too; they are for people, never for agents.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@common
def show(where: Where, number: int, holdout: bool, as_json: bool) -> None:
    """Experiment NUMBER whole: what, why, diff, samples, the end of its log."""
    if holdout and not documents.for_people():
        raise click.UsageError("The holdout is for people; an agent does not get to see it")
    place, session = where.open()
    history = session.history()
    document = describe(place, session, history, number, holdout)
    if as_json:
        emit_json(document)
    else:
        _print(Console(), document, history)


def describe(place: Place, session: Session, history: History, number: int, holdout: bool = False) -> dict[str, Any]:
    """The document of `show --json`. Raises a usage error when there is no such experiment.

    Agent CLIs may call `show`, and no agent is to see the holdout: its samples are left out unless asked for.
    """
    row = history.by_number.get(number)
    opened = history.open if history.open is not None and history.open.number == number else None
    if row is None and opened is None:
        newest = last(history)
        known = f"there are 1 to {newest}" if newest else "there is none yet"
        raise click.UsageError(f"There is no experiment {number}; {known}")
    document: dict[str, Any]
    if row is not None:
        line = read_line(session.journal, row.line_at)
        assert isinstance(line, records.Experiment)
        document = documents.experiment(row, history)
        document |= documents.picked(line, "reason", "metrics", "verdict", "warnings")
        parent, sha, intent_at, end = row.parent, row.sha, row.intent_at, row.line_at
        proposal_at = row.proposal_at
    else:
        assert opened is not None
        waiting = history.opened_proposal
        parent, sha, intent_at, end = opened.parent, opened.sha, opened.at, history.offset
        proposal_at = waiting.at if waiting is not None else -1
        document = {"number": number, "status": "open", "sha": sha, "parent": parent, "attempt": opened.attempt,
                    "description": waiting.description if waiting else "baseline",
                    "mends": waiting.mends if waiting else None}  # fmt: skip
    document["chain"] = documents.chain(number, history)
    document["proposed"] = _proposed(session, proposal_at)
    document["scored"] = history.scored
    document["self_scored"] = history.self_scored
    document["samples"] = _samples(session, number, intent_at, end)
    if holdout:
        after = max(0, end if row is not None else intent_at)
        document["samples"] += _samples(session, number, after, history.offset, holdout=True)
        document |= documents.holdout(history)
    document["diff"] = diff_of(place, session, number, parent, sha)
    document["logs"] = _logs(session.run(number))
    return document


def _proposed(session: Session, at: int) -> dict[str, Any] | None:
    """What the agent said: why, what it expects, which files."""
    if at < 0:
        return None
    line = read_line(session.journal, at)
    if not isinstance(line, records.Proposal):
        return None
    said = ("id", "agent", "model", "hypothesis", "expected_effect", "files", "dropped", "lines")
    return documents.picked(line, *said)


_SAMPLE_KEYS = ("arm", "k", "seed", "metric", "metrics", "cause", "detail", "exit", "duration_s", "peak_rss_mb",
                "peak_vram_mb", "gpu_util", "sha", "timestamp")  # fmt: skip


def _samples(session: Session, number: int, start: int, end: int, holdout: bool = False) -> list[dict[str, Any]]:
    """Those of the race, or the holdout's, which come after the verdict: after its keep or at the session's end."""
    found = documents.samples(session.journal, number, start, end, holdout)
    return [{key: data.get(key) for key in _SAMPLE_KEYS} for data in found]


def _logs(folder: Path) -> dict[str, list[str]]:
    """The last lines of each log that is there and not empty."""
    return {name: lines for name in _LOGS if (lines := _tail(folder / name))}


def _tail(path: Path) -> list[str]:
    lines = files.tail(path).removesuffix("\n").split("\n")
    return [fitted(line)[:2000] for line in lines[-_TAIL_LINES:]] if lines != [""] else []


def _print(console: Console, document: dict[str, Any], history: History) -> None:
    status = document["status"]
    title = f"#{document['number']} {console.paint(SIGNS[status], status if status != 'open' else 'run')}"
    metric = f" {documents.metric_text(document['metric'], history)}" if document.get("metric") is not None else ""
    console.say(f"{title}{metric} · {fitted(document['description'])}")
    proposed = document["proposed"] or {}
    who = " ".join(filter(None, (proposed.get("agent"), proposed.get("model"))))
    change = f"+{proposed['lines'][0]} −{proposed['lines'][1]} lines" if proposed.get("lines") else ""
    again = f" (again if {fitted(document['retry_if'])})" if document.get("retry_if") else ""
    cause, reason = fitted(document.get("cause") or ""), fitted(document.get("reason") or "")
    console.facts(
        [
            ("why", fitted(proposed.get("hypothesis") or "")),
            ("expected", fitted(proposed.get("expected_effect") or "")),
            ("verdict", ". ".join(filter(None, (reason, because(cause, document.get("verdict") or {}))))),
            ("cause", cause.replace("_", " ")),
            ("learned", fitted(document.get("lesson") or "") + again if document.get("lesson") else ""),
            ("chain", chain_text(document["chain"], document["number"])),
            ("by", fitted(who)),
            ("files", ", ".join(filter(None, (", ".join(fitted(path) for path in proposed.get("files", [])), change)))),
            ("not taken", ", ".join(fitted(path) for path in proposed.get("dropped", []))),
            (
                "metrics",
                ", ".join(f"{fitted(k)} {numbers.metric(v)}" for k, v in (document.get("metrics") or {}).items()),
            ),
            ("commit", document["sha"][:12] + (f" on {document['parent'][:12]}" if document["parent"] else "")),
        ]
    )
    say_score_note(console, document["scored"])
    if document.get("gap"):
        console.say(console.paint(f"  {fitted(document['gap']['text'])}", "warn" if document["gap"]["grows"] else ""))
    for warning in document.get("warnings") or []:
        console.say(console.paint(f"  ! {fitted(warning)}", "warn"))
    _print_samples(console, document["samples"], history)
    _print_diff(console, document["diff"])
    for name, lines in document["logs"].items():
        console.say(f"\n{console.paint(name, 'strong')}")
        for line in lines:
            console.say(f"  {line}")


def chain_text(chain: list[dict[str, Any]], number: int) -> str:
    """ "#3 crash → #4 checks failed → this keep"; empty for an experiment that mends nothing and was not mended."""
    parts = (
        f"{'this' if link['number'] == number else '#' + str(link['number'])} {link['status'].replace('_', ' ')}"
        for link in chain
    )
    return " → ".join(parts)


def _print_samples(console: Console, samples: list[dict[str, Any]], history: History) -> None:
    if not samples:
        return
    console.say(f"\n{console.paint('samples', 'strong')}")
    rows = []
    for sample in samples:
        value = documents.metric_text(sample["metric"], history)
        cause = f"{sample['cause'].replace('_', ' ')}: {fitted(sample['detail'] or '')}" if sample["cause"] else ""
        took = numbers.duration(sample["duration_s"] or 0.0)
        rows.append((f"  {sample['arm']}", f"run {sample['k']}", value, took, cause))
    console.table(rows, right=frozenset({2, 3}))


def _print_diff(console: Console, diff: str | None) -> None:
    if diff is None:
        console.say("\nThe commit is no longer in this repository, so there is no diff to show.")
        return
    lines = diff.splitlines()
    if lines:
        console.say(f"\n{console.paint('diff', 'strong')}")
    for line in lines[:_DIFF_LINES]:
        style = (
            "strong"
            if line.startswith(("diff ", "+++", "---", "@@"))
            else {"+": "added", "-": "removed"}.get(line[:1], "")
        )
        console.say(console.paint(clean_indented(line), style))
    if len(lines) > _DIFF_LINES:
        console.say(console.paint(f"… {len(lines) - _DIFF_LINES:,} more lines; the whole diff is in --json", "quiet"))


def clean_indented(line: str) -> str:
    """`clean` without losing what stands before the first word."""
    body = line.lstrip(" \t")
    return line[: len(line) - len(body)].expandtabs(4) + fitted(body)
