"""The git repository that a measured tree is given: the commit it is, that commit's history, and nothing else.

What a program asks of git while it is measured (`rev-parse`, `describe`, `rev-list --count`, `status`, a `stash` or
`commit` of its own) has the answer of a fresh clone. Not in it: other branches, rivals and sessions, remotes, the
user's config, objects that nothing names, and no file of a hidden path, in whatever commit.

`TreeGit` packs the history of a base once. Each checkout gets hard links to that pack and one small pack with what its
commit has beyond the base. Git is told that what was left out is elsewhere, as in a partial clone: a commit or `gc`
works without it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from pathlib import Path

from autoresearch.engine.files import remove
from autoresearch.engine.git import OUR_EMAIL, OUR_NAME, Git, GitError, read_index
from autoresearch.engine.workspace.scope import Globs

MOST_COMMITS = 20_000
LARGEST_MB = 1024
"""Of the user's packs: where they hold more, old files stay out, as in a clone with `--filter=blob:none`."""
_CONFIG = f"""\
[core]
	bare = false
	logAllRefUpdates = true
	checkStat = minimal
	trustctime = false
[gc]
	auto = 0
[maintenance]
	auto = false
[user]
	name = {OUR_NAME}
	email = {OUR_EMAIL}
"""
"""Of a file, a view of the checkout or a copy of it has the same time and size, but another inode and ctime."""
_IN_PART = """\
[core]
	repositoryFormatVersion = 1
[extensions]
	partialClone = not-given-to-runs
"""
_MANY = 2_000


