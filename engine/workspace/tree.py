"""One worktree of a session: made exactly a commit, and checked for what happened in it since.

A tree is a cache. It is registered with git under a name of ours, its `.git` file is rewritten when something changed
it, and it is made again when it is gone. What a run leaves behind is known from one walk, compared with git's index.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import subprocess
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

import orjson

from autoresearch.engine.files import clear_way, remove, remove_below
from autoresearch.engine.git import GITLINK, SYMLINK, Entry, Git, GitError, UnreadableIndex, read_index
from autoresearch.engine.workspace.scope import Scope
from autoresearch.state.files import write_atomic
from autoresearch.state.session import Place, SessionError

_GIT_FLAGS = ("-c", "index.version=2", "-c", "core.splitIndex=false", "-c", "core.sparseCheckout=false")
_UNFINISHED = ("MERGE_HEAD", "MERGE_MODE", "MERGE_MSG", "CHERRY_PICK_HEAD", "REVERT_HEAD", "SQUASH_MSG", "AUTO_MERGE")
_SECOND = 1_000_000_000
_DEEPEST = 3500
"""Characters of a folder's path: what lies deeper could have a path longer than the kernel takes (4,096)."""
_32_BITS = 0xFFFFFFFF
_HEX = frozenset("0123456789abcdef")


