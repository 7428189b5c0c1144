"""A session's heartbeat as one reader sees it.

Where the engine runs here, its heartbeat carries the time of the reader's own clock and its lock can be seen. On
another machine, or through a network file system, the clock may be hours off and the lock invisible: there a heartbeat
is alive because it *changes* while somebody watches.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from autoresearch.state.journal import records
from autoresearch.state.session.session import Live, Session

SILENT_MS = 8_000
"""A heartbeat comes every 2 s; an engine this long without one does not respond, and people see it within 10 s."""
SILENT_ON_NETWORK_MS = 15_000
"""The same where a file system may show what it read a while ago."""
_EVERY_S = 0.2

MOUNTS = Path("/proc/self/mounts")
_NETWORK = ("nfs", "cifs", "smb", "9p", "afs", "ceph", "lustre", "gpfs", "beegfs", "fuse", "virtiofs", "vboxsf")


@dataclass(slots=True)
class Heartbeat:
    """What one reader has seen of a session's heartbeat; `saw` takes in what it reads now."""

    on_network: bool = False
    """The session's folder lies on a network file system."""
    live: Live | None = None
    """The last one that could be read."""
    moved: bool = False
    """It changed while we watched."""
    _watched_since: int = 0
    _changed_at: int = 0
    """ms of the reader's clock, as are all times here; of the last change, 0 before the first."""
    _seen: tuple[int, int] | None = None

    def saw(self, live: Live | None, now_ms: int) -> Live | None:
        """What live.json says; the one before where it cannot be read for a moment and is not ours to judge by."""
        if live is None:
            if not self.shared:
                self.live = None
            return self.live
        seen = (live.pid, live.updated)
        if seen != self._seen:
            if self._seen is None:
                self._watched_since = now_ms
            else:
                self.moved, self._changed_at = True, now_ms
            self._seen = seen
        self.live = live
        return live

    @property
    def host(self) -> str:
        """The other machine's name; "" where the engine runs, or ran, on this one."""
        return runs_elsewhere(self.live)

    @property
    def shared(self) -> bool:
        """Neither its clock nor its lock can be relied upon from here."""
        return self.live is not None and (self.on_network or bool(self.host))

    @property
    def patience_ms(self) -> int:
        return SILENT_ON_NETWORK_MS if self.on_network and self.shared else SILENT_MS

    def quiet_ms(self, now_ms: int) -> int:
        """How long there has been no sign: by its clock where that is ours, else since it changed under our eyes."""
        if self.live is None:
            return 0
        if not self.shared:
            return now_ms - self.live.updated
        return now_ms - (self._changed_at or self._watched_since)

    def behind_ms(self, now_ms: int) -> int:
        """How far its clock is behind ours, as far as that can be seen: to be taken from a time of ours."""
        if self.live is None or not self.shared:
            return 0
        return now_ms - self.quiet_ms(now_ms) - self.live.updated

    def seems_fresh(self, now_ms: int) -> bool:
        """Before anything changed: the clocks agree, and it was written just now."""
        return self.live is not None and 0 <= now_ms - self.live.updated <= SILENT_MS


def heartbeat_of(session: Session) -> Heartbeat:
    return Heartbeat(MOUNTS.exists() and on_network(session.folder))


def runs_elsewhere(live: Live | None) -> str:
    """The other machine's name when the engine runs on one; "" for this one."""
    return live.host if live is not None and live.host and live.host != socket.gethostname() else ""


def watch_heartbeat(
    sessions: Iterable[Session], clock: Callable[[], int] = records.now_ms, *, surely: bool = False
) -> dict[str, Heartbeat]:
    """The heartbeats of sessions by name, for whoever looks only once.

    Those that have to be judged by their changes are watched, together, until they change or have been silent too long;
    it returns at once where there are none. With `surely` one is watched too whose clock seems to agree with ours.
    """
    found: dict[str, Heartbeat] = {}
    waiting: list[Session] = []
    for session in sessions:
        beat = found[session.name] = heartbeat_of(session)
        live = beat.saw(session.read_live(), clock())
        if live is not None and live.phase != "ended" and beat.shared and (surely or not beat.seems_fresh(clock())):
            waiting.append(session)
    while waiting:
        time.sleep(_EVERY_S)
        for session in list(waiting):
            beat = found[session.name]
            live = beat.saw(session.read_live(), clock())
            ended = live is None or live.phase == "ended"
            if ended or beat.moved or beat.quiet_ms(clock()) > beat.patience_ms:
                waiting.remove(session)
    return found


def on_network(path: Path, mounts: Path = MOUNTS) -> bool:
    """Whether other machines may change files under `path` without this kernel noticing."""
    try:
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return True  # no such table (macOS): looking is right everywhere
    best, kind = "", ""
    for line in lines:
        _, where, fstype, *_ = line.split(" ")
        where = where.replace("\\040", " ")
        if (str(path) == where or str(path).startswith(where.rstrip("/") + "/")) and len(where) >= len(best):
            best, kind = where, fstype
    return kind.startswith(_NETWORK)
