"""Keys that come faster than they take effect: in their order, on the right page, and none lost."""

from __future__ import annotations

from pathlib import Path

import pytest
import sessions
from textual.events import Key, Paste
from textual.pilot import Pilot
from textual.widgets import Input
from viewing import asked, at, last, text, until, watching

from autoresearch.state.journal import records
from autoresearch.tui.screens.experiment import ExperimentScreen
from autoresearch.tui.screens.modals import Ask, Page
from autoresearch.tui.screens.restart import ReturningScreen


def burst(pilot: Pilot[None], *pressed: str) -> None:
    """All of them before the first one has had an effect, as a slow line delivers them."""
    for key in pressed:
        name = "space" if key == " " else key
        pilot.app.post_message(Key(name, key if len(key) == 1 else None))


@pytest.mark.parametrize("reason", ["", "too slow"])
async def test_a_veto_has_the_reason_that_was_typed(tmp_path: Path, reason: str) -> None:
    night = sessions.rich(tmp_path)
    async with watching(night) as (app, pilot):
        await at(app, pilot, "i2")
        burst(pilot, "v", *reason, "enter")
        await until(pilot, lambda: app.watched.history.ideas["i2"].state == "vetoed")
        assert app.watched.history.ideas["i2"].reason == reason


async def test_a_question_gets_all_that_follows_the_key_that_asks_it(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    with sessions.engine(writer):
        async with watching(writer) as (app, pilot):
            burst(pilot, "i", *"burst words", "enter", "m", *"no p", "backspace", "q", "enter", "p")
            await until(pilot, lambda: len(asked(writer)) == 3)
            assert asked(writer) == [
                ("idea", {"text": "burst words"}),
                ("steer", {"text": "no q"}),
                ("pause", {"now": False}),
            ]
            assert app.screen is app.dashboard


async def test_an_editing_key_is_in_its_place_between_characters(tmp_path: Path) -> None:
    writer = sessions.rich(tmp_path)
    async with watching(writer) as (app, pilot):
        app.open_returning()
        await until(pilot, lambda: isinstance(app.screen, ReturningScreen))
        burst(pilot, "l", "1", "ctrl+u", *"140", "home", "2", "end", "x", "backspace", "enter")
        await until(pilot, lambda: "2,140" in text(pilot) or "2140" in text(pilot))
        line = last(writer)
        assert isinstance(line, records.Settings)
        assert list(line.changes.values()) == [2140]


async def test_what_is_pasted_waits_for_the_key_before_it(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    with sessions.engine(writer):
        async with watching(writer) as (app, pilot):
            burst(pilot, "i", "x", "ctrl+u")
            app.post_message(Paste("from elsewhere"))
            burst(pilot, "!", "enter")
            await until(pilot, lambda: asked(writer) == [("idea", {"text": "from elsewhere!"})])


async def test_keys_go_through_pages_as_they_open_and_close(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=5)
    async with watching(writer) as (app, pilot):
        burst(pilot, "slash", *"#3", "enter", "enter")
        await until(pilot, lambda: isinstance(app.screen, ExperimentScreen))
        assert app.screen.number == 3  # type: ignore[attr-defined]
        burst(pilot, "escape", "escape", "question_mark", "q", "i", "q")
        await until(pilot, lambda: isinstance(app.screen, Ask))
        await until(pilot, lambda: app.screen.query_one(Input).value == "q")
        assert not isinstance(app.screen_stack[-2], Page)
        assert app.screen_stack[-2] is app.dashboard


async def test_keys_after_the_last_one_are_nobodys(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=5)
    async with watching(writer) as (app, pilot):
        burst(pilot, "q", "i", "x", "enter")
        await until(pilot, lambda: app._exit)
        assert asked(writer) == []
