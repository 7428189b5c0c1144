"""Pictures of a session's pages: experiment, ideas and dead ends, before a restart, messages."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nights
import pytest
import repos
import sessions
from textual.pilot import Pilot
from textual.widgets import Input

from autoresearch.state.journal import records
from autoresearch.tui.app.app import ViewerApp
from autoresearch.tui.look.preferences import Preferences
from autoresearch.tui.widgets.pick_list import Picks

pytestmark = pytest.mark.usefixtures("utc")

SIZES = [(80, 24), (120, 40), (200, 60)]
NAMES = ["experiment", "crash", "logs", "ideas", "dead", "families", "search", "returning", "messages"]


def open_page(name: str) -> Callable[[ViewerApp], list[str]]:
    """What opens it, and the keys to press then."""

    def act(app: ViewerApp) -> list[str]:
        history = app.watched.history
        if name == "experiment":
            app.open_experiment(max(row.number for row in history.rows if row.status == "keep"))
        elif name == "crash":
            app.open_experiment(max(row.number for row in history.rows if row.status == "crash"))
        elif name == "logs":
            app.open_experiment(max(row.number for row in history.rows if row.status == "keep"))
            return ["3"]
        elif name == "diff":
            app.open_experiment(next(row.number for row in history.rows if row.description == sessions.FAILED))
            return ["2"]
        elif name in ("ideas", "dead", "families", "search"):
            app.open_ideas()
            return {"ideas": [], "dead": ["2", "j", "j"], "families": ["3", "j"], "search": ["4"]}[name]
        elif name == "returning":
            app.open_returning()
        else:
            app.open_messages()
        return []

    return act


def prepared(name: str) -> Any:
    async def prepare(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, ViewerApp)
        await _until(pilot, lambda: app.watched.opened and app.watched.engine is not None)
        keys = open_page(name)(app)
        await _until(pilot, lambda: app.screen is not app.dashboard and app.screen.is_mounted)
        await app.workers.wait_for_complete()
        await pilot.press(*keys)
        if name == "search":
            # At once: what the letters find one by one leaves the cursor somewhere.
            app.screen.query_one("#words", Input).value = "depth"
            await _until(pilot, lambda: app.screen.query_one("#picks", Picks).picked)
            await pilot.press("enter")
        await app.workers.wait_for_complete()
        app.clear_notifications()
        await pilot.pause()
        await pilot.pause()

    return prepare


async def _until(pilot: Pilot[None], condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        await pilot.pause(0.02)


def app_of(folder: Path, *, committed: bool = False, **options: Any) -> ViewerApp:
    writer = sessions.rich(folder)
    if committed:
        sessions.commit(writer)
    return ViewerApp(
        writer.place, writer.session, clock=lambda: writer.now, starter=sessions.Starts(lambda: None), **options
    )


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", NAMES)
def test_page(tmp_path: Path, snap_compare: Any, name: str, size: tuple[int, int]) -> None:
    if name == "returning" and size[0] >= 150:
        size = (140, size[1])  # beyond, the brief's preview names the temporary folder it cannot be written from
    assert snap_compare(app_of(tmp_path), terminal_size=size, run_before=prepared(name))


@pytest.mark.parametrize("size", SIZES[:2], ids=lambda size: f"{size[0]}x{size[1]}")
def test_a_diff(tmp_path: Path, snap_compare: Any, size: tuple[int, int]) -> None:
    """Wider, the verdict stands beside it, which names commits made just now."""
    app = app_of(tmp_path, committed=True)
    assert snap_compare(app, terminal_size=size, run_before=prepared("diff"))


@pytest.mark.parametrize("name", NAMES)
def test_page_light(tmp_path: Path, snap_compare: Any, name: str) -> None:
    app = app_of(tmp_path, preferences=Preferences(theme="light"))
    assert snap_compare(app, terminal_size=(120, 40), run_before=prepared(name))


@pytest.mark.parametrize("name", ["experiment", "dead", "returning"])
def test_page_without_colours(tmp_path: Path, snap_compare: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(app_of(tmp_path), terminal_size=(80, 24), run_before=prepared(name))


@pytest.mark.parametrize("name", NAMES)
def test_wider_page_without_colours(
    tmp_path: Path, snap_compare: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(app_of(tmp_path), terminal_size=(120, 40), run_before=prepared(name))


@pytest.mark.parametrize("size", SIZES[2:], ids=lambda size: f"{size[0]}x{size[1]}")
def test_before_a_restart_beside_the_next_brief(tmp_path: Path, snap_compare: Any, size: tuple[int, int]) -> None:
    """A session in a real repository: its brief can be written. Its branch is at its last keep: no commit is named."""
    night = nights.example(tmp_path / "tinyformer")
    repos.git(night.repo, "update-ref", night.session.branch, night.incumbent)
    night.write(records.Stop(reason="stopped by ann", by="ann", timestamp=night.now))
    app = ViewerApp(night.place, night.session, clock=lambda: night.now, starter=sessions.Starts(lambda: None))
    assert snap_compare(app, terminal_size=size, run_before=prepared("returning"))
