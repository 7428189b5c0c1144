"""Starting an engine from a screen: in a thread, and after a yes to commands that arrived with a clone or a pull."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from autoresearch.state.config import ConfigError
from autoresearch.state.session import Place, SessionError
from autoresearch.state.text import safe_line
from autoresearch.tui.screens.modals import Choice, Option, act_on
from autoresearch.tui.screens.viewer import Viewer, beside

_SHOWN_CHARS = 160
_LOCKED = 4
"""What starting a session that another engine holds leads to."""


def begin(
    viewer: Viewer,
    place: Place,
    session: str | None,
    act: Callable[[], Any],
    then: Callable[[Any], None],
    failed: Callable[[str], None],
) -> None:
    """Call `act`, which starts an engine of `session` (None: of a new one), then `then` with what it gave, or `failed`
    with a sentence ("" after a no)."""

    def in_thread(work: Callable[[], Any], after: Callable[[Any], None]) -> None:
        beside(viewer, work, after, say_why, "start")

    def say_why(error: Exception) -> None:
        if session is not None and isinstance(error, SessionError) and error.code == _LOCKED:
            failed("")
            viewer.notify("Somebody else has just started it; this screen watches.", timeout=8)
        else:
            failed(str(error))

    def ask(found: tuple[list[str], list[tuple[str, str]]]) -> None:
        words, commands = found
        if not commands:
            in_thread(act, then)
            return

        def again() -> None:
            in_thread(lambda: viewer.starter.pending(place, session), lambda now: confirmed(now, found))

        listed = [f"  {key}: {safe_line(text)[:_SHOWN_CHARS]}" for key, text in commands]
        options = [Option("y", "yes, run them here", again), Option("n", "no", lambda: failed(""))]
        text = "\n".join([*words, "", *listed])
        viewer.push_screen(Choice(viewer.palette, "Run these commands?", text, options), act_on)

    def confirmed(now: tuple[list[str], list[tuple[str, str]]], shown: tuple[list[str], list[tuple[str, str]]]) -> None:
        """A yes is one to what was shown: what arrived while the question stood is asked about."""
        if now != shown:
            ask(now)
        else:
            in_thread(trusted, then)

    def trusted() -> Any:
        viewer.starter.confirm(place, session)
        return act()

    in_thread(lambda: viewer.starter.pending(place, session), ask)


def begin_new(viewer: Viewer, place: Place, first: str = "") -> None:
    """A new session, after a yes and the choice of who proposes; then it is shown. `first` is said before the rest."""
    try:
        offers = viewer.starter.offers(place)
    except (ConfigError, OSError) as error:
        viewer.notify(str(error), severity="error", timeout=15)
        return

    def failed(why: str) -> None:
        if why:
            viewer.notify(why, severity="error", timeout=15)

    def make(agent: str) -> None:
        viewer.notify("A session is being made; its baseline is measured first.", timeout=3)
        begin(
            viewer,
            place,
            None,
            lambda: viewer.starter.new(place, agent or None),
            lambda made: viewer.open_session(place, made),
            failed,
        )

    options = [
        Option(str(at), f"{offer.name}: {offer.text}", partial(make, offer.kind)) for at, offer in enumerate(offers, 1)
    ]
    if len(offers) < 2:
        options = [Option("y", f"yes, with the {offers[0].name}" if offers else "yes, start it", partial(make, ""))]
    options.append(Option("n", "no"))
    text = "A new session measures the baseline, then goes on until it is paused or a limit is reached."
    if len(options) > 2:
        text += " What is to make the proposals?"
    elif offers:
        text += f" No key and no agent CLI was found, so the {offers[0].name} proposes: it {offers[0].text}."
    text = f"{first}\n\n{text}" if first else text
    viewer.push_screen(Choice(viewer.palette, "New session", text, options, options[0].key), act_on)
