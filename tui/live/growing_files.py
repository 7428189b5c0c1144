"""Files that grow: a log as numbered lines, a progress file as series. They read; they never write and never draw.

A log may hold a million lines and gain thousands a second, so its lines stay in the file: the index keeps one number
per 16 KiB block, and only the lines on the screen are ever decoded.
"""

from __future__ import annotations

import math
import os
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from autoresearch.state.text import safe_line

_BLOCK = 1 << 14
_LONGEST = 8192
"""Bytes of one line that are ever decoded."""
_CACHED = 2048
_POINTS = 20_000
"""Of one series in memory: a run may print a million, a screen has 400 dots in a row."""


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
        return safe_line(raw.decode("utf-8", "replace"))

    def search(self, words: str, start: int, forward: bool, stop: Callable[[], bool] = lambda: False) -> int | None:
        """The first line from `start` on (or back to the first one) that shows `words`; None without one.

        Upper-case letters count only where `words` has some. For a thread: a million lines take a quarter of a second.
        """
        folds = words == words.lower()
        needle = words.encode()
        try:
            with self.path.open("rb", buffering=0) as file:
                for at in self._candidates(file.fileno(), needle, start, forward, folds):
                    if stop():
                        return None
                    line = self._read(file.fileno(), at)
                    if words in (line.lower() if folds else line):
                        return at
        except FileNotFoundError:
            pass
        return None

    def _candidates(self, fd: int, needle: bytes, start: int, forward: bool, folds: bool) -> Iterator[int]:
        """Lines whose bytes hold `needle`; not all of them show it: a carriage return may have hidden it."""
        last = len(self) - 1
        blocks = range(len(self._before)) if forward else reversed(range(len(self._before)))
        known = -1
        for block in blocks:
            first = self._before[block]
            beyond = self._before[block + 1] if block + 1 < len(self._before) else last
            if (beyond < start) if forward else (first > start):
                continue
            # With the beginning of the next one: what is looked for may lie across the border.
            data = os.pread(fd, _BLOCK + len(needle) - 1, block * _BLOCK)
            data = data.lower() if folds else data
            found = list(_places(data, needle)) if needle in data else []
            for at in found if forward else reversed(found):
                line = first + data.count(b"\n", 0, at)
                if line != known and line <= last and (line >= start if forward else line <= start):
                    known = line
                    yield line

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


def _places(data: bytes, needle: bytes) -> Iterator[int]:
    at = data.find(needle)
    while at >= 0:
        yield at
        at = data.find(needle, at + 1)


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
        if len(series) > _POINTS:
            series[:-1] = thinned(series[:-1])


class Progress:
    """The live series of the running experiment and of the best, by name."""

    def __init__(self) -> None:
        self.mine: ProgressFile | None = None
        self.best: ProgressFile | None = None

    def aim(self, run: Path | None, incumbent: Path | None) -> bool:
        """Follow these runs' progress files; True when they are other ones."""
        before = (self.mine, self.best)
        if (self.mine and self.mine.path) != run:
            self.mine = ProgressFile(run) if run else None
        if (self.best and self.best.path) != incumbent:
            self.best = ProgressFile(incumbent) if incumbent else None
        return before != (self.mine, self.best)

    def look(self) -> bool:
        """Read what the files gained; True when there was something."""
        return any([file.advance() for file in (self.mine, self.best) if file is not None])

    def names(self) -> list[str]:
        return [name for name, points in self.mine.series.items() if points] if self.mine else []

    def of(self, name: str) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        """The running experiment's points and the best's."""
        mine, best = (file.series.get(name, []) if file else [] for file in (self.mine, self.best))
        return mine, best


def thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Half of the points: of each four the smallest and the largest, so that no spike and no NaN is lost."""
    kept: list[tuple[float, float]] = []
    for start in range(0, len(points), 4):
        four = points[start : start + 4]
        odd = [point for point in four if not math.isfinite(point[1])][:1]
        finite = [point for point in four if math.isfinite(point[1])]
        ends = {min(finite, key=lambda point: point[1]), max(finite, key=lambda point: point[1])} if finite else set()
        kept += sorted({*odd, *ends}, key=lambda point: point[0])
    return kept


def at_second(points: list[tuple[float, float]], second: float) -> float | None:
    """The last finite value at or before `second`; None when there is none."""
    for at, value in reversed(points[: bisect_left(points, (second, math.inf))]):
        if at <= second and math.isfinite(value):
            return value
    return None
