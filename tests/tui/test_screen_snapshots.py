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

from autoresearch.tui.app import Dashboard

SIZES = [(80, 24), (120, 40), (200, 60)]


@contextlib.contextmanager
def app_of(writer: sessions.Writer, alive: bool) -> Iterator[Dashboard]:
    with sessions.engine(writer) if alive else contextlib.nullcontext():
        yield Dashboard(writer.place, writer.session, clock=lambda: writer.now)


def once_read(*keys: str) -> Any:
    async def prepare(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, Dashboard)
        deadline = time.monotonic() + 30
        while not app.board.opened or app.board.engine is None:
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


def test_engine_lost(tmp_path: Path, snap_compare: Any) -> None:
    with app_of(sessions.running(tmp_path), alive=False) as app:
        assert snap_compare(app, terminal_size=(80, 24), run_before=once_read())


def test_two_thousand_experiments(tmp_path: Path, snap_compare: Any) -> None:
    with app_of(sessions.running(tmp_path, experiments=2000), alive=True) as app:
        assert snap_compare(app, terminal_size=(120, 40), run_before=once_read())


def test_too_small(tmp_path: Path, snap_compare: Any) -> None:
    with app_of(sessions.running(tmp_path), alive=True) as app:
        assert snap_compare(app, terminal_size=(50, 10), run_before=once_read())


@pytest.mark.parametrize("keys", [("q",), ("question_mark",), ("j", "enter")], ids=["quit", "help", "details"])
def test_on_top(tmp_path: Path, snap_compare: Any, keys: tuple[str, ...]) -> None:
    with app_of(sessions.running(tmp_path), alive=True) as app:
        assert snap_compare(app, terminal_size=(80, 24), run_before=once_read(*keys))
