"""Git as the session uses it: trees to propose and measure in, candidate commits, refs, keep, undo.

Experiments live in worktrees of their own, under the user's cache folder, and on a branch and refs of their own. The
user's worktree, index, stash, branches and config are never written. A tree is derived: it is made again when missing,
never trusted, and everything in it that matters is a commit.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import orjson

from autoresearch.engine.git import OUR_EMAIL, OUR_NAME, Git, GitError, Refs
from autoresearch.engine.objects import Objects
from autoresearch.engine.scope import Scope
from autoresearch.engine.shadows import module_of, names_imported, shadowing
from autoresearch.engine.tree import Tree
from autoresearch.state import config as configs
from autoresearch.state import records
from autoresearch.state.config import Config
from autoresearch.state.faults import reach
from autoresearch.state.session import CONFIG_FILE, Place, Session, SessionError, write_atomic

MINIMUM_GIT = (2, 38)
"""`merge-tree --write-tree`."""
SAVED = ("autoresearch.jsonl", "autoresearch.md", "config.toml")
"""What a state commit holds."""
PART = 1 << 20
_TRAILER = "Autoresearch-Proposal: "
LARGEST_MB = 100
"""What the files of one proposal may hold: each experiment stays in the user's repository."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What was taken of an agent's edits."""

    sha: str
    """The candidate commit; "" when nothing in scope had changed."""
    files: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    lines: tuple[int, int] = (0, 0)


def machine_name(place: Place, session: str) -> str:
    """The session's name on this machine, which measured processes carry: two repositories may both have a `nov20`."""
    return f"{session}@{_key(place)}"


def _key(place: Place) -> str:
    return hashlib.sha256(str(place.common_dir).encode()).hexdigest()[:12]


def trees_folder(place: Place, session: str) -> Path:
    """Where a session's trees are: a cache, keyed by the repository's path so that a moved repository gets new ones."""
    return trees_root() / _key(place) / session


def trees_root() -> Path:
    root = os.environ.get("AUTORESEARCH_TREES")
    if root is None:
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        root = str(Path(cache) / "autoresearch" / "trees")
    # Resolved: git registers a worktree by its real path, and a home folder is often behind a link.
    return Path(root).resolve()


