"""The viewer on a made-up session: in the test's own process by its pilot, or as a process in a real terminal."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import sessions
from terminals import Terminal
from textual.pilot import Pilot

from autoresearch.state.journal import Reader, records
from autoresearch.state.session import Session, write_live
from autoresearch.tui.app.app import ViewerApp
from autoresearch.tui.screens.home import HomeScreen
from autoresearch.tui.screens.ideas import IdeasScreen
from autoresearch.tui.widgets.pick_list import Picks


@contextlib.asynccontextmanager
async def watching(
    writer: sessions.Writer, size: tuple[int, int] = (120, 40), **options: Any
) -> AsyncIterator[tuple[ViewerApp, Pilot[None]]]:
    options.setdefault("starter", sessions.Starts(options.pop("start_engine", None)))
    options.setdefault("clock", lambda: writer.now)
    app = ViewerApp(writer.place, writer.session, **options)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.watched.opened and app.watched.engine is not None)
        yield app, pilot


async def until(pilot: Pilot[None], condition: Callable[[], object], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"nothing happened; on the screen:\n{text(pilot)}"
        await pilot.pause(0.02)
    await pilot.pause()


def text(pilot: Pilot[None]) -> str:
    """What the terminal shows."""
    app = pilot.app
    return "\n".join(
        "".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips(app.size)
    )


def asked(writer: sessions.Writer) -> list[tuple[str, dict[str, Any]]]:
    return [(request.kind, request.args) for request in writer.session.asked()]


def last(writer: sessions.Writer) -> records.Record:
    *_, (_, line) = Reader(writer.session.journal).lines()
    return records.decode(line)


async def at(app: ViewerApp, pilot: Pilot[None], key: str, *tabs: str) -> IdeasScreen:
    """The screen, with the cursor on the entry."""
    app.open_ideas()
    await until(pilot, lambda: isinstance(app.screen, IdeasScreen))
    await pilot.press(*tabs)
    picks = app.screen.query_one("#picks", Picks)
    picks.to_key(key)
    await until(pilot, lambda: picks.picked == key)
    assert isinstance(app.screen, IdeasScreen)
    return app.screen


def several(folder: Path) -> dict[str, sessions.Writer]:
    """Four sessions of one repository: running, paused by a limit, stopped, and one that has just begun."""
    found: dict[str, sessions.Writer] = {}
    for at, (name, count) in enumerate((("nov20", 30), ("nov19", 60), ("depth", 12), ("warmup", 1))):
        writer = sessions.Writer(folder, seed=at, name=name) if not found else another(found["nov20"], at, name)
        writer.now += at * 3_600_000
        writer.begin()
        writer.baseline(finish=count > 1)
        while writer.number < count:
            writer.experiment()
        if name == "nov19":
            writer.add(records.Pause(reason="the experiment limit of 60 was reached", limit="experiments"))
        if name == "depth":
            writer.add(records.Stop(reason="", by="you"))
        if name == "nov20":
            writer.open()
            writer.host = socket.gethostname()
            writer.live(experiment=writer.number, description="Drop weight decay", arm="candidate", k=1, of=8)
        writer.flush()
        os.utime(writer.session.journal, (10_000 - at, 10_000 - at))
        found[name] = writer
    return found


def another(first: sessions.Writer, seed: int, name: str) -> sessions.Writer:
    """A further session of the same repository."""
    folder = first.session.folder.parent / name
    folder.mkdir()
    writer = sessions.Writer.__new__(sessions.Writer)
    sessions.Writer.__init__(writer, folder, seed, name=name, target="elsewhere")
    made = writer.session
    for path in list(made.folder.iterdir()):
        path.rename(folder / path.name)
    writer.session = Session(folder)
    writer.place = first.place
    return writer


@contextlib.asynccontextmanager
async def at_home(
    found: dict[str, sessions.Writer], size: tuple[int, int] = (120, 40), **options: Any
) -> AsyncIterator[tuple[ViewerApp, Pilot[None]]]:
    place = found["nov20"].place
    now = max(writer.now for writer in found.values()) + 60_000
    options.setdefault("starter", sessions.Starts(None))
    app = ViewerApp(place, None, clock=lambda: now, **options)
    with sessions.engine(found["nov20"]):
        async with app.run_test(size=size, notifications=True) as pilot:
            home = app.screen
            assert isinstance(home, HomeScreen)
            await until(pilot, lambda: len(home.read) == len(found))
            yield app, pilot


def line(pilot: Pilot[None], name: str) -> tuple[str, str]:
    """The two lines of a session."""
    lines = text(pilot).splitlines()
    at = next(at for at, each in enumerate(lines) if each[3:].startswith(f"{name} "))
    return lines[at], lines[at + 1]


VIEW = """
import sys
import termios
from pathlib import Path
from autoresearch.tui.app.app import run_dashboard
from autoresearch.state.session import Place, Session
session = Session(Path(sys.argv[1]))
common = session.folder.parent.parent
{before}
sys.exit(run_dashboard(Place(top=common.parent, git_dir=common, common_dir=common, prefix=""), session, {options})[0])
"""


@contextlib.contextmanager
def viewed(
    writer: sessions.Writer,
    size: tuple[int, int] = (120, 40),
    before: str = "",
    prefix: list[str] | None = None,
    options: str = "",
    **env: str,
) -> Iterator[Terminal]:
    script = VIEW.format(before=before, options=options)
    argv = [*(prefix or []), sys.executable, "-c", script, str(writer.session.folder)]
    terminal = Terminal(argv, size, **env)
    try:
        yield terminal
    finally:
        terminal.kill()


def present(writer: sessions.Writer) -> None:
    """Move the heartbeat to now: these sessions are seen with the real clock."""
    live = writer.session.read_live()
    assert live is not None
    live.updated = live.since = records.now_ms()
    write_live(writer.session, live)


@contextlib.contextmanager
def beating(writer: sessions.Writer) -> Iterator[None]:
    """An engine that holds its session and is heard of, however long a test takes."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(1.0):
            present(writer)

    present(writer)
    heart = threading.Thread(target=beat)
    with sessions.engine(writer):
        heart.start()
        try:
            yield
        finally:
            ended.set()
            heart.join()
