"""`import` and `export`: other programs' histories in, ours out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from autoresearch.state import foreign
from autoresearch.state.session import Session
from autoresearch.tui.facts import documents
from autoresearch.tui.facts.text import fitted
from autoresearch.tui.terminal.console import echo
from autoresearch.tui.terminal.import_history import import_history
from autoresearch.tui.terminal.options import Where, common, dash_c


@click.command(name="import")
@common
@click.argument("file", type=click.Path(path_type=Path))
def import_(where: Where, file: Path) -> None:
    """Make a session of a pi-autoresearch log or a results.tsv; --session names it.

    The imported experiments are its history, in segments of their own. The next run measures a baseline at HEAD and
    goes on from there.
    """
    place = where.place()
    for sentence in import_history(place, where.start() / file, where.session):
        echo(fitted(sentence))
    echo(f"Next: autoresearch{dash_c(where.repo)} run")


@click.command()
@common
@click.option("--tsv", "form", flag_value="tsv", help="Karpathy's results.tsv: five columns, one line an experiment.")
@click.option("--jsonl", "form", flag_value="jsonl", help="The journal itself, which pi-autoresearch can read.")
@click.option("--output", "-o", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Else stdout.")
def export(where: Where, form: str | None, output: Path | None) -> None:
    """Write a session's experiments in another program's format."""
    if form is None:
        raise click.UsageError("Say the format: --tsv or --jsonl.")
    _, session = where.open()
    with click.open_file(str(where.start() / output) if output is not None else "-", "wb") as file:
        if form == "tsv":
            file.write(results_of(session).encode())
        else:
            file.writelines(line + b"\n" for line in _journal_of(session))


def _journal_of(session: Session) -> Iterator[bytes]:
    """Every line, as it stands; for an agent the readable ones that tell nothing of the holdout."""
    from autoresearch.state.journal import Reader, read_objects

    lines = Reader(session.journal).lines()
    if not documents.for_people():
        told = read_objects(session.journal, 0, session.journal.stat().st_size)
        shown = {at for at, data in told if data.get("arm") != "holdout"}
        lines = ((at, line) for at, line in lines if at in shown)
    yield from (line for _, line in lines)


def results_of(session: Session) -> str:
    """The session's experiments as a results.tsv."""
    from autoresearch.state.journal import read_objects

    lines: list[dict[str, Any]] = []
    vram: dict[int, float] = {}
    metric = "metric"
    for _, data in read_objects(session.journal, 0, session.journal.stat().st_size):
        kind = data.get("type")
        if kind is None and isinstance(data.get("run"), (int, float)):
            lines.append(data)
        elif kind == "config":
            metric = str(data.get("metricName") or metric)
        elif kind == "sample" and data.get("peak_vram_mb") and data.get("arm") in ("candidate", "fresh"):
            number = data.get("experiment")
            if isinstance(number, int):
                vram[number] = max(vram.get(number, 0.0), float(data["peak_vram_mb"]))
    return foreign.render_results(metric, lines, vram)
