"""The user's repository, only read: what is committed and what is not, who holds a branch, whose name commits carry."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import subprocess
from pathlib import Path

from autoresearch.engine.git import OUR_EMAIL, OUR_NAME, Git
from autoresearch.engine.workspace.scope import Scope
from autoresearch.state.session import CONFIG_FILE, Place, Session, SessionError

_ITS_OWN = (b"local", b"worktree")
MINIMUM_GIT = (2, 38)
"""`merge-tree --write-tree`."""


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
    head = Git(place.git_dir).resolve("HEAD^{commit}")
    if head is None:
        raise SessionError(f"{place.top} has no commit yet; make one with `git add -A && git commit -m start`.")
    return head


def uncommitted(place: Place) -> tuple[list[str], list[str]]:
    """(changed tracked files, untracked files) of the user's worktree, relative to its top. Only reads."""
    git = Git(place.git_dir, place.top)
    flags = ("--no-renames", "--untracked-files=normal", "--ignore-submodules=dirty")
    answer = git("status", "--porcelain=v1", "-z", *flags, env=_unfiltered(git))
    changed: list[str] = []
    untracked: list[str] = []
    for entry in filter(None, answer.split("\0")):
        (untracked if entry.startswith("??") else changed).append(entry[3:])
    return changed, untracked


def _unfiltered(git: Git) -> dict[str, str]:
    """The environment in which no filter runs that the repository's own config names: nobody may have seen it yet."""
    keys = own_settings(git, r"^filter\.")
    found = {"GIT_CONFIG_COUNT": str(len(keys))}
    for number, key in enumerate(keys):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": ""}
    return found


def own_settings(git: Git, pattern: str) -> list[str]:
    """The keys of a repository's own config that match: it may have come in an archive."""
    listed = git.attempt("config", "--show-scope", "--name-only", "-z", "--get-regexp", pattern)[1].split(b"\0")
    return [os.fsdecode(key) for scope, key in zip(listed[::2], listed[1::2], strict=False) if scope in _ITS_OWN]


def tracked_hash(place: Place, commit: str, scope: Scope) -> str:
    """One hash over the protected files of `commit`: path, mode and blob of every tracked file outside the scope.

    Without the target's own toml: what of it measures has a hash of its own, the rest may change freely.
    """
    digest = hashlib.sha256()
    for facts, path in Git(place.common_dir).files_of(commit):
        if path != f"{place.below}{CONFIG_FILE}" and not scope.holds(path):
            digest.update(f"{facts}\t{path}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def identity_of(place: Place) -> dict[str, str]:
    """The user's name and address for our commits, ours where they have none."""
    answer = Git(place.git_dir).attempt("config", "--get-regexp", r"^user\.(name|email)$")[1].decode("utf-8", "replace")
    known = {}
    for line in answer.splitlines():
        key, _, value = line.partition(" ")
        known[key] = value.strip()
    name = known.get("user.name") or os.environ.get("GIT_AUTHOR_NAME") or OUR_NAME
    email = known.get("user.email") or os.environ.get("GIT_AUTHOR_EMAIL") or OUR_EMAIL
    who = {"NAME": name, "EMAIL": email}
    return {f"GIT_{role}_{part}": who[part] for role in ("AUTHOR", "COMMITTER") for part in who}


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
