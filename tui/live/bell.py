"""Ring the terminal when something happened that a person waits for: the bell, and a notification where it has them.

OSC 9 is iTerm2's, taken up by many; OSC 777 is rxvt's. A terminal that knows neither shows nothing of them. The text
goes through `clean` and can hold no sequence of its own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

from autoresearch.state.journal import History, records
from autoresearch.tui.facts.text import fitted

OFF = "AUTORESEARCH_NO_BELL"
LEAST_S = 1.0
_LONGEST = 160
_BEL = "\a"


def words_of(line: bytes, history: History, session: str) -> str:
    """What to tell of a journal line that `history` has just taken in; "" for most of them."""
    from autoresearch.engine.control import notice_of  # not before the first frame

    try:
        record = records.decode(line)
    except records.MalformedRecord:
        return ""  # the history has noted it
    if isinstance(record, records.Stop) and record.by != "engine":
        return ""  # whoever stopped it knows
    notice = notice_of(record, history, session)
    return "" if notice is None else fitted(f"autoresearch {session}: {notice.text}", _LONGEST)


def sequence(text: str) -> str:
    """The bytes for one notice. A semicolon would end a field of OSC 777."""
    text = text.replace(";", ",")
    return f"\x1b]9;{text}{_BEL}\x1b]777;notify;autoresearch;{text}{_BEL}{_BEL}"


class Bell:
    """Writes at most one notice a second; of several the last one is told, later."""

    def __init__(
        self,
        write: Callable[[str], None],
        later: Callable[[float, Callable[[], None]], object],
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`later` calls a function after so many seconds."""
        self._write = write
        self._later = later
        self._clock = clock
        self._off = bool(environ.get(OFF))
        self._last = -LEAST_S
        self._waiting = ""

    def ring(self, text: str) -> None:
        if self._off or not text:
            return
        due = self._last + LEAST_S - self._clock()
        if due <= 0 and not self._waiting:
            self._tell(text)
            return
        if not self._waiting:
            self._later(max(due, 0.0), self._tell_waiting)
        self._waiting = text

    def _tell_waiting(self) -> None:
        text, self._waiting = self._waiting, ""
        self._tell(text)

    def _tell(self, text: str) -> None:
        self._last = self._clock()
        self._write(sequence(text))