class Workspace:
    """One session's git side. Used by the engine alone, which holds the session's lock."""

    def __init__(self, place: Place, session: Session, config: Config, warn: Callable[[str], None]) -> None:
        self.place = place
        self.session = session
        self.config = config
        self.scope = Scope(config.scope.edit, place.prefix)
        self.identity = identity_of(place)
        self.git = Git(place.common_dir, identity=self.identity)
        self.refs = Refs(self.git)
        self._objects = Objects(self.git, self.identity)
        self.folder = trees_folder(place, session.name)
        self._config_path = f"{place.prefix}/{CONFIG_FILE}" if place.prefix else CONFIG_FILE
        self._parts: list[str] = []
        """Blobs of the journal's full parts that this engine has written."""
        self._hidden: bytes | None = None
        """The target's toml as an agent sees it; None when it is as committed."""
        self._warn = warn
        self.propose = self._tree("propose")
        self.measure = self._tree("measure")
        self.evaluate = self._tree("evaluate") if config.measure.evaluate else None

    def _tree(self, role: str) -> Tree:
        return Tree(
            role=role,
            session=self.session.name,
            root=self.folder / f"autoresearch-{self.session.name}-{role}",
            place=self.place,
            identity=self.identity,
            scope=self.scope,
            links=self.config.scope.link,
            cache=self.config.measure.cache,
            warn=self._warn,
        )

    @property
    def trees(self) -> list[Tree]:
        return [tree for tree in (self.propose, self.measure, self.evaluate) if tree is not None]

    def close(self) -> None:
        self.refs.close()
        self._objects.close()

    # -- from edits to a candidate commit

    def take(self, base: str, words: Callable[[Taken], tuple[str, dict[str, object]]]) -> Taken:
        """Commit the in-scope edits of the propose tree on `base`; drop and list the others.

        `words` gives the commit's message and the facts kept in it, from which a proposal whose journal line was lost
        in a crash is recovered.
        """
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
            return Taken("", dropped=tuple(outside))
        before = self.refs.resolve(f"{base}^{{tree}}")
        after = self._objects.tree_with(base, before, tree.git, inside) if before else None
        if not after:
            for paths, flags in _by_fitness(tree.root, inside):
                tree.git("update-index", "-z", *flags, "--stdin", stdin="\0".join(paths) + "\0")
            after = tree.git("write-tree").strip()
        if before is None or after == before:
            return Taken("", dropped=tuple(outside))
        taken = Taken("", tuple(inside), tuple(outside), self.refs.lines_between(before, after))
        message, facts = words(taken)
        sha = self._objects.commit(after, base, _message(message, facts))
        reach("after:commit")
        return replace(taken, sha=sha)

    def _refused(self, base: str, inside: list[str]) -> dict[str, str]:
        """Paths in scope that are not taken all the same, each with a clause that says why."""
        refused: dict[str, str] = {}
        total = 0
        for path in inside:
            with contextlib.suppress(OSError):
                size = (self.propose.root / path).lstat().st_size
                if total + size > LARGEST_MB * 2**20:
                    refused[path] = f"{size / 2**20:.0f} MB; a proposal may write {LARGEST_MB} MB"
                else:
                    total += size
        new = [path for path in inside if path not in refused and module_of(path) and not self._is_tracked(path)]
        if new:
            tracked = self.propose.tracked()
            scripts = [path for path in tracked if path.endswith(".py") and not self._in_scope(path)]

            def imported_in(folder: str) -> set[str]:
                beside = [path for path in scripts if path.rpartition("/")[0] == folder]
                blobs = [self.git.raw("cat-file", "blob", f"{base}:{path}") for path in beside]
                return set().union(*map(names_imported, blobs))

            hiding = shadowing(new, tracked, lambda path: not self._in_scope(path), self._entries(tracked), imported_in)
            refused |= dict.fromkeys(sorted(hiding), "it would be imported in place of what protected code means")
        return refused

    def _is_tracked(self, path: str) -> bool:
        return path in self.propose.tracked()

    def _entries(self, tracked: Collection[str]) -> set[str]:
        """The folders that Python searches first: where commands run, and those of the scripts that they name."""
        settings, prefix = self.config.measure, self.place.prefix
        commands = [settings.run, settings.evaluate, settings.build, self.config.holdout.run]
        commands += [guard.run for guard in self.config.guard]
        found = {prefix}
        for word in (word for command in commands for word in words_of(command)):
            path = os.path.normpath(f"{prefix}/{word}" if prefix else word)
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
        prefix = self.place.prefix
        if prefix:
            if not path.startswith(prefix + "/"):
                return False
            path = path[len(prefix) + 1 :]
        return self.scope.contains(path)

    # -- commits made without a tree

    def merge(self, onto: str, change: str, message: str, facts: dict[str, object]) -> str | None:
        """`change`'s diff since the fork, on top of `onto`, as a new commit; None when it conflicts.

        Returns `onto` itself when the change is already in it.
        """
        if self.refs.resolve(f"{change}^") == onto:
            return self._recommit(change, onto, message, facts)
        code, out, err = self.git.attempt("merge-tree", "--write-tree", "--no-messages", onto, change)
        if code == 1:
            return None
        if code:
            raise GitError(("merge-tree",), code, err)
        return self.commit(out.decode().split()[0], onto, message, facts)

    def _recommit(self, change: str, onto: str, message: str, facts: dict[str, object]) -> str:
        tree = self.refs.resolve(f"{change}^{{tree}}")
        assert tree is not None
        return self.commit(tree, onto, message, facts)

    def commit(self, tree: str, parent: str, message: str, facts: dict[str, object]) -> str:
        """A commit of `tree` on `parent`, or `parent` itself when that is its tree already."""
        if self.refs.resolve(f"{parent}^{{tree}}") == tree:
            return parent
        return self.git("commit-tree", tree, "-p", parent, "-F", "-", stdin=_message(message, facts)).strip()

    def join(self, incumbent: str, head: str, message: str) -> str | None:
        """The session's incumbent and the user's commit as one: a merge of them, or `head` if it holds the incumbent.

        None when they conflict.
        """
        if self.git.attempt("merge-base", "--is-ancestor", incumbent, head)[0] == 0:
            return head
        code, out, err = self.git.attempt("merge-tree", "--write-tree", "--no-messages", incumbent, head)
        if code == 1:
            return None
        if "unrelated histories" in err:
            raise SessionError(
                "HEAD has no history in common with the session here, and protected files differ; "
                "in a shallow clone `git fetch --unshallow` gets it, then resume."
            )
        if code:
            raise GitError(("merge-tree",), code, err)
        tree = out.decode().split()[0]
        return self.git("commit-tree", tree, "-p", incumbent, "-p", head, "-F", "-", stdin=_text(message)).strip()

    def redo(self, change: str, message: str) -> str | None:
        """The same change beside its parent: it merges again where `change` itself was merged and undone since."""
        tree, parent = self.refs.resolve(f"{change}^{{tree}}"), self.refs.resolve(f"{change}^")
        if tree is None or parent is None:
            return None
        return self.git("commit-tree", tree, "-p", parent, "-F", "-", stdin=_text(message)).strip()

    def undo(self, kept: str, message: str) -> str | None:
        """A commit that reverses `kept` when merged: its parent's tree on top of it."""
        tree = self.refs.resolve(f"{kept}^^{{tree}}")
        return (
            None if tree is None else self.git("commit-tree", tree, "-p", kept, "-F", "-", stdin=_text(message)).strip()
        )

    def change_of(self, parent: str, sha: str) -> tuple[tuple[str, ...], tuple[int, int]]:
        """(files, (lines added, removed)) between two commits."""
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

    def facts_of(self, commit: str) -> dict[str, object]:
        """What `take` wrote into a candidate's message; {} when it is not one of ours."""
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
        """Every ref of the session, by its name below the session's prefix (`7`, `p9`, `state`), and its commit."""
        answer = self.git("for-each-ref", "--format=%(refname) %(objectname)", self.session.refs.rstrip("/"))
        found = {}
        for line in answer.splitlines():
            name, _, sha = line.partition(" ")
            found[name.removeprefix(self.session.refs)] = sha
        return found

    def branch_holder(self) -> Path | None:
        return branch_holder(self.place, self.session)

    # -- housekeeping

    def save_state(self, message: str) -> None:
        """Commit journal, notebook and config under the state ref, so that a lost folder is restored from it."""
        files = [path for path in (self.session.notebook, self.session.config) if path.is_file()]
        names = "".join(f"{_quoted(path)}\n" for path in files)
        blobs = self.git("hash-object", "-w", "--no-filters", "--stdin-paths", stdin=names)
        entries = [f"100644 blob {blob}\t{path.name}\n" for blob, path in zip(blobs.split(), files, strict=True)]
        tree = self.git("mktree", stdin="".join([*entries, self._journal_entry()])).strip()
        old = self.refs.resolve(f"{self.session.refs}state")
        parent = ("-p", old) if old else ()
        commit = self.git("commit-tree", tree, *parent, "-F", "-", stdin=_text(message)).strip()
        self.refs.update((f"{self.session.refs}state", commit, None))
        reach("after:state")

    def _journal_entry(self) -> str:
        """The journal for a state's tree: a blob, and from PART bytes on a folder of parts of that size.

        The journal only grows, so a part that is full stays as it is: at a keep only what is new is written. What an
        earlier engine wrote is read again once, since people may mend a line in between.
        """
        parts = list(self._parts)
        with self.session.journal.open("rb") as file:
            file.seek(len(parts) * PART)
            while data := file.read(PART):
                parts.append(self.git("hash-object", "-w", "--no-filters", "--stdin", stdin=data).strip())
                if len(data) == PART:
                    self._parts = list(parts)
        name = self.session.journal.name
        if len(parts) == 1:
            return f"100644 blob {parts[0]}\t{name}\n"
        folder = self.git("mktree", stdin="".join(f"100644 blob {oid}\t{n:06d}\n" for n, oid in enumerate(parts)))
        return f"040000 tree {folder.strip()}\t{name}\n"

    def tidy(self) -> None:
        """Pack what the session wrote, since automatic gc is off for our calls. Prunes nothing."""
        self.git.attempt("maintenance", "run", "--quiet", "--task=loose-objects", "--task=pack-refs")

    def remove_stale_locks(self) -> list[Path]:
        """Lock files that a killed git of ours left behind: in our trees' git directories and on our refs only."""
        removed = []
        candidates: list[Path] = []
        for tree in self.trees:
            candidates += tree.lock_files()
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


