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


def help_of(screen: Screen[Any], palette: Palette) -> tuple[str, list[Item]]:
    """(title, items) of the page: only what is possible now, nearest first."""
    commands = commands_of(screen)
    pane = [command for command in commands if command.node not in (screen, screen.app)]
    here = [command for command in commands if command.node is screen]
    everywhere = [command for command in commands if command.node is screen.app]
    items: list[Item] = []
    for title, group in (("In this pane", pane), ("On this screen", here), ("Everywhere", everywhere)):
        if group:
            items.append(("", palette.title, title, palette.title))
            items += [_key(command, palette) for command in _told(group)]
    items.append(("", palette.title, "Signs", palette.title))
    styles: dict[str, Style] = {
        GLYPHS["keep"]: palette.keep, GLYPHS["crash"]: palette.crash, GLYPHS["checks_failed"]: palette.checks,
        GLYPHS["open"]: palette.run,
    }  # fmt: skip
    items += [(f"{sign:<{_WIDTH}}", styles.get(sign, palette.unproven), words, palette.text) for sign, words in _SIGNS]
    return "Keys", items


def _told(commands: list[Command]) -> list[Command]:
    """One line per sentence: `1 … 5` stands for five bindings, of which one carries words."""
    told: dict[str, Command] = {}
    for command in commands:
        told.setdefault(command.words, command)
    return list(told.values())


def _key(command: Command, palette: Palette) -> Item:
    return (f"{command.shown:<{_WIDTH}}", palette.key, command.words, palette.text)
