"""Make a git repository of a folder: for `--git-init` and for the demo, whatever the user's git config holds.

Hooks, templates, signing and a missing identity of the user must not break the first commit, and nothing of theirs is
changed: what is needed is given on the call.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from autoresearch.engine.git import OUR_EMAIL, OUR_NAME, Git, GitError, clean_environment
from autoresearch.state.session import SessionError

LARGEST_MB = 50
"""A first commit that would hold more than this is refused: data sets belong into .gitignore."""


def make_repository(folder: Path, message: str, branch: str = "") -> None:
    """`git init` in `folder` and one commit of everything that its .gitignore does not name.

    Raises SessionError with the fix when git fails or the commit would be large.
    """
    init = ["git", "init", "-q", "--template=", *(["-b", branch] if branch else []), str(folder)]
    try:
        made = subprocess.run(init, capture_output=True, text=True, check=False, env=clean_environment())
    except FileNotFoundError:
        raise SessionError("git is not installed; install git 2.38 or newer.") from None
    if made.returncode:
        raise SessionError(f"git could not make a repository in {folder}: {made.stderr.strip()}", code=1)
    commit_all(folder, message)


def commit_all(folder: Path, message: str) -> None:
    git = Git(folder / ".git", folder)
    try:
        _refuse_large(folder, git)
        git("add", "-A")
        git("commit", "-q", "--allow-empty", "-m", message, env=_identity(git))
    except GitError as error:
        raise SessionError(f"git could not commit in {folder}: {error.stderr or error}", code=1) from error


def _refuse_large(folder: Path, git: Git) -> None:
    names = git("ls-files", "-z", "--others", "--exclude-standard").split("\0")
    paths = [folder / name for name in names if name]
    sizes = sorted(((path.lstat().st_size, path) for path in paths if not path.is_dir()), reverse=True)
    total = sum(size for size, _ in sizes) / 1e6
    if total > LARGEST_MB:
        size, path = sizes[0]
        raise SessionError(
            f"A first commit of {folder} would hold {total:,.0f} MB "
            f"({path.relative_to(folder)} alone is {size / 1e6:,.0f} MB); "
            f"put data into .gitignore and list it in scope.link, or commit yourself."
        )


def _identity(git: Git) -> dict[str, str]:
    """Names for the commit where the user has none; theirs stand where they are set."""
    missing: dict[str, str] = {}
    for role in ("AUTHOR", "COMMITTER"):
        if git.attempt("var", f"GIT_{role}_IDENT")[0] or git.attempt("config", "user.email")[0]:
            missing |= {f"GIT_{role}_NAME": OUR_NAME, f"GIT_{role}_EMAIL": OUR_EMAIL}
    return missing
