"""On every screen in a real terminal: text from a run, an agent or a journal never commands the terminal that shows it.

What the viewer wrote is taken apart: all but text, colours, cursor places and the few commands of its own is refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import hostile
import pytest
import sessions
from engines import command, environment
from every_screen import OF_SESSION
from hostile import SAID, commanded
from repos import make_repo
from terminals import ESCAPE, Terminal
from viewing import beating, viewed

NAMES = {
    "escape": ESCAPE,
    "enter": "\r",
    "slash": "/",
    "question_mark": "?",
    "ctrl+p": "\x10",
    "ctrl+o": "\x0f",
    "ctrl+r": "\x12",
}
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


def to_dashboard(terminal: Terminal, name: str) -> None:
    """However many pages lie above it. A key that comes while a page closes is not for what lies below."""
    start, deadline = len(terminal.written), time.monotonic() + 30
    while "1-6 panes" not in shown(terminal.written[start:]):
        assert time.monotonic() < deadline, f"{name} did not close: {shown(terminal.written[start:])}"
        press(terminal, "escape", "1", "ctrl+r")
        quiet = False
        while not quiet and "1-6 panes" not in shown(terminal.written[start:]):
            quiet = not terminal.read(0.2)
        assert not terminal.ended(), f"{name} ended the viewer"


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
        to_dashboard(terminal, name)
    return seen


@contextlib.contextmanager
def watched(writer: sessions.Writer, **options: str) -> Iterator[Terminal]:
    with viewed(writer, **options) as terminal:  # type: ignore[arg-type]
        terminal.until(lambda: b"Why it stopped" in terminal.written)
        to_dashboard(terminal, "the first page")
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
        arrives(terminal, "1 Verdict", 0, "the experiment")
        assert b"\x1b]52" not in terminal.written
        press(terminal, "y")
        press(terminal, "2")
        terminal.until(lambda: b"\x1b]52;c;" in terminal.written)
        assert terminal.written.count(b"\x1b]52;") == 1
        assert b"\x1b]0;" not in terminal.written
        assert b"\x1b]2;" not in terminal.written


def test_without_the_mouse_no_mouse_is_asked_for(tmp_path: Path) -> None:
    before = "from autoresearch.tui.app.preferences_file import Preferences"
    writer = sessions.rich(tmp_path)
    code = "preferences=Preferences(mouse=False)"
    with viewed(writer, before=before, options=code) as terminal:
        terminal.until(lambda: b"Why it stopped" in terminal.written)
        to_dashboard(terminal, "the first page")
        press(terminal, "q")
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
    output = writer.session.run(writer.number) / "output.log"
    with beating(writer), viewed(writer) as terminal:
        terminal.until(lambda: b"DISCARD" in terminal.written)
        with output.open("ab") as file:
            for number in range(200):
                file.write(hostile.EVIL.encode() + b"step %d\r" % number + hostile.BROKEN)
        terminal.until(lambda: f"[red]{SAID}" in shown(terminal.written) or "caf" in shown(terminal.written))
    assert commanded(terminal.written) == []


def target(folder: Path) -> Path:
    """A project that nothing is set up for, with hostile names, whose command prints such words and fails."""
    return make_repo(
        folder / f"mine{hostile.NAME}",
        {
            "train.py": f"evil = {hostile.EVIL!r}\nprint(evil)\nprint(evil + 'loss: 0.5')\nraise SystemExit(evil)\n",
            f"knob{hostile.NAME}.py": "VALUE = 10.0\n",
            "Makefile": f"test{hostile.EVIL}:\n\ttrue\n",
            "package.json": json.dumps({"name": hostile.EVIL, "scripts": {"test": f"node {hostile.EVIL}"}}),
            "pyproject.toml": f"[project]\nname = {json.dumps(hostile.EVIL)}\n",
        },
    )


@contextlib.contextmanager
def at(repo: Path, *args: str) -> Iterator[Terminal]:
    terminal = Terminal(["env", "-C", str(repo), *command(*args)], (100, 40), **environment())
    try:
        yield terminal
    finally:
        terminal.kill()


def test_setting_a_hostile_project_up_commands_nothing(tmp_path: Path) -> None:
    repo = target(tmp_path)
    with at(repo) as terminal:
        terminal.until(lambda: "n sets this target up" in shown(terminal.written))
        press(terminal, "n")
        terminal.until(lambda: "At how many dollars" in shown(terminal.written))
        # The command is found; the metric is asked; better is lower; what may change; no guard.
        press(terminal, "enter", *"loss", "enter", "enter", "\x15", *"knob*", "enter", "\x15", *["enter"] * 3)
        arrives(terminal, "autoresearch.toml", 0, "what will be written")
        press(terminal, "w")
        arrives(terminal, "a dry run: does it measure", 0, "the offer of a dry run")
        press(terminal, "d")
        arrives(terminal, f"[red]{SAID}[/red]", 0, "what the command printed")
        terminal.read(0.3)
        press(terminal, "escape", "escape", "escape", "q")
    assert commanded(terminal.written) == []
    with at(repo, "doctor") as terminal:
        assert terminal.wait(60) == 1
    assert f"[red]{SAID}" in shown(terminal.written)
    assert commanded(terminal.written.replace(b"\r\x1b[K", b"")) == []  # its own line of progress
