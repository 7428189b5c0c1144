"""A commit's files in a folder that nobody but the engine writes: what measured commands find below what they write."""

from __future__ import annotations

from collections.abc import Callable, Collection
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from autoresearch.engine.files import remove
from autoresearch.engine.git import Git, GitError, read_index
from autoresearch.engine.workspace.filtered import checkout_failed, pointers_left
from autoresearch.engine.workspace.submodules import Submodules, links_of, without
from autoresearch.engine.workspace.tree_git import TreeGit
from autoresearch.state.session import Place

_FLAGS = ("-c", "index.version=2", "-c", "core.splitIndex=false", "-c", "core.sparseCheckout=false")


class Checkout:
    """Made by git, with an index of its own beside the folder; not one of the user's worktrees."""

    def __init__(
        self,
        folder: Path,
        place: Place,
        links: Collection[str],
        git: Callable[[], TreeGit],
        warn: Callable[[str], None],
    ) -> None:
        """`links` are paths at which commands find something else than the commit has. `git` gives what the tree's own
        repository is made from. `warn` is told what a checkout lacks."""
        self.folder = folder
        self._git = Git(place.common_dir, folder)
        self._links = links
        self._tree_git = git
        self._warn = warn
        self._index = folder.with_name(f"{folder.name}.index")
        self._mark = folder.with_name(f"{folder.name}.commit")
        """Says of which commit the folder is; not there while it becomes another one."""
        self._submodules = Submodules(folder, folder.with_name(f"{folder.name}.submodules"), place)
        self.sha = ""

    @property
    def submodule_files(self) -> AbstractSet[str]:
        """Files of the commit's submodules, which no scope opens."""
        return self._submodules.entries.keys()

    def at(self, sha: str) -> None:
        """Make it exactly this commit.

        Raises GitError, and SessionError for a submodule that is not at hand and a filter that fails.
        """
        if self.sha == sha and self.folder.is_dir():
            return
        known = self._mark.is_file() and self.folder.is_dir()
        if not (known and self._mark.read_text() == sha):
            self.forget()
            if not known:
                self._remove()
            with ThreadPoolExecutor(1) as beside:
                packed = beside.submit(self._tree_git().pack, self.folder, sha)
                self._write(sha)
            packed.exception()  # it is tried again below
        index = read_index(self._index, len(sha) // 2)
        if self._submodules.at(sha, links_of(without(index, self._links))):
            self._write(sha)
        for text in (*self._submodules.lacks, pointers_left(self.folder, index)):
            if text:
                self._warn(text)
        self._submodules.lacks = []
        self._tree_git().give(self.folder, sha, self._index)
        self._mark.write_text(sha)
        self.sha = sha

    def forget(self) -> None:
        """It is of no commit any more: it is made anew when it is asked for."""
        self._mark.unlink(missing_ok=True)
        self.sha = ""

    def _remove(self) -> None:
        for path in (self.folder, self._index):
            remove(path)
        self._submodules.forget()
        self.folder.mkdir(parents=True, mode=0o755)

    def _write(self, sha: str) -> None:
        try:
            self._read(sha)
        except GitError:  # an index that was cut short, a full disk: once more from nothing
            self._remove()
            try:
                self._read(sha)
            except GitError as error:
                raise checkout_failed(error) from error

    def _read(self, sha: str) -> None:
        self._index.with_name(f"{self._index.name}.lock").unlink(missing_ok=True)
        self._git(*_FLAGS, "read-tree", "-u", "--reset", sha, env={"GIT_INDEX_FILE": str(self._index)})
