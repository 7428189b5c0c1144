"""From a session's files to messages: what the screen learns, it learns here and nowhere else.

One thread looks at the files at most four times a second, and at least once: changes come from the kernel where it
tells them (inotify through watchfiles), from looking where it does not (network file systems). It reads and posts; the
screen owns what it is given.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from textual.message import Message
from textual.message_pump import MessagePump

from autoresearch.state.journal import History, Reader
from autoresearch.state.session import Live, Request, Session, on_network

HZ = 4
_AT_ONCE = 2000
"""Journal lines per message: folding them takes the screen about 40 ms."""


class Feed(threading.Thread):
    """Reads one session and posts what it finds to `pump` until `stop`."""

    @dataclass
    class Reading(Message):
        """The journal is being read for the first time."""

        part: float

    @dataclass
    class Opened(Message):
        """The journal is read; the history is the receiver's from now on."""

        history: History

    @dataclass
    class Grew(Message):
        """Further journal lines with their offsets, to be fed into the history."""

        lines: list[tuple[int, bytes]]

    @dataclass
    class Failed(Message):
        """The journal cannot be read now; the feed goes on trying."""

        text: str
        gone: bool = False
        """The session's folder is not there any more."""

    @dataclass
    class Beat(Message):
        """Once a second, and with new journal lines: the heartbeat, the lock and the inbox."""

        live: Live | None
        pid: int | None
        inbox: list[Request]

    class Wrote(Message):
        """Something in the watched run's folder changed."""

    def __init__(self, session: Session, pump: MessagePump) -> None:
        super().__init__(name="feed", daemon=True)  # nothing of it has to outlive the screen
        self.session = session
        self.pump = pump
        self.run_folder: Path | None = None
        """The run whose files the screen shows; set by the screen."""
        self._ended = threading.Event()

    def stop(self) -> None:
        self._ended.set()

    def run(self) -> None:
        self._beat()
        while not self._ended.is_set():
            reader = self._open()
            if reader is None:
                self._ended.wait(1.0)
                continue
            watch = Watch(self._folders, self._ended)
            last_beat = 0.0
            seen: object = None
            while not self._ended.is_set():
                lines = self._more(reader)
                if lines is None:
                    break
                # The heartbeat goes first, so that the state line is never behind the table; and again when it alone
                # has changed, because an engine writes it after the journal's line.
                stamp = self._stamp()
                if lines or stamp != seen or time.monotonic() - last_beat >= 0.95:
                    last_beat, seen = time.monotonic(), stamp
                    self._beat()
                if lines:
                    self.pump.post_message(self.Grew(lines))
                if len(lines) < _AT_ONCE and watch.changed():
                    self.pump.post_message(self.Wrote())

    def _folders(self) -> tuple[Path, ...]:
        run = self.run_folder
        folders = (self.session.folder, self.session.inbox, *([run] if run is not None else ()))
        return tuple(folder for folder in folders if folder.is_dir())

    def _open(self) -> Reader | None:
        """Fold the journal from its start. A second thread of Python beside the screen costs it 6 ms of latency."""
        history = History()
        path = self.session.journal
        reader = Reader(path)
        try:
            size = max(1, path.stat().st_size)
            for count, (at, line) in enumerate(reader.lines()):
                history.feed(at, line)
                if count % 4000 == 3999:
                    self.pump.post_message(self.Reading(at / size))
                    if self._ended.is_set():
                        return None
        except OSError as error:
            self._fail(error)
            return None
        self.pump.post_message(self.Opened(history))
        return reader

    def _more(self, reader: Reader) -> list[tuple[int, bytes]] | None:
        """New lines; None when the journal has to be read again from its start, because it was replaced."""
        try:
            if reader.replaced():
                return None
            return list(islice(reader.lines(), _AT_ONCE))
        except OSError as error:
            self._fail(error)
            return None

    def _stamp(self) -> object:
        """Of the heartbeat and the inbox."""
        stamps = []
        for path in (self.session.live, self.session.inbox):
            with contextlib.suppress(OSError):
                status = path.stat()
                stamps.append((status.st_mtime_ns, status.st_ino))
        return stamps

    def _fail(self, error: OSError) -> None:
        gone = isinstance(error, FileNotFoundError)
        why = "is not there: the session was deleted or moved" if gone else f"cannot be read: {error.strerror or error}"
        self.pump.post_message(self.Failed(f"The journal {self.session.journal} {why}.", gone))

    def _beat(self) -> None:
        try:
            pid = self.session.engine_pid()
        except OSError as error:
            self.pump.post_message(self.Failed(f"The lock {self.session.lock_file} cannot be read: {error.strerror}."))
            return
        self.pump.post_message(self.Beat(self.session.read_live(), pid, self.session.asked()))


class Watch:
    """Waits for changes in a few folders, not in what lies below them."""

    def __init__(self, folders: Callable[[], tuple[Path, ...]], ended: threading.Event, poll: bool | None = None):
        self.folders = folders
        self.ended = ended
        self.poll = poll
        self._seen: dict[str, tuple[int, int]] = {}

    def changed(self) -> bool:
        """Wait a second at most, a quarter at least; True when something changed."""
        folders = self.folders()
        started = time.monotonic()
        poll = not folders or (any(on_network(folder) for folder in folders) if self.poll is None else self.poll)
        found = self._look(folders) if poll else self._listen(folders)
        self.ended.wait(max(0.0, started + 1 / HZ - time.monotonic()))
        return found

    def _listen(self, folders: tuple[Path, ...]) -> bool:
        from watchfiles import watch  # 30 ms, so not before the first frame

        # The kernel tells nothing from before its watch began, and each call begins a new one: compare first.
        if self._look(folders):
            return True
        try:
            events = watch(
                *folders,
                watch_filter=None,  # the default one ignores what lies in .git, and the session does
                recursive=False,  # there may be 10,000 run folders
                debounce=1000 // HZ,
                step=50,
                rust_timeout=1000,
                yield_on_timeout=True,
                stop_event=self.ended,
                raise_interrupt=False,
            )
            for changes in events:
                # Take in what is there now: whoever asked looks at the files after this, so nothing is missed.
                return self._look(folders) or bool(changes)
        except (OSError, RuntimeError):
            # No inotify watches left (the user's limit), or a folder that has just gone: looking always works.
            self.poll = True
        return False

    def _look(self, folders: tuple[Path, ...]) -> bool:
        seen: dict[str, tuple[int, int]] = {}
        for folder in folders:
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        status = entry.stat(follow_symlinks=False)
                        seen[entry.path] = (status.st_size, status.st_mtime_ns)
            except OSError:
                continue  # it was deleted meanwhile: that is a change, and `seen` says so
        changed = seen != self._seen
        self._seen = seen
        return changed
