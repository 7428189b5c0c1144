"""The figures of the viewer: the real app at a pty whose bytes are counted and whose keys are timed."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import statistics
import struct
import sys
import termios
import time
from pathlib import Path

import generated

from autoresearch.state.session import Session

FOLDER = Path(os.environ.get("BENCH_FOLDER", "/tmp"))
APP = [sys.executable, "-P", "-m", "autoresearch", "attach"]
_FILLED = b"Why it stopped"
"""On the page that a session at rest opens with, once its journal is read."""
HELLO = """\
from textual.app import App
from textual.widgets import Static
class Hello(App):
    def compose(self):
        yield Static("DISCARD")
Hello().run()
"""


def screen(experiments: int) -> dict[str, float]:
    """First frame, bytes at rest and under load, memory, how long a key takes; beside an app that shows one line."""
    repo = generated.repository(FOLDER / "r", 3)
    _, session = generated.session(repo, experiments)
    generated.log(session, experiments, lines=1_000_000)
    hello = FOLDER / "hello.py"
    hello.write_text(HELLO)
    floor = [sys.executable, str(hello)]
    frames = [_first(APP, repo, b"Experiments") for _ in range(3)]
    filled = [_first(APP, repo, _FILLED) for _ in range(3)]
    floors = [_first(floor, repo, b"DISCARD") for _ in range(3)]
    return {
        "frame": statistics.median(frames),
        "filled": statistics.median(filled),
        "frame_floor": statistics.median(floors),
        "memory_floor": _memory(floor, repo),
        "idle": _at_rest(repo, (120, 40)),
        "idle_meters": _at_rest(repo, (160, 50)),
        **_busy(session, repo, experiments),
    }


def night(experiments: int, arriving: int) -> dict[str, float]:
    """Memory before and after `arriving` further experiments, each with its lines, a heartbeat and a log of its own."""
    repo = generated.repository(FOLDER / "r", 3)
    _, session = generated.session(repo, experiments)
    generated.log(session, experiments, lines=2_000)
    with generated.arriving(session, experiments + 1, arriving) as done:
        terminal = _Pty(APP, repo)
        try:
            terminal.wait(b"DISCARD")
            terminal.drain(5.0)
            early, start = terminal.memory_mb(), _number(session)
            while not done.is_set():
                terminal.drain(1.0)
            terminal.drain(5.0)
            late, end = terminal.memory_mb(), _number(session)
        finally:
            terminal.kill()
    return {"early": early, "late": late, "between": end - start}


def _number(session: Session) -> int:
    return session.history().rows[-1].number


def _first(command: list[str], cwd: Path, wanted: bytes) -> float:
    start = time.perf_counter()
    terminal = _Pty(command, cwd)
    try:
        terminal.wait(wanted)
        return time.perf_counter() - start
    finally:
        terminal.kill()


def _memory(command: list[str], cwd: Path) -> float:
    terminal = _Pty(command, cwd)
    try:
        terminal.wait(b"DISCARD")
        terminal.drain(2.0)
        return terminal.peak_mb()
    finally:
        terminal.kill()


def _at_rest(cwd: Path, size: tuple[int, int]) -> float:
    terminal = _Pty(APP, cwd, size)
    try:
        terminal.wait(_FILLED)
        os.write(terminal.fd, b"\x1b")
        terminal.wait(b"DISCARD")
        terminal.drain(4.0)
        return terminal.drain(10.0) / 10.0
    finally:
        terminal.kill()


def _busy(session: Session, repo: Path, experiments: int) -> dict[str, float]:
    with generated.running(session, experiments):
        terminal = _Pty(APP, repo)
        try:
            terminal.wait(b"DISCARD")
            terminal.drain(2.0)
            bytes_s = terminal.drain(10.0) / 10.0
            keys = _keys(terminal, experiments)
            memory = terminal.peak_mb()
        finally:
            terminal.kill()
    return {
        "busy": bytes_s,
        "busy_memory": memory,
        "key": statistics.median(keys),
        "key_worst": max(keys),
    }


def _keys(terminal: _Pty, newest: int, presses: int = 120) -> list[float]:
    """From `j` or `k` to the moment when the cursor stands at the other experiment, at moments spread over the load."""
    took = []
    for press in range(presses):
        down = press % 2 == 0
        number = newest - 1 if down else newest
        terminal.drain(0.05 + 0.013 * (press % 7))
        start = time.perf_counter()
        os.write(terminal.fd, b"j" if down else b"k")
        terminal.wait_for(re.compile(rb">(?:\x1b\[[0-9;]*m)+ *%d\b" % number))
        took.append(time.perf_counter() - start)
    return took


class _Pty:
    """A program at a terminal."""

    def __init__(self, command: list[str], cwd: Path, size: tuple[int, int] = (120, 40)) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(cwd)
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
            os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", COLUMNS=str(size[0]), LINES=str(size[1]))
            os.execv(command[0], command)

    def wait(self, wanted: bytes) -> None:
        self.wait_for(re.compile(re.escape(wanted)))

    def wait_for(self, wanted: re.Pattern[bytes]) -> None:
        seen = b""
        while not wanted.search(seen):
            if not select.select([self.fd], [], [], 10.0)[0]:
                raise SystemExit(f"the screen did not show {wanted.pattern!r}")
            seen = seen[-4096:] + os.read(self.fd, 1 << 16)

    def drain(self, seconds: float) -> int:
        """Bytes that arrive in so many seconds."""
        count, end = 0, time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            if select.select([self.fd], [], [], left)[0]:
                count += len(os.read(self.fd, 1 << 16))
        return count

    def peak_mb(self) -> float:
        return peak_mb(self.pid)

    def memory_mb(self) -> float:
        return _status_mb(self.pid, "VmRSS")

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def peak_mb(pid: int | str) -> float:
    return _status_mb(pid, "VmHWM")


def _status_mb(pid: int | str, key: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(key))) / 1024
