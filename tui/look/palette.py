"""The colours of the screen: blue is progress, orange asks for attention, and neither is ever the only sign.

Widgets draw with these styles and with nothing else, so a terminal without colours (`NO_COLOR`) gets bold, dim and
reverse instead, from `PLAIN`. They all hold the app's one palette, which becomes another when the theme changes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from rich.style import Style
from textual.theme import Theme

THEME = Theme(
    name="autoresearch",
    primary="#4db8ff",
    secondary="#8fb7e8",
    accent="#ff9f43",
    warning="#ff9f43",
    error="#ff7a45",
    success="#4db8ff",
    foreground="#d5dfec",
    background="#0c131d",
    surface="#111b29",
    panel="#16233a",
    dark=True,
    variables={
        "rule": "#2b3d57",
        "rule-focus": "#4db8ff",
        "quiet": "#7f92ab",
        "tab-on": "#4db8ff",
        "tab-off": "#7f92ab",
    },
)


LIGHT_THEME = Theme(
    name="autoresearch-light",
    primary="#0b63b5",
    secondary="#3c5f8f",
    accent="#b4510a",
    warning="#b4510a",
    error="#a63c10",
    success="#0b63b5",
    foreground="#1c2938",
    background="#f7f9fc",
    surface="#eef2f8",
    panel="#e1e8f2",
    dark=False,
    variables={
        "rule": "#b9c6d8",
        "rule-focus": "#0b63b5",
        "quiet": "#56677d",
        "tab-on": "#0b63b5",
        "tab-off": "#56677d",
    },
)


@dataclass(slots=True)
class Palette:
    text: Style
    strong: Style
    quiet: Style
    """Labels, units, what is read last."""
    faint: Style
    """Rules, the baseline's line, padding marks."""
    keep: Style
    best: Style
    """The line of the best."""
    unproven: Style
    worse: Style
    crash: Style
    checks: Style
    run: Style
    good: Style
    warn: Style
    title: Style
    cursor: Style
    key: Style

    def become(self, other: Palette) -> None:
        for each in fields(self):
            setattr(self, each.name, getattr(other, each.name))

    def status(self, status: str, cause: str = "") -> Style:
        if status == "keep":
            return self.keep
        if status == "crash":
            return self.crash
        if status == "checks_failed":
            return self.checks
        return self.unproven if cause == "unproven" else self.worse


COLOUR = Palette(
    text=Style.parse("#d5dfec"),
    strong=Style.parse("bold #f2f7fd"),
    quiet=Style.parse("#7f92ab"),
    faint=Style.parse("#3a4f6d"),
    keep=Style.parse("bold #4db8ff"),
    best=Style.parse("#2f8fd8"),
    unproven=Style.parse("#a9bad0"),
    worse=Style.parse("#6f829c"),
    crash=Style.parse("bold #ff9f43"),
    checks=Style.parse("bold #ffd27a"),
    run=Style.parse("bold #f2f7fd"),
    good=Style.parse("bold #0c131d on #4db8ff"),
    warn=Style.parse("bold #0c131d on #ff9f43"),
    title=Style.parse("bold #8fb7e8"),
    cursor=Style.parse("on #1d3352"),
    key=Style.parse("bold #ff9f43"),
)

LIGHT = Palette(
    text=Style.parse("#1c2938"),
    strong=Style.parse("bold #0a131e"),
    quiet=Style.parse("#56677d"),
    faint=Style.parse("#a9b8cc"),
    keep=Style.parse("bold #0b63b5"),
    best=Style.parse("#2f7fc4"),
    unproven=Style.parse("#3f5168"),
    worse=Style.parse("#6a7b91"),
    crash=Style.parse("bold #b4510a"),
    checks=Style.parse("bold #8a5a00"),
    run=Style.parse("bold #0a131e"),
    good=Style.parse("bold #ffffff on #0b63b5"),
    warn=Style.parse("bold #ffffff on #b4510a"),
    title=Style.parse("bold #3c5f8f"),
    cursor=Style.parse("on #cfe0f3"),
    key=Style.parse("bold #b4510a"),
)

ANSI = Palette(
    text=Style.parse("none"),
    strong=Style.parse("bold"),
    quiet=Style.parse("dim"),
    faint=Style.parse("dim"),
    keep=Style.parse("bold blue"),
    best=Style.parse("blue"),
    unproven=Style.parse("none"),
    worse=Style.parse("dim"),
    crash=Style.parse("bold yellow"),
    checks=Style.parse("bold magenta"),
    run=Style.parse("bold"),
    good=Style.parse("bold blue reverse"),
    warn=Style.parse("bold yellow reverse"),
    title=Style.parse("bold cyan"),
    cursor=Style.parse("reverse"),
    key=Style.parse("bold yellow"),
)
"""The terminal's own sixteen colours on its own background."""

PLAIN = Palette(
    text=Style.parse("none"),
    strong=Style.parse("bold"),
    quiet=Style.parse("dim"),
    faint=Style.parse("dim"),
    keep=Style.parse("bold"),
    best=Style.parse("none"),
    unproven=Style.parse("none"),
    worse=Style.parse("dim"),
    crash=Style.parse("bold"),
    checks=Style.parse("bold"),
    run=Style.parse("bold"),
    good=Style.parse("bold reverse"),
    warn=Style.parse("bold reverse"),
    title=Style.parse("bold"),
    cursor=Style.parse("reverse"),
    key=Style.parse("bold"),
)


_BY_THEME = {"dark": (COLOUR, THEME.name), "light": (LIGHT, LIGHT_THEME.name), "ansi": (ANSI, "ansi-dark")}


def palette_of(theme: str, plain: bool) -> Palette:
    """One to keep: a palette of its own that may become another."""
    return replace(PLAIN if plain else _BY_THEME[theme][0])


def textual_theme(theme: str, plain: bool) -> str:
    return "ansi-dark" if plain else _BY_THEME[theme][1]
