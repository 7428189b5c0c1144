"""Where the pieces of a page are collected."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO

# "concat" joins each piece to the page so far, "list" joins all at the end, "stringio" writes to a memory file.
BUFFER = "concat"  # one of: concat, list, stringio


def open_output() -> tuple[Callable[[str], object], Callable[[], str]]:
    """`write(piece)` and `page()`."""
    if BUFFER == "list":
        pieces: list[str] = []
        return pieces.append, lambda: "".join(pieces)
    if BUFFER == "stringio":
        stream = StringIO(newline="")
        return stream.write, stream.getvalue
    page = _Page()
    return page.write, lambda: page.text


class _Page:
    def __init__(self) -> None:
        self.text = ""

    def write(self, piece: str) -> None:
        self.text += piece
