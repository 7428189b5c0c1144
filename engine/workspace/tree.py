"""The worktree in which an agent edits: made exactly a commit, and looked through for what the agent changed.

A tree is a cache. It is registered with git under a name of ours, its `.git` file is rewritten when something changed
it, and it is made again when it is gone. What an agent leaves is known from one walk, compared with git's index.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

from autoresearch.engine import files
from autoresearch.engine.files import clear_way, remove, remove_below
from autoresearch.engine.git import Entry
from autoresearch.engine.workspace.admin import Admin
from autoresearch.engine.workspace.look import Look
from autoresearch.engine.workspace.submodules import Submodules, is_in, links_of, without
from autoresearch.state.session import Place, SessionError


class Tree:
    """See the module. `root` is the checkout of the whole repository, `folder` the target's folder in it."""

    def __init__(
        self,
        *,
        root: Path,
        place: Place,
        identity: Mapping[str, str],
        links: tuple[str, ...],
        warn: Callable[[str], None],
    ) -> None:
        self.root = root
        self.folder = root / place.prefix
        self.admin = Admin(root, place.common_dir, identity)
        self.git = self.admin.git
        self._place = place
        self._links = tuple(place.below + link.strip("/") for link in links)
        self._warn = warn
        self._submodules = Submodules(root, root.with_name(root.name + ".submodules"), place)
        self._read_index({})
        self._state: tuple[object, ...] = ()
        """Of git's HEAD and index, when we wrote them last."""

    # -- making it a commit

    def at(self, sha: str) -> None:
        """Make it exactly `sha`, plus links."""
        self._heal(sha)
        self._distrust_index()
        self.admin.detach(sha)
        self._read_index(self.admin.read_index())
        beyond = self._look.find(self._links).beyond()
        for path in beyond:
            remove_below(self.root, path)
        if not self.submodule_files.isdisjoint(beyond):
            self._submodules.write()
        self._reset(sha)
        self._link()
        self._state = self.admin.state()

    def overlay(self, sha: str) -> None:
        """Put another commit's files into the tree, while HEAD stays: an agent continues from a failed candidate."""
        self.admin.overlay(sha)

    def _reset(self, sha: str) -> None:
        self.admin.reset(sha)
        index = self.admin.read_index(strict=True)
        if self._submodules.at(sha, links_of(without(index, self._links))):
            self.admin.reset(sha)
            index = self.admin.read_index(strict=True)
        self._read_index(index)

    def _read_index(self, index: dict[str, Entry]) -> None:
        self._tracked = index.keys()
        self._index = without(self._submodules.filled_in(index), self._links)
        self._look = Look(self.root, self._index)

    def _distrust_index(self) -> None:
        """Forget git's index unless we wrote it last: it may name other blobs, or files that git is to overlook."""
        if not self._state or self.admin.state() != self._state:
            self.admin.forget_index()

    # -- what an agent changed

    def tracked(self) -> Collection[str]:
        """Every path of the commit, from the repository's top."""
        return self._tracked

    @property
    def submodule_files(self) -> AbstractSet[str]:
        """The files of the commit's submodules; no proposal changes them."""
        return self._submodules.entries.keys()

    def forget_staging(self, base: str) -> None:
        """Whatever the agent staged or committed here: HEAD and index are `base` again, its files stay."""
        self._heal(base)
        if self.admin.state() == self._state:
            return
        self.admin.detach(base)
        self.admin.stage(base)
        self._read_index(self.admin.read_index())
        self._state = self.admin.state()

    def changed_paths(self) -> list[str]:
        """Paths that differ from the commit: changed, deleted and new ones, ignored files left out."""
        found = self._look.find(self._links, deep=True)
        new = []
        if any(path not in self._index for path in found.extras):
            new = [path for path in self.admin.untracked() if not is_in(path.rstrip("/"), self._links)]
        return sorted({*found.changed, *new})

    # -- repair

    def _is_in_place(self) -> bool:
        """Whether the tree is a folder where we made it: a link to a folder of the user's must not be cleaned."""
        return self.root.is_dir() and os.path.realpath(self.root) == str(self.root)

    def _heal(self, sha: str) -> None:
        """Make the worktree exist and be ours, whatever was done to it."""
        if not (self._is_in_place() and self.admin.is_registered()):
            self._make(sha)
            return
        self.admin.repair_head(sha)
        pointer = self.root / ".git"
        found = files.tail(pointer)
        if found == self.admin.pointer:
            return
        # Ours, too: the git directory of an agent's CLI, during whose call the engine was killed (`own_git`).
        if found != f"gitdir: {self.root.with_name(self.root.name + '.git')}\n":
            self._warn("The .git file of the tree for proposals was changed; it was written again.")
        remove(pointer)
        pointer.write_text(self.admin.pointer)

    def _make(self, sha: str) -> None:
        try:
            for folder in (self.root.parent.parent, self.root.parent, self.root):
                if folder.is_symlink():
                    folder.unlink()
            remove(self.root)
            self._submodules.forget()
            self.root.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise SessionError(
                f"{self.root.parent} cannot be made ({error.strerror}), and experiments run there; "
                f"set AUTORESEARCH_TREES to a folder that can be written.",
                code=1,
            ) from None
        self.admin.register(sha)
        self._reset(sha)
        self._state = self.admin.state()

    def _link(self) -> None:
        for path in self._links:
            clear_way(self.root, path)  # a candidate's own link there would lead us to the user's data
            link, target = self.root / path, self._place.top / path
            if not _leads_to(link, target):
                remove(link)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(target)


def _leads_to(link: Path, target: Path) -> bool:
    try:
        return link.readlink() == target
    except OSError:
        return False
