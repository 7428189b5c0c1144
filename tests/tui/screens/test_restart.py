"""Before a restart: what is said of a session that does not run, and that what is changed there is in its files."""

from __future__ import annotations

import json
from pathlib import Path

import sessions
from click.testing import CliRunner
from journals import told
from textual.events import Key
from viewing import asked, text, until, watching

from autoresearch.state.journal import SCORE_MARKS, records
from autoresearch.tui.app.app import ViewerApp
from autoresearch.tui.cli import cli
from autoresearch.tui.screens.ideas import IdeasScreen
from autoresearch.tui.screens.modals import Ask, Choice
from autoresearch.tui.screens.restart import ReturningScreen
from autoresearch.tui.widgets.pick_list import Picks

# -- the screen


async def test_a_session_that_does_not_run_opens_with_it_and_enter_resumes_at_once(tmp_path: Path) -> None:
    writer, starter = sessions.rich(tmp_path), sessions.Starts(lambda: None)
    app = ViewerApp(writer.place, writer.session, clock=lambda: writer.now, starter=starter)
    app.returning = True
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: isinstance(app.screen, ReturningScreen))
        assert "it goes on at run 3" in text(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: len(starter.began) == 1)
        await until(pilot, lambda: app.screen is app.dashboard)


async def test_pages_with_gains_say_who_prints_the_score(tmp_path: Path) -> None:
    writer = sessions.rich(tmp_path)
    writer.add(records.Warn(text="The code in scope prints the score.", code="own-score"))
    writer.flush()
    app = ViewerApp(writer.place, writer.session, clock=lambda: writer.now, starter=sessions.Starts(lambda: None))
    app.returning = True
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: f"Before a restart · score {SCORE_MARKS['scope']}" in text(pilot))
        app.push_screen(IdeasScreen(app.dashboard.palette))
        await until(pilot, lambda: f"Ideas and dead ends · score {SCORE_MARKS['scope']}" in text(pilot))


async def test_a_running_session_opens_with_the_dashboard(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    app = ViewerApp(writer.place, writer.session, clock=lambda: writer.now)
    app.returning = True
    with sessions.engine(writer):
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: app.watched.opened and app.watched.engine is not None)
            await pilot.pause()
            assert app.screen is app.dashboard


async def test_escape_goes_to_the_dashboard_and_the_page_can_be_called_back(tmp_path: Path) -> None:
    async with watching(sessions.rich(tmp_path)) as (app, pilot):
        await pilot.press("B")
        await until(pilot, lambda: isinstance(app.screen, ReturningScreen))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.dashboard)


async def test_a_veto_a_new_order_an_idea_and_a_limit_are_in_the_journal(tmp_path: Path) -> None:
    writer = sessions.rich(tmp_path)
    async with watching(writer, starter=sessions.Starts(lambda: None)) as (app, pilot):
        app.open_returning()
        await until(pilot, lambda: isinstance(app.screen, ReturningScreen))
        picks = app.screen.query_one("#picks", Picks)
        picks.to_key("i2")
        await pilot.press("K")
        await until(pilot, lambda: next(iter(app.watched.history.ideas)) == "i2")
        await pilot.press("v", "enter")
        await until(pilot, lambda: app.watched.history.ideas["i2"].state == "vetoed")
        await pilot.press("i", *"mine", "enter")
        await until(pilot, lambda: any(idea.text == "mine" for idea in app.watched.history.ideas.values()))
        await pilot.press("l", "4", "ctrl+u", *"25", "enter")
        await until(pilot, lambda: app.watched.history.settings.get("limits.dollars") == 25)
        await until(pilot, lambda: "of $25" in text(pilot))
        await pilot.press("l", "4", "ctrl+u", *"many", "enter")
        await until(pilot, lambda: "limits.dollars" in text(pilot))
        assert asked(writer) == []


