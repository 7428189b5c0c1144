"""Shown when an engine dies or hangs under the reader's eyes: since when, its last words, and one key that goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from rich.segment import Segment
from textual.widget import Widget
from textual.widgets import Static

from autoresearch.state.text import numbers
from autoresearch.tui.facts.engine import Engine
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.screens.modals import Choice, Option
from autoresearch.tui.widgets.line_view import LineView


class _Words(LineView):
    can_focus = False

    def __init__(self, palette: Palette, lines: list[str]) -> None:
        super().__init__(palette, id="last-words")
        self.lines = lines
        self.message = "engine.log is empty."

    def count(self) -> int:
        return len(self.lines)

    def draw(self, number: int, width: int) -> list[Segment]:
        return [Segment("│ ", self.palette.faint), Segment(self.lines[number], self.palette.text)]


class Lost(Choice):
    """`acts`: what can be done, by `go on` and `end` (a hanging engine first); without them one can only look."""

    def __init__(
        self, palette: Palette, engine: Engine, words: list[str], now_ms: int, acts: Mapping[str, Callable[[], None]]
    ) -> None:
        self.words = words
        host, now_ms = engine.host, engine.clock(now_ms)
        ago = numbers.duration(max(0, now_ms - engine.since) // 1000) if engine.since else "a while"
        options = []
        if engine.state == "silent":
            title = "The engine does not respond"
            text = f"Process {engine.pid or '?'}{f' on {host}' if host else ''} has given no sign for {ago}. "
            text += "It hangs, or its machine is very busy or asleep. What was measured is on disk."
            if acts and not host:
                options.append(Option("e", f"end process {engine.pid or '?'}, then go on where it was", acts["end"]))
            elif host:
                text += f" Only on {host} can it be ended."
            options.append(Option("w", "wait and look"))
        elif host:
            title = "No sign of the engine"
            text = f"There has been none from {host} for {ago}, and its lock cannot be seen from here. It ended, or "
            text += "this machine has lost sight of it. Two engines on one session would spoil it: if one still runs "
            text += f"on {host}, end it there first."
            options.append(Option("w", "wait and look"))
            if acts:
                options.append(Option("r", "go on here, on this machine", acts["go on"]))
        else:
            title = "The engine is gone"
            text = f"It ended without a word; its last sign was {ago} ago. Nothing that was measured is lost: "
            text += "the open experiment goes on at its next sample."
            if acts:
                options.append(Option("r", "go on where it was", acts["go on"]))
            options.append(Option("c", "look first; r goes on later" if acts else "look"))
        looks = next(option.key for option in options if option.act is None)
        super().__init__(palette, title, text, options, default="r" if options[0].key == "r" else looks)
        self.add_class("lost")

    def between(self) -> Iterable[Widget]:
        yield Static("The last words of engine.log", classes="label", markup=False)
        height = max(1, min(len(self.words), self.app.size.height - 16))
        words = _Words(self.palette, self.words[-height:])
        words.styles.height = height
        yield words
