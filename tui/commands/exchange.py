"""`import` and `export`: other programs' histories in, ours out."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from autoresearch.state import config as configs
from autoresearch.state import imports, numbers
from autoresearch.state import session as sessions
from autoresearch.state.history import History
from autoresearch.state.imports import Commit, Imported
from autoresearch.state.numbers import plural
from autoresearch.state.records import now_ms
from autoresearch.state.session import Place, Session, SessionError
from autoresearch.tui import answers
from autoresearch.tui.cli import Where, common
from autoresearch.tui.console import clean, echo

if TYPE_CHECKING:
    from autoresearch.engine.git import Git

_SHOWN_PROBLEMS = 10


@click.command(name="import")
@common
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def import_(where: Where, file: Path) -> None:
    """Make a session of a pi-autoresearch log or a results.tsv; --session names it.

    The imported experiments are its history, in segments of their own. The next run measures a baseline at HEAD and
    goes on from there.
    """
    place = where.place()
    for sentence in import_history(place, where.start() / file, where.session):
        echo(clean(sentence))
    at = "" if where.repo is None else f" -C {shlex.quote(str(where.repo))}"
    echo(f"Next: autoresearch{at} run")


def import_history(place: Place, file: Path, name: str | None) -> list[str]:
    """Make the session; gives the sentences to say. Raises SessionError, ConfigError."""
    from autoresearch.engine import git as gits
    from autoresearch.engine import opening, repository

    if not file.is_file():
        raise SessionError(f"There is no file {file}; name a results.tsv or a pi-autoresearch log.")
    try:
        imported = imports.read(file.read_bytes().decode("utf-8", "replace"))
    except ValueError as error:
        raise SessionError(f"{file.name}: {error}.") from None
    problems = [f"{file.name}, {problem}." for problem in imported.problems]
    if not imported.segments:
        raise SessionError(" ".join([f"There is no experiment in {file.name}.", *problems[:_SHOWN_PROBLEMS]]))
    config = configs.load(place.config_file)
    head = repository.head_of(place)
    git = gits.Git(place.common_dir)
    branches = set(git("for-each-ref", "--format=%(refname:lstrip=3)", "refs/heads/autoresearch/").split())
    name = name or sessions.free_name(place, datetime.now(), branches)
    if name in branches:
        raise SessionError(f"The branch autoresearch/{name} exists; choose another name with --session.")
    imported = imported.with_commits(_commits(git, imported))
    header = opening.header_for(place, Session(place.sessions_dir / name), config, head)
    own = replace(header, reason="measured here, after the imported history", timestamp=now_ms())
    first = imports.first_header(imported, header, file.name)
    lines = imports.to_records(imported, first, file.name)
    made = sessions.create_session(place, name, first, configs.dumps(config), *lines, own)
    # The engine moves a branch from where it stands, and only a session's very first baseline makes it.
    git("update-ref", made.branch, head, "0" * len(head))
    return [_told(made.history(), imported, file.name), *_limited(problems)]


def _commits(git: Git, imported: Imported) -> dict[str, Commit]:
    """Which of the named commits this repository has, by the name the file has for them."""
    names = imported.commits()
    asked = "".join(f"{name}^{{commit}}\n" for name in names)
    answers = git("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=asked).splitlines() if names else []
    full = {name: answer.split()[0] for name, answer in zip(names, answers, strict=True) if answer.endswith(" commit")}
    if not full:
        return {}
    listed = git("log", "--no-walk=unsorted", "--format=%H %ct %P", "--stdin", stdin="\n".join(full.values()) + "\n")
    facts = {}
    for line in listed.splitlines():
        sha, seconds, *parents = line.split()
        facts[sha] = Commit(sha, parents[0] if parents else "", int(seconds) * 1000)
    return {name: facts[sha] for name, sha in full.items() if sha in facts}


def _told(history: History, imported: Imported, source: str) -> str:
    assert history.header is not None
    last = imported.segments[-1]
    values = [line["metric"] for line in last.lines if line["status"] == "keep"]
    better = max if (last.direction or history.header.direction) == "higher" else min
    best = f", best {last.metric} {numbers.metric(better(values))}" if values else ""
    kept = history.counts["keep"]
    found = plural(len(history.rows), "experiment")
    return f"Imported {found} ({kept} kept{best}) from {source} as session {history.header.session}."


def _limited(problems: list[str]) -> list[str]:
    more = len(problems) - _SHOWN_PROBLEMS
    return problems[:_SHOWN_PROBLEMS] + ([f"… and {plural(more, 'more line')} like these."] if more > 0 else [])


@click.command()
@common
@click.option("--tsv", "form", flag_value="tsv", help="Karpathy's results.tsv: five columns, one line an experiment.")
@click.option("--jsonl", "form", flag_value="jsonl", help="The journal itself, which pi-autoresearch can read.")
@click.option("--output", "-o", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Else stdout.")
@click.pass_obj
def export(where: Where, form: str | None, output: Path | None) -> None:
    """Write a session's experiments in another program's format."""
    if form is None:
        raise click.UsageError("Say the format: --tsv or --jsonl.")
    _, session = where.open()
    with _opened(output and where.start() / output) as file:
        if form == "tsv":
            file.write(results_of(session).encode())
        else:
            file.writelines(line + b"\n" for line in _journal_of(session))


def _journal_of(session: Session) -> Iterator[bytes]:
    """Every line, as it stands; for an agent the readable ones that tell nothing of the holdout."""
    from autoresearch.state.journal import Reader, read_objects

    lines = Reader(session.journal).lines()
    if not answers.for_people():
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
    return imports.render_results(metric, lines, vram)


@contextmanager
def _opened(output: Path | None) -> Iterator[BinaryIO]:
    if output is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with output.open("wb") as file:
        yield file
