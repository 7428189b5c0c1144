"""A command that was started: its main process and all that runs below it, ended and reaped as one."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import select
import signal
import socket
import subprocess
from typing import Any

from autoresearch.engine.process import descendants
from autoresearch.engine.process.seen import LINUX, Seen, table


class Child:
    """A main process that is a child of ours; what it leaves behind falls to us and is found by `descendants`."""

    def __init__(self, pid: int, marker: str, popen: subprocess.Popen[bytes] | None = None) -> None:
        self.pid = pid
        self._marker = marker
        self._popen = popen
        """Kept, because one that nobody holds would reap the process."""
        self._family = functools.partial(descendants.family, pid, marker)
        self._handle = os.pidfd_open(pid) if LINUX else -1

    def fileno(self) -> int:
        """Readable when the main process has ended; -1 where the system does not tell, and `has_ended` does."""
        return self._handle

    def has_ended(self) -> bool:
        """Without reaping, so that the resource usage can still be asked for."""
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def alive(self) -> dict[int, Seen]:
        """What runs of the command now, by pid."""
        return self._family().alive

    def end(self, grace_s: float) -> tuple[int, tuple[int, ...]]:
        """End all of it, TERM and after `grace_s` seconds KILL.

        Returns how many processes but the main one were ended, and the pids of those that even KILL did not end.
        """
        if self.has_ended() and descendants.nothing_inherited():
            return 0, ()
        ended, survivors = descendants.end(self._family, grace_s, group=self.pid, marker=self._marker)
        return len(ended - {self.pid}), tuple(sorted(survivors))

    def reap(self) -> tuple[int | None, float]:
        """Exit code, and the memory of the largest process in MB. No code for one that survived KILL."""
        pid, status, usage = os.wait4(self.pid, os.WNOHANG)
        if pid == 0:
            return None, 0.0
        code = os.waitstatus_to_exitcode(status)
        if self._popen is not None:
            self._popen.returncode = code
        return code, usage.ru_maxrss / (2**10 if LINUX else 2**20)

    def shared_memory(self) -> int | None:
        """A descriptor of its /dev/shm, the caller's to close; None where that is the machine's."""
        if not LINUX:
            return None
        try:
            found = os.open(f"/proc/{self.pid}/root/dev/shm", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return None  # it has ended already, or there is none
        with contextlib.suppress(OSError):
            if os.fstat(found).st_dev != os.stat("/dev/shm").st_dev:  # noqa: PTH116 - in every run
                return found
        os.close(found)
        return None

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


class Led(Child):
    """A command in a process namespace of its own: `pid` is its init, whose end is the end of all of it."""

    def __init__(self, pid: int, marker: str, control: socket.socket) -> None:
        """`control` is the run's socket, on which init says that it has started. Raises OSError when it has not."""
        super().__init__(pid, marker)
        self._control = control
        self._report: dict[str, Any] | None = None
        said, fds, _, _ = socket.recv_fds(control, 1024, 1)
        if not said:
            os.waitpid(pid, 0)
            self.close()
            raise OSError("the first process of a confined command ended by itself")
        self._shared = fds[0]

    def fileno(self) -> int:
        return self._control.fileno()

    def has_ended(self) -> bool:
        return self._report is not None or bool(select.select([self._control], [], [], 0)[0])

    def alive(self) -> dict[int, Seen]:
        processes = table()
        members = descendants.with_descendants([self.pid], processes)
        return {pid: processes[pid] for pid in members if pid != self.pid and processes[pid].state != "Z"}

    def end(self, grace_s: float) -> tuple[int, tuple[int, ...]]:
        others = 0
        if not self.has_ended():
            others = max(len(self.alive()) - 1, 0)
            with contextlib.suppress(OSError):
                self._control.send(b"TERM")
        if not self._is_over(grace_s):
            os.kill(self.pid, signal.SIGKILL)
            if not self._is_over(descendants.KILL_S):
                return others, tuple(self.alive())
        return others or int(self._last_words().get("left", 0)), ()

    def reap(self) -> tuple[int | None, float]:
        pid, status, _ = os.wait4(self.pid, os.WNOHANG)
        if pid == 0:
            return None, 0.0
        said = self._last_words()
        return os.waitstatus_to_exitcode(said.get("status", status)), said.get("peak_kb", 0) / 2**10

    def shared_memory(self) -> int | None:
        return os.dup(self._shared)

    def close(self) -> None:
        super().close()
        self._control.close()
        os.close(self._shared)

    def _is_over(self, within_s: float) -> bool:
        return bool(select.select([self._handle], [], [], within_s)[0])

    def _last_words(self) -> dict[str, Any]:
        """What init said when the main process ended; {} when init was killed before."""
        if self._report is None:
            data = b""
            with contextlib.suppress(OSError):
                data = self._control.recv(1024, socket.MSG_DONTWAIT)
            self._report = json.loads(data) if data else {}
        return self._report
