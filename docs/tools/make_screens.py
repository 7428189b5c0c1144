"""The pictures of docs/tour.md, from the running app: `python docs/tools/make_screens.py [NAME …]`, all without a name.

The sessions are written by tests/support/sessions.py with seeded dice and a clock of their own, so a picture changes
only when the screen does; but for the dry run, which is a real one with the times of the machine that made it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "support"))

import repos
import sessions
from textual.pilot import Pilot
from textual.widgets import Input

from autoresearch.state.session import find_place
from autoresearch.tui.app.app import ViewerApp
from autoresearch.tui.look.preferences import Preferences

FOLDER = Path(__file__).parents[1] / "pictures"

Act = Callable[[Pilot[None]], Awaitable[None]]


@dataclass(frozen=True)
class Picture:
    app: Callable[[Path], contextlib.AbstractContextManager[ViewerApp]]
    act: Act
    size: tuple[int, int] = (100, 30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PICTURES))
    names = parser.parse_args().names or list(PICTURES)
    for name in names:
        if name not in PICTURES:
            parser.error(f"there is no picture {name}; there are {', '.join(PICTURES)}")
    os.environ |= {"TZ": "UTC", "EDITOR": "vi"}
    os.environ.pop("NO_COLOR", None)
    time.tzset()
    FOLDER.mkdir(exist_ok=True)
    for name in names:
        (FOLDER / f"{name}.svg").write_text(taken(PICTURES[name]))
        print(f"docs/pictures/{name}.svg")


def taken(picture: Picture) -> str:
    async def take(app: ViewerApp) -> str:
        async with app.run_test(size=picture.size) as pilot:
            await picture.act(pilot)
            await pilot.pause(0.3)
            app.clear_notifications()
            await pilot.pause()
            return app.export_screenshot(title="autoresearch", simplify=True)

    with tempfile.TemporaryDirectory() as folder, picture.app(Path(folder)) as app:
        return _light(asyncio.run(take(app)))


def _light(svg: str) -> str:
    """Half the size, nothing fetched (textual links to fonts), and spaces as they are in every renderer."""
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<clipPath id=\"[^\"]*-line-\d+\">.*?</clipPath>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r' clip-path="url\(#[^)]*-line-\d+\)"', "", svg)
    svg = re.sub(r"terminal-\d+-", "t-", svg)
    svg = svg.replace("Fira Code", "Fira Code, DejaVu Sans Mono, Menlo, Consolas")
    return svg.replace("<svg ", '<svg xml:space="preserve" ', 1)


# -- what is looked at


@contextlib.contextmanager
def running(folder: Path, theme: str = "dark") -> Any:
    writer = sessions.running(folder)
    with sessions.engine(writer):
        yield _app(writer, theme)


@contextlib.contextmanager
def light(folder: Path) -> Any:
    with running(folder, "light") as app:
        yield app


@contextlib.contextmanager
def stopped(folder: Path) -> Any:
    """A night with everything in it, whose failed experiment has its commits."""
    writer = sessions.rich(folder)
    sessions.commit(writer)
    yield _app(writer)


@contextlib.contextmanager
def several(folder: Path) -> Any:
    from viewing import several

    found = several(folder)
    now = max(writer.now for writer in found.values()) + 60_000
    writer = found["nov20"]
    writer.now = now
    writer.live(experiment=writer.number, description="Drop weight decay", arm="candidate", k=1, of=8)
    with sessions.engine(writer):
        yield ViewerApp(writer.place, None, clock=lambda: now, starter=sessions.Starts(lambda: None))


@contextlib.contextmanager
def nothing_yet(folder: Path) -> Any:
    files = {"bench.py": f"import time\ntime.sleep(1.5)\n{repos.BENCH}", "knob.py": "VALUE = 10.0\n"}
    repo = repos.make_repo(folder / "springs", {**files, ".gitignore": "__pycache__/\n"})
    yield ViewerApp(find_place(repo), None, starter=sessions.Starts(lambda: None))


def _app(writer: sessions.Writer, theme: str = "dark") -> ViewerApp:
    preferences = Preferences(theme=theme)  # type: ignore[arg-type]
    starter = sessions.Starts(lambda: None)
    return ViewerApp(writer.place, writer.session, clock=lambda: writer.now, starter=starter, preferences=preferences)


# -- what is done there


async def _until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 90
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"The screen {pilot.app.screen} did not come to what the picture shows within 90 s.")
        await pilot.pause(0.05)
    await pilot.pause()


def _board(*keys: str) -> Act:
    async def act(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, ViewerApp)
        await _until(pilot, lambda: app.watched.opened and app.watched.engine is not None)
        await pilot.press(*keys)

    return act


def _page(name: str, open_it: Callable[[ViewerApp], None], *keys: str) -> Act:
    """One of the pages over the dashboard, after these keys."""

    async def act(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, ViewerApp)
        await _board()(pilot)
        open_it(app)
        await _until(pilot, lambda: type(app.screen).__name__ == name)
        await pilot.pause(0.3)
        await pilot.press(*keys)

    return act


def _open_failed(app: ViewerApp) -> None:
    app.open_experiment(next(row.number for row in app.watched.history.rows if row.description == sessions.FAILED))


async def _home(pilot: Pilot[None]) -> None:
    await _until(pilot, lambda: len(getattr(pilot.app.screen, "read", ())) == 4)


async def _set_up(pilot: Pilot[None]) -> None:
    """Answer, write, and run the dry run to its end."""
    from autoresearch.tui.screens.setup import Field, SetupScreen

    await _until(pilot, lambda: getattr(pilot.app.screen, "all", None) == [])
    await pilot.press("n")
    await _until(pilot, lambda: isinstance(pilot.app.screen, SetupScreen) and isinstance(pilot.app.focused, Input))
    screen = pilot.app.screen
    assert isinstance(screen, SetupScreen)
    answers = {"measure.run": "python bench.py", "metric.name": "score", "metric.direction": "lower"}
    answers |= {"scope.edit": "knob.py", "agent.kind": "tuner"}
    for field in screen.query(Field):
        if field.key in answers:
            field.input.value = answers[field.key]
    await pilot.pause()
    list(screen.query(Field))[-1].input.focus()
    await pilot.press("enter")
    await _until(pilot, lambda: screen.reviewing)
    await pilot.press("w", "d")
    await _until(pilot, lambda: screen.proving is not None or screen.proved)
    await _until(pilot, lambda: screen.proved and screen.proving is None)


MESSAGE = ["space" if letter == " " else letter for letter in "The last third of the data is cleaner"]
PICTURES = {
    "home": Picture(several, _home, (100, 16)),
    "setup": Picture(nothing_yet, _set_up, (100, 40)),
    "dashboard": Picture(running, _board(), (140, 40)),
    "dashboard-80x24": Picture(running, _board(), (80, 24)),
    "light": Picture(light, _board(), (100, 30)),
    "returning": Picture(stopped, _page("ReturningScreen", ViewerApp.open_returning), (100, 40)),
    "ideas": Picture(stopped, _page("IdeasScreen", ViewerApp.open_ideas, "2"), (120, 34)),
    "experiment": Picture(stopped, _page("ExperimentScreen", _open_failed), (100, 40)),
    "diff": Picture(stopped, _page("ExperimentScreen", _open_failed, "2"), (100, 24)),
    "steer": Picture(stopped, _page("SteerScreen", ViewerApp.open_messages, *MESSAGE), (100, 24)),
    "palette": Picture(running, _board("ctrl+p"), (100, 30)),
}

if __name__ == "__main__":
    main()
