"""The panes of the dashboard: which arrangement fits a terminal, what it shows, and what stands in the titles. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from textual.geometry import Size

from autoresearch.state.text import safe_line

Mode = Literal["tiny", "narrow", "wide", "xwide"]
Pane = Literal["experiments", "log", "ideas", "dead", "now", "chart", "machine"]
PANES: tuple[Pane, ...] = ("experiments", "log", "ideas", "dead", "now", "chart", "machine")
"""In the order of their numbers."""
STACKED: tuple[Pane, ...] = ("experiments", "log", "ideas", "dead", "now", "machine")
"""Those that take turns where there is room for one; the chart has a place of its own."""
LOWER: tuple[Pane, ...] = ("log", "ideas", "dead", "machine")
"""Those that take turns below the table of a wide terminal."""
_TITLES = {
    "experiments": "Experiments",
    "log": "Log",
    "ideas": "Ideas",
    "dead": "Dead ends",
    "now": "Now",
    "chart": "Chart",
    "machine": "Machine",
}


def mode_of(size: Size) -> Mode:
    """Which arrangement fits a terminal."""
    if size.width < 60 or size.height < 15:
        return "tiny"
    if size.width < 100 or size.height < 30:
        return "narrow"
    return "wide" if size.width < 140 or size.height < 40 else "xwide"


def one_at_a_time(size: Size) -> bool:
    """So low that a pane needs all lines that there are: under the chart no experiment could be seen."""
    return mode_of(size) == "narrow" and size.height < 20


def visible(mode: Mode, shown: Pane, lower: Pane, zoomed: Pane | None) -> set[Pane]:
    """What the main column shows besides what always has a place of its own."""
    if zoomed is not None:
        return {zoomed}
    if mode in ("tiny", "narrow"):
        return {shown, "chart"}
    return {"experiments", "chart", "log" if mode == "xwide" else lower}


def title(pane: Pane) -> str:
    return f"{PANES.index(pane) + 1} {_TITLES[pane]}"


def tabs(panes: tuple[Pane, ...], active: Pane, width: int, words: str = "") -> str:
    """The panes that share a place as markup, the active one lit; numbers alone for the others where it gets narrow."""
    full = [title(pane) for pane in panes]
    if sum(len(text) + 3 for text in full) + len(words) + 4 > width:
        full = [text if pane == active else text[0] for pane, text in zip(panes, full, strict=True)]
    at = panes.index(active) if active in panes else -1  # one that is left out has no tab
    return lit(full, at) + (f"  {literal(words)}" if words else "")


def lit(names: Sequence[str], active: int) -> str:
    """Names of tabs as markup, the active one lit."""
    marked = (f"[b $tab-on]{name}[/]" if at == active else f"[$tab-off]{name}[/]" for at, name in enumerate(names))
    return "[$tab-off] · [/]".join(marked)


def literal(text: str) -> str:
    """Text from outside as a border title, whose square brackets would be read as markup."""
    return safe_line(text).replace("[", "\\[")