class Tree:
    """See the module. `root` is the checkout of the whole repository, `folder` the target's folder in it."""

    def __init__(
        self,
        *,
        role: str,
        session: str,
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
        self.admin = place.common_dir / "worktrees" / root.name
        self.git = Git(self.admin, root, identity)
        self._session = session
        self._place = place
        self._scope = scope
        self._links = tuple(_join(place.prefix, link) for link in links)
        self._cache = tuple(_join(place.prefix, path) for path in cache)
        self._warn = warn
        self._sha: str | None = None
        self._clean = False
        """The tree is known to be `_sha` and nothing else: no walk is needed before the next use."""
        self._extras: list[str] | None = None
        """Paths beyond the commit, found by the last check; None when a walk is due."""
        self._settled: dict[str, _Seen] = {}
        self._prepared: dict[str, _Seen] | None = None
        self.unprepared: str | None = None
        """The commit at which `setup` has to run again, because a run spoiled what it had left."""
        self._prepared_at: tuple[str, str] = ("", "")
        """Key and commit of what is prepared."""
        self._index: dict[str, Entry] = {}
        self._folders: set[str] = set()
        """Every folder that holds something tracked."""
        self._head: tuple[object, ...] = ()

    def __repr__(self) -> str:
        return f"Tree({self.role}, {self._sha and self._sha[:7]})"

    # -- making it a commit

    def at(self, sha: str) -> None:
        """Make it exactly `sha`, plus links, prepared and cached paths, and the build settled for this very commit."""
        self._heal(sha)
        if self._sha != sha:
            self._settled = {}
        if not (self._clean and self._sha == sha):
            self._distrust_index()
            self._detach(sha)
            if self._extras is None:
                self._load_index()
                self._extras = self._look().beyond()
            for path in self._extras:
                remove_below(self.root, path)
            self._reset(sha)
            self._load_index(strict=True)
        self._link()
        self._sha = sha
        self._clean = False
        self._extras = None
        self._head = self._git_state()

    def distrust(self) -> None:
        """Somebody may have written here since the last check: look at all of it before it is used again."""
        self._clean = False
        self._extras = None

    def settle(self) -> None:
        """What is here beyond the commit now (a finished build) belongs to it until another commit is checked out.

        A build that changed files of the commit is made again for each run: they are checked out again before it.
        """
        found = self._look(deep=True)
        self._settled = {} if found.changed else {p: seen for p, seen in found.found.items() if p not in self._index}

    def is_settled(self, sha: str) -> bool:
        """Whether a build finished for this commit is still here, untouched."""
        if self._sha != sha or not self._settled:
            return False
        return all(_see(self.root / path) == seen for path, seen in self._settled.items())

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
        found = self._look()
        changed = [path for path in found.changed if self._protected(path)]
        put_back = [path for path in found.rewritten if self._protected(path)]
        led_astray = [path for path in self._links if not self._leads_to_users(path)]
        if self._prepared is not None:
            spoiled = [path for path, seen in self._prepared.items() if _see(self.root / path) != seen]
            if spoiled:
                changed += spoiled
                self._unprepare()
        self._extras = found.beyond()
        self._clean = not self._extras and not led_astray and self._git_state() == self._head
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
        if self._distrust_index():
            assert self._sha is not None
            self._reset(self._sha)
        else:
            self.git("checkout-index", "-f", "-u", "-z", "--stdin", stdin="\0".join(tracked) + "\0")
        self._load_index(strict=True)
        self._head = self._git_state()

    def _distrust_index(self) -> bool:
        """Forget git's index unless we wrote it last: it may name other blobs, or files that git is to overlook."""
        if self._head and self._git_state() == self._head:
            return False
        (self.admin / "index").unlink(missing_ok=True)
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

    @property
    def _prepared_file(self) -> Path:
        return self.root.with_name(self.root.name + ".prepared.json")

    def is_prepared(self, key: str) -> bool:
        """Whether `setup` has run here for this `key` (its command and commit) and what it left is untouched."""
        try:
            data = orjson.loads(self._prepared_file.read_bytes())
            seen = {path: tuple(value) for path, value in data["seen"].items()}
        except (OSError, orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            return False
        if data.get("key") != key or any(_see(self.root / path) != value for path, value in seen.items()):
            return False
        self._prepared = seen
        self._prepared_at = (key, self._sha or "")
        return True

    def prepared(self, key: str) -> None:
        """What is here beyond the commit now was made by `setup`: it is kept and protected from now on."""
        self._prepared = {}
        self._prepared = {p: seen for p, seen in self._look(deep=True).found.items() if p not in self._index}
        self._prepared_at = (key, self._sha or "")
        self.unprepared = None
        write_atomic(self._prepared_file, orjson.dumps({"key": key, "seen": self._prepared}))

    def prepared_again(self) -> None:
        """`setup` has run here again, for the key it had."""
        self.prepared(self._prepared_at[0])

    def share_again(self, other: Tree) -> None:
        """Give `other`, which lost them, copies of what setup left here."""
        self.share_prepared(other, self._prepared_at[0])

    def _unprepare(self) -> None:
        """What setup left is spoiled or gone."""
        if self._prepared is not None:
            self.unprepared = self._prepared_at[1] or None
        self._prepared = None
        self._prepared_file.unlink(missing_ok=True)

    def share_prepared(self, other: Tree, key: str) -> None:
        """Give `other` copies of what setup left here (reflinks where the file system has them)."""
        tops = sorted({self._top_beyond_commit(path) for path in self._prepared or {}})
        for top in tops:
            target = other.root / top
            remove_below(other.root, top)
            target.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", "--reflink=auto", str(self.root / top), str(target)], check=True)
        other.prepared(key)

    def _top_beyond_commit(self, path: str) -> str:
        """The highest folder of `path` that holds nothing tracked."""
        tracked = self._folders
        parts = path.split("/")
        for depth in range(1, len(parts)):
            if "/".join(parts[:depth]) not in tracked:
                return "/".join(parts[:depth])
        return path

    def overlay(self, sha: str) -> None:
        """Put another commit's files into the tree, while HEAD stays: an agent goes on from a failed candidate."""
        self.git(*_GIT_FLAGS, "read-tree", "-u", "--reset", sha)
        self._clean = False

    # -- what an agent changed

    def tracked(self) -> Collection[str]:
        """Every path of the commit, from the repository's top."""
        return self._index.keys()

    def forget_staging(self, base: str) -> None:
        """Whatever the agent staged or committed here: HEAD and index are `base` again, its files stay."""
        self._heal(base)
        if self._git_state() == self._head:
            return
        self._detach(base)
        self.git(*_GIT_FLAGS, "read-tree", base)
        self._load_index()
        self._head = self._git_state()

    def changed_paths(self) -> list[str]:
        """Paths that differ from the commit: changed, deleted and new ones, ignored files left out."""
        found = self._look(deep=True)
        new = []
        if any(path not in self._index for path in found.extras):
            answer = self.git(*_GIT_FLAGS, "ls-files", "-o", "-z", "--exclude-standard")
            new = [path for path in answer.split("\0") if path and not self._ours(path.rstrip("/"))]
        self._extras = found.beyond()  # whatever else the agent did is over: its processes are gone
        self._clean = False
        return sorted({*found.changed, *new})

    # -- repair

    def lock_files(self) -> list[Path]:
        return list(self.admin.glob("*.lock")) if self.admin.is_dir() else []

    def _heal(self, sha: str) -> None:
        """Make the worktree exist and be ours, whatever was done to it."""
        if not (self._is_in_place() and self._is_registered()):
            self._make(sha)
            return
        if not self._has_head():
            self._write_head(sha)
        pointer = self.root / ".git"
        want = f"gitdir: {self.admin}\n"
        found = ""
        try:
            if stat.S_ISREG(pointer.lstat().st_mode):
                found = pointer.read_text(errors="replace")
        except OSError:
            pass
        if found == want:
            return
        # Ours, too: the git directory of an agent's CLI, during whose call the engine was killed (`agents.owngit`).
        if found != f"gitdir: {self.root.with_name(self.root.name + '.git')}\n":
            self._warn(f"The .git file of the {self.role} tree was changed; it was written again.")
        remove(pointer)
        pointer.write_text(want)
        self._clean = False
        self._extras = None

    def _is_registered(self) -> bool:
        try:
            ours = (self.admin / "commondir").read_text().strip() == "../.."
            return ours and Path((self.admin / "gitdir").read_text().strip()) == self.root / ".git"
        except OSError:
            return False

    def _make(self, sha: str) -> None:
        try:
            for folder in (self.root.parent.parent, self.root.parent, self.root):
                if folder.is_symlink():
                    folder.unlink()
            remove(self.root)
            self._unprepare()
            self.root.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise SessionError(
                f"{self.root.parent} cannot be made ({error.strerror}), and experiments run there; "
                f"set AUTORESEARCH_TREES to a folder that can be written.",
                code=1,
            ) from None
        remove(self.admin)
        git = Git(self._place.common_dir)
        git("worktree", "add", "-f", "--detach", "--no-checkout", str(self.root), sha)
        if not self._is_registered():
            raise GitError(("worktree", "add"), 1, f"{self.admin} is not the registration of {self.root}")
        (self.root / ".git").write_text(f"gitdir: {self.admin}\n")
        self._sha = None
        self._clean = False
        self._settled = {}
        self._reset(sha)
        self._load_index(strict=True)
        self._extras = []
        self._head = self._git_state()

    def _detach(self, sha: str) -> None:
        """HEAD names a commit, never a branch: a reset must not move one that an agent checked out here."""
        try:
            if not (self.admin / "HEAD").read_text().startswith("ref:"):
                return
        except OSError:
            pass
        self._write_head(sha)

    def _has_head(self) -> bool:
        """Without a HEAD that it can read (a power cut can leave an empty one) git takes the tree for no repository."""
        try:
            text = (self.admin / "HEAD").read_text().strip()
        except (OSError, ValueError):
            return False
        return text.startswith("ref:") or (len(text) in (40, 64) and set(text) <= _HEX)

    def _write_head(self, sha: str) -> None:
        """Whole or not at all, whenever we are killed."""
        beside = self.admin / "HEAD.new"
        beside.write_text(f"{sha}\n")
        beside.replace(self.admin / "HEAD")

    def _reset(self, sha: str) -> None:
        """As `reset --hard`, in half its time: every file that is not the commit's is written again."""
        for lock in self.lock_files():
            lock.unlink(missing_ok=True)
        command = (*_GIT_FLAGS, "read-tree", "-u", "--reset", sha)
        code, _, err = self.git.attempt(*command)
        if code:
            # A damaged index or an odd state an agent left: begin with a fresh index; if that fails, say git's words.
            (self.admin / "index").unlink(missing_ok=True)
            code, _, err = self.git.attempt(*command)
        if code:
            raise GitError(("read-tree",), code, err)
        self._point_head_at(sha)

    def _point_head_at(self, sha: str) -> None:
        """HEAD names the commit, and nothing of a merge or pick that an agent began is left."""
        if self._read_head() != sha:
            if (self._place.common_dir / "reftable").is_dir():
                self.git("update-ref", "--no-deref", "HEAD", sha)
            else:
                self._write_head(sha)
        for name in _UNFINISHED:
            (self.admin / name).unlink(missing_ok=True)

    def _load_index(self, strict: bool = False) -> None:
        """`strict`: git has just written it. Without an index no change of a protected file would be noticed."""
        oid_bytes = len(self._read_head()) // 2 or 20
        try:
            self._index = read_index(self.admin / "index", oid_bytes)
        except UnreadableIndex as error:
            if strict:
                raise GitError(("read-tree",), 1, f"the index it wrote cannot be read: {error}") from error
            self._index = {}
        self._folders = _parents(self._index)

    def _read_head(self) -> str:
        with contextlib.suppress(OSError):
            text = (self.admin / "HEAD").read_text().strip()
            if not text.startswith("ref:"):
                return text
        return ""

    def _git_state(self) -> tuple[object, ...]:
        """Changes when somebody stages, commits, merges or switches here."""
        try:
            index = (self.admin / "index").stat()
            return (self._read_head(), index.st_mtime_ns, index.st_ctime_ns, index.st_size, index.st_ino)
        except OSError:
            return ()

    def _link(self) -> None:
        for path in self._links:
            clear_way(self.root, path)  # a candidate's own link there would lead us to the user's data
            if self._leads_to_users(path):
                continue
            link = self.root / path
            remove(link)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(self._place.top / path)

    def _leads_to_users(self, path: str) -> bool:
        try:
            return (self.root / path).readlink() == self._place.top / path
        except OSError:
            return False

    # -- looking

    def _protected(self, path: str) -> bool:
        prefix = self._place.prefix
        if prefix and not path.startswith(prefix + "/"):
            return True
        return not self._scope.contains(path[len(prefix) + 1 :] if prefix else path)

    def _ours(self, path: str) -> bool:
        """Whether a path beyond the commit belongs here: a link, a cached path, something prepared or built."""
        if path in self._links or path in self._settled or (self._prepared is not None and path in self._prepared):
            return True
        return any(path == kept or path.startswith(kept + "/") for kept in (*self._cache, *self._links))

    def _look(self, deep: bool = False) -> _Found:
        """Walk the tree and compare it with the index. `deep` lists every file beyond the commit, not just folders."""
        folders = self._folders
        kept = _parents((*self._links, *self._cache, *self._settled, *(self._prepared or ())))
        found = _Found()
        here: set[str] = set()
        stack = [("", str(self.root))]
        while stack:
            prefix, folder = stack.pop()
            if len(folder) > _DEEPEST:
                found.extras.append(self._top_beyond_commit(prefix.rstrip("/")))
                continue
            try:
                _open(folder)
                entries = list(os.scandir(folder))
            except OSError:
                found.extras.append(prefix.rstrip("/"))
                continue
            for item in entries:
                path = prefix + item.name
                if path == ".git":
                    continue
                tracked = self._index.get(path)
                is_folder = item.is_dir(follow_symlinks=False)
                if tracked is not None and (not is_folder or tracked.mode == GITLINK):
                    here.add(path)
                    now = item.stat(follow_symlinks=False)
                    # The usual case, spelled out here: a call per file would double the walk's time.
                    if not is_folder and not (
                        now.st_ctime_ns == tracked.ctime_s * _SECOND + tracked.ctime_ns
                        and now.st_mtime_ns == tracked.mtime_s * _SECOND + tracked.mtime_ns
                        and now.st_size & _32_BITS == tracked.size
                        and now.st_ino & _32_BITS == tracked.inode
                    ):
                        same = self._same(path, tracked, now, ask_git=not deep and self._protected(path))
                        (found.rewritten if same else found.changed).append(path)
                elif is_folder and (path in folders or path in kept or deep) and not self._is_kept_whole(path):
                    stack.append((path + "/", item.path))
                elif self._ours(path):
                    if deep and path in self._settled:
                        found.found[path] = self._settled[path]
                else:
                    found.extras.append(path)
                    if deep:
                        found.found[path] = _see(Path(item.path))
        if len(here) != len(self._index):
            found.changed += [path for path in self._index if path not in here]
        return found

    def _is_kept_whole(self, path: str) -> bool:
        """Not looked into: a link, a cached folder. One that holds something tracked is, for the sake of that."""
        return path in self._links or (path in self._cache and path not in self._folders)

    def _same(self, path: str, entry: Entry, now: os.stat_result, ask_git: bool) -> bool:
        """Whether a file whose times or size differ from what git noted is still what was checked out."""
        if stat.S_ISLNK(now.st_mode) != (entry.mode == SYMLINK):
            return False
        if not stat.S_ISLNK(now.st_mode) and not stat.S_ISREG(now.st_mode):
            return False  # a pipe would block us
        if entry.size and now.st_size != entry.size:  # git notes 0 where it is not sure
            return False
        if entry.mode != SYMLINK and bool(now.st_mode & 0o100) != bool(entry.mode & 0o100):
            return False
        return self._same_content(path, entry, ask_git)

    def _same_content(self, path: str, entry: Entry, ask_git: bool) -> bool:
        full = self.root / path
        if entry.mode == SYMLINK:
            return _blob(os.fsencode(full.readlink()), len(entry.oid)) == entry.oid
        try:
            data = full.read_bytes()
        except OSError:
            return False
        if _blob(data, len(entry.oid)) == entry.oid:
            return True
        if not ask_git:
            return False
        # Filters (line endings, LFS) make the file differ from its blob: let git apply them before we call it changed.
        return self.git("hash-object", f"--path={path}", "--stdin", stdin=data).strip() == entry.oid.hex()


_Seen = tuple[int, int, int, int, int]
"""size, mtime, ctime (ns), inode, mode."""


class _Found:
    def __init__(self) -> None:
        self.changed: list[str] = []
        self.rewritten: list[str] = []
        """Touched, and with the content they had."""
        self.extras: list[str] = []
        self.found: dict[str, _Seen] = {}

    def beyond(self) -> list[str]:
        """What a checkout has to remove or write again. Git's own look at a changed file can be deceived."""
        return [*self.extras, *self.changed, *self.rewritten]


def _open(folder: str) -> None:
    """A run may have taken its owner's permissions from a folder: later ones have no privileges to pass over that."""
    mode = os.lstat(folder).st_mode
    if mode & stat.S_IRWXU != stat.S_IRWXU:
        os.chmod(folder, stat.S_IMODE(mode) | stat.S_IRWXU)  # noqa: PTH101 - hot


def _see(path: Path) -> _Seen:
    try:
        info = path.lstat()
    except OSError:
        return (-1, 0, 0, 0, 0)
    return (info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino, info.st_mode)


def _parents(paths: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        while (cut := path.rfind("/")) > 0:
            path = path[:cut]
            if path in found:
                break
            found.add(path)
    return found


def _blob(data: bytes, length: int) -> bytes:
    digest = hashlib.sha256() if length == 32 else hashlib.sha1(usedforsecurity=False)
    digest.update(b"blob %d\0" % len(data))
    digest.update(data)
    return digest.digest()


def _join(prefix: str, path: str) -> str:
    path = path.strip("/")
    return f"{prefix}/{path}" if prefix else path