class TreeGit:
    """See the module. Its files lie in `folder`; they are used again for the same base and hidden paths.

    `hidden`: paths and globs from the repository's top. Raises GitError when not even the base commit can be read.
    """

    def __init__(self, folder: Path, common_dir: Path, base: str, hidden: tuple[str, ...] = ()) -> None:
        self._base = base
        self._hidden = Globs(hidden)
        self._lent = {"GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(common_dir / "objects")}
        self._pattern = folder / "git"
        self._withheld_file = folder / "withheld"
        self._note_file = folder / "note"
        self._given: dict[Path, str] = {}
        made_of = "\n".join(("1", base, *hidden))
        made = folder / "made-of"
        if not (made.is_file() and made.read_text() == made_of):
            remove(folder)
            folder.mkdir(parents=True, mode=0o700)
            self._note_file.touch()
            try:
                self._make(common_dir, MOST_COMMITS)
            except GitError:  # a history of which parts are missing: a clone without trees, a damaged one
                remove(self._pattern)
                self._make(common_dir, 1)
            made.write_text(made_of)
        self._withheld = frozenset(self._withheld_file.read_text().split())
        self._packs = frozenset(path.name for path in (self._pattern / "objects/pack").iterdir())
        self._is_in_part = bool(self._hidden.patterns) or any(name.endswith(".promisor") for name in self._packs)

    @property
    def note(self) -> str:
        """A sentence when runs are given less than the whole history; "" else."""
        return self._note_file.read_text().strip()

    def give(self, checkout: Path, sha: str, index: Path) -> None:
        """Make `.git` of `checkout`, which is exactly `sha`; `index` is what git noted of the files there."""
        own = checkout / ".git"
        if own not in self._given or not own.is_dir():
            _await_next_second(index)
        self.pack(checkout, sha)
        (own / "HEAD").write_text(f"{sha}\n")
        shutil.copyfile(index, own / "index")
        if self._hidden.patterns:
            # A run finds them covered, which is no change of its own.
            paths = [path for path in read_index(own / "index", len(sha) // 2) if self._hidden.hold(path)]
            git = Git(own, checkout, self._lent)
            git("update-index", "-z", "--skip-worktree", "--stdin", stdin="".join(f"{path}\0" for path in paths))

    def pack(self, checkout: Path, sha: str) -> None:
        """The part of `give` that can be done before the files are there; it is done once for a commit."""
        own = checkout / ".git"
        if self._given.get(own) == sha and own.is_dir():
            return
        if own not in self._given or not own.is_dir():
            remove(own)
            shutil.copytree(self._pattern, own, copy_function=_link_packs)
        packs = own / "objects/pack"
        for file in packs.iterdir():
            if file.name not in self._packs:
                file.unlink()
        git = Git(own, checkout, self._lent)
        revs = [sha, f"^{self._base}"]
        if sha != self._base and not self._is_in_part:
            git("pack-objects", "-q", "--revs", "--non-empty", str(packs / "pack"), stdin="\n".join(revs))
        elif sha != self._base:
            self._pack(git, revs, self._withheld | self._blobs_hidden(git, revs))
            _promise(own)
        self._given[own] = sha

    # -- the base's history

    def _make(self, common_dir: Path, most: int) -> None:
        self._pattern.mkdir(mode=0o700)
        git = Git(self._pattern, identity={**self._lent, "GIT_DEFAULT_REF_FORMAT": "files"})
        kind = "sha256" if len(self._base) == 64 else "sha1"
        git("init", "--quiet", "--bare", "--template=", f"--object-format={kind}")
        commits = self._history(git, common_dir, most)
        tags = self._tags(common_dir, commits)
        (self._pattern / "packed-refs").write_text(
            "".join(f"{name} {ref}\n" for ref, name in tags.items()), "utf-8", "surrogateescape"
        )
        names = [self._base, *tags.values()]
        withheld = self._blobs_hidden(git, names)
        self._withheld_file.write_text("\n".join(withheld))
        few = _size_mb(common_dir / "objects/pack") > LARGEST_MB
        if few:
            with self._note_file.open("a") as file:
                file.write(" Runs see no old files of this repository's large history.")
        in_part = self._pack(git, names, withheld, few=few) or bool(self._hidden.patterns)
        with (self._pattern / "config").open("a") as config:
            config.write(_CONFIG + (_IN_PART if in_part else ""))
        if in_part:
            _promise(self._pattern)

    def _history(self, git: Git, common_dir: Path, most: int) -> set[str]:
        """The commits that are given. Where older ones are not, git is told so, as in a shallow clone."""
        shallow = self._pattern / "shallow"
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(common_dir / "shallow", shallow)
        listed = git("rev-list", "--parents", f"--max-count={most + 1}", self._base).splitlines()
        parents = {commit: before for commit, *before in (line.split() for line in listed[:most])}
        if len(listed) > most:
            ends = [commit for commit, before in parents.items() if not parents.keys() >= set(before)]
            with shallow.open("a") as file:
                file.writelines(f"{commit}\n" for commit in ends)
            self._note_file.write_text(f"Runs see the end of this repository's history, {most:,} commits of it.")
        return set(parents)

    def _tags(self, common_dir: Path, commits: set[str]) -> dict[str, str]:
        listed = Git(common_dir)("for-each-ref", "--format=%(refname) %(objectname) %(*objectname)", "refs/tags")
        found = {}
        for ref, name, *commit in (line.split() for line in listed.splitlines()):
            if (commit or [name])[0] in commits:
                found[ref] = name
        return found

    def _blobs_hidden(self, git: Git, names: list[str]) -> frozenset[str]:
        """Every file that ever stood at a hidden path, without what stands in the base where all may read it."""
        if not self._hidden.patterns:
            return frozenset()
        look = ("log", "--full-history", "--root", "-m", "--raw", "-z", "--no-abbrev", "--no-renames", "--format=")
        raw = git(*look, "--stdin", "--", *self._hidden.pathspecs(), stdin="\n".join(names))
        found = {field.split()[3] for field in raw.split("\0") if field.lstrip("\n").startswith(":")}
        if not found:
            return frozenset()
        open_to_all = {facts.split()[2] for facts, path in git.files_of(self._base) if not self._hidden.hold(path)}
        return frozenset(found - open_to_all)

    # -- packing

    def _pack(self, git: Git, revs: list[str], withheld: frozenset[str], *, few: bool = False) -> bool:
        """Pack what `revs` name, without `withheld`; whether some of it is not at hand in the user's repository."""
        look = ("rev-list", "--objects", "--missing=print")
        if few:
            listed = git(*look, "--filter=blob:none", "--stdin", stdin="\n".join(revs))
            listed += git(*look, "--no-walk", self._base)
        else:
            listed = git(*look, "--stdin", stdin="\n".join(revs))
        lines = listed.split("\n")
        taken = [line for line in lines if not line.startswith("?") and line.partition(" ")[0] not in withheld]
        git("pack-objects", "-q", "--non-empty", str(git.git_dir / "objects/pack/pack"), stdin="\n".join(taken))
        return few or any(line.startswith("?") for line in lines)


def _promise(git_dir: Path) -> None:
    """Say of each pack that what it names and does not hold is elsewhere."""
    for pack in (git_dir / "objects/pack").glob("*.pack"):
        pack.with_suffix(".promisor").touch()


def _link_packs(source: str, target: str) -> None:
    if "/objects/pack/" in source:
        with contextlib.suppress(OSError):  # another disk, or one without hard links
            os.link(source, target)
            return
    shutil.copyfile(source, target)


def _await_next_second(index: Path) -> None:
    """Git reads each file that is as young as its index, at every `status`: of many files a wait, once, is cheaper."""
    written = index.stat().st_mtime
    if int.from_bytes(index.read_bytes()[8:12], "big") > _MANY and time.time() < int(written) + 1:
        time.sleep(int(written) + 1 - time.time())


def _size_mb(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.iterdir()) / 2**20 if folder.is_dir() else 0.0


def _quoted(path: Path) -> str:
    """As git takes it in a list that is separated by colons."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"' if text != str(path) or ":" in text else text
