"""Why a file of the user's is not in a clean checkout, and what shows it to runs: git knows, so nothing is guessed."""

from __future__ import annotations

import shlex
from pathlib import PurePosixPath

from autoresearch.engine.git import Git
from autoresearch.engine.sandbox import holds_keys
from autoresearch.engine.workspace.repository import head_of
from autoresearch.engine.workspace.submodules import submodules_of
from autoresearch.state.session import Place


def why_unseen(place: Place, name: str) -> tuple[str, str] | None:
    """(a clause, the fix) for `name`, relative to the target's folder; None for what is in the last commit, or nowhere.

    The clause goes on where "run needs data.csv" ends.
    """
    inside = f"{place.below}{name}".rstrip("/")
    git, head = Git(place.git_dir, place.top), head_of(place)
    for submodule in submodules_of(place, head):
        if inside == submodule.path or not inside.startswith(f"{submodule.path}/"):
            continue
        below = inside.removeprefix(f"{submodule.path}/")
        if submodule.repository is None:
            update = f"`git submodule update --init --recursive {shlex.quote(submodule.path)}`"
            return f"of the submodule {submodule.path}, which is not checked out here", f"{update} fetches it."
        if Git(submodule.repository, place.top).resolve(f"{submodule.sha}:{below}") is None:
            clause = f"which the submodule {submodule.path} does not have at the commit that yours records"
            return clause, "Commit it there, and then the submodule here."
        return None
    if git.resolve(f"{head}:{inside}") is not None or not (place.folder / name).exists():
        return None
    link = f'link = ["{_highest_unseen(git, head, place, name)}"]'
    if holds_keys(PurePosixPath(name).name):
        clause = "which is in your folder and not in the last commit: files of that name usually hold keys"
        return clause, f"If runs may read it, show it to them by [scope] {link}; do not commit it."
    if git.attempt("check-ignore", "-q", "--", inside)[0] == 0:
        clause = "which is in your folder, but git ignores it, so a clean checkout lacks it"
        return clause, f"If it is built, let measure.build or measure.setup make it; else show it by [scope] {link}."
    staged = bool(git.attempt("ls-files", "-z", "--", f":(top,literal){inside}")[1])
    add = "Commit it" if staged else f"`git add {shlex.quote(name)}` and commit"
    clause = "which is in your folder but not in the last commit, so a clean checkout lacks it"
    return clause, f"{add}, or show it there by [scope] {link}."


def _highest_unseen(git: Git, head: str, place: Place, name: str) -> str:
    """A link stands in the place of all that is below it: the highest folder of which the commit has nothing."""
    parts = PurePosixPath(name).parts
    for depth in range(1, len(parts)):
        upper = "/".join(parts[:depth])
        if git.resolve(f"{head}:{place.below}{upper}") is None:
            return upper
    return PurePosixPath(name).as_posix()
