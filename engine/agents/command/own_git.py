"""A git directory of the agent's own, for as long as it works.

The propose tree is a worktree of the user's repository, and worktrees share branches, tags, stash and config. So while
an agent CLI is at work, the tree's `.git` file leads to a throwaway directory: the same objects, HEAD at the incumbent,
nothing else. It may commit, stash, branch and configure there as it likes; the user's repository never hears of it, no
remote can be pushed to, and no hook of the user's runs.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from autoresearch.engine.files import remove
from autoresearch.engine.git import Git

BRANCH = "refs/heads/proposal"
_SECTIONS = frozenset({"user", "filter", "diff", "merge"})
_CORE = frozenset({"autocrlf", "eol", "safecrlf", "symlinks", "ignorecase", "filemode", "precomposeunicode",
                   "attributesfile", "excludesfile"})  # fmt: skip


@contextlib.contextmanager
def own_git(git: Git, base: str) -> Iterator[Path]:
    """Let the tree that `git` is bound to have a git directory of its own; yields it. `base` is what HEAD shall be."""
    assert git.work_tree is not None
    pointer = git.work_tree / ".git"
    before = pointer.read_text()
    own = git.work_tree.with_name(git.work_tree.name + ".git")
    _make(own, git, base)
    pointer.write_text(f"gitdir: {own}\n")
    try:
        yield own
    finally:
        remove(pointer)  # whatever the agent made of it
        pointer.write_text(before)
        remove(own)


def stashed(own: Path) -> bool:
    """Whether the agent left edits in a stash, where nobody takes them."""
    return (own / "logs" / "refs" / "stash").exists()  # the ref itself may have been packed


def _make(own: Path, git: Git, base: str) -> None:
    remove(own)
    common = _common_dir(git.git_dir)
    for folder in ("objects/info", "objects/pack", "refs/heads", "refs/tags", "info"):
        (own / folder).mkdir(parents=True, mode=0o700)
    (own / "objects" / "info" / "alternates").write_text(f"{common / 'objects'}\n")
    (own / "HEAD").write_text(f"ref: {BRANCH}\n")
    (own / BRANCH).write_text(f"{base}\n")
    (own / "config").write_text(_config(git, base))
    # For reading: `autoresearch show N` works in the tree as it does in the user's.
    if (common / "autoresearch").is_dir():
        (own / "autoresearch").symlink_to(common / "autoresearch")
    # With the index come the times of the files: git in the tree has nothing to read again.
    for source, name in ((git.git_dir, "index"), (common, "shallow"), (common / "info", "info/exclude"),
                         (common / "info", "info/attributes")):  # fmt: skip
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(source / Path(name).name, own / name)


def _common_dir(git_dir: Path) -> Path:
    try:
        return (git_dir / (git_dir / "commondir").read_text().strip()).resolve()
    except FileNotFoundError:
        return git_dir.resolve()


def _config(git: Git, base: str) -> str:
    """The repository's own settings on identity and on how files are read and compared, and no others."""
    sha256 = len(base) == 64
    lines = ["[core]", f"\trepositoryformatversion = {int(sha256)}", "\tbare = false", "\tlogallrefupdates = true"]
    if sha256:
        lines += ["[extensions]", "\tobjectformat = sha256"]
    code, out, _ = git.attempt("config", "--local", "--list", "-z")
    entries = out.decode("utf-8", "surrogateescape").split("\0") if code == 0 else []
    for entry in filter(None, entries):
        key, _, value = entry.partition("\n")
        section, _, rest = key.partition(".")
        within, _, name = rest.rpartition(".")
        if section in _SECTIONS or (section == "core" and name in _CORE):
            lines += [f"[{section} {_quoted(within)}]" if within else f"[{section}]", f"\t{name} = {_quoted(value)}"]
    return "\n".join(lines) + "\n"


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
