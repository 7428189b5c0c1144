"""Reads progress series from a growing log, as a program of its own, with nothing but the standard library.

Started by `output.Progress`, which says why, with the log's descriptor, where to start, the patterns, the file to write
and the label. Each line of its input is a moment and how far the log has grown by then.

Appends `{"t", "name", "value", **label}` to the file for what the patterns find: at most one line per name and look.
The value is group 1 of a pattern, or the whole match; a match that is no number is passed over, and one that is not
finite is null.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import signal
import sys

LINE_BYTES = 4096
"""Longer lines are not searched beyond this."""
LOOK_S = 2
"""A look that takes longer ends us: SIGALRM needs no Python to be obeyed."""
_READ = 1 << 20
_BEHIND = 8 << 20
"""When the log grew by more between two looks, only its last megabyte is read: progress is a picture, not a record."""
_LINE_ENDS = re.compile(rb"[\r\n]")


class Series:
    def __init__(self, log: int, start: int, patterns: dict[str, str], file: str, label: dict[str, str | int]) -> None:
        self._log = log
        self._position = start
        self._patterns = {name: re.compile(pattern) for name, pattern in patterns.items()}
        self._file = file
        self._label = label
        self._partial = b""

    def look(self, elapsed_s: float, end: int) -> None:
        """Read what is new up to `end`."""
        found: dict[str, float] = {}
        if end < self._position:  # the command emptied its own log
            self._position, self._partial = 0, b""
        if end - self._position > _BEHIND:
            self._position, self._partial = end - _READ, b""
        while self._position < end:
            data = os.pread(self._log, min(_READ, end - self._position), self._position)
            if not data:
                break
            self._position += len(data)
            *lines, rest = _LINE_ENDS.split(self._partial + data)
            self._partial = rest[:LINE_BYTES]
            for line in lines:
                self._match(line, found)
        self._write(elapsed_s, found)

    def finish(self, elapsed_s: float) -> None:
        """The last line may have no end."""
        found: dict[str, float] = {}
        self._match(self._partial, found)
        self._write(elapsed_s, found)

    def _match(self, line: bytes, found: dict[str, float]) -> None:
        text = line[:LINE_BYTES].decode(errors="replace")
        for name, pattern in self._patterns.items():
            if match := pattern.search(text):
                with contextlib.suppress(ValueError, TypeError):  # an optional group that took no part is None
                    found[name] = float(match[1] if pattern.groups else match[0])

    def _write(self, elapsed_s: float, found: dict[str, float]) -> None:
        if not found:
            return
        t = round(elapsed_s, 2)
        lines = "".join(
            json.dumps({"t": t, "name": name, "value": value if math.isfinite(value) else None, **self._label}) + "\n"
            for name, value in found.items()
        )
        # Without O_NONBLOCK a pipe that the command put there would block us.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
        file = os.open(self._file, flags, 0o600)
        os.write(file, lines.encode())
        os.close(file)


def main(log: str, start: str, patterns: str, file: str, label: str) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    series, elapsed_s = Series(int(log), int(start), json.loads(patterns), file, json.loads(label)), 0.0
    for line in sys.stdin:
        signal.alarm(LOOK_S)
        moment, end = line.split()
        elapsed_s = float(moment)
        series.look(elapsed_s, int(end))
        signal.alarm(0)
    signal.alarm(LOOK_S)
    series.finish(elapsed_s)


if __name__ == "__main__":
    main(*sys.argv[1:])
