"""The experiments' table: sorted, filtered and folded, with the cursor where a person left it."""

from __future__ import annotations

from pathlib import Path

import sessions
from textual.widgets import Input
from viewing import text, until, watching

from autoresearch.state.journal import records
from autoresearch.tui.screens.experiment import ExperimentScreen
from autoresearch.tui.widgets.table import Experiments


async def test_a_filter_is_typed_seen_and_ended(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=60)
    with sessions.engine(writer):
        async with watching(writer) as (app, pilot):
            table = app.dashboard.query_one(Experiments)
            await pilot.press("2", "1", "slash", *"keep")
            await until(pilot, lambda: "of 60: keep" in text(pilot))
            assert {each.status for each in table.rows} == {"keep"}
            await pilot.press("enter")
            assert app.focused is table
            await pilot.press("j", "enter")
            await until(pilot, lambda: isinstance(app.screen, ExperimentScreen) and "KEEP ✓" in text(pilot))
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is app.dashboard)
            chosen = table.chosen
            await pilot.press("escape")
            assert len(table.rows) == 60
            assert table.chosen == chosen, "the cursor stays on its experiment"
            await pilot.press("slash", *"crash", "escape")
            assert len(table.rows) == 60
            assert not app.dashboard.query_one("#find", Input).display


async def test_what_arrives_goes_through_the_filter_and_the_sorting(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=40)
    async with watching(writer) as (app, pilot):
        table = app.dashboard.query_one(Experiments)
        await pilot.press("slash", *"-keep", "enter", "o", "o")
        assert table.sorting[0] == "metric"
        await pilot.press("j", "j", "j")
        chosen, before = table.chosen, len(table.rows)
        for _ in range(30):
            writer.experiment()
        writer.flush()
        await until(pilot, lambda: len(app.watched.history.rows) == 70)
        assert table.chosen == chosen
        assert before < len(table.rows) < before + 30
        values = [each.metric for each in table.rows if each.metric is not None]
        assert values == sorted(values)


async def test_every_column_sorts_and_turns_and_the_title_says_so(tmp_path: Path) -> None:
    async with watching(sessions.paused(tmp_path, experiments=40), size=(200, 60)) as (app, pilot):
        table = app.dashboard.query_one(Experiments)
        seen = []
        for _ in range(9):
            await pilot.press("o")
            seen.append(table.sorting[0])
            numbers = [each.number for each in table.rows]
            await pilot.press("O")
            assert sorted(numbers) == sorted(each.number for each in table.rows)
            assert len(table.rows) == 40
            if table.sorting != ("#", True):
                assert f"by {table._title_of(table.sorting[0])} " in text(pilot)
        assert {"status", "metric", "better by", "odds", "runs", "time", "cost"} <= set(seen)


async def test_a_click_on_a_title_sorts(tmp_path: Path) -> None:
    async with watching(sessions.paused(tmp_path, experiments=40)) as (app, pilot):
        table = app.dashboard.query_one(Experiments)
        await pilot.click(table, offset=(25, 1))
        assert table.sorting == ("metric", False)
        await pilot.click(table, offset=(25, 1))
        assert table.sorting == ("metric", True)


async def test_what_was_mended_folds_into_the_last_of_the_chain(tmp_path: Path) -> None:
    writer = sessions.Writer(tmp_path)
    writer.begin()
    writer.baseline()
    proposal, commit, about = writer.open()
    writer.close(proposal, commit, about, "crash", "nonzero_exit")
    for mended in (2, 3):
        writer.proposals += 1
        writer.number += 1
        commit = sessions.sha("mend", mended)
        writer.add(records.Proposal(id=writer.proposals, base=writer.incumbent, sha=commit, mends=mended))
        intent = records.Intent(
            experiment=writer.number, proposal=writer.proposals, parent=writer.incumbent, sha=commit
        )
        writer.add(intent)
        writer.close(writer.proposals, commit, ("mended", "", ""), "crash" if mended == 2 else "discard", "worse")
    writer.add(records.Pause(reason="enough"))
    writer.flush()
    async with watching(writer) as (app, pilot):
        table = app.dashboard.query_one(Experiments)
        assert [each.number for each in table.rows] == [4, 1]
        assert "↳ #3, #2 mended" in text(pilot)
        await pilot.press("c")
        assert [each.number for each in table.rows] == [4, 3, 2, 1]
        assert "chains unfolded" in text(pilot)
        await pilot.press("c")
        assert len(table.rows) == 2


async def test_a_flagged_experiment_and_a_self_made_score_are_marked(tmp_path: Path) -> None:
    writer = sessions.Writer(tmp_path)
    writer.begin()
    writer.baseline()
    writer.add(records.Warn(text="The code in scope prints the score.", code="own-score"))
    proposal, commit, about = writer.open()
    writer.add(
        records.Experiment(
            run=2, commit=commit[:7], metric=1.0, status="keep", cause="better", sha=commit, proposal=proposal,
            description=about[0], flags=("jump",), estimate=0.9, interval=0.1,
        )
    )  # fmt: skip
    writer.flush()
    async with watching(writer) as (_, pilot):
        shown = text(pilot)
        assert "   2? KEEP ✓" in shown
        assert "val_bpb*" in shown
        assert "printed by its own code" in shown.splitlines()[1]
        assert "1? flagged" in shown
