"""Pictures of home, the palette and help; `--snapshot-update` accepts new ones, after a look."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import sessions
from textual.pilot import Pilot
from viewing import several

from autoresearch.tui.app.app import ViewerApp
from autoresearch.tui.look.preferences import Preferences
from autoresearch.tui.screens.home import HomeScreen

pytestmark = pytest.mark.usefixtures("utc")

SIZES = [(80, 24), (120, 40), (200, 60)]


def home(tmp_path: Path, preferences: Preferences | None = None) -> ViewerApp:
    found = several(tmp_path)
    now = max(writer.now for writer in found.values()) + 60_000
    writer = found["nov20"]
    writer.now = now
    writer.live(experiment=writer.number, description="Drop weight decay", arm="candidate", k=1, of=8)
    return ViewerApp(
        writer.place, None, clock=lambda: now, starter=sessions.Starts(lambda: None), preferences=preferences
    )


def once_read(*keys: str, count: int = 4) -> Any:
    async def prepare(pilot: Pilot[None]) -> None:
        screen = pilot.app.screen
        assert isinstance(screen, HomeScreen)
        deadline = time.monotonic() + 30
        while len(screen.read) < count:
            assert time.monotonic() < deadline
            await pilot.pause(0.02)
        await pilot.press(*keys)
        await pilot.pause()

    return prepare


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_home(tmp_path: Path, snap_compare: Any, size: tuple[int, int]) -> None:
    app = home(tmp_path)
    with sessions.engine(_running(app)):
        assert snap_compare(app, terminal_size=size, run_before=once_read())


LOOKS = [(look, size) for look in ("light", "plain") for size in SIZES] + [("ansi", SIZES[0]), ("ascii", SIZES[0])]


@pytest.mark.parametrize(("look", "size"), LOOKS, ids=lambda value: value if isinstance(value, str) else f"{value[0]}")
def test_home_in_other_looks(
    tmp_path: Path, snap_compare: Any, monkeypatch: pytest.MonkeyPatch, look: str, size: tuple[int, int]
) -> None:
    if look == "plain":
        monkeypatch.setenv("NO_COLOR", "1")
    preferences = Preferences(ascii=True) if look == "ascii" else Preferences(theme=look if look != "plain" else "dark")  # type: ignore[arg-type]
    app = home(tmp_path, preferences)
    with sessions.engine(_running(app)):
        assert snap_compare(app, terminal_size=size, run_before=once_read())


@pytest.mark.parametrize("keys", [("ctrl+p",), ("question_mark",), ("j", "n")], ids=["palette", "help", "new"])
def test_on_top_of_home(tmp_path: Path, snap_compare: Any, keys: Any) -> None:
    app = home(tmp_path)
    app.place.config_file.write_text("")
    with sessions.engine(_running(app)):
        assert snap_compare(app, terminal_size=(80, 24), run_before=once_read(*keys))


def test_an_empty_home(tmp_path: Path, snap_compare: Any) -> None:
    place = sessions.Writer(tmp_path).place
    place.config_file.write_text("")
    app = ViewerApp(place, None, starter=sessions.Starts(lambda: None))
    assert snap_compare(app, terminal_size=(80, 24), run_before=once_read(count=0))


class _Held:
    """What `sessions.engine` locks."""

    def __init__(self, session: Any) -> None:
        self.session = session


def _running(app: ViewerApp) -> Any:
    from autoresearch.state.session import Session

    return _Held(Session(app.place.sessions_dir / "nov20"))
