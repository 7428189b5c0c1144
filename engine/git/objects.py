"""Write a candidate's objects without a process each: blobs, trees and the commit.

Blobs are hashed (through git's own filters) and trees written by long-lived batch processes of git; the commit, whose
format is a few lines of text, is written as a loose object here. `Objects.tree_with` gives None for the changes that
are better left to git's index: links, names with line breaks, a file where a folder was. The caller then asks git.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
import zlib
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from autoresearch.engine.git.git import Batch, Git, GitError

_FOLDER = "40000"
_Change = tuple[str, str] | None
"""(mode, object) of a file, None for one that is gone."""


class Objects:
    def __init__(self, common: Git, identity: Mapping[str, str]) -> None:
        self._git = common
        self._identity = identity
        self._hashes: Batch | None = None
        self._hashing_for: tuple[object, ...] = ()
        self._reads = Batch(common, "cat-file", "--batch")
        self._trees = Batch(common, "mktree", "-z", "--batch")

    def close(self) -> None:
        for batch in (self._hashes, self._reads, self._trees):
            if batch is not None:
                batch.close()

    def tree_with(self, base: str, base_tree: str, tree: Git, paths: Iterable[str]) -> str | None:
        """`base_tree` with `paths` as they are in the work tree of `tree`; None when git's index must do it."""
        try:
            changes = self._hashed(base, tree, list(paths))
            return None if changes is None else self._tree(base_tree, changes)
        except (GitError, OSError, ValueError):
            self.close()
            return None

    def commit(self, tree: str, parent: str, message: str) -> str:
        """Write a commit object, durably, and return its name."""
        author = _person(self._identity, "AUTHOR")
        committer = _person(self._identity, "COMMITTER")
        text = f"tree {tree}\nparent {parent}\nauthor {author}\ncommitter {committer}\n\n{message}"
        data = text.encode("utf-8", "replace").replace(b"\0", b"")
        return self._write_loose(b"commit %d\0" % len(data) + data, len(parent))

    # -- blobs

    def _hashed(self, base: str, tree: Git, paths: list[str]) -> dict[str, _Change] | None:
        assert tree.work_tree is not None
        root = tree.work_tree
        changes: dict[str, _Change] = {}
        for path in paths:
            try:
                info = (root / path).lstat()
            except (FileNotFoundError, NotADirectoryError):
                changes[path] = None
                continue
            if not stat.S_ISREG(info.st_mode) or any(char in path for char in '\n\r"'):
                return None
            if any((root / parent).is_symlink() for parent in PurePosixPath(path).parents):
                return None  # what stands there is a link's target, not a file of this tree
            mode = "100755" if info.st_mode & 0o100 else "100644"
            changes[path] = (mode, self._blob(base, tree, path))
        return changes

    def _blob(self, base: str, tree: Git, path: str) -> str:
        """Through the filters of the tree's attributes, which may change with each commit that it stands at."""
        assert tree.work_tree is not None
        now = (base, tree.work_tree.stat().st_ino)
        if self._hashes is None or now != self._hashing_for:
            if self._hashes is not None:
                self._hashes.close()
            self._hashes = Batch(tree, "hash-object", "-w", "--stdin-paths")
            self._hashing_for = now
        return _told(self._hashes, os.fsencode(path) + b"\n")

    # -- trees

    def _tree(self, tree: str, changes: Mapping[str, _Change]) -> str | None:
        here: dict[str, _Change] = {}
        below: dict[str, dict[str, _Change]] = {}
        for path, change in changes.items():
            folder, slash, rest = path.partition("/")
            if slash:
                below.setdefault(folder, {})[rest] = change
            else:
                here[path] = change
        if here.keys() & below.keys():
            return None
        entries = self._read_tree(tree) if tree else {}
        for folder, inner in below.items():
            mode, oid = entries.get(folder, (_FOLDER, ""))
            if mode != _FOLDER:
                return None
            new = self._tree(oid, inner)
            if new is None:
                return None
            entries[folder] = (_FOLDER, new)
            if not new:
                del entries[folder]
        for name, change in here.items():
            if entries.get(name, ("", ""))[0] == _FOLDER:
                return None
            if change is None:
                entries.pop(name, None)
            else:
                entries[name] = change
        return self._write_tree(entries) if entries else ""

    def _read_tree(self, oid: str) -> dict[str, tuple[str, str]]:
        head = _told(self._reads, oid.encode() + b"\n").split()
        if len(head) != 3 or head[1] != "tree":
            raise GitError(("cat-file",), 1, f"{oid} is no tree")
        data = self._reads.read(int(head[2]) + 1)[:-1]
        entries, at, size = {}, 0, len(oid) // 2
        while at < len(data):
            space, end = data.index(b" ", at), data.index(b"\0", at)
            name = data[space + 1 : end].decode("utf-8", "surrogateescape")
            entries[name] = (data[at:space].decode(), data[end + 1 : end + 1 + size].hex())
            at = end + 1 + size
        return entries

    def _write_tree(self, entries: Mapping[str, tuple[str, str]]) -> str:
        kinds = {_FOLDER: "tree", "160000": "commit"}
        text = "".join(
            f"{mode.zfill(6)} {kinds.get(mode, 'blob')} {oid}\t{name}\0" for name, (mode, oid) in entries.items()
        )
        return _told(self._trees, text.encode("utf-8", "surrogateescape") + b"\0")

    # -- writing

    def _write_loose(self, data: bytes, digits: int) -> str:
        digest = hashlib.sha256(data) if digits == 64 else hashlib.sha1(data, usedforsecurity=False)
        name = digest.hexdigest()
        final = self._git.git_dir / "objects" / name[:2] / name[2:]
        if final.exists():
            return name
        final.parent.mkdir(exist_ok=True)
        temporary = final.with_name(f"tmp_obj_{os.getpid()}_{time.monotonic_ns()}")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
        try:
            packed = zlib.compress(data, 1)
            if os.write(fd, packed) != len(packed):
                raise OSError(28, "short write: the disk is full")
            os.fsync(fd)
            temporary.rename(final)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        finally:
            os.close(fd)
        return name


def _told(batch: Batch, said: bytes) -> str:
    """What it answers to one question. Raises GitError when it ended instead."""
    answer = batch.ask(said)
    if not answer:
        raise batch.ended()
    return answer


def _person(identity: Mapping[str, str], role: str) -> str:
    name, email = (
        "".join(c for c in identity[f"GIT_{role}_{part}"] if c not in "<>\n\0").strip() or "autoresearch"
        for part in ("NAME", "EMAIL")
    )
    now = int(time.time())
    return f"{name} <{email}> {now} {time.strftime('%z', time.localtime(now))}"
