"""What is asked before an act, and why an act is not possible now. Each function gets the viewer."""

from __future__ import annotations

from autoresearch.tui.screens.modals import Ask, Choice, Option, act_on
from autoresearch.tui.screens.viewer import READS_ONLY, Viewer

_OF_SESSION = ("pause", "resume", "stop", "idea", "steer")
_PAGES = {"ideas": "IdeasScreen", "returning": "ReturningScreen", "messages": "SteerScreen"}


def refusal(viewer: Viewer, action: str) -> str:
    """Why an action of the app's own is not possible now; "" when it is."""
    if action in _OF_SESSION and viewer.read_only:
        return READS_ONLY
    if action == "home":
        return "These are the sessions." if viewer.showing_home else ""
    if action not in _OF_SESSION and action not in _PAGES:
        return ""
    if not viewer.has_session or (viewer.screen_stack and not getattr(viewer.screen, "OF_SESSION", True)):
        return "Open the session first (enter)."
    watched = viewer.watched
    if watched.gone:
        return "This session's folder was deleted or moved; ctrl+o shows the others, q leaves."
    if action in _PAGES:
        there = any(type(screen).__name__ == _PAGES[action] for screen in viewer.screen_stack)
        return "This is it; esc goes back." if there else ""
    if action == "resume":
        if watched.alive or not watched.opened:
            return "The engine is running." if watched.opened else "The journal is still being read."
        if not viewer.starter.can_resume(viewer.place, viewer.session):
            return "This screen only watches; `autoresearch resume` in its target's folder starts an engine."
    if action in ("pause", "stop") and not watched.alive:
        return "No engine is running; r starts one."
    return ""


def ask_stop(viewer: Viewer) -> None:
    said = "It stops now; the open experiment goes on at its next sample."
    options = [Option("y", "yes, stop now", lambda: viewer.ask("stop", said)), Option("n", "no")]
    text = "What is being measured is ended. Its finished samples are kept, and it goes on at the next one."
    viewer.push_screen(Choice(viewer.palette, "Stop now?", text, options), act_on)


def ask_idea(viewer: Viewer) -> None:
    question = Ask("Add an idea", "Something to try, in a line.", "what to try, and why it may help")
    _ask_text(viewer, question, "idea", "The idea goes into the notebook.")


def ask_message(viewer: Viewer) -> None:
    question = Ask("Message to the agent", "It comes with the next brief.", "what it should know or do")
    _ask_text(viewer, question, "steer", "The agent reads it with its next brief.")


def _ask_text(viewer: Viewer, question: Ask, kind: str, said: str) -> None:
    viewer.push_screen(question, lambda text: viewer.ask(kind, said, text=text) if text else None)


def ask_where_to(viewer: Viewer) -> None:
    """The shown session was deleted or moved: say so, and offer the others."""
    if not viewer.showing_dashboard:
        viewer.notify("This session's folder was deleted or moved; ctrl+o shows the others.", timeout=10)
        return
    options = [Option("s", "show the other sessions", viewer.open_home), Option("w", "stay; it may come back")]
    text = f"The folder of {viewer.session.name} was deleted or moved, by `autoresearch delete` or by hand."
    viewer.push_screen(Choice(viewer.palette, "The session is gone", text, options, default="s"), act_on)


def ask_leave(viewer: Viewer, default: str) -> None:
    """With an engine running: whether it goes on. `default` is the key of the answer to a bare enter."""

    def ask(kind: str, **args: bool) -> None:
        viewer.ask(kind, "", **args)
        viewer.exit()

    options = [
        Option("l", "leave it running", viewer.exit),
        Option("p", "pause after this experiment", lambda: ask("pause", now=False)),
        Option("s", "stop now", lambda: ask("stop")),
        Option("c", "cancel"),
    ]
    text = "The engine is a process of its own. `autoresearch` shows it again."
    if not isinstance(viewer.screen, Choice):
        viewer.push_screen(Choice(viewer.palette, "Quit", text, options, default), act_on)
