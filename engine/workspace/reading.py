"""History for people's commands, read through GitPython, which is imported only when asked: no loop waits for it.

What the loop asks of git goes through `engine.git`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autoresearch.engine.git import SETTINGS, clean_environment
from autoresearch.state.foreign import Commit
from autoresearch.state.session import Place, Session


def diff_of(place: Place, session: Session, number: int, parent: str, sha: str) -> str | None:
    """What the experiment changed against its parent; None when git no longer has it."""
    if not parent or not sha:
        return None
    if parent == sha:
        return ""
    import git

    repo = _open(place)
    options = "--no-ext-diff --no-textconv --no-color --find-renames --abbrev=7 --src-prefix=a/ --dst-prefix=b/".split()
    for commit in (f"{session.refs}{number}", sha):
        try:
            text = str(repo.git.diff(*options, parent, commit, "--", strip_newline_in_stdout=False))
        except git.GitCommandError:
            continue
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return None


def commits_named(place: Place, names: Iterable[str]) -> dict[str, Commit]:
    """Those of the commits, whole or shortened, that the repository has, by the name they were asked for by."""
    from git.exc import BadName, BadObject

    repo = _open(place)
    found = {}
    for name in names:
        try:
            commit = repo.commit(name)
        except (BadName, BadObject, ValueError):
            continue
        found[name] = Commit(
            commit.hexsha, commit.parents[0].hexsha if commit.parents else "", commit.committed_date * 1000
        )
    return found


def _open(place: Place) -> Any:
    """The user's repository, whose config starts no program."""
    import git

    repo = git.Repo(place.top)
    repo.git.set_persistent_git_options(c=list(SETTINGS))
    repo.git.update_environment(**clean_environment())
    return repo
