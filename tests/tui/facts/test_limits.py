"""Limits on the screen: in plain words, with what is left, and never resumed into without a word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sessions
from textual.widgets import Input
from viewing import text, until, watching

from autoresearch.engine.sessions import RunOptions
from autoresearch.state.journal import records
from autoresearch.tui.actions.engines import Starter
from autoresearch.tui.app.app import ViewerApp
from autoresearch.tui.facts import documents, limits
from autoresearch.tui.screens.modals import Ask
from autoresearch.tui.screens.restart import ReturningScreen
from autoresearch.tui.terminal.session_text import limits_text


def paused(folder: Path, reason: str, limit: str = "experiments", experiments: int = 5) -> sessions.Writer:
    writer = sessions.Writer(folder)
    writer.begin()
    writer.baseline()
    while writer.number < experiments:
        writer.experiment()
    fix = "raise it with `autoresearch limit experiments N`, or run again with --max-experiments"
    writer.add(records.Pause(reason=reason, limit=limit, fix=fix, by="engine"))
    writer.live(phase="ended", reason="limit")
    writer.flush()
    return writer


def limited(writer: sessions.Writer, **values: Any) -> sessions.Writer:
    for name, value in values.items():
        writer.add(records.Settings(changes={f"limits.{name}": value}))
    writer.flush()
    return writer


# -- the words


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("experiments", 1200, "limit on experiments in all becomes 1,200"),
        ("hours", 7.5, "limit on hours of running in all becomes 7.5h"),
        ("until", "07:30", "limit on the time of day becomes 07:30"),
        ("dollars", 25.0, "limit on dollars spent in all becomes $25"),
        ("no_keep", 0, "limit on experiments in a row without a keep is taken away"),
        ("until", "", "limit on the time of day is taken away"),
        ("\x1b]0;x\x07", None, "limit on  is taken away"),
    ],
)
def test_a_new_value_in_words(name: str, value: object, said: str) -> None:
    assert limits.becomes(name, value).replace("]0;x", "") == said


def test_what_the_call_leaves_is_told_too(tmp_path: Path) -> None:
    history = paused(tmp_path, "experiment limit reached (5)").session.history()
    bounds = {"experiments": 8, "call": {"experiments": 25, "done": 0}}
    assert limits.left(history, bounds) == ["25 more experiments in this call", "3 of 8 experiments"]
    assert limits.left(history, {"call": {"experiments": 25, "done": 24}}) == ["1 more experiment in this call"]


def test_one_is_no_plural(tmp_path: Path) -> None:
    assert limits_text({"experiments": 1, "call": {"experiments": 1, "done": 0}}) == (
        "0 of 1 experiment in this call · 1 experiment"
    )
    assert limits_text({"experiments": 1200, "dollars": 10, "no_keep": 40}) == (
        "1,200 experiments · $10 · 40 without a keep"
    )


def test_the_call_that_opened_the_screen_knows_its_limit(tmp_path: Path) -> None:
    session = sessions.Writer(tmp_path).session
    assert Starter(RunOptions(session="nov20", max_experiments=25)).limits(session) == {"experiments": 25, "done": 0}
    assert Starter(RunOptions(session="other", max_experiments=25)).limits(session) == {}
    assert Starter(RunOptions(session="nov20")).limits(session) == {}
    assert Starter().limits(session) == {}


@pytest.mark.parametrize(
    ("bounds", "limit"),
    [
        ({"experiments": 5}, "experiments"),
        ({"experiments": 6}, None),
        ({"hours": 0.0001}, "hours"),
        ({"no_keep": 0}, None),
        ({"until": "00:00"}, None),
        ({"until": "not a time"}, None),
        ({}, None),
    ],
)
def test_which_limit_would_pause_an_engine_at_once(tmp_path: Path, bounds: dict[str, Any], limit: str | None) -> None:
    history = paused(tmp_path, "x").session.history()
    reached = limits.used_up(history, bounds)
    assert (reached.limit if reached is not None else None) == limit


def test_an_open_experiment_is_finished_before_any_limit_counts(tmp_path: Path) -> None:
    history = sessions.rich(tmp_path).session.history()
    assert history.open is not None
    assert limits.used_up(history, {"experiments": 3}) is None


def test_the_next_engine_has_what_the_targets_file_says_now(tmp_path: Path) -> None:
    writer = paused(tmp_path, "x")
    history, file = writer.session.history(), writer.place.config_file

    def dollars() -> Any:
        return documents.next_limits(writer.place, writer.session, history, {})["dollars"]

    assert dollars() == 10, "as the session has it, without the file"
    file.write_text("[limits]\ndollars = 40\nexperiments = 'many'\n")
    assert dollars() == 40
    assert documents.next_limits(writer.place, writer.session, history, {})["experiments"] == 0
    file.write_text("[limits\ndollars = 40\n")
    assert dollars() == 10, "somebody is writing it"
    assert documents.limits(writer.session, history, {})["dollars"] == 10


# -- the page


async def test_the_page_tells_the_calls_limit_and_enter_goes_on(tmp_path: Path) -> None:
    writer, starter = paused(tmp_path, "experiment limit reached (5)"), sessions.Starts(lambda: None)
    starter.of_call = {"experiments": 25, "done": 0}
    async with watching(writer, (80, 24), starter=starter) as (_, pilot):
        await pilot.press("B")
        await until(pilot, lambda: "25 more experiments in this call" in text(pilot))
        assert "The limits leave room now: enter goes on." in text(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: len(starter.began) == 1)


async def test_nothing_is_resumed_into_a_limit_with_nothing_left(tmp_path: Path) -> None:
    writer = limited(paused(tmp_path, "experiment limit reached (5)"), experiments=5)
    starter = sessions.Starts(lambda: None)
    async with watching(writer, (80, 24), starter=starter) as (app, pilot):
        await pilot.press("r")
        await until(pilot, lambda: "An engine would pause at once: experiment limit reached" in text(pilot))
        await pilot.press("escape", "B")
        await until(pilot, lambda: "Nothing is left of it; l sets another limit." in text(pilot))
        assert "`autoresearch" not in text(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, Ask) and "So far: 5." in text(pilot))
        app.screen.query_one(Input).value = "9"
        await pilot.press("enter")
        await until(pilot, lambda: "4 of 9 experiments" in text(pilot))
        assert "The limits leave room now: enter goes on." in text(pilot)
        assert starter.began == []
        await pilot.press("enter")
        await until(pilot, lambda: len(starter.began) == 1)


async def test_limits_are_offered_in_plain_words(tmp_path: Path) -> None:
    writer = paused(tmp_path, "x", limit="")
    async with watching(writer, (80, 24), starter=sessions.Starts(lambda: None)) as (app, pilot):
        await pilot.press("B")
        await until(pilot, lambda: isinstance(app.screen, ReturningScreen))
        await pilot.press("l")
        await until(pilot, lambda: "experiments in a row without a keep (now off)" in text(pilot))
        assert "dollars spent in all (now $10)" in text(pilot)
        assert "no_keep" not in text(pilot)
        await pilot.press("6")
        await until(pilot, lambda: "Type a value such as 40, for 40 in a row" in text(pilot))
        await pilot.press(*"30", "enter")
        await until(pilot, lambda: "30 more experiments without a keep" in text(pilot))
        said = [notice.message for notice in app._notifications]
        assert said == ["The limit on experiments in a row without a keep becomes 30."]


async def test_a_limit_set_too_low_is_told_of_a_session_that_was_only_stopped(tmp_path: Path) -> None:
    writer = sessions.Writer(tmp_path)
    writer.begin()
    writer.baseline()
    writer.add(records.Stop(reason="stopped by ann"))
    async with watching(limited(writer, experiments=1), (80, 24), starter=sessions.Starts(lambda: None)) as (_, pilot):
        await pilot.press("B")
        await until(
            pilot,
            lambda: "It would pause at once: experiment limit reached (1); l sets another limit." in text(pilot),
        )


async def test_the_list_opens_what_has_nothing_left_instead_of_resuming_it(tmp_path: Path) -> None:
    writer = limited(paused(tmp_path, "experiment limit reached (5)"), experiments=5)
    starter = sessions.Starts(lambda: None)
    app = ViewerApp(writer.place, None, clock=lambda: writer.now, starter=starter)
    app.returning = True
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "experiment limit reached (5)" in text(pilot))
        await pilot.press("r")
        await until(pilot, lambda: "Nothing is left of it; l sets another limit." in text(pilot))
        assert starter.began == []


# -- the state line


@pytest.mark.parametrize(
    "reason",
    [
        "experiment limit reached (25)",
        "dollar limit reached ($10.00 of $10.00 spent)",
        "token limit reached (1,200,000 of 1,000,000)",
        "no keep in 40 experiments",
        "The tuner has no untried value left (12 literals).",
    ],
)
async def test_why_it_paused_is_whole_at_80_columns(tmp_path: Path, reason: str) -> None:
    async with watching(paused(tmp_path, reason), (80, 24)) as (_, pilot):
        assert f" PAUSED  {reason.rstrip('.')} – B says more " in text(pilot)


async def test_a_long_reason_is_cut_and_not_where_it_says_more(tmp_path: Path) -> None:
    async with watching(paused(tmp_path, "setup failed: " + "x" * 100, limit=""), (80, 24)) as (_, pilot):
        first = text(pilot).split("\n")[0]
        assert first.startswith(" PAUSED  setup failed: xxx")
        assert first.endswith("x… – B says more")
