"""A clock that limits are read from: time passes when something has happened, however slow the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable


class Leaping:
    """In the place of the module `time`: real time, and a minute more from when `happened` is first true.

    The first reading is before, whatever has happened: a limit counts from there.
    """

    def __init__(self, happened: Callable[[], object]) -> None:
        self._happened = happened
        self._was_read = False
        self._leapt_s = 0.0

    def monotonic(self) -> float:
        if self._was_read and not self._leapt_s and self._happened():
            self._leapt_s = 60.0
        self._was_read = True
        return time.monotonic() + self._leapt_s
