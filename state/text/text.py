"""Text from outside (a run's log, an agent's words), made safe to show.

Escape sequences and control characters are removed: a log must not be able to move the cursor, set a title or write to
the clipboard of the terminal that shows it. Newlines and tabs stay. Of a line that was overwritten with carriage
returns, what stood there last stays.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# An introducer with what belongs to it, also unfinished at the end of the text: CSI; the strings OSC, DCS, SOS, PM and
# APC up to their terminator (or the end of the line, so that one stray introducer hides no more than its line); others.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]?"
)
# C0 but for tab, newline and carriage return; DEL; C1; what reorders or hides text; lone surrogates.
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def clean(text: str) -> str:
    """All lines of `text`, each as `clean_line` leaves it."""
    text = _CONTROLS.sub("", _ESCAPES.sub("", text.replace("\r\n", "\n")))
    return "\n".join(_last_written(line) for line in text.split("\n")) if "\r" in text else text


def clean_line(text: str, limit: int = 0) -> str:
    """One line: newlines become spaces. Longer than `limit` characters (0: any), it ends with an ellipsis."""
    line = clean(text).replace("\n", " ").strip()
    return line[: limit - 1] + "…" if limit and len(line) > limit else line


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first of them, and how many there are beside: "a, b and 3 more"."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def plain(text: str) -> str:
    """One line for a file or an index: no control characters, runs of white space as one space, storable as UTF-8."""
    return " ".join(storable(text).split())


def storable(text: str) -> str:
    """Control characters become spaces, halves of surrogate pairs question marks; all else stays."""
    return _CONTROL.sub(" ", text.encode("utf-8", "replace").decode())


def _last_written(line: str) -> str:
    """What stands after the last carriage return; a trailing one does not erase what it ends."""
    return line.rstrip("\r").rpartition("\r")[2]


def safe_line(line: str) -> str:
    """One line of text from outside, safe to show and as wide as it looks; its indentation stays."""
    return clean(line).replace("\n", " ").expandtabs(8)
