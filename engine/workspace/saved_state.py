"""What is saved of a session: journal, notebook and config as commits in a bare repository of its own.

From its last commit a lost folder is restored, and a session moves. It lies beside the folder of the sessions, so that
it outlives that, and apart from the user's objects: a run, an agent, a mirror or a bundle of theirs finds no journal
there, and a long one does not bloat them. Earlier versions saved it there, under the same ref: `take_over_states` moves
it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Mapping
from typing import BinaryIO

from autoresearch.engine.files import remove
from autoresearch.engine.git import INCOMING, Git, GitError, alternate
from autoresearch.engine.workspace.repository import identity_of
from autoresearch.state.faults import reach
from autoresearch.state.files import write_atomic
from autoresearch.state.session import Place, Session, SessionError, is_name

SAVED = ("autoresearch.jsonl", "autoresearch.md", "config.toml")
"""What a state commit holds."""
PART = 1 << 20
_DURABLE = ("-c", "core.fsync=pack,pack-metadata,loose-object,reference")
"""For a pack in whose favour other objects go."""


class SavedState:
    """The repository of one session's saved state. Making one touches nothing."""

    def __init__(self, place: Place, name: str) -> None:
        self._place = place
        self.folder = place.states_dir / f"{name}.git"
        self.objects = self.folder / "objects"
        self.ref = f"{Session(place.sessions_dir / name).refs}state"
        self.git = Git(self.folder)
        self._parts: list[str] = []
        """Blobs of the journal's full parts."""

    def make(self) -> None:
        """An empty repository where there is none, its owner's alone."""
        states = self._place.states_dir
        states.mkdir(mode=0o700, exist_ok=True)
        with contextlib.suppress(OSError):  # not ours to change
            states.chmod(0o700)
        if self.folder.is_dir():
            return
        self._parts = []
        kind = Git(self._place.common_dir)("rev-parse", "--show-object-format").strip()
        new = self.folder.with_name(f".new-{self.folder.name}-{os.getpid()}")
        remove(new)
        new.mkdir(mode=0o700)
        Git(new)("init", "--quiet", "--bare", "--template=", f"--object-format={kind}")
        try:
            new.rename(self.folder)
        except OSError:
            remove(new)
            if not self.folder.is_dir():  # else another command made it at this moment
                raise

    def remove(self) -> None:
        """Nothing is saved any more, from one moment to the next."""
        hidden = self.folder.with_name(f".deleting-{self.folder.name}")
        remove(hidden)  # of a call that was killed
        if self.folder.is_dir():
            self.folder.rename(hidden)
        remove(hidden)

    @property
    def last(self) -> str | None:
        """The last commit; None while nothing is saved."""
        return self.git.resolve(self.ref) if self.folder.is_dir() else None

    def holds(self, commit: str) -> bool:
        """Whether a state commit is here with all that belongs to it."""
        return self.folder.is_dir() and self.git.attempt("rev-list", "--objects", "--quiet", commit, "--")[0] == 0

    def files(self, commit: str) -> dict[str, bytes]:
        """Journal, notebook and config of a state commit, by name. It may come from elsewhere: nothing else.

        A long journal is a folder of parts there, in the order of their names.
        """
        parts: dict[str, list[tuple[str, str]]] = {}
        for facts, path in self.git.files_of(commit):
            mode, kind, oid = facts.split(" ")
            name, _, part = path.partition("/")
            if kind == "blob" and mode != "120000" and name in SAVED:
                parts.setdefault(name, []).append((part, oid))
        return {
            name: b"".join(self.git.raw("cat-file", "blob", oid) for _, oid in sorted(found))
            for name, found in parts.items()
        }

    def journal(self, commit: str | None) -> bytes:
        return self.files(commit).get(SAVED[0], b"") if commit is not None else b""

    def save(self, session: Session, journal: BinaryIO, message: str, identity: Mapping[str, str]) -> str:
        """Commit the session's files with this journal; the commit, which is the last one where nothing is new."""
        self.make()
        tree = self._tree(session, journal)
        while True:
            last = self.last
            if last is not None and self.git.resolve(f"{last}^{{tree}}") == tree:
                return last
            parents = [last] if last is not None else []
            if self._move(commit := self._commit(tree, parents, message, identity), last):
                return commit

    def restore(self, commit: str, **more: bytes) -> Session:
        """Make the session's folder of a state commit, with `more` files in it; it is whole when it is there."""
        place, final = self._place, Session(self._place.sessions_dir / self.folder.stem)
        place.sessions_dir.mkdir(mode=0o700, exist_ok=True)
        folder = place.sessions_dir / f".new-{final.name}-{os.getpid()}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        for file, data in (self.files(commit) | more).items():
            write_atomic(folder / file, data)
        for empty in (final.inbox, final.runs):
            (folder / empty.name).mkdir(mode=0o700)
        folder.rename(final.folder)
        return final

    def copy(self, commit: str, identity: Mapping[str, str]) -> str:
        """Take a state commit over from the user's objects, where it is not here.

        With its history; in a shallow clone, which may lack that, a commit of the same files stands for it.
        """
        self.make()
        if self.holds(commit):
            return commit
        theirs = alternate(self._place.common_dir / "objects")
        is_cut = self.git.attempt("rev-list", "--quiet", commit, "--", env=theirs)[0] != 0
        wanted = self.git("rev-parse", f"{commit}^{{tree}}", env=theirs).strip() if is_cut else commit
        where = str(self.objects / "pack" / "pack")
        self.git(*_DURABLE, "pack-objects", "--quiet", "--revs", where, stdin=f"{wanted}\n", env=theirs)
        return self._commit(wanted, [], "without its history", identity) if is_cut else commit

    def pack(self) -> None:
        """Make what was saved small: most of it is the journal's last part again and again. Prunes nothing."""
        if self.folder.is_dir():
            self.git.attempt(*_DURABLE, "repack", "-a", "-d", "-k", "--quiet")

    def join(self, commit: str, identity: Mapping[str, str]) -> None:
        """Make a commit that is here part of what is saved: of two journals, the one that begins with the other."""
        while True:
            last = self.last
            if last is not None and self._follows(last, commit):
                return
            joined = commit
            if last is not None and not self._follows(commit, last):
                ahead = commit if self.journal(commit).startswith(self.journal(last)) else last
                tree = self.git("rev-parse", f"{ahead}^{{tree}}").strip()
                joined = self._commit(tree, [last, commit], "both", identity)
            if self._move(joined, last):
                return

    def _follows(self, commit: str, earlier: str) -> bool:
        return self.git.attempt("merge-base", "--is-ancestor", earlier, commit)[0] == 0

    def _move(self, commit: str, last: str | None) -> bool:
        """Make `commit` the last one in place of `last`; whether that was it. Raises GitError when it cannot be."""
        code, _, said = self.git.attempt("update-ref", self.ref, commit, last or "0" * len(commit))
        if code and self.last == last:
            raise GitError(("update-ref",), code, said)
        return code == 0

    def _commit(self, tree: str, parents: list[str], message: str, identity: Mapping[str, str]) -> str:
        flags = [word for parent in parents for word in ("-p", parent)]
        return self.git("commit-tree", tree, *flags, "-F", "-", stdin=message, env=identity).strip()

    def _tree(self, session: Session, journal: BinaryIO) -> str:
        """The tree of the session's files as they are now, with this journal."""
        files = [path for path in (session.notebook, session.config) if path.is_file()]
        blobs = self.git("hash-object", "-w", "--no-filters", "--", *map(str, files)).split() if files else []
        entries = [f"100644 blob {blob}\t{path.name}\n" for blob, path in zip(blobs, files, strict=True)]
        journals = self._journal_entry(session.journal.name, journal)
        return self.git("mktree", stdin="".join([*entries, journals])).strip()

    def _journal_entry(self, name: str, journal: BinaryIO) -> str:
        """The journal for a state's tree: a blob, and from PART bytes on a folder of parts of that size.

        The journal only grows, so a part that is full stays as it is: a keep writes and a push sends only what is new.
        What an earlier engine wrote is read again once, since people may mend a line in between.
        """
        parts = list(self._parts)
        journal.seek(len(parts) * PART)
        while (data := journal.read(PART)) or not parts:
            parts.append(self.git("hash-object", "-w", "--no-filters", "--stdin", stdin=data).strip())
            if len(data) == PART:
                self._parts = list(parts)
        if len(parts) == 1:
            return f"100644 blob {parts[0]}\t{name}\n"
        folder = self.git("mktree", stdin="".join(f"100644 blob {oid}\t{n:06d}\n" for n, oid in enumerate(parts)))
        return f"040000 tree {folder.strip()}\t{name}\n"