def branch_holder(place: Place, session: Session) -> Path | None:
    """The worktree of the user's that has the session's branch checked out, if any. Files alone: no process."""
    heads = [(place.common_dir / "HEAD", place.top)]
    with contextlib.suppress(FileNotFoundError):
        heads += [(admin / "HEAD", admin) for admin in (place.common_dir / "worktrees").iterdir()]
    for head, where in heads:
        with contextlib.suppress(OSError):
            if head.read_text().strip() != f"ref: {session.branch}":
                continue
            return where if where == place.top else Path((where / "gitdir").read_text().strip()).parent
    return None


def refuse_held_branch(place: Place, session: Session) -> None:
    """Raises SessionError when a worktree has the session's branch checked out: moving it would disturb that tree."""
    holder = branch_holder(place, session)
    if holder is not None:
        name = session.branch.removeprefix("refs/heads/")
        raise SessionError(f"{holder} has the session's branch {name} checked out; leave it with `git switch -` first.")


def restore(place: Place, name: str) -> Session | None:
    """Make a lost session folder again from its state ref; None when there is no such ref."""
    session = Session(place.sessions_dir / name)
    git = Git(place.common_dir)
    state = f"{session.refs}state"
    code, _, _ = git.attempt("rev-parse", "--verify", "--quiet", state)
    if code:
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
    for entry in filter(None, git.raw("ls-tree", "-r", "-z", state).split(b"\0")):
        facts, _, path = entry.partition(b"\t")
        mode, kind, oid = facts.decode().split(" ")
        name, _, part = path.decode("utf-8", "replace").partition("/")
        if kind == "blob" and mode != "120000" and name in SAVED:
            parts.setdefault(name, []).append((part, oid))
    return {
        name: b"".join(git.raw("cat-file", "blob", oid) for _, oid in sorted(found)) for name, found in parts.items()
    }


