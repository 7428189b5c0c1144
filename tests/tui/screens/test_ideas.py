"""Ideas and dead ends on the screen: every action by its effect on the session's files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import sessions
from viewing import asked, at, last, text, until, watching

from autoresearch.state.journal import list_of, records
from autoresearch.tui.screens.experiment import ExperimentScreen
from autoresearch.tui.screens.ideas import ExperimentsOf, IdeasScreen
from autoresearch.tui.screens.modals import Choice
from autoresearch.tui.widgets.pick_list import Picks


@pytest.fixture
def night(tmp_path: Path) -> sessions.Writer:
    return sessions.rich(tmp_path)


async def test_without_an_engine_a_change_is_in_the_journal_at_once(night: sessions.Writer) -> None:
    async with watching(night) as (app, pilot):
        await at(app, pilot, "i2")
        await pilot.press("K")
        await until(pilot, lambda: [i for i in app.watched.history.ideas][:2] == ["i2", "i1"])
        await pilot.press("J")
        await until(pilot, lambda: [i for i in app.watched.history.ideas][:2] == ["i1", "i2"])
        await pilot.press("v", *"too slow", "enter")
        await until(pilot, lambda: app.watched.history.ideas["i2"].state == "vetoed")
        line = last(night)
        assert isinstance(line, records.Veto)
        assert (line.id, line.reason) == ("i2", "too slow")
        assert night.session.requests() == []
        await until(pilot, lambda: "Vetoed (2)" in text(pilot))


async def test_with_an_engine_a_change_waits_in_the_inbox_and_is_shown_as_that(night: sessions.Writer) -> None:
    with sessions.engine(night):
        night.live(experiment=night.number)
        async with watching(night) as (app, pilot):
            await at(app, pilot, "i1")
            await pilot.press("J")
            await until(pilot, lambda: asked(night) == [("idea", {"id": "i1", "after": "i2"})])
            await until(pilot, lambda: "… i1 moves behind i2" in text(pilot))
            await pilot.press("i", *"mine", "enter")
            await until(pilot, lambda: "… waits in the inbox" in text(pilot))
            assert asked(night)[1] == ("idea", {"text": "mine"})


async def test_escape_in_a_question_comes_back_to_the_ideas(night: sessions.Writer) -> None:
    async with watching(night) as (app, pilot):
        await at(app, pilot, "i1")
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, Choice))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, Choice))
        assert isinstance(app.screen, IdeasScreen)


async def test_an_idea_is_edited_given_up_and_put_back(night: sessions.Writer) -> None:
    async with watching(night) as (app, pilot):
        await at(app, pilot, "i3")
        await pilot.press("e", "ctrl+u", *"tie them", "enter")
        await until(pilot, lambda: app.watched.history.ideas["i3"].text == "tie them")
        await pilot.press("x", *"no gain", "enter", *"wider", "enter")
        await until(pilot, lambda: app.watched.history.ideas["i3"].state == "vetoed")
        line = last(night)
        assert isinstance(line, records.DeadEnd)
        assert (line.text, line.retry_if, line.idea, line.list) == ("tie them: no gain", "wider", "i3", "refuted")
        await until(pilot, lambda: "Vetoed (2)" in text(pilot))
        picks = app.screen.query_one("#picks", Picks)
        picks.to_key("i3")
        await until(pilot, lambda: picks.picked == "i3")
        await pilot.press("u")
        await until(pilot, lambda: app.watched.history.ideas["i3"].state == "open")


async def test_giving_up_needs_a_reason_and_escape_asks_for_nothing(night: sessions.Writer) -> None:
    before = night.session.journal.read_bytes()
    async with watching(night) as (app, pilot):
        await at(app, pilot, "i1")
        await pilot.press("x", "enter", "x", "y", "enter", "escape", "v", "escape", "e", "escape")
        await pilot.pause()
        assert isinstance(app.screen, IdeasScreen)
    assert night.session.journal.read_bytes() == before
    assert night.session.requests() == []


async def test_a_failed_experiment_is_written_down_or_tried_again(night: sessions.Writer) -> None:
    async with watching(night) as (app, pilot):
        key = next(f"#{row.number}" for row in app.watched.history.rows if row.cause == "unproven")
        await at(app, pilot, key, "2")
        await pilot.press("x", *"noise", "enter", "enter")
        await until(pilot, lambda: isinstance(last(night), records.DeadEnd))
        line = last(night)
        assert isinstance(line, records.DeadEnd)
        assert (line.list, f"#{line.experiment}", line.text.endswith(": noise")) == ("unproven", key, True)
        key = next(f"#{row.number}" for row in reversed(app.watched.history.rows) if row.cause == "worse")
        app.screen.query_one("#picks", Picks).to_key(key)
        await pilot.press("t")
        await until(pilot, lambda: isinstance(last(night), records.Retry))
        line = last(night)
        assert isinstance(line, records.Retry)
        assert f"#{line.experiment}" == key


async def test_only_what_is_possible_is_offered_and_another_key_says_why(night: sessions.Writer) -> None:
    async with watching(night) as (app, pilot):
        await at(app, pilot, "i1")
        await until(pilot, lambda: "J down" in text(pilot))
        assert "K up" not in text(pilot)
        await pilot.press("u")
        await until(pilot, lambda: "Only a vetoed idea can be put back." in text(pilot))
        await pilot.press("K")
        await until(pilot, lambda: "It stands at that end of the list." in text(pilot))


async def test_a_reading_screen_changes_nothing(night: sessions.Writer) -> None:
    before = night.session.journal.read_bytes()
    async with watching(night, read_only=True) as (app, pilot):
        await at(app, pilot, "i2")
        for key in ("e", "v", "K", "J", "x", "t", "i"):
            await pilot.press(key)
            await pilot.pause()
            assert isinstance(app.screen, IdeasScreen)
        assert "e edit" not in text(pilot)
    assert night.session.journal.read_bytes() == before
    assert asked(night) == []


async def test_enter_shows_the_experiments_of_a_knob_and_of_a_family(night: sessions.Writer) -> None:
    async with watching(night) as (app, pilot):
        await at(app, pilot, "refuted=train.py:LR", "2")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ExperimentsOf))
        assert text(pilot).count("LR 0.") == 6
        await pilot.press("escape", "3")
        picks = app.screen.query_one("#picks", Picks)
        picks.to_key("=optimizer")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ExperimentsOf))


async def test_filters_narrow_the_list_and_escape_shows_all(night: sessions.Writer) -> None:
    async with watching(night) as (app, pilot):
        await at(app, pilot, "d1", "2")
        await pilot.press("slash", *"vocabularies", "enter")
        await until(pilot, lambda: "only “vocabularies”" in text(pilot))
        assert "Unproven" not in text(pilot)
        assert "1 Ideas (0) · 2 Dead ends (1) · 3 Families (0) · 4 Search" in text(pilot)
        await pilot.press("slash", "ctrl+u", *"zzz", "enter")
        await until(pilot, lambda: "Nothing here is “zzz”; esc shows all." in text(pilot))
        await pilot.press("escape", "w", "3")
        await until(pilot, lambda: "only unproven" in text(pilot))
        await pilot.press("escape", "o", "down", "enter")
        await until(pilot, lambda: "only worse" in text(pilot))
        await pilot.press("escape", "escape")
        await until(pilot, lambda: not isinstance(app.screen, IdeasScreen))


@pytest.mark.parametrize(("key", "where"), [("2", "refuted"), ("3", "unproven"), ("4", "crashed")])
async def test_a_search_in_one_of_the_three_lists_finds_all_that_is_on_it(
    night: sessions.Writer, key: str, where: str
) -> None:
    async with watching(night) as (app, pilot):
        screen = await at(app, pilot, "i1")
        await pilot.press("4", "enter", "w", key)
        wanted = {row.number for row in app.watched.history.rows if list_of(row) == where}
        assert wanted
        await until(pilot, lambda: {hit["number"] for hit in screen._hits.values()} == wanted)
        await pilot.press("escape")
        await until(pilot, lambda: not screen._hits)


async def test_a_filter_set_in_another_list_holds_in_the_search(night: sessions.Writer) -> None:
    async with watching(night) as (app, pilot):
        screen = await at(app, pilot, "i1")
        await pilot.press("4", *"learning", "enter")
        await until(pilot, lambda: any("peak" in str(hit["description"]) for hit in screen._hits.values()))
        await pilot.press("2", "slash", *"warm", "enter", "4")
        await until(pilot, lambda: "only “warm”" in text(pilot))
        await until(pilot, lambda: all("Warm up" in str(hit["description"]) for hit in screen._hits.values()))
        assert screen._hits


def with_zoom(night: sessions.Writer) -> sessions.Writer:
    """Another session of the repository, in which ZOOM was tried."""
    other = sessions.Writer(night.place.top.parent, name="nov19")
    other.begin()
    other.baseline()
    other.turn("ZOOM", 3)
    other.flush()
    return other


async def test_search_finds_in_every_session_and_enter_goes_there(night: sessions.Writer) -> None:
    with_zoom(night)
    async with watching(night) as (app, pilot):
        await at(app, pilot, "i1")
        await pilot.press("4", *"zoom")
        await until(pilot, lambda: "nov19 #2" in text(pilot))
        await pilot.press("enter", "enter")
        await until(pilot, lambda: isinstance(app.screen, ExperimentScreen) and app.screen.facts is not None)
        assert (app.session.name, app.screen.number) == ("nov19", 2)
        await until(pilot, lambda: "#2  DISCARD ×  nanogpt/nov19" in text(pilot))
        assert "This is session nov19; ctrl+o shows the others." in text(pilot)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.dashboard and "ZOOM" in text(pilot))


async def test_a_session_that_is_gone_since_the_search_is_said(night: sessions.Writer) -> None:
    other = with_zoom(night)
    async with watching(night) as (app, pilot):
        await at(app, pilot, "i1")
        await pilot.press("4", *"zoom")
        await until(pilot, lambda: "nov19 #2" in text(pilot))
        shutil.rmtree(other.session.folder)
        await pilot.press("enter", "enter")
        await until(pilot, lambda: "Session nov19 cannot be opened here" in text(pilot))
        assert app.session.name == "nov20"


async def test_nothing_yet_is_said(tmp_path: Path) -> None:
    writer = sessions.beginning(tmp_path)
    async with watching(writer) as (app, pilot):
        app.open_ideas()
        await until(pilot, lambda: "No idea is waiting. i adds one" in text(pilot))
        for key, words in (
            ("2", "Nothing has failed yet."),
            ("3", "No experiment has a verdict yet."),
            ("4", "Type words"),
        ):
            await pilot.press(key)
            await until(pilot, lambda words=words: words in text(pilot))
            if key == "4":
                await pilot.press("tab")


async def test_a_night_of_ten_thousand_is_shown_in_lines_that_exist(tmp_path: Path) -> None:
    writer = sessions.Writer(tmp_path)
    writer.begin()
    writer.baseline()
    while writer.number < 3000:
        writer.experiment()
    writer.add(records.Stop(reason="x"))
    writer.flush()
    async with watching(writer) as (app, pilot):
        app.open_ideas()
        await pilot.press("2", "G", "g", "pagedown", "pageup")
        await until(pilot, lambda: "Refuted (400)" in text(pilot))


async def test_hostile_words_stay_words(tmp_path: Path) -> None:
    writer = sessions.rich(tmp_path)
    evil = "\x1b]0;owned\x07[bold]x[/bold] [/] \x1b[2J"
    writer.add(records.Idea(id="i9\x1b[31m", text=evil))
    writer.add(records.DeadEnd(id="d9", text=evil, retry_if=evil))
    writer.turn(f"K{evil}", evil)
    writer.add(records.Stop(reason=evil))
    writer.flush()
    async with watching(writer) as (app, pilot):
        app.open_ideas()
        await until(pilot, lambda: "[bold]x[/bold] [/]" in text(pilot))
        seen = [text(pilot)]
        for keys in (("v", "escape"), ("2",), ("3",), ("escape", "B")):
            await pilot.press(*keys)
            await pilot.pause()
            seen.append(text(pilot))
        app.screen.query_one("#picks", Picks).to_key("i9\x1b[31m")
        await pilot.press("v")
        await pilot.pause()
        seen.append(text(pilot))
        assert not any("\x1b" in each or "\x07" in each for each in seen)
