"""The colours of the screen: blue is progress, orange asks for attention, and neither is ever the only sign.

Widgets draw with these styles and with nothing else, so a terminal without colours (`NO_COLOR`) gets bold, dim and
reverse instead, from `PLAIN`. They all hold the app's one palette, which becomes another when the theme changes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

from rich.style import Style
from textual.theme import Theme


def _theme(name: str, *, blue: str, orange: str, quiet: str, rule: str, **others: Any) -> Theme:
    variables = {"rule": rule, "rule-focus": blue, "quiet": quiet, "tab-on": blue, "tab-off": quiet}
    return Theme(name, primary=blue, success=blue, accent=orange, warning=orange, variables=variables, **others)


THEME = _theme(
    "autoresearch", dark=True, blue="#4db8ff", orange="#ff9f43", quiet="#7f92ab", rule="#2b3d57", secondary="#8fb7e8",
    error="#ff7a45", foreground="#d5dfec", background="#0c131d", surface="#111b29", panel="#16233a",
)  # fmt: skip
LIGHT_THEME = _theme(
    "autoresearch-light", dark=False, blue="#0b63b5", orange="#b4510a", quiet="#56677d", rule="#b9c6d8",
    secondary="#3c5f8f", error="#a63c10", foreground="#1c2938", background="#f7f9fc", surface="#eef2f8",
    panel="#e1e8f2",
)  # fmt: skip


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


_STYLES = {
    # dark, light, the terminal's own sixteen colours on its own background, no colours
    "text":     ("#d5dfec",                  "#1c2938",                  "none",                 "none"),
    "strong":   ("bold #f2f7fd",             "bold #0a131e",             "bold",                 "bold"),
    "quiet":    ("#7f92ab",                  "#56677d",                  "dim",                  "dim"),
    "faint":    ("#3a4f6d",                  "#a9b8cc",                  "dim",                  "dim"),
    "keep":     ("bold #4db8ff",             "bold #0b63b5",             "bold blue",            "bold"),
    "best":     ("#2f8fd8",                  "#2f7fc4",                  "blue",                 "none"),
    "unproven": ("#a9bad0",                  "#3f5168",                  "none",                 "none"),
    "worse":    ("#6f829c",                  "#6a7b91",                  "dim",                  "dim"),
    "crash":    ("bold #ff9f43",             "bold #b4510a",             "bold yellow",          "bold"),
    "checks":   ("bold #ffd27a",             "bold #8a5a00",             "bold magenta",         "bold"),
    "run":      ("bold #f2f7fd",             "bold #0a131e",             "bold",                 "bold"),
    "good":     ("bold #0c131d on #4db8ff",  "bold #ffffff on #0b63b5",  "bold blue reverse",    "bold reverse"),
    "warn":     ("bold #0c131d on #ff9f43",  "bold #ffffff on #b4510a",  "bold yellow reverse",  "bold reverse"),
    "title":    ("bold #8fb7e8",             "bold #3c5f8f",             "bold cyan",            "bold"),
    "cursor":   ("on #1d3352",               "on #cfe0f3",               "reverse",              "reverse"),
    "key":      ("bold #ff9f43",             "bold #b4510a",             "bold yellow",          "bold"),
}  # fmt: skip
COLOUR, LIGHT, ANSI, PLAIN = (
    Palette(**{name: Style.parse(styles[at]) for name, styles in _STYLES.items()}) for at in range(4)
)
_BY_THEME = {"dark": (COLOUR, THEME.name), "light": (LIGHT, LIGHT_THEME.name), "ansi": (ANSI, "ansi-dark")}


def palette_of(theme: str, plain: bool) -> Palette:
    """One to keep: a palette of its own that may become another."""
    return replace(PLAIN if plain else _BY_THEME[theme][0])


def textual_theme(theme: str, plain: bool) -> str:
    return "ansi-dark" if plain else _BY_THEME[theme][1]
