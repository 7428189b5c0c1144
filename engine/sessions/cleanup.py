"""What of a repository's sessions takes room and can go: logs of finished experiments, and trees.

Journals, notebooks, refs and what `measure.keep` kept never go. Nothing here happens by itself: people ask for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autoresearch.engine import verdict, workspace
from autoresearch.engine.files import remove
from autoresearch.engine.sessions import deletion
from autoresearch.state.session import Locked, Place, Session

SPARED = 3
"""The newest experiments of a session keep their logs: an agent that mends or learns still reads them."""
_KEPT = "kept"
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class CleanupRule:
    """Which logs go: those older than `days` (None: of any age), `but_keeps` only of experiments that were not kept."""

    logs: bool = False
    days: float | None = None
    but_keeps: bool = False
    trees: bool = False


@dataclass(frozen=True, slots=True)
class CleanupItem:
    """Something that takes room."""

    session: str
    what: str
    """logs, trees or orphan trees."""
    bytes: int
    count: int
    """Experiments, or folders."""
    paths: tuple[Path, ...]
    selected: bool
    """The rule takes it."""
    note: str = ""
    """Why it cannot go."""


def survey(place: Place, sessions: list[Session], rule: CleanupRule, now_ms: int) -> list[CleanupItem]:
    """Everything that takes room in these sessions, and what of it the rule takes."""
    items = [item for session in sessions for item in (*_logs(session, rule, now_ms), _trees(place, session, rule))]
    items += [
        CleanupItem(
            f"{folder.parent.name}/{folder.name}", "orphan trees", deletion.size_of(folder), 1, (folder,), rule.trees
        )
        for folder in orphans()
    ]
    return [item for item in items if item.bytes or item.count]


def clean_up(place: Place, items: list[CleanupItem]) -> list[CleanupItem]:
    """Remove what is selected; gives what could not go after all, because an engine has started meanwhile."""
    left = []
    for item in items:
        if item.what == "trees":
            try:
                with Session(place.sessions_dir / item.session).lock():
                    deletion.remove_trees(place, item.session)
            except Locked:
                left.append(item)
            continue
        for path in item.paths:
            remove(path)
    return left


def _logs(session: Session, rule: CleanupRule, now_ms: int) -> Iterator[CleanupItem]:
    rows = session.history().rows[:-SPARED]
    chosen: list[Path] = []
    others: list[Path] = []
    count = {True: 0, False: 0}
    for row in rows:
        files = _files(session.run(row.number)) + _files(verdict.holdout_folder(session.folder, row.number))
        old = rule.days is None or now_ms - row.timestamp > rule.days * _DAY_MS
        goes = rule.logs and old and not (rule.but_keeps and row.status == "keep")
        (chosen if goes else others).extend(files)
        count[goes] += bool(files)
    for paths, goes in ((chosen, True), (others, False)):
        if paths:
            yield CleanupItem(session.name, "logs", _bytes(paths), count[goes], tuple(paths), goes)


def _files(run: Path) -> list[Path]:
    """What an experiment's folder holds beside the outputs that the person asked to keep."""
    try:
        return [Path(entry.path) for entry in os.scandir(run) if entry.name != _KEPT]
    except OSError:
        return []


def _bytes(paths: list[Path]) -> int:
    return sum(path.lstat().st_blocks * 512 if not path.is_dir() else deletion.size_of(path) for path in paths)


def _trees(place: Place, session: Session, rule: CleanupRule) -> CleanupItem:
    pid = session.engine_pid()
    size = deletion.trees_of(place, session.name)
    note = f"an engine runs (pid {pid})" if pid is not None else ""
    return CleanupItem(session.name, "trees", size, 0, (), rule.trees and pid is None, note)


def orphans() -> list[Path]:
    """Folders of trees whose session is gone, of any repository; what does not tell its repository is left alone."""
    found = []
    for folder in sorted(workspace.trees_root().glob("*/*")):
        repository = _repository_of(folder)
        if repository is not None and not (repository / "autoresearch" / folder.name).is_dir():
            found.append(folder)
    return found


def _repository_of(folder: Path) -> Path | None:
    """The common git directory that a session's trees belong to, by the `.git` file of one of them."""
    for pointer in sorted(folder.glob("*/.git")):
        try:
            admin = Path(pointer.read_text(encoding="utf-8", errors="surrogateescape").strip().removeprefix("gitdir: "))
        except OSError:
            continue
        if admin.is_absolute() and admin.parent.name == "worktrees" and admin.name == pointer.parent.name:
            return admin.parent.parent
    return None
