"""Deleting a session from the screen: what is lost is said first, and only a yes does it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from autoresearch.state.session import Place, Session
from autoresearch.state.text import safe_line
from autoresearch.tui.screens.modals import Choice, Option, act_on
from autoresearch.tui.screens.viewer import Viewer, beside


def ask_to_delete(viewer: Viewer, place: Place, session: Session, then: Callable[[str], None]) -> None:
    """`then` gets the session's name once it is gone."""

    def failed(error: Exception) -> None:
        viewer.notify(safe_line(str(error)), severity="error", timeout=15)

    def words() -> list[str]:
        from autoresearch.engine import workspace
        from autoresearch.tui.actions.deletion import loss_words

        workspace.refuse_held_branch(place, session)
        return loss_words(place, session)

    def delete() -> None:
        from autoresearch.engine import sessions

        sessions.delete(place, session)

    def ask(said: list[str]) -> None:
        act = partial(beside, viewer, delete, lambda _: then(session.name), failed, "delete")
        options = [Option("y", "yes, delete it; it cannot be undone", act), Option("n", "no")]
        text = "\n\n".join(safe_line(sentence) for sentence in said)
        viewer.push_screen(Choice(viewer.palette, f"Delete session {safe_line(session.name)}?", text, options), act_on)

    beside(viewer, words, ask, failed, "delete")
