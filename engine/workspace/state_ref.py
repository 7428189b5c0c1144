"""The state ref: journal, notebook and config as a commit, from which a lost folder is restored and a session moves."""

from __future__ import annotations

import os
import shutil
from typing import BinaryIO

from autoresearch.engine.git import Git
from autoresearch.state.files import write_atomic
from autoresearch.state.session import Place, Session

SAVED = ("autoresearch.jsonl", "autoresearch.md", "config.toml")
"""What a state commit holds."""
PART = 1 << 20


class StateTrees:
    """Writes the trees of state commits, and remembers what of the journal it has written."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._parts: list[str] = []
        """Blobs of the journal's full parts."""

    def write(self, session: Session, journal: BinaryIO) -> str:
        """The tree of the session's files as they are now, with this journal."""
        files = [path for path in (session.notebook, session.config) if path.is_file()]
        blobs = self._git("hash-object", "-w", "--no-filters", "--", *map(str, files)).split() if files else []
        entries = [f"100644 blob {blob}\t{path.name}\n" for blob, path in zip(blobs, files, strict=True)]
        journals = self._journal_entry(session.journal.name, journal)
        return self._git("mktree", stdin="".join([*entries, journals])).strip()

    def _journal_entry(self, name: str, journal: BinaryIO) -> str:
        """The journal for a state's tree: a blob, and from PART bytes on a folder of parts of that size.

        The journal only grows, so a part that is full stays as it is: a keep writes and a push sends only what is new.
        What an earlier engine wrote is read again once, since people may mend a line in between.
        """
        parts = list(self._parts)
        journal.seek(len(parts) * PART)
        while (data := journal.read(PART)) or not parts:
            parts.append(self._git("hash-object", "-w", "--no-filters", "--stdin", stdin=data).strip())
            if len(data) == PART:
                self._parts = list(parts)
        if len(parts) == 1:
            return f"100644 blob {parts[0]}\t{name}\n"
        folder = self._git("mktree", stdin="".join(f"100644 blob {oid}\t{n:06d}\n" for n, oid in enumerate(parts)))
        return f"040000 tree {folder.strip()}\t{name}\n"


def restore_state(place: Place, name: str) -> Session | None:
    """Make a lost session folder again from its state ref; None when there is no such ref."""
    session = Session(place.sessions_dir / name)
    git = Git(place.common_dir)
    state = f"{session.refs}state"
    if git.resolve(state) is None:
        return None
    place.sessions_dir.mkdir(mode=0o700, exist_ok=True)
    folder = place.sessions_dir / f".new-{name}-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    for file, data in saved_files(git, state).items():
        write_atomic(folder / file, data)
    (folder / "inbox").mkdir(mode=0o700)
    (folder / "runs").mkdir(mode=0o700)
    folder.rename(session.folder)
    return session


def saved_files(git: Git, state: str) -> dict[str, bytes]:
    """Journal, notebook and config as a state commit has them, by name. It may come from elsewhere: nothing else.

    A long journal is a folder of parts there, in the order of their names.
    """
    parts: dict[str, list[tuple[str, str]]] = {}
    for facts, path in git.files_of(state):
        mode, kind, oid = facts.split(" ")
        name, _, part = path.partition("/")
        if kind == "blob" and mode != "120000" and name in SAVED:
            parts.setdefault(name, []).append((part, oid))
    return {
        name: b"".join(git.raw("cat-file", "blob", oid) for _, oid in sorted(found)) for name, found in parts.items()
    }
