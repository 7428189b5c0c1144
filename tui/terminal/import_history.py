"""Other programs' histories, imported and reported."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from autoresearch.engine import workspace
from autoresearch.engine.git import Git
from autoresearch.engine.sessions import header_for
from autoresearch.state import foreign, session
from autoresearch.state.config import dumps, load
from autoresearch.state.foreign import Imported
from autoresearch.state.journal import History
from autoresearch.state.journal.records import now_ms
from autoresearch.state.session import Place, Session, SessionError
from autoresearch.state.text import numbers
from autoresearch.state.text.numbers import plural

_SHOWN_PROBLEMS = 10


def import_history(place: Place, file: Path, name: str | None) -> list[str]:
    """Make the session; gives the sentences to say. Raises SessionError, ConfigError."""
    if not file.is_file():
        raise SessionError(f"There is no file {file}; name a results.tsv or a pi-autoresearch log.")
    try:
        imported = foreign.read(file.read_bytes().decode("utf-8", "replace"))
    except ValueError as error:
        raise SessionError(f"{file.name}: {error}.") from None
    problems = [f"{file.name}, {problem}." for problem in imported.problems]
    if not imported.segments:
        raise SessionError(" ".join([f"There is no experiment in {file.name}.", *problems[:_SHOWN_PROBLEMS]]))
    config = load(place.config_file)
    head = workspace.head_of(place)
    git = Git(place.common_dir)
    branches = set(git("for-each-ref", "--format=%(refname:lstrip=3)", "refs/heads/autoresearch/").split())
    name = name or session.free_name(place, datetime.now(), branches)
    if name in branches:
        raise SessionError(f"The branch autoresearch/{name} exists; choose another name with --session.")
    imported = imported.with_commits(workspace.commits_named(place, imported.commits()))
    header = header_for(place, Session(place.sessions_dir / name), config, head)
    own = replace(header, reason="measured here, after the imported history", timestamp=now_ms())
    first = foreign.first_header(imported, header, file.name)
    lines = foreign.to_records(imported, first, file.name)
    made = session.create_session(place, name, first, dumps(config), *lines, own)
    # The engine moves a branch from where it stands, and only a session's very first baseline makes it.
    git("update-ref", made.branch, head, "0" * len(head))
    return [_told(made.history(), imported, file.name), *_limited(problems)]


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
