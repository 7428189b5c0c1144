"""Words of others, made safe to stand in a text that a model reads as ours.

What a run printed, what an agent wrote and what a file holds may try to look like a heading, an instruction or the end
of its own quotation. A quotation here has no end mark that could be forged: every line of it begins with a mark of
ours. One-line words can begin no line at all. Control and escape sequences are gone from all of them.
"""

from __future__ import annotations

from autoresearch.state import text

MARK = "| "
_LONGEST_LINE = 500
_LEFT, _RIGHT = "«", "»"


def said(words: str, limit: int = 300) -> str:
    """Words on one line, at most `limit` characters; spaces, tabs and newlines in a row become one space."""
    line = " ".join(text.clean(words).split())
    return line if len(line) <= limit else line[: max(limit - 1, 0)].rstrip() + "…"


def printed(words: str, limit: int = 300) -> str:
    """What a run printed, on one line between «quotes», which it cannot close itself."""
    inner = said(words.replace(_LEFT, "<<").replace(_RIGHT, ">>"), max(limit - 2, 0))
    return f"{_LEFT}{inner}{_RIGHT}" if inner else ""


def quoted(words: str, limit: int, *, end: bool = False, mark: str = MARK, longest: int = _LONGEST_LINE) -> str:
    """A block, each line behind `mark`, at most `limit` characters: the beginning, or with `end` the last lines.

    What is left out is said on a line of its own. A line has at most `longest` characters (0: any). "" when there is
    nothing to quote.
    """
    lines = [line.rstrip() for line in text.clean(words).strip("\n").split("\n")]
    marked = [f"{mark}{_short(line, longest)}".rstrip() for line in lines]
    if not any(lines):
        return ""
    if sum(map(len, marked)) + len(marked) - 1 <= limit:
        return "\n".join(marked)
    room = limit - len(_left_out(len(marked))) - 1
    kept: list[str] = []
    for line in reversed(marked) if end else marked:
        if len(line) + 1 > room:
            if not kept and room > len(mark) + 1:
                kept.append(_short(line, room - 1))
            break
        room -= len(line) + 1
        kept.append(line)
    note = _left_out(len(marked) - len(kept))
    shown = [note, *reversed(kept)] if end else [*kept, note]
    return "\n".join(shown)


def numbered(words: str) -> str:
    """A file, each line behind its number and a tab."""
    lines = text.clean(words).removesuffix("\n").split("\n")
    return "\n".join(f"{n}\t{line}" for n, line in enumerate(lines, 1))


def _short(line: str, longest: int) -> str:
    return line[: longest - 1] + "…" if 0 < longest < len(line) else line


def _left_out(count: int) -> str:
    return f"[{count} {'line' if count == 1 else 'lines'} left out]"
