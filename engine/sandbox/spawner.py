"""One view of the machine, and the small process that starts commands in it."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autoresearch.engine import process
from autoresearch.engine.sandbox import syscalls
from autoresearch.engine.sandbox.kernel import PROGRAM, SCOPES_ABI, Kernel, processors, spawner_environment, this_kernel
from autoresearch.engine.sandbox.places import all_beside, devices, real_paths
from autoresearch.engine.sandbox.protection import Network

_SIZE = struct.Struct("<I")
_MOST_TASKS = max(8 * process.MOST_PROCESSES, 16384)
"""Processes and threads: against what multiplies faster than the engine looks. The kernel counts all of one's account,
or all in a spawner's namespace; root is not bound."""


@dataclass(frozen=True, slots=True)
class View:
    """What of the machine a spawner's commands see."""

    network: Network
    covered: tuple[Path, ...] = ()
    """Nobody reads these, or writes them."""
    unlisted: tuple[Path, ...] = ()
    """Of these, the names inside are hidden even where nothing can be covered."""
    fixed: tuple[Path, ...] = ()
    """Files in writable folders that nobody replaces."""
    held: tuple[Path, ...] = ()
    """If any: only these are written, by the way they are mounted and not by Landlock."""
    frozen_but: tuple[Path, ...] = ()
    """If any: outside of these no mode, owner or time is changed either, which Landlock would allow."""
    guarded: tuple[Path, ...] = ()
    """What in `held` is not written all the same."""
    inner: tuple[Path, ...] = ()
    """What in `guarded` is written all the same."""
    nests: bool = False
    """Commands may make namespaces and mounts of their own, which Landlock's rules on files would forbid."""
    shared_mb: float = 0.0
    """How much shared memory there is, where it is the view's own; 0: half of the machine's memory."""


