"""Remove a session whole: processes, trees, refs, branch, folder and whatever points to it.

The order makes a kill harmless. What is saved of it goes first, while the session is still whole and works; then the
folder takes a name that no list shows and nothing restores, and stays until all else is gone: whatever is left of a
deletion is found by it, and deleting again finishes it.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autoresearch.engine import process, workspace
from autoresearch.engine.files import remove
from autoresearch.engine.git import INCOMING, Git
from autoresearch.state.faults import reach
from autoresearch.state.index import IndexBusy, refresh_index
from autoresearch.state.journal import History
from autoresearch.state.session import Place, Session, forget_commands, half_deleted, is_name, list_sessions, target_of


@dataclass(frozen=True, slots=True)
class Loss:
    """What goes with a session."""

    experiments: int
    kept: int
    best: str
    """The incumbent's commit; "" without one."""
    best_number: int
    in_head: bool
    """The incumbent is in the user's HEAD already."""
    branch_stays: bool
    """The branch holds commits that are not the session's."""
    folder_bytes: int
    tree_bytes: int


def loss_of(place: Place, session: Session) -> Loss:
    git = Git(place.common_dir)
    history = session.history()
    best = history.incumbent
    sha = best.sha if best is not None and best.sha != history_base(history) else ""
    in_head = bool(sha) and Git(place.git_dir).attempt("merge-base", "--is-ancestor", sha, "HEAD")[0] == 0
    return Loss(
        experiments=len(history.rows),
        kept=history.counts["keep"],
        best=sha,
        best_number=best.number if best is not None else 0,
        in_head=in_head,
        branch_stays=_branch(git, session, history) is None and git.resolve(session.branch) is not None,
        folder_bytes=size_of(session.folder) + size_of(workspace.SavedState(place, session.name).folder),
        tree_bytes=trees_of(place, session.name),
    )


def history_base(history: History) -> str:
    return history.first_header.base if history.first_header is not None else ""


def delete(place: Place, session: Session) -> None:
    """Remove the session. Raises Locked while an engine runs, SessionError when the user has its branch checked out."""
    workspace.refuse_held_branch(place, session)
    git = Git(place.common_dir)
    with session.lock():
        saved = workspace.SavedState(place, session.name)
        git("update-ref", "--no-deref", "-d", saved.ref)  # of an earlier version
        saved.remove()
        reach("delete:state")
        hidden = Session(half_deleted(place, session.name))
        remove(hidden.folder)  # of a session of that name that was deleted half, before this one was made
        session.folder.rename(hidden.folder)
        reach("delete:hidden")
        _finish(place, session.name, hidden)


def finish_deletion(place: Place, name: str) -> bool:
    """Go on with a deletion that was killed; whether there was one. Raises Locked while somebody is at it."""
    hidden = Session(half_deleted(place, name))
    if not is_name(name) or not hidden.folder.is_dir():
        return False
    with hidden.lock():
        _finish(place, name, hidden)
    return True


def unfinished(place: Place) -> list[str]:
    """Sessions whose deletion was killed."""
    return sorted(path.name.removeprefix(".deleting-") for path in place.sessions_dir.glob(".deleting-*"))


def _finish(place: Place, name: str, hidden: Session) -> None:
    session = Session(place.sessions_dir / name)
    if not session.folder.exists():  # else another one has the name by now, and all of this is its own
        pid_files = [hidden.runs / "pid", *hidden.runs.glob("*/pid")]
        trees = _trees(place, name)
        process.end_leftovers(workspace.machine_name(place, name), trees, pid_files)
        remove_trees(place, name)
        reach("delete:trees")
        _drop_refs(place, session, hidden.history())
        reach("delete:refs")
        _forget(place, session, hidden)
    for damaged in place.sessions_dir.glob(f".damaged-{name}-*"):
        if re.fullmatch(r"\.damaged-.+-\d+", damaged.name):
            remove(damaged)
    remove(hidden.folder)
    reach("delete:folder")


def _drop_refs(place: Place, session: Session, history: History) -> None:
    git = Git(place.common_dir)
    branch = _branch(git, session, history)
    lines = [f"delete {name}\n" for name in git.refs(session.refs, f"{INCOMING}{session.name}")]
    if branch is not None:
        lines.append(f"delete {session.branch} {branch}\n")
    git("update-ref", "--no-deref", "--stdin", stdin="".join(lines))


def _branch(git: Git, session: Session, history: History) -> str | None:
    """Where the session's branch stands, if that is a commit of the session's; None when it is missing or not ours."""
    at = git.resolve(session.branch)
    ours = {row.sha for row in history.rows} | {history_base(history)}
    ours |= {opened.sha for opened in history.unfinished}
    ours |= {history.header.base} if history.header is not None else set()
    return at if at and at in ours else None


def _forget(place: Place, session: Session, hidden: Session) -> None:
    """What others note of it: the link for people, the index, the user's list of pulled sessions."""
    with contextlib.suppress(OSError):
        link = place.top / target_of(hidden) / ".autoresearch" / session.name
        if link.is_symlink() and link.readlink() == session.folder:
            link.unlink()
    with contextlib.suppress(OSError):
        forget_commands(place.common_dir, session.name)
    # Derived: when another process has the index, its next search leaves the session out.
    with contextlib.suppress(OSError, sqlite3.Error, IndexBusy):
        if place.index_db.exists():
            refresh_index(place.index_db, {each.name: each.journal for each in list_sessions(place)})


# -- trees


def _trees(place: Place, name: str) -> list[Path]:
    """The session's folders of trees: where they are made now, and where git has them registered."""
    usual, found = workspace.trees_folder(place, name), set[Path]()
    for admin in _admins(place, name):
        with contextlib.suppress(OSError):
            found.add(Path((admin / "gitdir").read_text().strip()).parent)
    return [usual, *sorted(tree for tree in found if not tree.is_relative_to(usual))]


def _admins(place: Place, name: str) -> Iterator[Path]:
    stem = f"autoresearch-{name}-"
    for admin in sorted((place.common_dir / "worktrees").glob(f"{stem}*")):
        if "-" not in admin.name.removeprefix(stem):  # else it is of a session whose name goes on from this one's
            yield admin


def remove_trees(place: Place, name: str) -> None:
    """The worktrees of a session and git's entries for them; they are made again when they are needed."""
    for admin in list(_admins(place, name)):
        with contextlib.suppress(OSError):
            tree = Path((admin / "gitdir").read_text().strip()).parent
            if tree.name == admin.name and (tree / ".git").read_text().strip() == f"gitdir: {admin}":
                remove(tree)
        remove(admin)
    remove(workspace.trees_folder(place, name))


def trees_of(place: Place, name: str) -> int:
    """How many bytes a session's trees take."""
    return sum(size_of(tree) for tree in _trees(place, name))


def size_of(path: Path) -> int:
    """Bytes on disk below a folder; links are not followed, hard links count once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                info = os.lstat(os.path.join(folder, name))  # noqa: PTH118 - a Path each would double the time
                if (info.st_dev, info.st_ino) not in seen:
                    total += info.st_blocks * 512
                if info.st_nlink > 1:
                    seen.add((info.st_dev, info.st_ino))
    return total
