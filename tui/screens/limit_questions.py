"""The questions about limits, over whatever is shown: which one, its new value, and room for an engine to go on."""

from __future__ import annotations

from autoresearch.state.config import ConfigError
from autoresearch.tui.actions.requests import limit_value
from autoresearch.tui.facts import limits
from autoresearch.tui.screens.modals import Ask
from autoresearch.tui.screens.viewer import Viewer


def asks_for_room(viewer: Viewer) -> bool:
    """Whether a limit would pause the engine at once: then nothing is started, and that limit is asked about."""
    reached = limits.used_up(viewer.watched.history, viewer.bounds())
    if reached is None:
        return False
    ask_value(viewer, reached.limit, f"An engine would pause at once: {reached.reason}. ")
    return True


def ask_value(viewer: Viewer, name: str, why: str = "") -> None:
    kind, now = limits.KINDS[name], viewer.bounds().get(name)

    def answer(text: str | None) -> None:
        if not text:
            return
        try:
            value = limit_value(name, text)
        except ConfigError as error:
            viewer.notify("; ".join(error.problems), severity="error", timeout=8)
            return
        viewer.ask("limit", f"The {limits.becomes(name, value)}.", name=name, value=value)
        viewer.look_again()

    come = limits.so_far(name, viewer.watched.history)
    text = f"{why}{f'So far: {come}. ' if come else ''}Type a value such as {kind.example}, or off."
    title = f"Limit on {kind.words} (now {limits.amount(name, now)})"
    viewer.push_screen(Ask(title, text, kind.example, str(now or "")), answer)
