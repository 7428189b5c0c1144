"""The page of keys, from the bindings themselves."""

from __future__ import annotations

from rich.style import Style
from textual.binding import Binding

from autoresearch.tui.palette import Palette
from autoresearch.tui.screens.dashboard import DashboardScreen
from autoresearch.tui.widgets.lists import Item

_SIGNS = (
    ("✓", "KEEP: better, and repeated until luck was unlikely"),
    ("×", "DISCARD: worse, or (brighter) a gain that noise hides"),
    ("!", "CRASH: no value; ∞ when the value was not a number"),
    ("c", "CHECKS: better, but a guard failed"),
    (">", "RUN: being measured"),
    ("↳ #3", "mends experiment 3, which crashed or failed a guard"),
)


def help_items(board: DashboardScreen, palette: Palette) -> list[Item]:
    items: list[Item] = [("", palette.title, "Everywhere", palette.title)]
    bindings = [binding for binding in board.BINDINGS if isinstance(binding, Binding)]
    items += [_key(binding, palette) for binding in bindings if binding.tooltip]
    items.append(("", palette.title, "In a pane", palette.title))
    for keys, words in (
        ("j k ↓ ↑", "a line down or up"),
        ("space pgup", "a page down or up"),
        ("g G", "the first or the last line; the end of the log is followed"),
        ("enter", "what was tried and why it fell so"),
    ):
        items.append((f"{keys:<10}", palette.key, words, palette.text))
    items.append(("", palette.title, "Signs", palette.title))
    styles: dict[str, Style] = {"✓": palette.keep, "!": palette.crash, "c": palette.checks, ">": palette.run}
    items += [(f"{sign:<10}", styles.get(sign, palette.unproven), words, palette.text) for sign, words in _SIGNS]
    return items


def _key(binding: Binding, palette: Palette) -> Item:
    key = binding.key_display or binding.key.split(",")[0]
    return (f"{key:<10}", palette.key, binding.tooltip or binding.description, palette.text)
