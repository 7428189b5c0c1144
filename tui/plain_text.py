"""Drawing with ASCII alone: the last thing before the terminal, so that no widget has to know of it."""

from __future__ import annotations

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


class AsciiOnly(LineFilter):
    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [Segment(to_ascii(text), style, control) for text, style, control in segments]