async def test_keys_in_a_burst_leave_each_screen_once(tmp_path: Path) -> None:
    async with watching(sessions.paused(tmp_path, experiments=3), (80, 24)) as (app, pilot):
        await pilot.press("B")
        await until(pilot, lambda: isinstance(app.screen, ReturningScreen))
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, Choice))
        for key in "45":  # as a slow line delivers them: the second is there before the first had its effect
            app.post_message(Key(key, key))
        await until(pilot, lambda: isinstance(app.screen, Ask))
        assert isinstance(app.screen_stack[-2], ReturningScreen), "the second key took nothing away"
        for _ in "12345":
            app.post_message(Key("escape", None))
        await until(pilot, lambda: "Experiments" in text(pilot))
        assert app.is_running


async def test_escape_in_a_question_comes_back_to_the_page(tmp_path: Path) -> None:
    async with watching(sessions.rich(tmp_path)) as (app, pilot):
        app.open_returning()
        await until(pilot, lambda: isinstance(app.screen, ReturningScreen))
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, Choice))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, Choice))
        assert isinstance(app.screen, ReturningScreen)


async def test_nothing_is_offered_that_would_change_a_session_that_is_only_read(tmp_path: Path) -> None:
    writer, starter = sessions.rich(tmp_path), sessions.Starts(lambda: None)
    before = writer.session.journal.read_bytes()
    async with watching(writer, read_only=True, starter=starter) as (app, pilot):
        app.open_returning()
        await until(pilot, lambda: isinstance(app.screen, ReturningScreen))
        app.screen.query_one("#picks", Picks).to_key("i2")
        for key in ("enter", "v", "K", "l"):
            await pilot.press(key)
            await pilot.pause()
            assert isinstance(app.screen, ReturningScreen)
        assert "enter resume" not in text(pilot)
    assert starter.began == []
    assert writer.session.journal.read_bytes() == before


async def test_a_lost_engine_is_shown_with_its_last_words(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5).here()
    writer.session.engine_log.write_text("ok\n\x1b]0;owned\x07CUDA error: out of memory\n")
    async with watching(writer) as (app, pilot):
        app.open_returning()
        await until(pilot, lambda: "CUDA error: out of memory" in text(pilot))
        assert "ended without a word" in text(pilot)
        assert "owned" not in text(pilot)


async def test_the_preview_is_the_brief_with_what_was_changed_here(tmp_path: Path) -> None:
    session = told(tmp_path / "repo")
    session.session.config.write_text((session.repo / "autoresearch.toml").read_text())
    app = ViewerApp(session.place, session.session, starter=sessions.Starts(lambda: None))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: app.watched.opened and app.watched.engine is not None)
        app.open_returning()
        await until(pilot, lambda: isinstance(app.screen, ReturningScreen))
        await pilot.press("b")
        await until(pilot, lambda: "You are the researcher" in text(pilot))
        await pilot.press("escape", "i", *"a golden spring", "enter")
        await until(pilot, lambda: any("golden" in idea.text for idea in app.watched.history.ideas.values()))
        await pilot.press("b")
        brief = app.screen.query_one("#brief")
        await until(pilot, lambda: any("golden spring" in item[2] for item in brief._items))  # type: ignore[attr-defined]


# -- the command


def test_review_says_the_same_without_a_screen(tmp_path: Path) -> None:
    session = told(tmp_path / "repo")
    session.open("knob to 7", "7")
    result = CliRunner().invoke(cli, ["review", "-C", str(session.repo)])
    assert result.exit_code == 0, result.output
    assert result.output.startswith("PAUSED")
    for words in ("had no run yet", "i1 turn the knob down", "#2 knob down to 9", "Refuted", "large knobs"):
        assert words in result.output
    assert "\x1b" not in result.output
    document = json.loads(CliRunner().invoke(cli, ["review", "-C", str(session.repo), "--json"]).output)
    assert [idea["id"] for idea in document["ideas"]] == ["i1", "i2"]
    assert [row["number"] for row in document["keeps"]] == [2]
