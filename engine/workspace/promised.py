"""What a partial clone was promised and does not have: fetched once, before trees are made.

Later calls of git fetch nothing (`engine.git`), so a tree would fail half written. Git would fetch the same objects at
a checkout of the commit, from the same remote and with the person's own login. Where the repository's own config names
a program for that, nobody may have seen it yet, and a person has to fetch.
"""

from __future__ import annotations

from autoresearch.engine.git import Git, Remote
from autoresearch.engine.workspace.repository import own_settings
from autoresearch.engine.workspace.submodules import submodules_of
from autoresearch.state.session import Place, SessionError
from autoresearch.state.text import numbers

_PROGRAM = r"^(core\.(sshcommand|askpass|gitproxy)|credential(\..*)?\.helper|remote\..*\.(uploadpack|vcs))$"
_BY_HAND = "`git fetch --refetch --no-filter` fetches all of it"


def fetch_promised(place: Place, commit: str) -> None:
    """Raises SessionError when not all that `commit` and its submodules need is here or can be had."""
    _fetch(place, commit)
    for each in submodules_of(place, commit):
        if each.repository is not None:
            _fetch(Place(place.top / each.path, each.repository, each.repository, ""), each.sha)


def _fetch(place: Place, commit: str) -> None:
    missing = promised(place, commit)
    if not missing:
        return
    why = f"; {_BY_HAND}."
    if named := own_settings(Git(place.git_dir), _PROGRAM):
        why = f", and {named[0]} of its config is a program that nobody may have seen; {_BY_HAND}."
    for name in () if named else _promisors(place):
        try:
            missing = _fetched(place, commit, missing, name)
        except SessionError as no:
            why = f", and {name} gives none: {no}"
        if not missing:
            return
    count = numbers.plural(len(missing), "object")
    raise SessionError(f"This partial clone lacks {count} of {commit[:7]}{why}")


def _fetched(place: Place, commit: str, missing: list[str], remote: str) -> list[str]:
    """What is missing still."""
    asked: list[str] = []
    while missing and missing != asked:  # folders that were missing show what is missing in them
        Remote(place, remote, place.top).fetch_objects(missing)
        asked, missing = missing, promised(place, commit)
    return missing


def promised(place: Place, commit: str) -> list[str]:
    """The objects of a commit that are not here; of a folder that is not, only its own."""
    if not _promisors(place):
        return []
    listed = Git(place.common_dir)("rev-list", "--objects", "--missing=print", "--no-walk", commit)
    return [line[1:] for line in listed.split("\n") if line.startswith("?")]


def _promisors(place: Place) -> list[str]:
    """The remotes that have what is left out."""
    asked = ("config", "-z", "--get-regexp", r"^(remote\..*\.promisor|extensions\.partialclone)$")
    found = []
    for entry in filter(None, Git(place.git_dir).attempt(*asked)[1].decode("utf-8", "replace").split("\0")):
        key, _, value = entry.partition("\n")
        if key == "extensions.partialclone":
            found.append(value)
        elif value.lower() not in ("false", "no", "off", "0"):
            found.append(key.removeprefix("remote.").removesuffix(".promisor"))
    return list(dict.fromkeys(found))
