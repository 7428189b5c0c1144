"""A worktree's own git directory: its registration, HEAD and index, kept ours whatever an agent did there."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from autoresearch.engine.files import remove
from autoresearch.engine.git import Entry, Git, GitError, UnreadableIndex, read_index
from autoresearch.engine.workspace.filtered import checkout_failed

_GIT_FLAGS = ("-c", "index.version=2", "-c", "core.splitIndex=false", "-c", "core.sparseCheckout=false")
_UNFINISHED = ("MERGE_HEAD", "MERGE_MODE", "MERGE_MSG", "CHERRY_PICK_HEAD", "REVERT_HEAD", "SQUASH_MSG", "AUTO_MERGE")
_HEX = frozenset("0123456789abcdef")


class Admin:
    """Of the worktree `root`, registered with git under the name of that folder."""

    def __init__(self, root: Path, common_dir: Path, identity: Mapping[str, str]) -> None:
        self.folder = common_dir / "worktrees" / root.name
        self.git = Git(self.folder, root, identity)
        self.pointer = f"gitdir: {self.folder}\n"
        """What the worktree's `.git` file holds."""
        self._root = root
        self._common_dir = common_dir

    def is_registered(self) -> bool:
        try:
            ours = (self.folder / "commondir").read_text().strip() == "../.."
            return ours and Path((self.folder / "gitdir").read_text().strip()) == self._root / ".git"
        except OSError:
            return False

    def register(self, sha: str) -> None:
        """The worktree anew, with no file in it yet."""
        remove(self.folder)
        Git(self._common_dir)("worktree", "add", "-f", "--detach", "--no-checkout", str(self._root), sha)
        if not self.is_registered():
            raise GitError(("worktree", "add"), 1, f"{self.folder} is not the registration of {self._root}")
        (self._root / ".git").write_text(self.pointer)

    def lock_files(self) -> list[Path]:
        return list(self.folder.glob("*.lock")) if self.folder.is_dir() else []

    def state(self) -> tuple[object, ...]:
        """Changes when somebody stages, commits, merges or switches here."""
        try:
            index = (self.folder / "index").stat()
            return (self._read_head(), index.st_mtime_ns, index.st_ctime_ns, index.st_size, index.st_ino)
        except OSError:
            return ()

    # -- HEAD

    def repair_head(self, sha: str) -> None:
        """Without a HEAD that it can read (a power cut can leave an empty one) git takes the tree for no repository."""
        with contextlib.suppress(OSError, ValueError):
            text = (self.folder / "HEAD").read_text().strip()
            if text.startswith("ref:") or (len(text) in (40, 64) and set(text) <= _HEX):
                return
        self._write_head(sha)

    def detach(self, sha: str) -> None:
        """HEAD names a commit, never a branch: a reset must not move one that an agent checked out here."""
        with contextlib.suppress(OSError):
            if not (self.folder / "HEAD").read_text().startswith("ref:"):
                return
        self._write_head(sha)

    def _write_head(self, sha: str) -> None:
        """Whole or not at all, whenever we are killed."""
        beside = self.folder / "HEAD.new"
        beside.write_text(f"{sha}\n")
        beside.replace(self.folder / "HEAD")

    def _read_head(self) -> str:
        with contextlib.suppress(OSError):
            text = (self.folder / "HEAD").read_text().strip()
            if not text.startswith("ref:"):
                return text
        return ""

    # -- the index

    def reset(self, sha: str) -> None:
        """As `reset --hard`, in half its time: every file that is not the commit's is written again."""
        for lock in self.lock_files():
            lock.unlink(missing_ok=True)
        command = (*_GIT_FLAGS, "read-tree", "-u", "--reset", sha)
        code, _, err = self.git.attempt(*command)
        if code:
            # A damaged index or an odd state an agent left: begin with a fresh index; if that fails, say git's words.
            self.forget_index()
            code, _, err = self.git.attempt(*command)
        if code:
            raise checkout_failed(GitError(("read-tree",), code, err))
        if self._read_head() != sha:
            if (self._common_dir / "reftable").is_dir():
                self.git("update-ref", "--no-deref", "HEAD", sha)
            else:
                self._write_head(sha)
        for name in _UNFINISHED:  # nothing of a merge or pick that an agent began is left
            (self.folder / name).unlink(missing_ok=True)

    def stage(self, sha: str) -> None:
        """The index is `sha` again; files stay."""
        self.git(*_GIT_FLAGS, "read-tree", sha)

    def overlay(self, sha: str) -> None:
        """Another commit's files and index; HEAD stays."""
        self.git(*_GIT_FLAGS, "read-tree", "-u", "--reset", sha)

    def untracked(self) -> list[str]:
        """What git would add, ignored files left out."""
        answer = self.git(*_GIT_FLAGS, "ls-files", "-o", "-z", "--exclude-standard")
        return [path for path in answer.split("\0") if path]

    def read_index(self, strict: bool = False) -> dict[str, Entry]:
        """`strict`: git has just written it. Without an index no change of a protected file would be noticed."""
        try:
            return read_index(self.folder / "index", len(self._read_head()) // 2 or 20)
        except UnreadableIndex as error:
            if strict:
                raise GitError(("read-tree",), 1, f"the index it wrote cannot be read: {error}") from error
            return {}

    def forget_index(self) -> None:
        (self.folder / "index").unlink(missing_ok=True)
