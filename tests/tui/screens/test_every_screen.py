"""Every screen, with nothing in the session and with very much, in a small terminal and a large one: it opens, and what
the engine does is to be read on it."""

from __future__ import annotations

import sys
from pathlib import Path

import sessions
from every_screen import OF_SESSION, OPENED, empty
from textual.events import Key
from textual.pilot import Pilot
from viewing import text, until

from autoresearch.state.journal import records
from autoresearch.state.session import Place, Session
from autoresearch.tui.app.app import ViewerApp

SIZES = [(60, 15), (80, 24), (120, 40), (200, 60)]
ENDS = [SIZES[0], SIZES[-1]]


def many(folder: Path) -> tuple[Place, Session]:
    """10,000 experiments in a real repository."""
    sys.path.insert(0, str(Path(__file__).parents[2] / "bench"))
    import generated

    place, session = generated.session(generated.repository(folder / "r", 5), 10_000)
    generated.log(session, 10_000, lines=2_000)
    return place, session


async def each_screen(app: ViewerApp, sizes: list[tuple[int, int]], state: str) -> None:
    """One after the other is opened, each in another of the sizes, and then seen in all of them."""
    async with app.run_test(size=sizes[0]) as pilot:
        await until(pilot, lambda: app.watched.opened and app.watched.engine is not None)
        for at, (name, pressed) in enumerate(OF_SESSION.items()):
            await sized(pilot, sizes[at % len(sizes)])
            await quick(pilot, *pressed)
            for further in range(len(sizes)):
                await sized(pilot, sizes[(at + further) % len(sizes)])
                await _look(app, pilot, name, state)
            while app.screen is not app.dashboard:
                app.pop_screen()
                await pilot.pause(0)
            await quick(pilot, "escape", "escape", "1")
        assert app.return_code is None


async def sized(pilot: Pilot[None], size: tuple[int, int]) -> None:
    if pilot.app.size != size:
        await pilot.resize_terminal(*size)
        await until(pilot, lambda: pilot.app.size == size and pilot.app.screen.size == size)


async def quick(pilot: Pilot[None], *pressed: str) -> None:
    """Press keys without waiting until the process is idle after each: a busy machine never is."""
    for key in pressed:
        pilot.app.post_message(Key(key, key if len(key) == 1 else None))
        await pilot.pause(0)


async def _look(app: ViewerApp, pilot: Pilot[None], name: str, state: str) -> None:
    opened = OPENED.get(name, "DashboardScreen")
    if opened == "ExperimentScreen" and not app.watched.history.rows:
        opened = "DashboardScreen"  # there is none to open
    await until(pilot, lambda: type(app.screen).__name__ == opened)
    if opened == "HomeScreen":
        await until(pilot, lambda: state in text(pilot))
        return
    lines = text(pilot).splitlines()
    assert len(lines) == app.size.height, name
    if not app.screen.is_modal:
        assert state in "".join(lines[:2]), f"{name} does not say {state}:\n{text(pilot)}"
        assert lines[-1].strip(), f"{name} shows no keys:\n{text(pilot)}"


async def test_with_nothing_in_it(tmp_path: Path) -> None:
    writer = empty(tmp_path)
    await each_screen(ViewerApp(writer.place, writer.session, clock=lambda: writer.now), ENDS, "STOPPED")


async def test_with_a_whole_night_in_it(tmp_path: Path) -> None:
    writer = sessions.rich(tmp_path)
    starter = sessions.Starts(lambda: None)
    app = ViewerApp(writer.place, writer.session, clock=lambda: writer.now, starter=starter)
    await each_screen(app, SIZES, "STOPPED")
    assert starter.began == [], "looking starts nothing"


async def test_with_ten_thousand_experiments(tmp_path: Path) -> None:
    now = records.now_ms()
    await each_screen(ViewerApp(*many(tmp_path), clock=lambda: now), ENDS, "PAUSED")


async def test_a_low_terminal_shows_the_experiments_that_its_keys_are_for(tmp_path: Path) -> None:
    writer = sessions.rich(tmp_path)
    app = ViewerApp(writer.place, writer.session, clock=lambda: writer.now)
    async with app.run_test(size=(60, 15)) as pilot:
        await until(pilot, lambda: app.watched.opened and "DISCARD ×" in text(pilot))
        await pilot.press("6")
        await until(pilot, lambda: "val_bpb in bits/byte" in text(pilot) and "DISCARD ×" not in text(pilot))
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: "val_bpb in bits/byte" in text(pilot) and "DISCARD ×" in text(pilot))