def saved_sessions(place: Place) -> list[str]:
    """Sessions of which something is saved, the one saved last first."""
    found = {}
    for folder in place.states_dir.glob("*.git"):
        if is_name(folder.stem) and (last := SavedState(place, folder.stem).last):
            found[folder.stem] = int(Git(folder)("log", "-1", "--format=%ct", last))
    return sorted(found, key=lambda name: (found[name], name), reverse=True)


def restore_state(place: Place, name: str) -> Session | None:
    """Make a lost session folder again from what is saved of it; None when nothing is."""
    saved = SavedState(place, name)
    return saved.restore(saved.last) if saved.last is not None else None


def take_over_states(place: Place) -> None:
    """Move what earlier versions saved among the user's objects, of all sessions: a run of any could read it there.

    Git removes its objects from the user's in time, as all that no ref names. May be killed anywhere: a ref goes only
    when its commit is saved elsewhere, and the next call finds what is left.
    """
    git = Git(place.common_dir)
    for ref, commit in git.refs("refs/autoresearch/*/state", f"{INCOMING}*/state").items():
        name = ref.split("/")[2]
        if not is_name(name):
            continue
        saved = SavedState(place, name)
        try:
            here = saved.copy(commit, identity_of(place))
            if ref == saved.ref:  # else of a pull that was killed
                saved.join(here, identity_of(place))
            reach("after:take-over")
            code, _, said = git.attempt("update-ref", "--no-deref", "-d", ref, commit)
            if code and git.resolve(ref) == commit:  # else another command was at it too
                raise GitError(("update-ref",), code, said)
        except GitError as error:
            raise SessionError(
                f"What an earlier version saved of session {name} cannot be moved to {saved.folder} ({error.stderr}); "
                "mend that and call it again.",
                code=1,
            ) from error
