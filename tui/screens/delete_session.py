"""Deleting a session from the screen: what is lost is said first, and only a yes does it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from autoresearch.engine.git import GitError
from autoresearch.state.session import Place, Session, SessionError
from autoresearch.state.text import safe_line
from autoresearch.tui.screens.modals import Choice, Option, act_on
from autoresearch.tui.screens.viewer import Viewer


def ask_to_delete(viewer: Viewer, place: Place, session: Session, then: Callable[[str], None]) -> None:
    """`then` gets the session's name once it is gone."""

    def in_thread(work: Callable[[], Any], after: Callable[[Any], None]) -> None:
        def run() -> None:
            try:
                result = work()
            except (SessionError, GitError, OSError) as error:
                viewer.call_from_thread(viewer.notify, safe_line(str(error)), severity="error", timeout=15)
                return
            viewer.call_from_thread(after, result)

        viewer.run_worker(run, thread=True, exit_on_error=False, group="deleting", name="delete")

    def words() -> list[str]:
        from autoresearch.engine import workspace
        from autoresearch.tui.actions.deletion import loss_words

        workspace.refuse_held_branch(place, session)
        return loss_words(place, session)

    def delete() -> None:
        from autoresearch.engine import sessions

        sessions.delete(place, session)

    def ask(said: list[str]) -> None:
        act = partial(in_thread, delete, lambda _: then(session.name))
        options = [Option("y", "yes, delete it; it cannot be undone", act), Option("n", "no")]
        text = "\n\n".join(safe_line(sentence) for sentence in said)
        viewer.push_screen(Choice(viewer.palette, f"Delete session {safe_line(session.name)}?", text, options), act_on)

    in_thread(words, ask)
