"""Git as the session uses it: a tree to propose in, checkouts to measure, candidate commits, refs, keep, undo.

Experiments live in trees of their own, under the user's cache folder, and on a branch and refs of their own. The user's
worktree, index, stash, branches and config are never written. A tree is derived: it is made again when missing, never
trusted, and everything in it that matters is a commit.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

import orjson

from autoresearch.engine.files import remove
from autoresearch.engine.git import Git, GitError, Objects, Refs
from autoresearch.engine.sandbox import hidden_paths, holds_keys
from autoresearch.engine.workspace import repository
from autoresearch.engine.workspace.checkout import Checkout
from autoresearch.engine.workspace.new_files import NewFiles, twin_of
from autoresearch.engine.workspace.places import trees_folder
from autoresearch.engine.workspace.saved_state import SavedState
from autoresearch.engine.workspace.scope import Scope
from autoresearch.engine.workspace.shadows import module_of, names_imported, shadowing
from autoresearch.engine.workspace.symlinks import leads_astray
from autoresearch.engine.workspace.tree import Tree
from autoresearch.engine.workspace.tree_git import TreeGit
from autoresearch.state import config as configs
from autoresearch.state.config import Config
from autoresearch.state.faults import reach
from autoresearch.state.journal import records
from autoresearch.state.session import CONFIG_FILE, Place, Session, SessionError

_TRAILER = "Autoresearch-Proposal: "
_LINK = "120000"
LARGEST_MB = 100
"""What the files of one proposal may hold: each experiment stays in the user's repository."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A change of a commit: an agent's edits in scope, or what a merge comes to."""

    tree: str = ""
    """What the commit becomes; "" when nothing changes."""
    files: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    lines: tuple[int, int] = (0, 0)


class Workspace:
    """One session's git side. Used by the engine alone, which holds the session's lock."""

    def __init__(self, place: Place, session: Session, config: Config, warn: Callable[[str], None]) -> None:
        self.place = place
        self.session = session
        self.config = config
        self.scope = Scope(config.scope.edit, place.prefix)
        self.identity = repository.identity_of(place)
        self.git = Git(place.common_dir, identity=self.identity)
        self.refs = Refs(self.git)
        self._objects = Objects(self.git, self.identity)
        self.saved = SavedState(place, session.name)
        self.folder = trees_folder(place, session.name)
        self._config_path = f"{place.below}{CONFIG_FILE}"
        self._hidden: bytes | None = None
        """The target's toml as an agent sees it; None when it is as committed."""
        self.propose = Tree(
            root=self.folder / f"autoresearch-{session.name}-propose",
            place=place,
            identity=self.identity,
            links=config.scope.link,
            warn=warn,
        )
        self._warn = warn

    def checkouts(self, base: str) -> list[Checkout]:
        """Two, for commits that descend from `base`: measured in turn. Nobody else of this session has such."""

        @cache
        def git() -> TreeGit:
            made = TreeGit(self.folder / "git", self.place.common_dir, base, tuple(self._unseen(base)))
            if made.note:
                self._warn(made.note)
            return made

        warned = set[str]()

        def warn(text: str) -> None:
            if text not in warned:
                warned.add(text)
                self._warn(text)

        links = [self.place.below + link.strip("/") for link in self.config.scope.link]
        return [Checkout(self.folder / f"checkout-{number}", self.place, links, git, warn) for number in (1, 2)]

    def _unseen(self, base: str) -> Iterator[str]:
        """What runs do not see of a tree, by path from the repository's top."""
        below = self.place.below
        yield from (below + name.strip("/") for name in self.config.measure.hidden if not name.startswith(("/", "~")))
        listed = self.git("ls-tree", "--name-only", "-z", f"{base}:{self.place.prefix}").split("\0")
        yield from (below + name for name in listed if holds_keys(name) and name not in self.config.scope.link)

    def close(self) -> None:
        self.refs.close()
        self._objects.close()

    # -- from edits to a candidate commit

    def take(self, base: str) -> Taken:
        """The in-scope edits of the propose tree on `base`; the others are dropped and listed."""
        tree = self.propose
        tree.forget_staging(base)
        inside: list[str] = []
        outside: list[str] = []
        for path in tree.changed_paths():
            if path == self._config_path and self._hidden is not None and self._is_hidden(tree.root / path):
                continue
            (inside if self._in_scope(path) else outside).append(path)
        refused = self._refused(base, inside)
        inside = [path for path in inside if path not in refused]
        outside += [f"{path} ({why})" for path, why in refused.items()]
        if not inside:
            return Taken(dropped=tuple(outside))
        before = self.refs.resolve(f"{base}^{{tree}}")
        after = self._objects.tree_with(base, before, tree.git, inside) if before else None
        if not after:
            for paths, flags in _by_fitness(tree.root, inside):
                tree.git("update-index", "-z", *flags, "--stdin", stdin="\0".join(paths) + "\0")
            after = tree.git("write-tree").strip()
        if before is None or after == before:
            return Taken(dropped=tuple(outside))
        return Taken(after, tuple(inside), tuple(outside), self.refs.lines_between(before, after))

    def commit(self, tree: str, parent: str, message: str, facts: Mapping[str, object]) -> str:
        """A candidate commit. From its `facts` a proposal is recovered whose journal line was lost in a crash."""
        trailer = f"{_TRAILER}{records.dumps(facts).decode()}"
        sha = self._objects.commit(tree, parent, _text(f"{message.strip() or 'a change'}\n\n{trailer}\n"))
        reach("after:commit")
        return sha

    def _refused(self, base: str, inside: list[str]) -> dict[str, str]:
        """Paths in scope that are not taken all the same, each with a clause that says why."""
        refused: dict[str, str] = {}
        total = 0
        for path in inside:
            link = (self.propose.root / path).is_symlink()
            if link and leads_astray(self.propose.root, path, self._may_be_led_to):
                refused[path] = "a link to what is not in scope"
                continue
            with contextlib.suppress(OSError):
                size = (self.propose.root / path).lstat().st_size
                if total + size > LARGEST_MB * 2**20:
                    refused[path] = f"{size / 2**20:.0f} MB; a proposal may write {LARGEST_MB} MB"
                else:
                    total += size
        tracked = self.propose.tracked()
        new = [path for path in inside if path not in refused and module_of(path) and path not in tracked]
        if new:
            scripts = [path for path in tracked if path.endswith(".py") and not self._in_scope(path)]

            def imported_in(folder: str) -> set[str]:
                beside = [path for path in scripts if path.rpartition("/")[0] == folder]
                blobs = [self.git.raw("cat-file", "blob", f"{base}:{path}") for path in beside]
                return set().union(*map(names_imported, blobs))

            hiding = shadowing(new, tracked, lambda path: not self._in_scope(path), self._entries(tracked), imported_in)
            refused |= dict.fromkeys(sorted(hiding), "it would be imported in place of what protected code means")
        return refused

    def _may_be_led_to(self, path: str) -> bool:
        hidden = hidden_paths(self.config, self.propose.folder)
        real = self.propose.root / path
        open_to_all = not any(real.is_relative_to(each.resolve()) for each in hidden)
        return open_to_all and self._in_scope(path) and ".git" not in PurePosixPath(path).parts

    def _entries(self, tracked: Collection[str]) -> set[str]:
        """The folders that Python searches first: where commands run, and those of the scripts that they name."""
        settings = self.config.measure
        commands = [settings.run, settings.evaluate, settings.build, self.config.holdout.run]
        commands += [guard.run for guard in self.config.guard]
        found = {self.place.prefix}
        for word in (word for command in commands for word in words_of(command)):
            path = os.path.normpath(f"{self.place.below}{word}")
            if path in tracked:
                found.add(path.rpartition("/")[0])
        return found

    def hide_holdout(self) -> None:
        """Take the held-out command out of the target's toml in the propose tree, where an agent reads.

        That is no edit of the agent's, and is not taken for one. Its git still has the file as it is committed.
        """
        file = self.propose.root / self._config_path
        self._hidden = None
        if not self.config.holdout.run or not file.is_file() or file.is_symlink():
            return
        self._hidden = configs.without_holdout(file.read_bytes())
        file.write_bytes(self._hidden)

    def _is_hidden(self, file: Path) -> bool:
        return file.is_file() and not file.is_symlink() and file.read_bytes() == self._hidden

    def _in_scope(self, path: str) -> bool:
        if path.endswith("/"):
            return False  # a nested repository: its files are not ours to take
        return self.scope.holds(path) and path not in self.propose.submodule_files

    # -- commits made without a tree

    def merge(self, onto: str, change: str) -> Taken | None:
        """`change`'s diff since the fork, on top of `onto`; None when it conflicts."""
        if self.refs.resolve(f"{change}^") == onto:
            return self.changed(onto, self.refs.resolve(f"{change}^{{tree}}"))
        tree = self._merged(onto, change)
        return self.changed(onto, tree) if tree is not None else None

    def _merged(self, onto: str, change: str) -> str | None:
        """The tree of a merge; None when it conflicts."""
        code, out, err = self.git.attempt("merge-tree", "--write-tree", "--no-messages", onto, change)
        if "unrelated histories" in err:
            raise SessionError(
                "HEAD has no history in common with the session here, and protected files differ; "
                "in a shallow clone `git fetch --unshallow` gets it, then resume."
            )
        if code not in (0, 1):
            raise GitError(("merge-tree",), code, err)
        return out.decode().split()[0] if code == 0 else None

    def changed(self, base: str, tree: str | None) -> Taken:
        """What `tree` changes of `base`."""
        if tree is None or tree == self.refs.resolve(f"{base}^{{tree}}"):
            return Taken()
        files, lines = self.change_of(base, tree)
        return Taken(tree, files, (), lines)

    def join(self, incumbent: str, head: str, message: str) -> str | None:
        """The session's incumbent and the user's commit as one: a merge of them, or `head` if it holds the incumbent.

        None when they conflict.
        """
        if self.git.attempt("merge-base", "--is-ancestor", incumbent, head)[0] == 0:
            return head
        tree = self._merged(incumbent, head)
        if tree is None:
            return None
        return self.git("commit-tree", tree, "-p", incumbent, "-p", head, "-F", "-", stdin=_text(message)).strip()

    def redo(self, change: str, message: str) -> str | None:
        """The same change beside its parent: it merges again where `change` itself was merged and undone since."""
        tree, parent = self.refs.resolve(f"{change}^{{tree}}"), self.refs.resolve(f"{change}^")
        return self._objects.commit(tree, parent, _text(message)) if tree and parent else None

    def undo(self, kept: str, message: str) -> str | None:
        """A commit that reverses `kept` when merged: its parent's tree on top of it."""
        tree = self.refs.resolve(f"{kept}^^{{tree}}")
        return self._objects.commit(tree, kept, _text(message)) if tree else None

    def change_of(self, parent: str, sha: str) -> tuple[tuple[str, ...], tuple[int, int]]:
        """(files, (lines added, removed)) between two commits, or a commit and a tree."""
        files: list[str] = []
        added = removed = 0
        answer = self.git("diff-tree", "-r", "-z", "--numstat", "--no-renames", parent, sha)
        for entry in filter(None, answer.split("\0")):
            plus, minus, path = entry.split("\t", 2)
            added += int(plus) if plus != "-" else 0
            removed += int(minus) if minus != "-" else 0
            files.append(path)
        return tuple(files), (added, removed)

    def patch_of(self, parent: str, sha: str) -> str:
        """What a candidate changes, as a diff without context lines; "" where one of the commits is gone."""
        before, after = self.refs.resolve(f"{parent}^{{tree}}"), self.refs.resolve(f"{sha}^{{tree}}")
        return self.refs.patch_between(before, after) if before and after and before != after else ""

    def adds(self, parent: str, files: Iterable[str]) -> bool:
        """Whether one of a proposal's files may be new, found out without a process."""
        return any(not path.isprintable() or self.refs.resolve(f"{parent}:{path}") is None for path in files)

    def new_files(self, parent: str, sha: str) -> NewFiles | None:
        """What a candidate adds to its parent, for commands to be asked about; None where it adds nothing."""
        raw = self.git("diff-tree", "-r", "-z", "--raw", "--no-renames", "--diff-filter=A", parent, sha).split("\0")
        modes = {path: facts.split() for facts, path in zip(raw[::2], raw[1::2], strict=False)}
        if not modes:
            return None
        name, empty = f"z{secrets.token_hex(4)}", self.git("hash-object", "-w", "--stdin", stdin="").strip()
        twins = {path: twin_of(path, name) for path in modes}
        entries = []
        for path, (_, mode, _, blob, *_) in modes.items():
            entries.append(f"{mode} {blob if mode == _LINK else empty}\t{path}\0")
            entries.append(f"100644 {empty}\t{twins[path]}\0")
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            index = {"GIT_INDEX_FILE": f"{folder}/index"}
            self.git("read-tree", parent, env=index)
            self.git("update-index", "-z", "--index-info", stdin="".join(entries), env=index)
            tree = self.git("write-tree", env=index).strip()
        commit = self._objects.commit(tree, parent, "what would commands make of these files?\n")
        editable = frozenset(path for _, path in self.git.files_of(parent) if self._in_scope(path))
        return NewFiles(twins, editable, commit)

    def facts_of(self, commit: str) -> dict[str, object]:
        """What `commit` wrote into a candidate's message; {} when it is not one of ours."""
        message = self.git("log", "-1", "--format=%B", commit)
        for line in reversed(message.splitlines()):
            if line.startswith(_TRAILER):
                with contextlib.suppress(orjson.JSONDecodeError):
                    data = orjson.loads(line[len(_TRAILER) :])
                    return data if isinstance(data, dict) else {}
        return {}

    # -- refs

    def experiment_ref(self, number: int) -> str:
        return f"{self.session.refs}{number}"

    def proposal_ref(self, id: int) -> str:
        return f"{self.session.refs}p{id}"

    def propose_ref(self, id: int, sha: str) -> None:
        self.refs.update((self.proposal_ref(id), sha, None))
        reach("after:ref-p")

    def number_ref(self, number: int, sha: str, proposal: int | None) -> None:
        """The proposal becomes experiment `number`: one transaction gives it its ref and drops the waiting one."""
        changes: list[tuple[str, str, str | None]] = [(self.experiment_ref(number), sha, None)]
        if proposal is not None and self.refs.resolve(self.proposal_ref(proposal)):
            changes.append((self.proposal_ref(proposal), "", None))
        self.refs.update(*changes)
        reach("after:ref-n")

    def set_aside(self, number: int, sha: str) -> None:
        """An experiment that the journal lost stays reachable as `lost-<n>-<commit>`."""
        aside = f"{self.session.refs}lost-{number}-{sha[:7]}"
        self.refs.update((aside, sha, None), (self.experiment_ref(number), "", None))

    def drop_proposal(self, id: int) -> None:
        if self.refs.resolve(self.proposal_ref(id)):
            self.refs.update((self.proposal_ref(id), "", None))

    def keep(self, sha: str, parent: str | None) -> None:
        """Move the session's branch from `parent` ("" or None: it does not exist) by compare-and-swap."""
        self.refs.update((self.session.branch, sha, parent or ""))
        reach("after:branch")

    def list_refs(self) -> dict[str, str]:
        """Every ref of the session, by its name below the session's prefix (`7`, `p9`), and its commit."""
        found = self.git.refs(self.session.refs)
        return {name.removeprefix(self.session.refs): sha for name, sha in found.items()}

    # -- housekeeping

    def save_state(self, message: str) -> None:
        """Save journal, notebook and config, so that a lost folder is restored from them."""
        with self.session.journal.open("rb") as journal:
            self.saved.save(self.session, journal, _text(message), self.identity)
        reach("after:state")

    def tidy(self) -> None:
        """Pack what the session wrote, since automatic gc is off for our calls. Prunes nothing."""
        self.git.attempt("maintenance", "run", "--quiet", "--task=loose-objects", "--task=pack-refs")
        self.saved.pack()

    def remove_former_trees(self) -> None:
        """Those in which earlier versions measured: worktrees of the user's repository, as the one for proposals is."""
        for role in ("measure", "evaluate"):
            name = f"autoresearch-{self.session.name}-{role}"
            for path in (self.place.common_dir / "worktrees" / name, *self.folder.glob(f"{name}*")):
                remove(path)

    def remove_stale_locks(self) -> list[Path]:
        """Lock files that a killed git of ours left behind: where trees and state are, and on our refs only."""
        removed = []
        candidates = self.propose.admin.lock_files()
        candidates += self.saved.folder.rglob("*.lock")
        for folder in (self.place.common_dir / self.session.refs, (self.place.common_dir / self.session.branch).parent):
            if folder.is_dir():
                candidates += folder.glob("*.lock")
        for lock in candidates:
            with contextlib.suppress(FileNotFoundError):
                lock.unlink()
                removed.append(lock)
        return removed


def words_of(command: str | tuple[str, ...]) -> list[str]:
    """A command's words, as bash would take them or as they are."""
    if isinstance(command, tuple):
        return list(command)
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()


def _by_fitness(root: Path, paths: list[str]) -> list[tuple[list[str], tuple[str, ...]]]:
    """Paths for git's index with the flags to give them: what git refuses to look at counts as removed.

    That is what lies behind a link, and what is neither a file nor a link.
    """
    fit: list[str] = []
    unfit: list[str] = []
    for path in paths:
        full = root / path
        odd = full.exists() and not full.is_file() and not full.is_symlink()
        behind_link = any((root / parent).is_symlink() for parent in PurePosixPath(path).parents)
        (unfit if odd or behind_link else fit).append(path)
    both = ((fit, ("--add", "--remove", "--replace")), (unfit, ("--force-remove",)))
    return [(some, flags) for some, flags in both if some]


def _text(message: str) -> str:
    """A commit message that git takes: it refuses NUL, and what is no UTF-8 would not be read back."""
    return message.replace("\0", "").encode("utf-8", "replace").decode()
