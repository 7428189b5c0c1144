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

Pending = tuple[list[str], list[tuple[str, str]]]
"""Where commands came from, in sentences, and the commands by key."""
_SHOWN_CHARS = 160
_LOCKED = 4
"""What starting a session that another engine holds leads to."""


def begin(
    viewer: Viewer,
    place: Place,
    session: str | None,
    act: Callable[[], Any],
    then: Callable[[Any], object] = lambda _: None,
    failed: Callable[[], object] = lambda: None,
) -> None:
    """Call `act`, which starts an engine of `session` (None: of a new one), then `then` with what it gave, or `failed`
    after an error, which is said, or a no."""

    def in_thread(work: Callable[[], Any], after: Callable[[Any], object]) -> None:
        beside(viewer, work, after, say_why, "start")

    def say_why(error: Exception) -> None:
        failed()
        if session is not None and isinstance(error, SessionError) and error.code == _LOCKED:
            viewer.notify("Somebody else has just started it; this screen watches.", timeout=8)
        else:
            viewer.notify(str(error), severity="error", timeout=15)

    def ask(found: Pending, shown: Pending | None = None) -> None:
        """A yes is one to what was shown: what arrived while the question stood is asked about."""
        words, commands = found
        if not commands or found == shown:
            in_thread(trusted if commands else act, then)
            return
        again = partial(in_thread, pending, lambda now: ask(now, found))
        listed = [f"  {key}: {safe_line(text)[:_SHOWN_CHARS]}" for key, text in commands]
        options = [Option("y", "yes, run them here", again), Option("n", "no", failed)]
        text = "\n".join([*words, "", *listed])
        viewer.push_screen(Choice(viewer.palette, "Run these commands?", text, options), act_on)

    def trusted() -> Any:
        viewer.starter.confirm(place, session)
        return act()

    pending = partial(viewer.starter.pending, place, session)
    in_thread(pending, ask)


def begin_new(viewer: Viewer, place: Place, first: str = "") -> None:
    """A new session, after a yes and the choice of who proposes; then it is shown. `first` is said before the rest."""
    try:
        offers = viewer.starter.offers(place)
    except (ConfigError, OSError) as error:
        viewer.notify(str(error), severity="error", timeout=15)
        return

    def make(agent: str) -> None:
        viewer.notify("A session is being made; its baseline is measured first.", timeout=3)
        start = partial(viewer.starter.new, place, agent or None)
        begin(viewer, place, None, start, lambda made: viewer.open_session(place, made))

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
