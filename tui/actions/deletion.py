"""What deleting a session would lose, in words."""

from __future__ import annotations

from autoresearch.engine import sessions
from autoresearch.state.session import Place, Session
from autoresearch.state.text.numbers import plural


def loss_words(place: Place, session: Session) -> list[str]:
    """What goes with the session and what stays, here and on the screen."""
    loss = sessions.loss_of(place, session)
    branch = session.branch.removeprefix("refs/heads/")
    said = [
        f"Session {session.name}: {plural(loss.experiments, 'experiment')}, {loss.kept} kept. With it go its journal, "
        f"notebook and logs ({size_text(loss.folder_bytes)}), its trees "
        f"({size_text(loss.tree_bytes)}), and its commits."
    ]
    if loss.branch_stays:
        said.append(f"The branch {branch} stays: it holds commits that are not the session's.")
    elif loss.in_head:
        said.append(f"Its best, #{loss.best_number}, is in your HEAD and stays there.")
    elif loss.best:
        said.append(
            f"Its best is #{loss.best_number}, {loss.best[:12]}; "
            f"`git branch {session.name}-best {loss.best[:12]}` before this keeps it."
        )
    return said


def size_text(count: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:,.1f} {unit}"
    return f"{count} bytes"
