"""The viewer in a real terminal: a pty whose bytes are counted, a terminal that is closed, and tmux."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest
import sessions
from terminals import Terminal
from viewing import VIEW, beating, viewed


def test_it_shows_and_leaves_and_gives_the_terminal_back(tmp_path: Path) -> None:
    with viewed(sessions.paused(tmp_path)) as terminal:
        terminal.until(lambda: b"PAUSED" in terminal.written and b"Why it stopped" in terminal.written)
        terminal.press("q")
        assert terminal.wait() == 0
        assert b"\x1b[?1049l" in terminal.written


IGNORING = ["bash", "-c", "trap '' HUP; exec \"$@\"", "bash"]


@pytest.mark.parametrize("prefix", [[], IGNORING], ids=["plain", "sighup-ignored"])
def test_a_closed_terminal_ends_the_viewer(tmp_path: Path, prefix: list[str]) -> None:
    writer = sessions.running(tmp_path)
    with beating(writer), viewed(writer, prefix=prefix) as terminal:
        terminal.until(lambda: b"DISCARD" in terminal.written)
        terminal.close()
        assert terminal.wait() == -signal.SIGHUP
    assert writer.session.requests() == []


def test_ctrl_c_says_how_to_leave_and_goes_on(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path)
    with beating(writer), viewed(writer) as terminal:
        terminal.until(lambda: b"DISCARD" in terminal.written)
        terminal.press("\x03")
        terminal.until(lambda: b"q leaves" in terminal.written)
        assert not terminal.ended()
        terminal.press("q")
        terminal.until(lambda: b"leave it running" in terminal.written)
        terminal.press("l")
        assert terminal.wait() == 0


def test_sigterm_leaves_an_orderly_terminal(tmp_path: Path) -> None:
    with viewed(sessions.paused(tmp_path)) as terminal:
        terminal.until(lambda: b"Why it stopped" in terminal.written)
        os.kill(terminal.pid, signal.SIGTERM)
        assert terminal.wait() == 143
        assert b"\x1b[?1049l" in terminal.written


def test_an_error_of_the_viewer_is_a_code_and_no_values(tmp_path: Path) -> None:
    before = """
from autoresearch.tui.widgets.state_line import StateLine
def broken(self, y):
    api_key = "-".join(["sk", "very", "secret"])
    raise RuntimeError("the state line is broken")
