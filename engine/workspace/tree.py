"""One worktree of a session: made exactly a commit, and checked for what happened in it since.

A tree is a cache. It is registered with git under a name of ours, its `.git` file is rewritten when something changed
it, and it is made again when it is gone. What a run leaves behind is known from one walk, compared with git's index.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Collection, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path

import orjson

from autoresearch.engine import files
from autoresearch.engine.files import clear_way, remove, remove_below
from autoresearch.engine.git import Entry
from autoresearch.engine.workspace.admin import Admin
from autoresearch.engine.workspace.filtered import pointers_left
from autoresearch.engine.workspace.look import Found, Kept, Look, Seen, differing
from autoresearch.engine.workspace.scope import Scope
from autoresearch.engine.workspace.submodules import Submodules, links_of
from autoresearch.state.files import write_atomic
from autoresearch.state.session import Place, SessionError


class Tree:
    """See the module. `root` is the checkout of the whole repository, `folder` the target's folder in it."""

    def __init__(
        self,
        *,
        role: str,
        root: Path,
        place: Place,
        identity: Mapping[str, str],
        scope: Scope,
        links: tuple[str, ...],
        cache: tuple[str, ...],
        warn: Callable[[str], None],
    ) -> None:
        self.role = role
        self.root = root
        self.folder = root / place.prefix
        self.admin = Admin(root, place.common_dir, identity)
        self.git = self.admin.git
        self._place = place
        self._scope = scope
        self._links = tuple(place.below + link.strip("/") for link in links)
        self._cache = tuple(place.below + path.strip("/") for path in cache)
        self._warn = warn
        self._submodules = Submodules(root, root.with_name(root.name + ".submodules"), place)
        self._warned: set[str] = set()
        self._sha: str | None = None
        self._clean = False
        """The tree is known to be `_sha` and nothing else: no walk is needed before the next use."""
        self._extras: list[str] | None = None
        """Paths beyond the commit, found by the last check; None when a walk is due."""
        self._settled: dict[str, Seen] = {}
        self._prepared: dict[str, Seen] | None = None
        self.unprepared: str | None = None
        """The commit at which `setup` has to run again, because a run spoiled what it had left."""
        self._prepared_at: tuple[str, str] = ("", "")
        """Key and commit of what is prepared."""
        self._prepared_file = root.with_name(root.name + ".prepared.json")
        self._read_index({})
        self._state: tuple[object, ...] = ()
        """Of git's HEAD and index, when we wrote them last."""

    # -- making it a commit

    def at(self, sha: str) -> None:
        """Make it exactly `sha`, plus links, prepared and cached paths, and the build settled for this very commit."""
        self._heal(sha)
        if self._sha != sha:
            self._settled = {}
        if not (self._clean and self._sha == sha):
            self._distrust_index()
            self.admin.detach(sha)
            if self._extras is None:
                self._read_index(self.admin.read_index())
                self._extras = self._find().beyond()
            for path in self._extras:
                remove_below(self.root, path)
            if not self.submodule_files.isdisjoint(self._extras):
                self._submodules.write()
            self._reset(sha)
        self._link()
        self._sha = sha
        self._clean = False
        self._extras = None
        self._state = self.admin.state()

    def distrust(self) -> None:
        """Somebody may have written here since the last check: look at all of it before it is used again."""
        self._clean = False
        self._extras = None

    def settle(self) -> None:
        """What is here beyond the commit now (a finished build) belongs to it until another commit is checked out.

        A build that changed files of the commit is made again for each run: they are checked out again before it.
        """
        found = self._find(deep=True)
        self._settled = {} if found.changed else self._beyond_commit(found)

    def is_settled(self, sha: str) -> bool:
        """Whether a build finished for this commit is still here, untouched."""
        return self._sha == sha and bool(self._settled) and not differing(self.root, self._settled)

    def check(self) -> tuple[str, ...]:
        """Protected files changed since `at`, which are restored now; () when a run touched none.

        A file that was written and has its old content counts: what read it meanwhile may have read something else, and
        a process may set every time of a file but the one that tells of it (ctime). A link of ours that leads elsewhere
        counts too. New files are not tampering; they are removed before the next use. A run that deletes the whole
        tree, or a cache cleaner that does, finds it made again: git cannot restore single files into a folder that is
        gone.
        """
        if not self._is_in_place():
            return self._make_again()
        found = self._find()
        changed = [path for path in found.changed if self._protected(path)]
        put_back = [path for path in found.rewritten if self._protected(path)]
        led_astray = [path for path in self._links if not _leads_to(self.root / path, self._place.top / path)]
        if spoiled := differing(self.root, self._prepared or {}):
            changed += spoiled
            self._unprepare()
        self._extras = found.beyond()
        self._clean = not self._extras and not led_astray and self.admin.state() == self._state
        self._restore([path for path in (*changed, *put_back) if path in self._index])
        return tuple(
            sorted([*changed, *(f"{path} (written and put back)" for path in put_back)])
            + [f"{path} (the link)" for path in led_astray]
        )

    def _restore(self, tracked: list[str]) -> None:
        """These files as the commit has them."""
        if not tracked:
            return
        for path in tracked:
            remove_below(self.root, path)
        own = [path for path in tracked if path not in self.submodule_files]
        if len(own) < len(tracked):
            self._submodules.write()
        if self._distrust_index():
            assert self._sha is not None
            self._reset(self._sha)
        else:
            self.git("checkout-index", "-f", "-u", "-z", "--stdin", stdin="".join(f"{path}\0" for path in own))
            self._read_index(self.admin.read_index(strict=True))
        self._state = self.admin.state()

    def _reset(self, sha: str) -> None:
        self.admin.reset(sha)
        index = self.admin.read_index(strict=True)
        if self._submodules.at(sha, links_of(self._without_links(index))):
            self.admin.reset(sha)
            index = self.admin.read_index(strict=True)
        self._read_index(index)
        if self.role == "measure":
            lacks = [*self._submodules.lacks, pointers_left(self.root, self._index)]
            for text in lacks:
                if text and text not in self._warned:
                    self._warn(text)
                    self._warned.add(text)
            self._submodules.lacks = []

    def _read_index(self, index: dict[str, Entry]) -> None:
        self._tracked = index.keys()
        self._index = self._without_links(self._submodules.filled_in(index))
        self._look = Look(self.root, self.git, self._index, self._protected)

    def _without_links(self, index: dict[str, Entry]) -> dict[str, Entry]:
        """A link of ours stands in the place of what the commit has there."""
        if not self._links:
            return index
        kept = Kept(self._links, (), {})
        return {path: entry for path, entry in index.items() if not kept.holds(path)}

    def _distrust_index(self) -> bool:
        """Forget git's index unless we wrote it last: it may name other blobs, or files that git is to overlook."""
        if self._state and self.admin.state() == self._state:
            return False
        self.admin.forget_index()
        return True

    def _is_in_place(self) -> bool:
        """Whether the tree is a folder where we made it: a link to a folder of the user's must not be cleaned."""
        return self.root.is_dir() and os.path.realpath(self.root) == str(self.root)

    def _make_again(self) -> tuple[str, ...]:
        """A tree that vanished under a run; gives the protected files that vanished with it."""
        assert self._sha is not None
        gone = [path for path in (*self._index, *(self._prepared or ())) if self._protected(path)]
        sha = self._sha
        self._warn(f"The {self.role} tree was deleted while it was used; it was made again.")
        self._make(sha)
        self._link()
        self._sha = sha
        return tuple(sorted(gone))

    # -- what setup left

    def is_prepared(self, key: str) -> bool:
        """Whether `setup` has run here for this `key` (its command and commit) and what it left is untouched."""
        try:
            data = orjson.loads(self._prepared_file.read_bytes())
            seen = {path: tuple(value) for path, value in data["seen"].items()}
        except (OSError, orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            return False
        if data.get("key") != key or differing(self.root, seen):
            return False
        self._prepared = seen
        self._prepared_at = (key, self._sha or "")
        return True

    def prepared(self, key: str | None = None) -> None:
        """What is here beyond the commit now was made by `setup`: it is kept and protected from now on.

        `key` as in `is_prepared`; None where `setup` has run again for the one it had.
        """
        self._prepared = {}
        self._prepared = self._beyond_commit(self._find(deep=True))
        self._prepared_at = (self._prepared_at[0] if key is None else key, self._sha or "")
        self.unprepared = None
        write_atomic(self._prepared_file, orjson.dumps({"key": self._prepared_at[0], "seen": self._prepared}))

    def share_prepared(self, other: Tree) -> None:
        """Give `other` copies of what setup left here (reflinks where the file system has them)."""
        for top in sorted({self._look.top_beyond_commit(path) for path in self._prepared or {}}):
            target = other.root / top
            remove_below(other.root, top)
            target.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", "--reflink=auto", str(self.root / top), str(target)], check=True)
        other.prepared(self._prepared_at[0])

    def _unprepare(self) -> None:
        """What setup left is spoiled or gone."""
        if self._prepared is not None:
            self.unprepared = self._prepared_at[1] or None
        self._prepared = None
        self._prepared_file.unlink(missing_ok=True)

    # -- what an agent changed

    def overlay(self, sha: str) -> None:
        """Put another commit's files into the tree, while HEAD stays: an agent goes on from a failed candidate."""
        self.admin.overlay(sha)
        self._clean = False

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
        found = self._find(deep=True)
        new = []
        if any(path not in self._index for path in found.extras):
            kept = self._kept()
            new = [path for path in self.admin.untracked() if not kept.holds(path.rstrip("/"))]
        self._extras = found.beyond()  # whatever else the agent did is over: its processes are gone
        self._clean = False
        return sorted({*found.changed, *new})

    # -- repair

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
            self._warn(f"The .git file of the {self.role} tree was changed; it was written again.")
        remove(pointer)
        pointer.write_text(self.admin.pointer)
        self.distrust()

    def _make(self, sha: str) -> None:
        try:
            for folder in (self.root.parent.parent, self.root.parent, self.root):
                if folder.is_symlink():
                    folder.unlink()
            remove(self.root)
            self._submodules.forget()
            self._unprepare()
            self.root.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise SessionError(
                f"{self.root.parent} cannot be made ({error.strerror}), and experiments run there; "
                f"set AUTORESEARCH_TREES to a folder that can be written.",
                code=1,
            ) from None
        self.admin.register(sha)
        self._sha = None
        self._clean = False
        self._settled = {}
        self._reset(sha)
        self._extras = []
        self._state = self.admin.state()

    def _link(self) -> None:
        for path in self._links:
            clear_way(self.root, path)  # a candidate's own link there would lead us to the user's data
            link, target = self.root / path, self._place.top / path
            if not _leads_to(link, target):
                remove(link)
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(target)

    # -- looking

    def _find(self, deep: bool = False) -> Found:
        return self._look.find(self._kept(), self._settled, deep=deep)

    def _kept(self) -> Kept:
        return Kept(self._links, self._cache, {**self._settled, **(self._prepared or {})})

    def _beyond_commit(self, found: Found) -> dict[str, Seen]:
        return {path: seen for path, seen in found.new.items() if path not in self._index}

    def _protected(self, path: str) -> bool:
        return path in self._submodules.entries or not self._scope.holds(path)


def _leads_to(link: Path, target: Path) -> bool:
    try:
        return link.readlink() == target
    except OSError:
        return False
