"""On every screen in a real terminal: text from a run, an agent or a journal never commands the terminal that shows it.

What the viewer wrote is taken apart: all but text, colours, cursor places and the few commands of its own is refused.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import hostile
import pytest
import sessions
from every_screen import OF_SESSION
from hostile import SAID, commanded
from terminals import Terminal
from test_terminal import present, viewed

NAMES = {"escape": "\x1b[27u", "enter": "\r", "slash": "/", "question_mark": "?", "ctrl+p": "\x10", "ctrl+o": "\x0f"}
"""Escape as terminals with the kitty protocol send it: a bare one with a key behind it would be alt."""
SIGNS = {
    "log": "2 Log", "ideas pane": "3 Ideas", "dead ends pane": "4 Dead ends", "now": "5 Now", "chart": "fail",
    "ideas": "To try, in", "dead ends": "Refuted (", "families": "optimizer", "search": "depth",
    "messages": "Said so far", "before a restart": "Why it stopped", "next brief": "The next brief",
    "experiment": "Hypothesis", "diff": "2 Diff", "logs": "3 Logs", "outputs": "4 Outputs",
    "idea": "Add an idea", "message": "Message to the", "palette": "What to do", "help": "In this pane",
    "sessions": " session",
}  # fmt: skip
"""Words by which a screen is known in what is written."""
FIRST = {"d": "3 Families", "B": "Why it stopped", "enter": "1 Verdict", "slash": "any words"}
"""Keys that open what the next key is for, and what shows that it is there."""


HOSTILE = frozenset(
    ("log", "ideas pane", "dead ends pane", "ideas", "dead ends", "families", "messages", "before a restart",
     "experiment", "logs", "outputs", "sessions")
)  # fmt: skip


def shown(written: bytes) -> str:
    """Its text, without what commands the terminal."""
    return re.sub(rb"\x1b\[[0-?]*[ -/]*[@-~]", b"", written).decode("utf-8", "replace")


def press(terminal: Terminal, *keys: str) -> None:
    for key in keys:
        terminal.press(NAMES.get(key, key))
        terminal.read(0.02)


def arrives(terminal: Terminal, sign: str, start: int, name: str) -> None:
    deadline = time.monotonic() + 30
    while sign not in shown(terminal.written[start:]):
        assert time.monotonic() < deadline, f"{name} did not come: {shown(terminal.written[start:])}"
        terminal.read(0.05)


def visit(terminal: Terminal, names: list[str], hostile: frozenset[str] = frozenset()) -> dict[str, str]:
    """Each screen in turn; what was written for it. Those in `hostile` come with such a text."""
    seen = {}
    for name in names:
        start = len(terminal.written)
        keys = OF_SESSION[name]
        for at, key in enumerate(keys, 1):
            before = len(terminal.written)
            press(terminal, key)
            first = "Type words" if (name, key) == ("search", "4") else FIRST.get(key)
            if first and at < len(keys):
                arrives(terminal, first, before, name)
        if sign := SIGNS.get(name, ""):
            arrives(terminal, sign, start, name)
        if name in hostile:
            arrives(terminal, SAID, start, name)
        terminal.read(0.1)
        seen[name] = shown(terminal.written[start:])
        press(terminal, "escape", "escape", "1")
        assert not terminal.ended(), f"{name} ended the viewer"
    return seen


@contextlib.contextmanager
def watched(writer: sessions.Writer, **options: str) -> Iterator[Terminal]:
    with viewed(writer, **options) as terminal:  # type: ignore[arg-type]
        terminal.until(lambda: b"Why it stopped" in terminal.written)
        press(terminal, "escape")
        yield terminal


def test_nothing_on_record_commands_the_terminal_on_any_screen(tmp_path: Path) -> None:
    with watched(hostile.session(tmp_path)) as terminal:
        visit(terminal, [name for name in OF_SESSION if name != "stop"], HOSTILE)
        press(terminal, "q")
        assert terminal.wait() == 0
    assert commanded(terminal.written) == []


def test_the_last_words_of_an_engine_do_not_either(tmp_path: Path) -> None:
    with watched(hostile.session(tmp_path, ended=False)) as terminal:
        assert "ENGINE LOST" in shown(terminal.written)
        assert f"[red]{SAID}" in shown(terminal.written)
        press(terminal, "q")
        assert terminal.wait() == 0
    assert commanded(terminal.written) == []


@pytest.mark.parametrize(
    "world",
    [{"NO_COLOR": "1"}, {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, {"TERM": "linux"}],
    ids=["no colour", "no utf-8", "linux console"],
)
def test_every_screen_in_a_poor_terminal(tmp_path: Path, world: dict[str, str]) -> None:
    with watched(sessions.rich(tmp_path), **world) as terminal:
        visit(terminal, [name for name in OF_SESSION if name != "stop"])
        press(terminal, "q")
        assert terminal.wait() == 0
    assert commanded(terminal.written) == []
    if "LC_ALL" in world:
        assert terminal.written.isascii()
        assert b"\\u" not in terminal.written
    if "NO_COLOR" in world:
        styles = set(re.findall(rb"\x1b\[([0-9;]*)m", terminal.written))
        assert {int(code) for style in styles for code in style.split(b";") if code} <= {
            0,
            1,
            2,
            3,
            4,
            7,
            22,
            27,
            39,
            49,
        }


def test_a_clipboard_pasted_into_a_line_stays_one_harmless_line(tmp_path: Path) -> None:
    writer = sessions.rich(tmp_path)
    with watched(writer) as terminal:
        press(terminal, "i")
        terminal.until(lambda: b"Add an idea" in terminal.written)
        terminal.press("\x1b[200~wider \x1b]0;PWNED\x07\x1b[31mlayers\nq\ns\ny\n\x1b[201~")
        terminal.until(lambda: "layers" in shown(terminal.written))
        assert not terminal.ended(), "a pasted newline is no enter"
        press(terminal, "enter")
        terminal.until(lambda: b"layers" in writer.session.journal.read_bytes().split(b'"stop"')[-1])
    assert commanded(terminal.written) == []
    *_, idea = [each for each in writer.session.history().ideas.values()]
    assert "\x1b" not in idea.text
    assert "\n" not in idea.text


def test_a_copy_is_the_only_thing_that_reaches_the_clipboard(tmp_path: Path) -> None:
    with watched(sessions.rich(tmp_path)) as terminal:
        press(terminal, "j", "enter")
        terminal.until(lambda: "1 Verdict" in shown(terminal.written))
        assert b"\x1b]52" not in terminal.written
        press(terminal, "y")
        press(terminal, "2")
        terminal.until(lambda: b"\x1b]52;c;" in terminal.written)
        assert terminal.written.count(b"\x1b]52;") == 1
        assert b"\x1b]0;" not in terminal.written
        assert b"\x1b]2;" not in terminal.written


def test_without_the_mouse_no_mouse_is_asked_for(tmp_path: Path) -> None:
    before = "from autoresearch.tui.preferences import Preferences"
    writer = sessions.rich(tmp_path)
    code = "preferences=Preferences(mouse=False)"
    with viewed(writer, before=before, options=code) as terminal:
        terminal.until(lambda: b"Why it stopped" in terminal.written)
        press(terminal, "escape", "q")
        assert terminal.wait() == 0
    assert re.findall(rb"\x1b\[\?(?:9|100[0-356]|1015|1016)h", terminal.written) == []


def test_names_of_files_that_are_not_text_are_shown(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path)
    (writer.session.folder / os.fsdecode(b"caf\xe9")).write_bytes(b"")
    other = writer.session.folder.parent / os.fsdecode(b"nov\xff")
    other.mkdir()
    (other / "autoresearch.jsonl").write_bytes(b"\xff\xfe\n")
    with watched(writer) as terminal:
        seen = visit(terminal, ["sessions", "logs", "outputs"])
        press(terminal, "q")
        assert terminal.wait() == 0
    assert "nov20" in seen["sessions"]
    assert commanded(terminal.written) == []


def test_a_log_that_floods_the_terminal_with_escapes_while_it_is_watched(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path)
    present(writer)
    output = writer.session.run(writer.number) / "output.log"
    with sessions.engine(writer), viewed(writer) as terminal:
        terminal.until(lambda: b"DISCARD" in terminal.written)
        with output.open("ab") as file:
            for number in range(200):
                file.write(hostile.EVIL.encode() + b"step %d\r" % number + hostile.BROKEN)
        terminal.until(lambda: f"[red]{SAID}" in shown(terminal.written) or "caf" in shown(terminal.written))
    assert commanded(terminal.written) == []
