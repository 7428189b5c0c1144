"""Plain terminal output of the commands: width, colour, columns, JSON. Nothing here clears or redraws a screen.

Everything that came from outside (descriptions, log lines, ideas) goes through `clean` before it is written.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

import click
import orjson

from autoresearch.state.text import clean as clean_text
from autoresearch.tui.facts.text import cells, shorten

_SGR = {
    "keep": "\x1b[1;38;5;75m",
    "crash": "\x1b[1;38;5;215m",
    "checks_failed": "\x1b[1;38;5;215m",
    "warn": "\x1b[38;5;215m",
    "run": "\x1b[1m",
    "strong": "\x1b[1m",
    "discard": "\x1b[2m",
    "quiet": "\x1b[2m",
    "added": "\x1b[38;5;75m",
    "removed": "\x1b[38;5;215m",
}
_RESET = "\x1b[0m"
_COLOURS = re.compile(f"({'|'.join(re.escape(code) for code in {*_SGR.values(), _RESET})})")
_LEAST_LAST = 24
"""Cells that a table's last column gets before the widest other one is cut."""


def interactive() -> bool:
    """Whether a screen can be shown: all three standard streams are a terminal that can do more than lines."""
    return os.environ.get("TERM", "") not in ("", "dumb") and all(map(os.isatty, (0, 1, 2)))


def is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:
        return False


def harmless(text: str) -> str:
    """Text of any origin in which nothing commands the terminal but the colours of ours: a folder's name may try."""
    return "".join(part if n % 2 else clean_text(part) for n, part in enumerate(_COLOURS.split(text)))


def echo(text: str = "", err: bool = False, nl: bool = True) -> None:
    """Write for a person; every command does by this or by a `Console`."""
    click.echo(harmless(text), nl=nl, err=err)  # noqa: TID251


def emit_json(document: Any, layout: int = orjson.OPT_INDENT_2) -> None:
    """One JSON document on stdout; with `layout` 0 on one line."""
    click.echo(orjson.dumps(document, option=layout | orjson.OPT_APPEND_NEWLINE), nl=False)  # noqa: TID251


class Console:
    """Where a command writes for people: as wide as the terminal, unlimited and plain when there is none."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream if stream is not None else sys.stdout
        self.tty = is_terminal(self.stream)
        self.width = max(40, shutil.get_terminal_size().columns) if self.tty else None
        self.colour = self.tty and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "") not in ("", "dumb")

    def paint(self, text: str, style: str) -> str:
        return f"{_SGR[style]}{text}{_RESET}" if self.colour and text and style in _SGR else text

    def say(self, text: str = "") -> None:
        self.stream.write(harmless(text) + "\n")

    def prose(self, text: str) -> None:
        """Sentences, broken between words where a terminal would break within them."""
        for paragraph in text.split("\n"):
            for line in wrap(paragraph, self.width):
                self.say(line)

    def facts(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Aligned `label  value` lines; pairs without a value are left out."""
        shown = [(label, value) for label, value in pairs if value]
        left = max((len(label) for label, _ in shown), default=0)
        for label, value in shown:
            room = None if self.width is None else max(20, self.width - left - 4)
            lines = wrap(value, room)
            self.say(f"  {self.paint(label.ljust(left), 'quiet')}  {lines[0]}")
            for line in lines[1:]:
                self.say(f"  {' ' * left}  {line}")

    def table(
        self, rows: Sequence[Sequence[str]], styles: Sequence[str] = (), right: frozenset[int] = frozenset()
    ) -> None:
        """Columns as wide as their widest cell; the last one takes what is left. `styles` colours whole rows."""
        if not rows:
            return
        count = len(rows[0])
        widths = [max(cells(row[column]) for row in rows) for column in range(count - 1)]
        room = None
        if self.width is not None:
            room = self.width - sum(widths) - 2 * (count - 1)
            wanted = min(_LEAST_LAST, max(cells(row[-1]) for row in rows))
            if room < wanted and widths:
                widest = widths.index(max(widths))
                cut = min(widths[widest] - 8, wanted - room)
                widths[widest] -= max(0, cut)
                room += max(0, cut)
            room = max(1, room)
        for number, row in enumerate(rows):
            parts = [
                pad(shorten(cell, width), width, column in right)
                for column, (cell, width) in enumerate(zip(row, widths, strict=False))
            ]
            last = row[-1] if room is None else shorten(row[-1], room)
            line = "  ".join([*parts, last]).rstrip()
            self.say(self.paint(line, styles[number]) if number < len(styles) else line)


def pad(text: str, width: int, right: bool = False) -> str:
    gap = " " * max(0, width - cells(text))
    return gap + text if right else text + gap


def wrap(text: str, width: int | None) -> list[str]:
    """Lines of at most `width` cells, broken at spaces where there are any."""
    if width is None or cells(text) <= width:
        return [text]
    lines, line = [], ""
    for word in text.split(" "):
        if line and cells(line) + 1 + cells(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return [*lines, line]
