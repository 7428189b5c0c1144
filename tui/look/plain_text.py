"""The last thing before the terminal, whatever a widget drew: no control characters, and with `ascii` only ASCII."""

from __future__ import annotations

import re

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_SIGNS = {
    "─": "-", "━": "-", "│": "|", "┃": "|", "╭": "+", "╮": "+", "╰": "+", "╯": "+", "┌": "+", "┐": "+", "└": "+",
    "┘": "+", "├": "+", "┤": "+", "┬": "+", "┴": "+", "┼": "+", "█": "#", "▌": "|", "▐": "|", "▁": "_", "▔": "-",
    "▂": ".", "▃": ":", "▄": "-", "▅": "=", "▆": "+", "▇": "*", "°": " ",
    "✓": "v", "×": "x", "•": "*", "·": ".", "…": "~", "–": "-", "—": "-", "−": "-", "≤": "<", "≥": ">", "±": "~",
    "∞": "N", "↳": ">", "↑": "^", "↓": "v", "←": "<", "→": ">", "⇧": "^", "▲": "^", "▼": "v", "◆": "*", "○": "o",
    "●": "o", "“": '"', "”": '"', "’": "'", "‘": "'", "µ": "u", "σ": "s", "Δ": "d",
}  # fmt: skip
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f]")
_SHADES = " .:-=+*#@"
_FIRST_BRAILLE, _LAST_BRAILLE = 0x2800, 0x28FF


def to_ascii(text: str) -> str:
    """The same number of cells, all ASCII; what has no likeness becomes `?`."""
    return text if text.isascii() else "".join(_likeness(character) for character in text)


def _likeness(character: str) -> str:
    if character.isascii():
        return character
    code = ord(character)
    if _FIRST_BRAILLE <= code <= _LAST_BRAILLE:
        return _SHADES[(code - _FIRST_BRAILLE).bit_count()]
    return _SIGNS.get(character) or "?" * cell_len(character)


class NoControls(LineFilter):
    """Texts from outside are cleaned where they are read; what was forgotten there stops here. It takes no cell."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(text.isprintable() for text, _, _ in segments):
            return segments
        return [Segment(_CONTROLS.sub("", text), style, control) for text, style, control in segments]


class AsciiOnly(LineFilter):
    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [Segment(to_ascii(text), style, control) for text, style, control in segments]
