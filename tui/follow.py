"""Files that grow: a log as numbered lines, a progress file as series. They read; they never write and never draw.

A log may hold a million lines and gain thousands a second, so its lines stay in the file: the index keeps one number
per 16 KiB block, and only the lines on the screen are ever decoded.
"""

from __future__ import annotations

import math
import os
from bisect import bisect_left
from collections import OrderedDict
from pathlib import Path

import orjson

from autoresearch.state import text

_BLOCK = 1 << 14
_LONGEST = 8192
"""Bytes of one line that are ever decoded."""
_CACHED = 2048


def clean(line: str) -> str:
    """One line of text from outside, safe to show and as wide as it looks; its indentation stays."""
    return text.clean(line).replace("\n", " ").expandtabs(8)


class LogFile:
    """The lines of a file that may still grow. A missing file has none; a truncated or replaced one starts again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._forget()

    def _forget(self) -> None:
        self._identity: tuple[int, int] | None = None
        self._size = 0
        self._before: list[int] = []
        """Newlines before each block."""
        self._newlines = 0
        self._unfinished = False
        """The last line has no newline yet."""
        self._cache: OrderedDict[int, str] = OrderedDict()

    def __len__(self) -> int:
        return self._newlines + self._unfinished

    def advance(self, budget: int = 1 << 24) -> tuple[bool, bool]:
        """Index what the file has gained, at most about `budget` bytes: (something changed, more is waiting)."""
        try:
            with self.path.open("rb", buffering=0) as file:
                return self._index(file.fileno(), budget)
        except FileNotFoundError:
            changed = self._identity is not None
            self._forget()
            return changed, False

    def _index(self, fd: int, budget: int) -> tuple[bool, bool]:
        status = os.fstat(fd)
        identity = (status.st_dev, status.st_ino)
        fresh = identity != self._identity or status.st_size < self._size
        if fresh:
            self._forget()
            self._identity = identity
        if status.st_size == self._size:
            return fresh, False
        if self._unfinished:
            self._cache.pop(self._newlines, None)
        end = min(status.st_size, self._size + budget)
        while self._size < end:
            room = _BLOCK - self._size % _BLOCK
            data = os.pread(fd, room, self._size)
            if not data:
                break
            if room == _BLOCK:
                self._before.append(self._newlines)
            self._newlines += data.count(b"\n")
            self._size += len(data)
            self._unfinished = not data.endswith(b"\n")
        return True, self._size < status.st_size

    def line(self, number: int) -> str:
        """Line `number`, counted from 0, cleaned; empty when it is no longer there."""
        cached = self._cache.get(number)
        if cached is not None:
            self._cache.move_to_end(number)
            return cached
        try:
            with self.path.open("rb", buffering=0) as file:
                line = self._read(file.fileno(), number)
        except FileNotFoundError:
            return ""
        self._cache[number] = line
        if len(self._cache) > _CACHED:
            self._cache.popitem(last=False)
        return line

    def _read(self, fd: int, number: int) -> str:
        start = self._newline(fd, number) + 1 if number else 0
        end = self._newline(fd, number + 1) if number < self._newlines else self._size
        raw = os.pread(fd, min(end - start, _LONGEST), start)
        if end - start > _LONGEST:
            tail = os.pread(fd, _LONGEST, end - _LONGEST)
            raw = tail if b"\r" in tail.rstrip(b"\r") else raw
        return clean(raw.decode("utf-8", "replace"))

    def _newline(self, fd: int, nth: int) -> int:
        """Offset of the nth newline, counted from 1."""
        block = bisect_left(self._before, nth) - 1
        data = os.pread(fd, _BLOCK, block * _BLOCK)
        at = -1
        for _ in range(nth - self._before[block]):
            at = data.find(b"\n", at + 1)
            if at < 0:
                return self._size  # the file was rewritten under us; the next advance starts again
        return block * _BLOCK + at


class ProgressFile:
    """The newest sample's series in a `progress.jsonl`: {"t": seconds, "name": …, "value": …} per line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.series: dict[str, list[tuple[float, float]]] = {}
        """By name, in the order of first appearance; each a list of (t, value), not finite values included."""
        self._offset = 0

    def advance(self) -> bool:
        """Read what was added; True when the series changed. A shorter file is read again from its start."""
        try:
            with self.path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self._offset:
                    self._offset = 0
                    self.series = {}
                file.seek(self._offset)
                data = file.read(1 << 22)
        except FileNotFoundError:
            return False
        whole = data.rfind(b"\n") + 1
        self._offset += whole
        for line in data[:whole].splitlines():
            self._add(line)
        return whole > 0

    def _add(self, line: bytes) -> None:
        try:
            point = orjson.loads(line)
            at, name, value = float(point["t"]), str(point["name"]), point["value"]
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            return  # another program's line, or half of one: a series can miss a point
        value = float(value) if isinstance(value, (int, float)) else math.nan
        series = self.series.setdefault(name, [])
        if series and at < series[-1][0]:
            # The clock of a run starts at 0: the next sample has begun.
            for points in self.series.values():
                points.clear()
        series.append((at, value))


def at_second(points: list[tuple[float, float]], second: float) -> float | None:
    """The last finite value at or before `second`; None when there is none."""
    for at, value in reversed(points[: bisect_left(points, (second, math.inf))]):
        if at <= second and math.isfinite(value):
            return value
    return None
