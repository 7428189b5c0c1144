"""Where a target is, and the sessions of its repository."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

CONFIG_FILE = "autoresearch.toml"


_GIT_POINTERS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_COMMON_DIR", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_NAMESPACE")
"""Set inside git hooks and `git rebase --exec`: they would name another repository than the folder's."""


class SessionError(Exception):
    """A sentence for people, with the fix. `code` is the exit code it leads to."""

    def __init__(self, message: str, code: int = 2) -> None:
        self.code = code
        super().__init__(message)


class NoSession(SessionError):
    """The target has none, or none of that name."""


class NoRepository(SessionError):
    """There is none around a folder, so that one could be made there."""


class Locked(SessionError):
    """Another engine holds the session."""

    def __init__(self, name: str, pid: int | None) -> None:
        who = f" (pid {pid})" if pid else ""
        super().__init__(
            f"Another engine{who} holds session {name}; watch it with `autoresearch attach`, "
            "or stop it with `autoresearch stop`.",
            code=4,
        )


@dataclass(frozen=True, slots=True)
class Place:
    """A repository and a target folder in it, found once and passed on."""

    top: Path
    """The user's worktree."""
    git_dir: Path
    """The worktree's git directory."""
    common_dir: Path
    """The repository's common git directory."""
    prefix: str
    """The target's folder relative to `top`, POSIX; "" for the top itself."""

    @property
    def folder(self) -> Path:
        return self.top / self.prefix

    @property
    def below(self) -> str:
        """What the target's files begin with as the repository names them: "folder/", or "" at its top."""
        return f"{self.prefix}/" if self.prefix else ""

    @property
    def config_file(self) -> Path:
        return self.folder / CONFIG_FILE

    @property
    def sessions_dir(self) -> Path:
        return self.common_dir / "autoresearch"

    @property
    def states_dir(self) -> Path:
        """A bare repository of each session, with its saved state."""
        return self.common_dir / "autoresearch-state"

    @property
    def index_db(self) -> Path:
        return self.sessions_dir / "index.db"


def find_place(start: Path) -> Place:
    """The repository around `start` and the nearest folder with an autoresearch.toml (else `start` itself).

    Raises NoRepository when `start` is in no git repository, another SessionError when it is in a bare one or one of
    somebody else.
    """
    start = start.resolve()
    command = ["git", "-C", str(start), "rev-parse", "--show-toplevel", "--absolute-git-dir", "--git-common-dir"]
    env = {key: value for key, value in os.environ.items() if key not in _GIT_POINTERS} | {"LC_ALL": "C"}
    try:
        answer = subprocess.run(command, capture_output=True, check=False, env=env)
    except FileNotFoundError:
        raise SessionError("git is not installed; install git 2.38 or newer.") from None
    if answer.returncode:
        said = os.fsdecode(answer.stderr)
        if "dubious ownership" in said:
            raise SessionError(
                f"{start} belongs to another user; allow it with `git config --global --add safe.directory {start}`."
            )
        if "must be run in a work tree" in said:
            raise SessionError(
                f"{start} is a bare git repository or inside a .git folder; "
                f"go to a working tree, or make one with `git clone`."
            )
        raise NoRepository(f"{start} is not in a git repository; say `--git-init` to make one there.")
    lines = os.fsdecode(answer.stdout).removesuffix("\n").split("\n")
    if len(lines) != 3:  # a path holds a line break: ask for one at a time
        asked = [subprocess.run([*command[:4], word], capture_output=True, check=True, env=env) for word in command[4:]]
        lines = [os.fsdecode(each.stdout).removesuffix("\n") for each in asked]
    top_text, git_dir, common = lines
    top = Path(top_text).resolve()
    folder = next(
        (path for path in (start, *start.parents) if path.is_relative_to(top) and (path / CONFIG_FILE).is_file()), start
    )
    prefix = folder.relative_to(top).as_posix()
    return Place(
        top=top,
        git_dir=Path(git_dir).resolve(),
        common_dir=(start / common).resolve(),
        prefix="" if prefix == "." else prefix,
    )
