"""Text for a terminal: harmless, short, of known width."""

from __future__ import annotations

from typing import Any

from autoresearch.state.text import clean_line

GLYPHS = {"keep": "✓", "discard": "×", "crash": "!", "checks_failed": "c", "open": ">"}
"""What an experiment's status looks like, wherever it stands; "open" has no verdict yet."""
SIGNS = {
    status: f"{word} {GLYPHS[status]}"
    for status, word in zip(GLYPHS, ("KEEP", "DISCARD", "CRASH", "CHECKS", "RUN"), strict=True)
}
"""The same with its word."""


def fitted(text: Any, width: int | None = None) -> str:
    """One harmless line of outside text, cut to `width` cells."""
    line = clean_line(str(text)).expandtabs(4)
    return shorten(line, width) if width is not None else line


def shorten(text: str, width: int) -> str:
    """Cut to `width` terminal cells, with an ellipsis where something was lost."""
    if cells(text) <= width:
        return text
    kept: list[str] = []
    used = 0
    for char in text:
        used += cells(char)
        if used > width - 1:
            break
        kept.append(char)
    return "".join(kept) + "…" if width > 0 else ""


def cells(text: str) -> int:
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)
