"""Help for what is focused: its keys, the screen's and the app's, from the bindings, and what the signs mean."""

from __future__ import annotations

from typing import Any

from rich.style import Style
from textual.screen import Screen

from autoresearch.tui.facts.text import GLYPHS
from autoresearch.tui.look.keys import Command, commands_of
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.widgets.text_list import Item

_SIGNS = (
    (GLYPHS["keep"], "KEEP: better, and repeated until luck was unlikely"),
    (GLYPHS["discard"], "DISCARD: worse, or (brighter) a gain that noise hides"),
    (GLYPHS["crash"], "CRASH: no value; ∞ when the value was not a number"),
    (GLYPHS["checks_failed"], "CHECKS: better, but a guard failed"),
    (GLYPHS["open"], "RUN: being measured; OPEN: begun, and goes on when an engine runs"),
    ("?", "flagged: a jump, or a change to seed, budget or score; look twice"),
    ("*", "the number is printed by code that the agent may edit"),
    ("34 to 1", "odds: the runs are 34 times likelier if it is an improvement; 1 to 4: 4 times likelier if it is none"),
    ("↳ #3", "mends experiment 3, which crashed or failed a guard"),
)
_WIDTH = 10


def help_of(screen: Screen[Any], palette: Palette) -> list[Item]:
    """Only what is possible now, nearest first."""
    commands = commands_of(screen)
    pane = [command for command in commands if command.node not in (screen, screen.app)]
    here = [command for command in commands if command.node is screen]
    everywhere = [command for command in commands if command.node is screen.app]
    items: list[Item] = []
    for title, group in (("In this pane", pane), ("On this screen", here), ("Everywhere", everywhere)):
        if group:
            items.append(("", palette.title, title, palette.title))
            told: dict[str, Command] = {}  # `1 … 5` stands for five bindings, of which one carries words
            for each in group:
                told.setdefault(each.words, each)
            items += [(f"{each.shown:<{_WIDTH}}", palette.key, each.words, palette.text) for each in told.values()]
    items.append(("", palette.title, "Signs", palette.title))
    styles: dict[str, Style] = {
        GLYPHS["keep"]: palette.keep, GLYPHS["crash"]: palette.crash, GLYPHS["checks_failed"]: palette.checks,
        GLYPHS["open"]: palette.run,
    }  # fmt: skip
    items += [(f"{sign:<{_WIDTH}}", styles.get(sign, palette.unproven), words, palette.text) for sign, words in _SIGNS]
    return items
