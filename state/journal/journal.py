"""autoresearch.jsonl: append, read, follow. The truth of a session; lines are only ever added.

An append is one write of whole lines and an fdatasync, made by whoever holds the session's lock. A short or failed
write is cut back to the last whole line before anything else; a failed fdatasync means that the kernel may have dropped
what we wrote, so the engine must end (`JournalLost`). Readers need no lock: they take complete lines and wait for the
newline of the last one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from autoresearch.state.faults import reach
from autoresearch.state.journal import records

_BLOCK = 1 << 20


class JournalLost(Exception):
    """The journal could not be written; nothing after the last whole line is on disk."""


class Journal:
    """The writing end. Open it only while holding the session's lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.torn = self._set_torn_line_aside()
        self.size = os.fstat(self._fd).st_size

    def append(self, *lines: records.Record) -> list[tuple[int, bytes]]:
        """Write the records as one unit and make them durable; gives each line's offset and bytes.

        Raises JournalLost when the disk refused; the file then ends with a whole line.
        """
        written = []
        at = self.size
        for record in lines:
            line = records.encode(record)
            written.append((at, line))
            at += len(line)
        data = b"".join(line for _, line in written)
        try:
            count = os.write(self._fd, data)
            if count != len(data):
                raise OSError(28, "short write: the disk is full")
        except OSError as error:
            os.ftruncate(self._fd, self.size)
            raise JournalLost(f"The journal {self.path} could not be written: {error.strerror}.") from error
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            raise JournalLost(f"The journal {self.path} could not be made durable: {error.strerror}.") from error
        self.size = at
        for record in lines:
            reach(f"after:{record.type}")
        return written

    def close(self) -> None:
        os.close(self._fd)

    def _set_torn_line_aside(self) -> bytes:
        """A last line without a newline is what a power cut left: move it to `.torn` so that it cannot eat the next."""
        size = os.fstat(self._fd).st_size
        whole = _end_of_last_line(self._fd, size)
        if whole == size:
            return b""
        torn = os.pread(self._fd, size - whole, whole)
        with self.path.with_name(self.path.name + ".torn").open("ab") as aside:
            aside.write(torn + b"\n")
            aside.flush()
            os.fsync(aside.fileno())
        os.ftruncate(self._fd, whole)
        os.fdatasync(self._fd)
        return torn


class Reader:
    """The reading end: complete lines since the last call, each with its offset. Needs no lock, survives a torn end."""

    def __init__(self, path: Path, start: int = 0) -> None:
        self.path = path
        self.offset = start
        self._file: tuple[int, int] | None = None

    def replaced(self) -> bool:
        """Whether another file is there now, or a shorter one: a pull, a restore. Then all has to be read again.

        Raises OSError when none is there.
        """
        now = self.path.stat()
        return now.st_size < self.offset or self._file not in (None, (now.st_dev, now.st_ino))

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """(offset, line without newline) of every complete line not yet given."""
        try:
            file = self.path.open("rb", buffering=0)
        except FileNotFoundError:
            return
        with file:
            status = os.fstat(file.fileno())
            self._file = self._file or (status.st_dev, status.st_ino)
            file.seek(self.offset)
            rest = b""
            while block := file.read(_BLOCK):
                *lines, rest = (rest + block).split(b"\n")
                for line in lines:
                    at = self.offset
                    self.offset += len(line) + 1
                    yield at, line


def read_line(path: Path, offset: int) -> records.Record:
    """The record whose line begins at `offset`."""
    with path.open("rb") as file:
        file.seek(offset)
        return records.decode(file.readline())


def read_objects(path: Path, start: int, end: int) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of the lines that begin in [start, end); a malformed line is left out."""
    reader = Reader(path, start)
    for at, line in reader.lines():
        if at >= end:
            return
        try:
            data = orjson.loads(line)
        except orjson.JSONDecodeError:
            continue
        if isinstance(data, dict) and not records.problem(data, records.name_in(data)):
            yield at, data


def _end_of_last_line(fd: int, size: int) -> int:
    end = size
    while end > 0:
        start = max(0, end - _BLOCK)
        newline = os.pread(fd, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
