"""A program at a pty: what it writes, the keys it gets, its end."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Callable

ESCAPE = "\x1b[27u"
"""As terminals with the kitty protocol send it: a bare one with a key behind it would be alt."""
_NOT_OURS = ("NO_COLOR", "TMUX", "COLUMNS", "LINES")
"""What the tests' own terminal says of itself."""


class Terminal:
    """A process at a pty, everything it wrote, and its end."""

    def __init__(self, argv: list[str], size: tuple[int, int] = (120, 40), **env: str) -> None:
        self.written = b""
        self.status: int | None = None
        world = {key: value for key, value in os.environ.items() if key not in _NOT_OURS}
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            # Before the program can ask for it.
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
            os.execvpe(argv[0], argv, {**world, "TERM": "xterm-256color", "COLORTERM": "truecolor", **env})

    def read(self, seconds: float) -> bytes:
        """What it writes within this time; less when it ends."""
        end = time.monotonic() + seconds
        got = b""
        while (left := end - time.monotonic()) > 0:
            if not select.select([self.fd], [], [], left)[0]:
                break
            try:
                data = os.read(self.fd, 1 << 16)
            except OSError:  # it has ended
                break
            if not data:
                break
            got += data
        self.written += got
        return got

    def until(self, condition: Callable[[], object], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"nothing happened; it wrote {self.written[-3000:]!r}"
            self.read(0.05)

    def press(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def ended(self) -> bool:
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = status
        return self.status is not None

    def close(self) -> None:
        """Close the terminal under the process."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def wait(self, seconds: float = 30.0) -> int:
        """Its exit code, negative for a signal."""
        deadline = time.monotonic() + seconds
        while not self.ended():
            assert time.monotonic() < deadline, "it did not end"
            if self.fd >= 0:
                self.read(0.05)
            else:
                time.sleep(0.02)
        while self.fd >= 0 and self.read(0.2):  # its last words
            pass
        assert self.status is not None
        return os.waitstatus_to_exitcode(self.status)

    def kill(self) -> None:
        """End it if it still runs, and close the terminal."""
        if not self.ended():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        self.close()
