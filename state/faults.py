"""Named places at which a test can kill the process or fail a write.

`reach("after:proposal")` does nothing unless AUTORESEARCH_FAULT names that place: `kill@PLACE` ends the process by
SIGKILL there, `kill@PLACE#3` at its third passing. It is how the kill tests stop a real engine at every step boundary.
"""

from __future__ import annotations

import os
import signal

_WANTED = os.environ.get("AUTORESEARCH_FAULT", "")
_seen = 0


def reach(place: str) -> None:
    if _WANTED:
        _act(place)


def _act(place: str) -> None:
    global _seen
    wanted, _, count = _WANTED.removeprefix("kill@").partition("#")
    if place != wanted:
        return
    _seen += 1
    if _seen == int(count or 1):
        os.kill(os.getpid(), signal.SIGKILL)
