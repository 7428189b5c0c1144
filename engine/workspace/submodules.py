"""The submodules of a checkout: plain files in it, from the objects that the user's clone has of them.

Nothing is fetched, and the user's own submodules are only read. Each one is written with an index of ours; where it is
at hand, its files count as files of the commit. One that the user never checked out stays an empty folder, as by hand.
"""

from __future__ import annotations

import contextlib
import hashlib
import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from autoresearch.engine.files import remove, remove_below
from autoresearch.engine.git import GITLINK, Entry, Git, GitError, read_index
from autoresearch.state.session import Place, SessionError

_FLAGS = ("-c", "index.version=2", "-c", "core.splitIndex=false", "-c", "core.sparseCheckout=false")


@dataclass(frozen=True, slots=True)
class Submodule:
    path: str
    """From the top of the outermost repository."""
    sha: str
    repository: Path | None
    """Where its commit is; None when the clone does not have it."""
    is_used: bool
    """Whether the user has files of it."""

    @property
    def lack(self) -> str:
        """A sentence with the fix; "" when it is at hand."""
        fix = f"`git submodule update --init --recursive {shlex.quote(self.path)}` fetches it."
        if self.repository is not None:
            return ""
        if self.is_used:
            return f"The submodule {self.path} is recorded at {self.sha[:7]}, a commit that this clone lacks; {fix}"
        return f"The submodule {self.path} is not checked out here, so its folder is empty in measured trees; {fix}"


def submodules_of(place: Place, commit: str) -> list[Submodule]:
    """Those of a commit, and theirs."""
    links = {path: facts.split()[2] for facts, path in Git(place.common_dir).files_of(commit) if " commit " in facts}
    return _found(place, commit, links)


def without(index: dict[str, Entry], links: Collection[str]) -> dict[str, Entry]:
    """What of an index no link stands in the place of."""
    return {path: entry for path, entry in index.items() if not is_in(path, links)} if links else index


def is_in(path: str, folders: Collection[str]) -> bool:
    return any(path == folder or path.startswith(folder + "/") for folder in folders)


class Submodules:
    """Those in the checkout `root`. `folder` keeps what git notes of their files."""

    def __init__(self, root: Path, folder: Path, place: Place) -> None:
        self._root = root
        self._folder = folder
        self._place = place
        self._links: Mapping[str, str] = {}
        self._filled: list[Submodule] = []
        self._paths: set[str] = set()
        self.lacks: list[str] = []
        """Sentences about those whose folders stay empty."""
        self.entries: dict[str, Entry] = {}
        """Their files, by path from the checkout's top."""

    def at(self, commit: str, links: Mapping[str, str]) -> bool:
        """Make them what `commit` records (`links`: a submodule's path, its commit).

        True when files of the commit itself may have to be written again: a submodule's folder went. Raises
        SessionError when one that the user works with is recorded at a commit that is not there.
        """
        if links == self._links:
            return False
        found = _found(self._place, commit, links)
        for each in found:
            if each.lack and each.is_used:
                raise SessionError(each.lack)
        gone = self._paths - {each.path for each in found}
        self._filled = [each for each in found if each.repository is not None]
        self._paths = {each.path for each in self._filled}
        self.lacks = [each.lack for each in found if each.lack]
        for each in self._filled:
            remove_below(self._root, each.path)
            self._index(each).unlink(missing_ok=True)
        for path in gone:
            remove_below(self._root, path)
        self.write()
        self._links = links
        return bool(gone)

    def filled_in(self, index: dict[str, Entry]) -> dict[str, Entry]:
        """The index of the commit with the files of its submodules in their place."""
        if not self._filled:
            return index
        return {path: entry for path, entry in index.items() if path not in self._paths} | self.entries

    def forget(self) -> None:
        """The checkout was removed."""
        self._links, self._filled, self._paths, self.entries = {}, [], set(), {}

    def write(self) -> None:
        """Their files as recorded; what else lies there stays."""
        self._folder.mkdir(parents=True, exist_ok=True)
        entries: dict[str, Entry] = {}
        for each in self._filled:
            assert each.repository is not None
            folder, index = self._root / each.path, self._index(each)
            if folder.is_symlink() or not folder.is_dir():
                remove_below(self._root, each.path)
                folder.mkdir(parents=True)
            remove(folder / ".git")  # git would take the folder for a repository, and look no further
            git = Git(each.repository, folder, {"GIT_INDEX_FILE": str(index)})
            try:
                git(*_FLAGS, "read-tree", "-u", "--reset", each.sha)
            except GitError as error:
                raise SessionError(f"The submodule {each.path} cannot be written: {error}.", code=1) from error
            inside = read_index(index, len(each.sha) // 2)
            entries |= {f"{each.path}/{path}": entry for path, entry in inside.items()}
        self.entries = {path: entry for path, entry in entries.items() if path not in self._paths}

    def _index(self, submodule: Submodule) -> Path:
        return self._folder / hashlib.sha256(submodule.path.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def links_of(index: Mapping[str, Entry]) -> dict[str, str]:
    """The submodules that an index names: path and commit."""
    return {path: entry.oid.hex() for path, entry in index.items() if entry.mode == GITLINK}


def _found(place: Place, commit: str, links: Mapping[str, str]) -> list[Submodule]:
    return list(_below("", (place.git_dir, place.common_dir), place.top, Git(place.common_dir), commit, links))


def _below(
    prefix: str, owners: tuple[Path, ...], top: Path, git: Git, commit: str, links: Mapping[str, str]
) -> Iterator[Submodule]:
    """Those of the repository `git` with the worktree `top` and the git directories `owners`; outer ones first."""
    if not links:
        return
    names = _names(git, commit)
    for path, sha in links.items():
        repository = next((each for each in _places(owners, top, names.get(path), path) if _has(each, sha)), None)
        yield Submodule(prefix + path, sha, repository, is_used=(top / path / ".git").exists())
        if repository is not None:
            inner = _reader(repository)
            deeper = {name: facts.split()[2] for facts, name in inner.files_of(sha) if " commit " in facts}
            yield from _below(f"{prefix}{path}/", (repository,), top / path, inner, sha, deeper)


def _names(git: Git, commit: str) -> dict[str, str]:
    """What `.gitmodules` of a commit calls the submodule at a path."""
    asked = ("config", "-z", "--blob", f"{commit}:.gitmodules", "--get-regexp", r"^submodule\..*\.path$")
    names = {}
    for line in filter(None, git.attempt(*asked)[1].decode("utf-8", "surrogateescape").split("\0")):
        key, _, path = line.partition("\n")
        names[path.rstrip("/")] = key.removeprefix("submodule.").removesuffix(".path")
    return names


def _places(owners: tuple[Path, ...], top: Path, name: str | None, path: str) -> Iterator[Path]:
    """Where git may keep a submodule's objects: with its owner's, or, as older versions did, in its own folder."""
    if name and ".." not in PurePosixPath(name).parts:
        yield from (owner / "modules" / name for owner in owners)
    own = top / path / ".git"
    if own.is_dir():
        yield own
    with contextlib.suppress(OSError):
        yield own.parent / own.read_text(errors="replace").removeprefix("gitdir:").strip()


def _has(repository: Path, sha: str) -> bool:
    return (repository / "HEAD").is_file() and _reader(repository).resolve(f"{sha}^{{commit}}") is not None


def _reader(repository: Path) -> Git:
    """Its config may name a work tree that is gone, and git would refuse to read anything."""
    return Git(repository, repository)