StateLine.render_line = broken
"""
    with viewed(sessions.paused(tmp_path), before=before) as terminal:
        assert terminal.wait() == 1
        assert b"the state line is broken" in terminal.written
        assert b"sk-very-secret" not in terminal.written


def test_no_color_means_no_colour_codes(tmp_path: Path) -> None:
    with viewed(sessions.paused(tmp_path), NO_COLOR="1") as terminal:
        terminal.until(lambda: b"Why it stopped" in terminal.written)
        styles = set(re.findall(rb"\x1b\[([0-9;]*)m", terminal.written))
        codes = {int(code) for style in styles for code in style.split(b";") if code}
        assert codes <= {0, 1, 2, 7, 22, 27, 39, 49}


def test_at_rest_it_sends_next_to_nothing(tmp_path: Path) -> None:
    with viewed(sessions.paused(tmp_path)) as terminal:
        terminal.until(lambda: b"Why it stopped" in terminal.written)
        terminal.until(lambda: len(terminal.read(4.0)) <= 4 * 1024)


def test_nothing_glides() -> None:
    """Textual reads it when it is first imported, so no import of it may stand before ours is set."""
    asked = "import autoresearch.tui.app.app as _; from textual import constants as c; "
    asked += "print(c.SMOOTH_SCROLL, c.TEXTUAL_ANIMATIONS)"
    environ = {key: value for key, value in os.environ.items() if not key.startswith("TEXTUAL_")}
    said = subprocess.run([sys.executable, "-c", asked], env=environ, capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["False", "none"]


def test_a_busy_log_stays_within_the_budget_of_a_slow_line(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path)
    output = writer.session.run(writer.number) / "output.log"
    ended = threading.Event()

    def train() -> None:
        number = 0
        with output.open("a") as file:
            while not ended.wait(0.05):
                for _ in range(85):
                    number += 1
                    file.write(f"step {number:6d} | loss {2 + 1 / number:.4f} | lr 6.00e-04 | tokens/s 123456\n")
                file.flush()

    trainer = threading.Thread(target=train)
    with beating(writer), viewed(writer) as terminal:
        terminal.until(lambda: b"DISCARD" in terminal.written)
        trainer.start()
        try:
            terminal.until(lambda: b"tokens/s" in terminal.written)
            terminal.read(1.0)
            before = time.monotonic()
            sent = len(terminal.read(5.0)) / (time.monotonic() - before)
        finally:
            ended.set()
            trainer.join()
        assert 500 < sent <= 35 * 1024


@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
def test_tmux_shows_the_same_and_passes_the_keys_on(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path / "s")
    # tmux's socket path has to be short.
    tmux = ["tmux", "-L", f"autoresearch-test-{os.getpid()}", "-f", "/dev/null"]

    def pane() -> str:
        return subprocess.run([*tmux, "capture-pane", "-p"], capture_output=True, text=True, check=True).stdout

    def until(words: str) -> None:
        deadline = time.monotonic() + 60
        while words not in pane():
            assert time.monotonic() < deadline, f"{words!r} did not come:\n{pane()}"
            time.sleep(0.05)

    script = tmp_path / "view.py"
    script.write_text(VIEW.format(before="", options=""))
    command = f"'{sys.executable}' '{script}' '{writer.session.folder}'; sleep 60"
    with beating(writer):
        subprocess.run([*tmux, "new-session", "-d", "-x", "80", "-y", "24", command], check=True)
        try:
            until("DISCARD ×")
            until("RUNNING")
            lines = pane().splitlines()
            assert "RUNNING" in lines[0]
            assert "q quit" in lines[-1]
            assert max(len(line) for line in lines) <= 80
            for key, words in (("2", "step   228"), ("Tab", "To try (3)"), ("BTab", "step   228"), ("s", "Stop now?")):
                subprocess.run([*tmux, "send-keys", key], check=True)
                until(words)
            subprocess.run([*tmux, "send-keys", "y"], check=True)
            deadline = time.monotonic() + 60
            while not writer.session.requests():
                assert time.monotonic() < deadline, "the request never came"
                time.sleep(0.05)
        finally:
            subprocess.run([*tmux, "kill-server"], check=False)


def test_a_storm_of_sizes_down_to_a_single_cell_is_survived(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path)
    with beating(writer), viewed(writer) as terminal:
        terminal.until(lambda: b"DISCARD" in terminal.written)
        for width, height in [(1, 1), (300, 100), (40, 10), (1, 50), (200, 1), (61, 16), (2, 2)] * 8:
            resize(terminal, width, height)
            terminal.read(0.005)
        resize(terminal, 40, 10)
        start = len(terminal.written)
        terminal.until(lambda: b"RUNNING" in terminal.written[start:])
        resize(terminal, 120, 40)
        terminal.until(lambda: b"DISCARD" in terminal.written[start:])
        terminal.press("q")
        terminal.until(lambda: b"leave it running" in terminal.written)
        terminal.press("l")
        assert terminal.wait() == 0


def test_a_terminal_that_nobody_reads_holds_up_neither_the_files_nor_another_viewer(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path)
    output = writer.session.run(writer.number) / "output.log"
    with beating(writer), viewed(writer) as stalled:
        stalled.until(lambda: b"DISCARD" in stalled.written)
        # A storm of frames into a pty that is full after 4 kB, until its writer is stuck.
        for width in range(100, 160):
            resize(stalled, width, 40)
        with viewed(writer) as other:
            other.until(lambda: b"DISCARD" in other.written)
            with output.open("a") as file:
                file.write("after the stall\n")
            other.press("2")
            other.until(lambda: b"after the stall" in other.written)
            assert not stalled.ended()
        stalled.press("2")
        stalled.until(lambda: b"after the stall" in stalled.written)


def test_ctrl_z_is_no_key_of_ours_and_a_stopped_viewer_comes_back(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path)
    with viewed(writer) as terminal:
        terminal.until(lambda: b"Why it stopped" in terminal.written)
        terminal.press("\x1a")
        start = len(terminal.written)
        terminal.press("?")
        terminal.until(lambda: b"In this pane" in terminal.written[start:])
        start = len(terminal.written)
        terminal.press("?")
        terminal.until(lambda: b"Why it stopped" in terminal.written[start:])
        os.kill(terminal.pid, signal.SIGSTOP)
        os.kill(terminal.pid, signal.SIGCONT)
        start = len(terminal.written)
        terminal.press("?")
        terminal.until(lambda: b"In this pane" in terminal.written[start:])


def resize(terminal: Terminal, width: int, height: int) -> None:
    """The kernel tells the program (SIGWINCH)."""
    fcntl.ioctl(terminal.fd, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
