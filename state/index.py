"""Full-text search over all experiments of all sessions of a repository (SQLite FTS5).

Derived from the journals and never written by the engine: whoever searches calls `refresh` (or `find`, which does
both). It reads what a journal has gained since its offset, and starts that journal afresh when it was replaced or cut.
A database that is missing, corrupt or of another version is built anew beside the old one and renamed over it. Where
nothing can be written, a temporary one serves.

Looking and searching take sqlite3 alone; sqlite_utils, which takes 0.3 s to import, comes in when there is something
to write.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from autoresearch.state.journal import Reader, records
from autoresearch.state.text import plain

VERSION = 2
"""Of the tables below and what is put in them; a database with another one is built anew."""

_WAIT_S = 30.0
_BATCH = 2000
_TEXTS = ("description", "hypothesis", "reason", "lesson", "category", "tags", "files", "status", "cause")
_WEIGHTS = (4.0, 2.0, 1.0, 2.0, 3.0, 2.0, 2.0, 1.0, 1.0)
"""How much a word counts by where it stands, in the order of `_TEXTS`."""


_OF_LIST = {
    "": "1",
    "worked": "e.status = 'keep'",
    "refuted": "(e.status = 'discard' and e.cause <> 'unproven')",
    "unproven": "(e.status = 'discard' and e.cause = 'unproven')",
    "crashed": "e.status in ('crash', 'checks_failed')",
}
"""As `model.list_of` says it."""


class IndexBusy(Exception):
    """Another process has been writing the index for half a minute."""


@dataclass(frozen=True, slots=True)
class Hit:
    """An experiment that was found. Texts are on one line, without control characters."""

    session: str
    run: int
    status: str
    cause: str
    metric: float | None
    category: str
    description: str
    hypothesis: str
    reason: str
    lesson: str
    files: tuple[str, ...]
    timestamp: int
    snippet: str
    """The passage that matches best, found words in [brackets]; the description when no words were asked for."""


def find_experiments(
    db_path: Path,
    journals: Mapping[str, Path],
    words: str,
    limit: int = 20,
    *,
    sessions: Collection[str] = (),
    **filters: str,
) -> list[Hit]:
    """`refresh` and `search`; damage that only the search meets is repaired too. Raises IndexBusy."""
    place = refresh_index(db_path, journals)
    try:
        return search(place, words, limit, sessions=sessions, **filters)
    except sqlite3.DatabaseError as error:
        place = _mended(place, journals, error)
        return search(place, words, limit, sessions=sessions, **filters)


def refresh_index(db_path: Path, journals: Mapping[str, Path]) -> Path:
    """Bring the index up to date with the journals, by session, and forget other sessions.

    Gives the database to search: `db_path`, or a temporary one where that cannot be written. Raises IndexBusy.
    """
    try:
        _refresh_at(db_path, journals)
    except OSError:
        return _elsewhere(db_path, journals)
    except sqlite3.DatabaseError as error:
        return _mended(db_path, journals, error)
    return db_path


def search(
    db_path: Path,
    words: str,
    limit: int = 20,
    *,
    status: str = "",
    category: str = "",
    cause: str = "",
    where: str = "",
    sessions: Collection[str] = (),
) -> list[Hit]:
    """The experiments with all the words, the best match first; with any of them when none has all.

    The last word may be a beginning. Words in double quotes stand together. Nothing in `words` is an operator. Without
    a word, the newest experiments that pass the filters. `where` is one of `model.LISTS`.
    """
    wheres, values = [_OF_LIST[where]], []
    for column, wanted in (
        ("status", [status]),
        ("category", [category]),
        ("cause", [cause]),
        ("session", list(sessions)),
    ):
        if any(wanted):
            wheres.append(f"e.{column} in ({', '.join('?' * len(wanted))})")
            values += wanted
    passes, terms = " and ".join(wheres), _terms(words)
    with closing(_connect(db_path)) as connection:
        if not terms:
            sql = (
                f"select e.*, e.description from experiments e where {passes} order by timestamp desc, run desc limit ?"
            )
            return [_hit(row) for row in connection.execute(sql, (*values, limit))]
        sql = (
            "select e.*, snippet(experiments_fts, -1, '[', ']', '…', 16) from experiments_fts "
            f"join experiments e on e.id = experiments_fts.rowid where experiments_fts match ? and {passes} "
            f"order by bm25(experiments_fts, {', '.join(map(str, _WEIGHTS))}), e.timestamp desc limit ?"
        )
        for joint in (" AND ", " OR "):
            if rows := connection.execute(sql, (joint.join(terms), *values, limit)).fetchall():
                return [_hit(row) for row in rows]
    return []


def _terms(words: str) -> list[str]:
    """The words as FTS5 strings; the last one, unless it is closed by a quote or a space, as a prefix."""
    words = plain(words) + (" " if words[-1:].isspace() else "")
    found = [phrase or word for phrase, word in re.findall(r'"([^"]*)"|([^\s"]+)', words)]
    terms = [f'"{term}"' for term in found if any(letter.isalnum() for letter in term)]
    if terms and words[-1].isalnum():
        terms[-1] += "*"
    return terms


_COLUMNS = {
    "id": int, "session": str, "run": int, "metric": float, "timestamp": int, **dict.fromkeys(_TEXTS, str)
}  # fmt: skip


def _hit(row: tuple[Any, ...]) -> Hit:
    held = dict(zip(_COLUMNS, row, strict=False))
    taken = {name: held[name] for name in Hit.__dataclass_fields__ if name not in ("files", "snippet")}
    return Hit(**taken, files=tuple(filter(None, held["files"].split("\n"))), snippet=" ".join(row[-1].split()))


# -- bringing up to date


def _refresh_at(path: Path, journals: Mapping[str, Path]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(_connect(path)) as connection:
        if not _is_sound(connection, path) or _is_behind(connection, journals):
            _update(connection, journals)


def _mended(path: Path, journals: Mapping[str, Path], error: sqlite3.DatabaseError) -> Path:
    """Where to search after an error: in a database that was built anew, in its place if that can be written."""
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        raise IndexBusy(f"The search index {path} has been busy for {_WAIT_S:g} s; try again.") from error
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_FULL")):
        return _elsewhere(path, journals)
    try:
        _rebuild(path, journals)
    except OSError:
        return _elsewhere(path, journals)
    return path


def _elsewhere(path: Path, journals: Mapping[str, Path]) -> Path:
    temporary = _temporary(path)
    _refresh_at(temporary, journals)
    return temporary


def _rebuild(path: Path, journals: Mapping[str, Path]) -> None:
    """A new database in one piece: others go on reading the old one until it is there."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        with closing(_connect(temporary)) as connection:
            _update(connection, journals)
        # A journal of the old database would be rolled back into the new one.
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@functools.cache
def _temporary(path: Path) -> Path:
    """A database of this process alone, the same for the same path."""
    folder = tempfile.mkdtemp(prefix="autoresearch-index-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder) / "index.db"


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)


