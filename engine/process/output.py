"""A command's log while it grows: progress series read from it beside us, and the cut when it grew too large.

The command writes straight to the file; nothing of ours is in between. Memory stays bounded whatever it writes.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

LINE_BYTES = 4096
"""How far a whole line is looked for where a log is cut."""
_READ = 1 << 20
_KEPT = 8 << 20
"""Kept of each end of a log that passed its cap."""

ENGINE_LOG_MB = 32.0

_PATIENCE_S = 5.0
_PROGRAM = Path(__file__).with_name("progress_program.py")


class Progress:
    """Has the patterns looked for in a log by a program beside us (`progress_program`), which writes what it finds.

    A pattern may backtrack for ever on a line that a run prints, and Python's `re` holds the whole process meanwhile:
    no limit, heartbeat or request would be heard. That program ends itself when a look takes too long. The picture is
    lost then; the run is not.
    """

    def __init__(
        self, log: int, start: int, patterns: Mapping[str, re.Pattern[str]], file: Path, label: Mapping[str, str | int]
    ) -> None:
        self._log = log
        self._looked = start
        wanted = {name: pattern.pattern for name, pattern in patterns.items()}
        self._arguments = [str(log), str(start), json.dumps(wanted), str(file), json.dumps(dict(label))]
        self._program: subprocess.Popen[bytes] | None = None

    def look(self, elapsed_s: float, end: int) -> None:
        """Have what is new up to `end` read. It is not waited for."""
        if end == self._looked:
            return
        self._looked = end
        with contextlib.suppress(OSError):  # it has ended
            if self._program is None:
                self._program = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(_PROGRAM), *self._arguments],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    bufsize=0,
                    pass_fds=[self._log],
                )
            assert self._program.stdin is not None
            self._program.stdin.write(b"%f %d\n" % (elapsed_s, end))

    def finish(self, elapsed_s: float, end: int) -> None:
        """The last look, at a last line without an end too."""
        self.look(elapsed_s, end)
        if self._program is not None:
            try:
                self._program.communicate(timeout=_PATIENCE_S)
            except subprocess.TimeoutExpired:  # somebody stopped it
                self._program.kill()
                self._program.wait()


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
