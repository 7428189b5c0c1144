"""A command's log while it grows: progress series read from it, and the cut when it grew too large.

The command writes straight to the file; nothing of ours is in between. Memory stays bounded whatever it writes.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path

import orjson

LINE_BYTES = 4096
"""Longer lines are not searched for progress beyond this."""
_READ = 1 << 20
_BEHIND = 8 << 20
"""When the log grew by more between two looks, only its last megabyte is read: progress is a picture, not a record."""
_KEPT = 8 << 20
"""Kept of each end of a log that passed its cap."""

_REPLACED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO})
"""The command removed our file or put something else in its place: the picture is lost, the run is not."""

ENGINE_LOG_MB = 32.0

_LINE_ENDS = re.compile(rb"[\r\n]")


class Progress:
    """Appends `{"t", "name", "value", **label}` to a file for what the patterns find in a log.

    At most one line per name and look. The value is group 1 of a pattern, or the whole match; a match that is no number
    is passed over, and one that is not finite is null.
    """

    def __init__(
        self, log: int, start: int, patterns: Mapping[str, re.Pattern[str]], file: Path, label: Mapping[str, str | int]
    ) -> None:
        self._log = log
        self._position = start
        self._patterns = patterns
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

    def finish(self, elapsed_s: float, end: int) -> None:
        """The last look, at a last line without an end too."""
        self.look(elapsed_s, end)
        found: dict[str, float] = {}
        self._match(self._partial, found)
        self._partial = b""
        self._write(elapsed_s, found)

    def _match(self, line: bytes, found: dict[str, float]) -> None:
        if not line:
            return
        text = line[:LINE_BYTES].decode(errors="replace")
        for name, pattern in self._patterns.items():
            match = pattern.search(text)
            if match is None:
                continue
            try:
                found[name] = float(match[1] if pattern.groups else match[0])
            except (ValueError, TypeError):  # an optional group that took no part is None
                continue

    def _write(self, elapsed_s: float, found: dict[str, float]) -> None:
        if not found:
            return
        t = round(elapsed_s, 2)
        lines = b"".join(
            orjson.dumps(
                {"t": t, "name": name, "value": value if math.isfinite(value) else None, **self._label},
                option=orjson.OPT_APPEND_NEWLINE,
            )
            for name, value in found.items()
        )
        # Without O_NONBLOCK a pipe that the command put there would block us.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
        try:
            with open(os.open(self._file, flags, 0o600), "ab", buffering=0) as file:  # noqa: PTH123 - a descriptor
                file.write(lines)
        except OSError as error:
            if error.errno not in _REPLACED:
                raise


def cap_engine_log(path: Path) -> None:
    """Shorten an engine's own log when it has passed its cap; missing is fine."""
    with contextlib.suppress(OSError):  # a full disk or a missing file: it is a log
        if path.lstat().st_size > ENGINE_LOG_MB * 2**20:
            cut_log(path, 0, ENGINE_LOG_MB)


def cut_log(path: Path, start: int, cap_mb: float) -> int:
    """Shorten the part of `path` from `start` on to its head, a line that says so, and its tail; its new end.

    Each end keeps half of `cap_mb`, 8 MB at most, in whole lines where lines are short.
    """
    keep = min(_KEPT, int(cap_mb * 2**20) // 2)
    with path.open("r+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        if size - start <= 2 * keep:
            return size
        head = _after_line_end(file.fileno(), start + keep - LINE_BYTES, start + keep)
        tail = _after_line_end(file.fileno(), size - keep, size - keep + LINE_BYTES)
        marker = f"=== the log passed {cap_mb:g} MB: {(tail - head) / 2**20:.1f} MB are left out here ===\n".encode()
        if os.pread(file.fileno(), 1, head - 1) != b"\n":
            marker = b"\n" + marker
        if tail - head <= len(marker):
            return size
        target = os.pwrite(file.fileno(), marker, head) + head
        # Forwards: the target always lies before what is still to be read.
        while data := os.pread(file.fileno(), _READ, tail):
            tail += len(data)
            target += os.pwrite(file.fileno(), data, target)
        file.truncate(target)
        return target


def _after_line_end(file: int, start: int, end: int) -> int:
    """Just after the last newline in [start, end), or `end` when there is none."""
    start = max(start, 0)
    found = os.pread(file, end - start, start).rfind(b"\n")
    return end if found < 0 else start + found + 1