def _is_sound(connection: sqlite3.Connection, path: Path) -> bool:
    """False for a database without tables. Raises sqlite3.DatabaseError when its version or its size is wrong."""
    (version,) = connection.execute("pragma user_version").fetchone()
    tables = connection.execute("select count(*) from sqlite_master").fetchone()[0]
    if not version and not tables:
        return False
    (pages,) = connection.execute("pragma page_count").fetchone()
    (size,) = connection.execute("pragma page_size").fetchone()
    if version != VERSION or path.stat().st_size < pages * size:
        raise sqlite3.DatabaseError("the database is of another version or cut off")
    return True


@dataclass(frozen=True, slots=True)
class _Source:
    """How far a journal is indexed."""

    offset: int
    size: int
    """Of the file when it was read; beyond `offset` stands a torn line."""
    fingerprint: str


def _sources(connection: sqlite3.Connection) -> dict[str, _Source]:
    rows = connection.execute("select session, offset, size, fingerprint from sources")
    return {session: _Source(*rest) for session, *rest in rows}


def _is_behind(connection: sqlite3.Connection, journals: Mapping[str, Path]) -> bool:
    known = _sources(connection)
    return known.keys() != journals.keys() or any(
        _size(path) != known[session].size or _fingerprint(path, known[session].offset) != known[session].fingerprint
        for session, path in journals.items()
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _fingerprint(path: Path, offset: int) -> str:
    """Over the beginning and the end of the indexed part: a journal that was replaced or cut has another."""
    if not offset:
        return ""
    try:
        with path.open("rb") as file:
            head = file.read(min(offset, 1024))
            file.seek(max(0, offset - 1024))
            return hashlib.sha256(head + file.read(min(offset, 1024))).hexdigest()
    except FileNotFoundError:
        return "missing"


def _update(connection: sqlite3.Connection, journals: Mapping[str, Path]) -> None:
    """All that is new, in one transaction; a second process waits for it and then finds nothing new."""
    from sqlite_utils import Database

    connection.execute("begin immediate")
    with connection:  # commits, or rolls back after an error
        db = Database(connection)
        if not connection.execute("select count(*) from sqlite_master").fetchone()[0]:
            _create(db)
        known = _sources(connection)
        for session in known.keys() - journals.keys():
            _forget(db, session)
        for session, path in journals.items():
            _read(db, session, path, known.get(session))


def _create(db: Any) -> None:
    db["sources"].create({"session": str, "offset": int, "size": int, "fingerprint": str}, pk="session")
    table = db["experiments"].create(_COLUMNS, pk="id")
    table.create_index(["session", "run"], unique=True)
    table.enable_fts(_TEXTS, create_triggers=True, tokenize="unicode61 remove_diacritics 2")
    db.execute(f"pragma user_version = {VERSION}")


def _forget(db: Any, session: str) -> None:
    db.execute("delete from experiments where session = ?", [session])
    db.execute("delete from sources where session = ?", [session])


def _read(db: Any, session: str, path: Path, known: _Source | None) -> None:
    start = known.offset if known else 0
    size = _size(path)
    if known and (size < start or _fingerprint(path, start) != known.fingerprint):
        _forget(db, session)
        start = 0
    reader = Reader(path, start)
    found = _found(reader)
    while batch := list(islice(found, _BATCH)):
        _store(db, session, batch)
    row = {"session": session, "offset": reader.offset, "size": size}
    db["sources"].upsert({**row, "fingerprint": _fingerprint(path, reader.offset)}, pk="session")


def _found(reader: Reader) -> Iterator[records.Experiment | records.Lesson]:
    """The journal's experiments and lessons; a bad line is skipped."""
    for _, line in reader.lines():
        with suppress(orjson.JSONDecodeError, records.MalformedRecord):
            data = orjson.loads(line)
            if isinstance(data, dict) and records.name_in(data) in ("experiment", "lesson"):
                record = records.from_json(data)
                assert isinstance(record, (records.Experiment, records.Lesson))
                yield record


def _store(db: Any, session: str, batch: list[records.Experiment | records.Lesson]) -> None:
    rows: dict[int, dict[str, Any]] = {}
    late: list[tuple[str, str, int]] = []
    for record in batch:
        if isinstance(record, records.Experiment):
            rows.setdefault(record.run, _row(session, record))
        elif record.experiment in rows:
            rows[record.experiment]["lesson"] = _lesson(record)
        else:
            late.append((_lesson(record), session, record.experiment))
    # A number that is there already keeps its first experiment, as in the read model.
    db["experiments"].insert_all(rows.values(), ignore=True)
    for lesson in late:
        db.execute("update experiments set lesson = ? where session = ? and run = ?", lesson)


def _lesson(record: records.Lesson) -> str:
    return plain(f"{record.lesson} Retry if: {record.retry_if}" if record.retry_if else record.lesson)


def _row(session: str, record: records.Experiment) -> dict[str, Any]:
    """What is searched of an experiment; `asi` is where pi-autoresearch keeps what we have fields for."""

    def noted(*keys: str) -> str:
        values = (record.asi.get(key) for key in keys)
        return plain(" ".join(value if isinstance(value, str) else " ".join(map(str, value)) if isinstance(value, list)
                              else "" for value in values))  # fmt: skip

    return {
        "session": session,
        "run": record.run,
        "metric": record.value,
        "timestamp": record.timestamp,
        "description": plain(record.description),
        "hypothesis": plain(record.hypothesis) or noted("hypothesis"),
        "reason": plain(record.reason) or noted("rollback_reason"),
        "lesson": noted("learned"),
        "category": plain(record.category),
        "tags": noted("tags", "next_action_hint", "next_focus"),
        "files": "\n".join(plain(str(file)) for file in record.files),
        "status": record.status,
        "cause": plain(record.cause),
    }
