"""The diff of an experiment."""

from __future__ import annotations

from autoresearch.state.session import Place, Session


def diff_of(place: Place, session: Session, number: int, parent: str, sha: str) -> str | None:
    """What the experiment changed against its parent; None when git no longer has it."""
    if not parent or not sha:
        return None
    if parent == sha:
        return ""
    import git

    repo = git.Repo(place.top)
    options = ("--no-ext-diff", "--no-textconv", "--no-color", "--find-renames", "--src-prefix=a/", "--dst-prefix=b/")
    for commit in (f"{session.refs}{number}", sha):
        try:
            text = str(repo.git.diff(*options, parent, commit, "--", strip_newline_in_stdout=False))
        except git.GitCommandError:
            continue
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return None
