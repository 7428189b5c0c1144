"""Pictures of the screen at three sizes and in its states; `--snapshot-update` accepts new ones, after a look."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sessions
from textual.pilot import Pilot

from autoresearch.tui.app.app import ViewerApp
from autoresearch.tui.live.gauges import Gauge, Gauges
from autoresearch.tui.look.preferences import Preferences
from autoresearch.tui.screens.lost_engine import Lost

SIZES = [(80, 24), (120, 40), (200, 60)]


@contextlib.contextmanager
def app_of(writer: sessions.Writer, alive: bool, **options: Any) -> Iterator[ViewerApp]:
    with sessions.engine(writer) if alive else contextlib.nullcontext():
        yield ViewerApp(writer.place, writer.session, clock=lambda: writer.now, **options)


def once_read(*keys: str) -> Any:
    async def prepare(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, ViewerApp)
        deadline = time.monotonic() + 30
        while not app.watched.opened or app.watched.engine is None:
            assert time.monotonic() < deadline
            await pilot.pause(0.02)
        await pilot.pause()
        await pilot.press(*keys)
        await pilot.pause()

    return prepare


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_running(tmp_path: Path, snap_compare: Any, size: tuple[int, int]) -> None:
    with app_of(sessions.running(tmp_path), alive=True) as app:
        assert snap_compare(app, terminal_size=size, run_before=once_read())


@pytest.mark.parametrize("keys", ["2", "3", "4", "5"])
def test_panes_at_80x24(tmp_path: Path, snap_compare: Any, keys: str) -> None:
    with app_of(sessions.running(tmp_path), alive=True) as app:
        assert snap_compare(app, terminal_size=(80, 24), run_before=once_read(keys))


def test_the_baseline_is_measured(tmp_path: Path, snap_compare: Any) -> None:
    with app_of(sessions.beginning(tmp_path), alive=True) as app:
        assert snap_compare(app, terminal_size=(80, 24), run_before=once_read())


def test_paused_by_a_limit(tmp_path: Path, snap_compare: Any) -> None:
    with app_of(sessions.paused(tmp_path), alive=False) as app:
        assert snap_compare(app, terminal_size=(120, 40), run_before=once_read())


def test_engine_lost(tmp_path: Path, snap_compare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gauges, "run", lambda self: None)
    with app_of(sessions.running(tmp_path).here(), alive=False) as app:
        assert snap_compare(app, terminal_size=(80, 24), run_before=once_read())


def test_two_thousand_experiments(tmp_path: Path, snap_compare: Any) -> None:
    with app_of(sessions.running(tmp_path, experiments=2000), alive=True) as app:
        assert snap_compare(app, terminal_size=(120, 40), run_before=once_read())


def test_pausing(tmp_path: Path, snap_compare: Any) -> None:
    with app_of(sessions.running(tmp_path), alive=True) as app:
        assert snap_compare(app, terminal_size=(80, 24), run_before=once_read("p"))


@pytest.mark.parametrize("plain", [False, True], ids=["dark", "plain"])
@pytest.mark.parametrize("size", SIZES[:2], ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_engine_dies(
    tmp_path: Path, snap_compare: Any, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], plain: bool
) -> None:
    if plain:
        monkeypatch.setenv("NO_COLOR", "1")
    writer = sessions.running(tmp_path).here()
    writer.session.engine_log.write_text(
        "Traceback (most recent call last):\n" + '  File "loop.py", line 212, in step\n' * 6 + "MemoryError\n"
    )
    monkeypatch.setattr(Gauges, "run", lambda self: None)
    with contextlib.ExitStack() as held:
        held.enter_context(sessions.engine(writer))

        async def dies(pilot: Pilot[None]) -> None:
            await once_read()(pilot)
            held.close()
            writer.now += 3_000
            deadline = time.monotonic() + 30
            while not isinstance(pilot.app.screen, Lost):
                assert time.monotonic() < deadline
                await pilot.pause(0.02)
            await pilot.pause()

        app = ViewerApp(writer.place, writer.session, clock=lambda: writer.now, starter=sessions.Starts(lambda: None))
        assert snap_compare(app, terminal_size=size, run_before=dies)


def test_too_small(tmp_path: Path, snap_compare: Any) -> None:
    with app_of(sessions.running(tmp_path), alive=True) as app:
        assert snap_compare(app, terminal_size=(50, 10), run_before=once_read())


@pytest.mark.parametrize("keys", [("q",), ("question_mark",), ("j", "enter")], ids=["quit", "help", "details"])
def test_on_top(tmp_path: Path, snap_compare: Any, keys: tuple[str, ...]) -> None:
    with app_of(sessions.running(tmp_path), alive=True) as app:
        assert snap_compare(app, terminal_size=(80, 24), run_before=once_read(*keys))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_light(tmp_path: Path, snap_compare: Any, size: tuple[int, int]) -> None:
    with app_of(sessions.running(tmp_path), alive=True, preferences=Preferences(theme="light")) as app:
        assert snap_compare(app, terminal_size=size, run_before=once_read())


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_no_color(tmp_path: Path, snap_compare: Any, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    with app_of(sessions.running(tmp_path), alive=True) as app:
        assert snap_compare(app, terminal_size=size, run_before=once_read())


def test_ascii(tmp_path: Path, snap_compare: Any) -> None:
    with app_of(sessions.running(tmp_path), alive=True, preferences=Preferences(ascii=True)) as app:
        assert snap_compare(app, terminal_size=(80, 24), run_before=once_read())


@pytest.mark.parametrize(
    "keys", [("6", "plus", "L", "z"), ("slash", *"lr"), ("o", "o", "c")], ids=["chart", "filter", "sorted"]
)
def test_looked_at_otherwise(tmp_path: Path, snap_compare: Any, keys: tuple[str, ...]) -> None:
    with app_of(sessions.running(tmp_path), alive=True) as app:
        assert snap_compare(app, terminal_size=(120, 40), run_before=once_read(*keys))


def test_meters(tmp_path: Path, snap_compare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "gpu-box")  # where the engine runs
    monkeypatch.setattr(Gauges, "run", lambda self: None)
    words = ("97%", "71 of 80 GB", "64°C", "412 of 700 W")
    gauges = [Gauge(f"gpu {at}", 0.97 - at / 3, words) for at in range(2)]
    gauges += [
        Gauge("cpu", 0.31, ("31%",)),
        Gauge("memory", 0.5, ("64 of 128 GB",)),
        Gauge("disk", 0.4, ("38 GB free",)),
    ]

    async def prepare(pilot: Pilot[None]) -> None:
        await once_read()(pilot)
        for _ in range(40):
            pilot.app.dashboard.on_gauges_read(Gauges.Read(gauges))  # type: ignore[attr-defined]
        await pilot.pause()
        await pilot.pause()

    with app_of(sessions.running(tmp_path), alive=True) as app:
        assert snap_compare(app, terminal_size=(160, 50), run_before=prepare)