def check_git() -> None:
    """Raises SessionError when git is missing or too old."""
    try:
        text = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        raise SessionError("git is not installed; install git 2.38 or newer.") from None
    found = re.search(r"(\d+)\.(\d+)", text)
    if not found or (int(found[1]), int(found[2])) < MINIMUM_GIT:
        raise SessionError(f"git {found[0] if found else '?'} is too old; install git 2.38 or newer.")


def head_of(place: Place) -> str:
    """The user's HEAD commit. Raises SessionError when there is none yet."""
    code, out, _ = Git(place.git_dir).attempt("rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    if code:
        raise SessionError(f"{place.top} has no commit yet; make one with `git add -A && git commit -m start`.")
    return out.decode().strip()


def uncommitted(place: Place) -> tuple[list[str], list[str]]:
    """(changed tracked files, untracked files) of the user's worktree, relative to the target's folder. Only reads."""
    git = Git(place.git_dir, place.top)
    answer = git("status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=normal")
    changed: list[str] = []
    untracked: list[str] = []
    for entry in filter(None, answer.split("\0")):
        (untracked if entry.startswith("??") else changed).append(entry[3:])
    return changed, untracked


def tracked_hash(place: Place, commit: str, scope: Scope) -> str:
    """One hash over the protected files of `commit`: path, mode and blob of every tracked file outside the scope.

    Without the target's own toml: what of it measures has a hash of its own, the rest may change freely.
    """
    digest = hashlib.sha256()
    prefix = f"{place.prefix}/" if place.prefix else ""
    for entry in filter(None, Git(place.common_dir).raw("ls-tree", "-r", "-z", commit).split(b"\0")):
        meta, _, name = entry.partition(b"\t")
        path = name.decode("utf-8", "surrogateescape")
        inside = path[len(prefix) :] if path.startswith(prefix) else ""
        if inside and (inside == CONFIG_FILE or scope.contains(inside)):
            continue
        digest.update(meta + b"\t" + name + b"\0")
    return digest.hexdigest()


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


def _quoted(path: Path) -> str:
    """A path as a line for git; one with a line break in C's quotes."""
    text = str(path)
    if "\n" not in text:
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def identity_of(place: Place) -> dict[str, str]:
    """The user's name and address for our commits, ours where they have none."""
    answer = Git(place.git_dir).attempt("config", "--get-regexp", r"^user\.(name|email)$")[1].decode("utf-8", "replace")
    known = {}
    for line in answer.splitlines():
        key, _, value = line.partition(" ")
        known[key] = value.strip()
    name = known.get("user.name") or os.environ.get("GIT_AUTHOR_NAME") or OUR_NAME
    email = known.get("user.email") or os.environ.get("GIT_AUTHOR_EMAIL") or OUR_EMAIL
    return {
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": email,
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": email,
    }


def _message(message: str, facts: dict[str, object]) -> str:
    return _text(f"{message.strip() or 'a change'}\n\n{_TRAILER}{records.dumps(facts).decode()}\n")


def _text(message: str) -> str:
    """A commit message that git takes: it refuses NUL, and what is no UTF-8 would not be read back."""
    return message.replace("\0", "").encode("utf-8", "replace").decode()