class Spawner:
    """Starts commands with one view of the machine; its process is started when first needed, and again when stale."""

    def __init__(self, view: View, offered: Kernel | None = None) -> None:
        self.view = view
        self._offered = offered or this_kernel()
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._seen: object = None

    def start(
        self,
        command: process.Command,
        env: Mapping[str, str],
        files: tuple[int, int, int],
        writable: Sequence[Path] = (),
        seen: Mapping[str, object] | None = None,
    ) -> process.Child:
        """The command as a child of this process, with `files` for its stdin, stdout and stderr. Raises OSError.

        `writable` outside, and in what is mounted for it alone (`Seen`).
        """
        allowed = [str(path) for path in (*writable, *self._instead_of_mounts())]
        request = {
            "argv": list(command.argv),
            "cwd": str(command.cwd),
            "env": dict(env),
            "writable": allowed,
            "view": seen,
            "oom_score": str(process.OOM_SCORE),
            "grace_s": command.grace_s,
        }
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            fds = (theirs.fileno(), *files)
            with self._lock:
                answer = self._ask(request, fds)
                if answer is None:  # something ended the spawner, which is no reason not to measure
                    self._end()
                    answer = self._ask(request, fds)
        if answer is None:
            ours.close()
            raise OSError("the process that starts confined commands ends by itself")
        if answer["error"] is not None:
            ours.close()
            os.waitpid(answer["pid"], 0)
            raise OSError(*answer["error"])
        marker = env.get(process.MARKER, "")
        if self._offered.processes:
            return process.Led(answer["pid"], marker, ours)
        ours.close()
        return process.Child(answer["pid"], marker)

    def close(self) -> None:
        with self._lock:
            self._end()

    def _instead_of_mounts(self) -> Iterator[Path]:
        """What the view holds by mounts, where this machine has none, as what Landlock's rules allow.

        A folder on the way to what is guarded is left out, so no new names can be made in it.
        """
        if not self._held_by_rules:
            return
        guarded = [Path(path) for path in real_paths(self.view.guarded)]
        for path in real_paths(self.view.held):
            yield from all_beside(Path(path), guarded)
        yield from self.view.inner
        yield Path("/dev/shm")

    @property
    def _held_by_rules(self) -> bool:
        return bool(self.view.held) and not self._offered.held

    def _ask(self, request: dict[str, Any], fds: tuple[int, ...]) -> dict[str, Any] | None:
        self._make_ready()
        assert self._socket is not None
        try:
            _send(self._socket, request, fds)
            return _receive(self._socket)
        except (BrokenPipeError, ConnectionResetError):
            return None

    def _make_ready(self) -> None:
        seen = self._look()
        if self._child is not None and (seen != self._seen or self._child.poll() is not None):
            self._end()
        if self._child is None:
            self._begin()
            self._seen = seen

    def _look(self) -> object:
        """Changes when what is hidden or fixed is another file than when the spawner began."""
        view = self.view
        inodes = [_inode(path) for path in (*view.covered, *view.fixed, *view.held, *view.frozen_but)]
        if self._offered.mounts or not self._offered.landlock:
            return inodes
        # Rules hold for files, not for names: one that was replaced since could not be read any more.
        return inodes, sorted(_files_beside(real_paths(view.covered)))

    def _begin(self) -> None:
        import landlockpy

        offered, view = self._offered, self.view
        held = [] if self._held_by_rules else real_paths(view.held)
        order = {
            "user": offered.user or bool(held),
            "mounts": offered.mounts,
            "network": view.network if offered.network else "on",
            "shared_mb": view.shared_mb,
            "close_network": view.network != "on" and not offered.network,
            "cover": real_paths(view.covered),
            "unlisted": real_paths(view.unlisted),
            "fix": real_paths(view.fixed),
            "held": held,
            "frozen_but": real_paths(view.frozen_but),
            "guarded": real_paths(view.guarded) if held else [],
            "inner": real_paths(view.inner) if held else [],
            "nests": bool(held) or view.nests,
            "landlock": bool(offered.landlock) and not ((held or view.nests) and offered.landlock < SCOPES_ABI),
            "devices": devices(),
            "processes": _MOST_TASKS if os.getuid() else 0,
            "init": offered.processes,
            "proc": offered.mounts or os.getuid() != 0 or bool(os.statvfs("/proc/sys").f_flag & os.ST_RDONLY),
            "filter": syscalls.program().hex(),
            "cpus": processors(),
        }
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-I", "-S", str(PROGRAM), str(theirs.fileno())]
            self._child = subprocess.Popen(
                [*command, str(Path(landlockpy.__file__).parents[1])],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd="/",
                env=spawner_environment(),
                pass_fds=[theirs.fileno()],
            )
        self._socket = ours
        _send(ours, order, ())
        answer = _receive(ours)
        if answer is None or answer["error"] is not None:
            self._end()
            number, what, _ = answer["error"] if answer else (0, "it ended by itself", None)
            raise OSError(number, f"the process that starts confined commands could not begin: {what}")

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close()
        if self._child is not None:
            self._child.wait()
        self._child = self._socket = None


def _send(handle: socket.socket, message: dict[str, Any], fds: tuple[int, ...]) -> None:
    # ASCII, so that names that are no UTF-8 pass as they are.
    data = json.dumps(message).encode()
    socket.send_fds(handle, [_SIZE.pack(len(data))], fds) if fds else handle.sendall(_SIZE.pack(len(data)))
    handle.sendall(data)


def _receive(handle: socket.socket) -> dict[str, Any] | None:
    head = handle.recv(_SIZE.size, socket.MSG_WAITALL)
    if len(head) < _SIZE.size:
        return None
    (size,) = _SIZE.unpack(head)
    data = handle.recv(size, socket.MSG_WAITALL)
    found: dict[str, Any] | None = json.loads(data) if len(data) == size else None
    return found


def _inode(path: Path) -> tuple[int, int] | None:
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_dev, info.st_ino


def _files_beside(hidden: Sequence[str]) -> Iterator[tuple[str, int]]:
    """The files, with their inodes, in the folders on the way to what is hidden; not in those that all share."""
    for folder in {str(parent) for path in hidden for parent in Path(path).parents}:
        if Path(folder).stat().st_mode & 0o1000:
            continue
        with os.scandir(folder) as entries:
            yield from ((entry.path, entry.inode()) for entry in entries if entry.is_file(follow_symlinks=False))


def view_to_json(view: View) -> str:
    """For another process of ours; `view_from_json` reads it."""
    return json.dumps(asdict(view), default=str)


def view_from_json(text: str) -> View:
    found: dict[str, Any] = json.loads(text)
    found |= {name: tuple(map(Path, value)) for name, value in found.items() if isinstance(value, list)}
    return View(**found)
