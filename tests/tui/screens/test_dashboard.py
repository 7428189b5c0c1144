"""The screen through its keys: what they ask of the session, what is shown when, in every state of the engine."""

from __future__ import annotations

from pathlib import Path

import pytest
import sessions
from viewing import asked, text, until, watching

from autoresearch.state.journal import records
from autoresearch.state.session import SessionError
from autoresearch.tui.app.app import ViewerApp
from autoresearch.tui.look.keys import commands_of
from autoresearch.tui.screens.experiment import ExperimentScreen
from autoresearch.tui.screens.modals import Choice, Page
from autoresearch.tui.widgets.log_view import LogView
from autoresearch.tui.widgets.table import Experiments


async def test_a_running_session_shows_state_best_counts_runs_and_log(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path)
    with sessions.engine(writer):
        async with watching(writer) as (_, pilot):
            await until(pilot, lambda: "loss 2.0254" in text(pilot))
            shown = text(pilot)
    assert " RUNNING  #61 of 100 measuring, run 2 of ≤8  12s" in shown
    assert "best 1.5606 bits/byte  18.38% better ±0.08 than 1.9119" in shown
    assert "12✓ 41× 3! 3c" in shown
    assert "$2.58 of $10  ran 1h07m" in shown
    assert "RUN >" in shown
    assert "KEEP ✓" in shown
    assert "val_bpb in bits/byte, lower is better" in shown
    assert "step   228 | loss 2.0254" in shown
    assert "p pause" in shown


async def test_pause_asks_and_pressed_again_takes_it_back(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path)
    with sessions.engine(writer):
        async with watching(writer) as (app, pilot):
            await pilot.press("p")
            await until(pilot, lambda: asked(writer) == [("pause", {"now": False})])
            assert "Pausing after this experiment; p takes it back" in text(pilot)
            await pilot.press("d")
            await until(pilot, lambda: app.screen is not app.dashboard)
            assert "Pausing after this experiment; p takes it back" in text(pilot), "on every screen of the session"
            await pilot.press("p")
            await until(pilot, lambda: [kind for kind, _ in asked(writer)] == ["pause", "unpause"])
            assert "Pausing after this experiment" not in text(pilot)
            await pilot.press("escape")
            assert "Pausing after this experiment" not in text(pilot)
            for path, _ in writer.session.requests():
                path.unlink()
            writer.live(experiment=writer.number, pausing="pause", k=2)
            await until(pilot, lambda: app.watched.live is not None and app.watched.live.pausing == "pause")
            assert "PAUSING" in text(pilot)
            await pilot.press("p")
            assert [kind for kind, _ in asked(writer)] == ["unpause"]


async def test_stop_asks_first(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path)
    with sessions.engine(writer):
        async with watching(writer) as (app, pilot):
            for answer in ("n", "escape", "enter", "y"):
                assert asked(writer) == []
                await pilot.press("s")
                await until(pilot, lambda: isinstance(app.screen, Choice))
                await pilot.press(answer)
                await until(pilot, lambda: app.screen is app.dashboard)
            await until(pilot, lambda: asked(writer) == [("stop", {})])


async def test_escape_in_a_question_leaves_what_is_below_as_it_is(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    with sessions.engine(writer):
        async with watching(writer) as (app, pilot):
            await pilot.press("z")
            await until(pilot, lambda: app.dashboard.zoomed)
            await pilot.press("q")
            await until(pilot, lambda: isinstance(app.screen, Choice))
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is app.dashboard)
            assert app.dashboard.zoomed


async def test_limits_are_the_configs_with_what_people_have_set_since(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=20)
    with sessions.engine(writer):
        async with watching(writer) as (_, pilot):
            assert "#21 of 100 " in text(pilot)
            assert "of $10 " in text(pilot)
            writer.add(records.Settings(changes={"limits.experiments": 40, "limits.dollars": 2.5}))
            writer.flush()
            await until(pilot, lambda: "#21 of 40 " in text(pilot))
            assert "of $2.5 " in text(pilot)


async def test_ideas_and_messages_go_into_the_inbox_as_typed(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path)
    with sessions.engine(writer):
        async with watching(writer) as (_, pilot):
            await pilot.press("i", *"try q", "enter")
            await until(pilot, lambda: asked(writer) == [("idea", {"text": "try q"})])
            await pilot.press("m", *"no p", "enter", "i", "enter", "m", "x", "escape")
            await until(pilot, lambda: len(asked(writer)) == 2)
            assert asked(writer)[1] == ("steer", {"text": "no p"})


@pytest.mark.parametrize(
    ("keys", "kinds", "leaves"),
    [
        (["q", "enter"], [], True),
        (["q", "l"], [], True),
        (["q", "p"], ["pause"], True),
        (["q", "s"], ["stop"], True),
        (["q", "c"], [], False),
        (["q", "escape"], [], False),
        (["q", "down", "enter"], ["pause"], True),
    ],
)
async def test_leaving_is_a_choice_while_an_engine_runs(
    tmp_path: Path, keys: list[str], kinds: list[str], leaves: bool
) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    with sessions.engine(writer):
        async with watching(writer) as (app, pilot):
            await pilot.press(keys[0])
            await until(pilot, lambda: isinstance(app.screen, Choice))
            await pilot.press(*keys[1:])
            await until(pilot, lambda: app._exit if leaves else app.screen is app.dashboard)
            assert app._exit is leaves
            assert [kind for kind, _ in asked(writer)] == kinds


async def test_a_demo_stops_by_default(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    with sessions.engine(writer):
        async with watching(writer, demo=True) as (app, pilot):
            await pilot.press("q", "enter")
            await pilot.pause()
            assert app._exit
    assert asked(writer) == [("stop", {})]


async def test_without_an_engine_leaving_asks_nothing(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=5)
    async with watching(writer) as (app, pilot):
        await pilot.press("q")
        assert app._exit
    assert asked(writer) == []


async def test_resume_starts_an_engine_once_and_shows_that_it_comes(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=5)
    started: list[int] = []
    async with watching(writer, start_engine=lambda: started.append(1)) as (app, pilot):
        assert "PAUSED" in text(pilot)
        assert "p resume" in text(pilot)
        await pilot.press("r")
        await until(pilot, lambda: started)
        assert "STARTING" in text(pilot)
        await pilot.press("r")
        await pilot.pause()
        assert started == [1]
        with sessions.engine(writer):
            writer.live(experiment=6)
            await until(pilot, lambda: app.watched.engine.state == "running")
        await until(pilot, lambda: app.watched.engine.state == "paused")


async def test_an_engine_that_cannot_start_says_why(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=5)

    def refuse() -> None:
        raise SessionError("The config names no metric; add metric.name.")

    async with watching(writer, start_engine=refuse) as (_, pilot):
        await pilot.press("r")
        await until(pilot, lambda: "names no metric" in text(pilot))
        await until(pilot, lambda: "PAUSED" in text(pilot))


async def test_an_engine_that_never_takes_the_lock_is_given_up(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=5)
    async with watching(writer, start_engine=lambda: None) as (app, pilot):
        await pilot.press("r")
        await until(pilot, lambda: app.watched.engine.state == "starting")
        writer.now += 16_000
        await until(pilot, lambda: "did not start" in text(pilot))
        assert app.watched.engine.state == "paused"


async def test_a_watcher_without_an_engine_to_start_says_how(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=5)
    async with watching(writer) as (_, pilot):
        await pilot.press("r")
        await until(pilot, lambda: "autoresearch resume" in text(pilot))


async def test_a_dead_and_a_silent_engine_are_told_apart(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5).here()
    async with watching(writer) as (app, pilot):
        assert "ENGINE LOST" in text(pilot)
        with sessions.engine(writer):
            await until(pilot, lambda: app.watched.engine.state == "running")
            writer.now += 11_000
            await until(pilot, lambda: "NOT RESPONDING" in text(pilot))


async def test_before_the_first_experiment_the_chart_says_what_is_awaited(tmp_path: Path) -> None:
    writer = sessions.beginning(tmp_path)
    with sessions.engine(writer):
        async with watching(writer, size=(80, 24)) as (_, pilot):
            assert "Measuring the baseline, run 2 of 4." in text(pilot)


async def test_a_missing_journal_is_one_sentence_and_no_crash(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=5)
    data = writer.session.journal.read_bytes()
    writer.session.journal.unlink()
    app = ViewerApp(writer.place, writer.session, clock=lambda: writer.now)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "The session is gone" in text(pilot))
        await pilot.pause()
        await pilot.press("w")
        await until(pilot, lambda: app.screen is app.dashboard)
        writer.session.journal.write_bytes(data)
        await until(pilot, lambda: "PAUSED" in text(pilot))
        assert "deleted or moved" not in text(pilot)


async def test_new_lines_reach_every_widget_and_the_cursor_stays_on_its_experiment(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=30)
    async with watching(writer) as (app, pilot):
        table = app.dashboard.query_one(Experiments)
        await pilot.press("j", "j")
        chosen = table.at(table.cursor).number
        assert chosen == 28
        writer.experiment()
        writer.flush()
        await until(pilot, lambda: len(app.watched.history.rows) == 31)
        assert table.at(table.cursor).number == chosen
        assert "   31  " in text(pilot)


async def test_enter_opens_what_the_journal_knows(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=30)
    async with watching(writer) as (app, pilot):
        kept = max(row.number for row in app.watched.history.rows if row.status == "keep")
        await pilot.press(*["j"] * (30 - kept), "enter")
        await until(pilot, lambda: isinstance(app.screen, ExperimentScreen))
        shown = text(pilot)
        line = app.watched.history.by_number[kept]
        for words in (f"#{kept}  KEEP ✓", "Hypothesis", "train.py", "540 to 1", "fresh run, seed 5", line.sha[:12]):
            assert words in shown
        await pilot.press("escape", "g", "G", "enter")
        await until(pilot, lambda: "the baseline, 4 runs" in text(pilot))
        await pilot.press("q")
        await until(pilot, lambda: not isinstance(app.screen, ExperimentScreen))
        assert not app._exit


async def test_scrolling_up_leaves_the_logs_end_and_f_comes_back(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    output = writer.session.run(writer.number) / "output.log"
    with sessions.engine(writer):
        async with watching(writer, size=(80, 24)) as (app, pilot):
            log = app.dashboard.query_one(LogView)
            await pilot.press("2")
            await until(pilot, lambda: "step   228" in text(pilot))
            await pilot.press("k", "k")
            top = text(pilot)
            assert not log.following
            with output.open("a") as file:
                file.write("step 9999 | new\n" * 500)
            await until(pilot, lambda: "500 new, f follows" in text(pilot))
            assert "step 9999" not in text(pilot)
            assert "step   220" in top
            assert "step   220" in text(pilot)
            await pilot.press("f")
            await until(pilot, lambda: "step 9999" in text(pilot))
            with output.open("a") as file:
                file.write("the very last line\n")
            await until(pilot, lambda: "the very last line" in text(pilot))


async def test_escape_sequences_in_a_log_and_a_description_never_reach_the_terminal(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    writer.live(experiment=writer.number, description="x\x1b]0;owned\x07y\x1b[2J", k=1)
    with (writer.session.run(writer.number) / "output.log").open("a") as file:
        file.write("\x1b[2J\x1b]52;c;aGk=\x07harmless\n")
    with sessions.engine(writer):
        async with watching(writer) as (_, pilot):
            await until(pilot, lambda: "harmless" in text(pilot))
            shown = text(pilot)
    assert not [character for character in shown if ord(character) < 32 and character != "\n"]
    assert "owned" not in shown


@pytest.mark.parametrize("size", [(200, 60), (60, 15), (59, 15), (20, 3)])
async def test_every_size_works_and_can_become_every_other(tmp_path: Path, size: tuple[int, int]) -> None:
    writer = sessions.running(tmp_path, experiments=30)
    with sessions.engine(writer):
        async with watching(writer, size=size) as (_, pilot):
            assert "RUNNING" in text(pilot)
            for other in ((120, 40), (30, 8), size):
                await pilot.resize_terminal(*other)
                await pilot.press("2", "4", "5", "tab")
                await pilot.pause()
                assert "RUNNING" in text(pilot)


async def test_panes_are_reached_by_number_and_by_tab(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=30)
    seen = {
        "1": "DISCARD ×", "2": "step   228", "3": "To try (3)", "4": "Refuted (", "5": "Running #31", "6": "+ closer",
    }  # fmt: skip
    with sessions.engine(writer):
        for size in ((80, 24), (120, 40), (200, 60)):
            async with watching(writer, size=size) as (app, pilot):
                for key, words in seen.items():
                    await pilot.press(key)
                    await until(pilot, lambda words=words: words in text(pilot))
                for words in seen.values():
                    await pilot.press("tab")
                    await until(pilot, lambda words=words: words in text(pilot))
                assert app.dashboard.active == "chart"


async def test_help_names_every_key_that_does_something_now(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=5)
    async with watching(writer, size=(120, 90)) as (app, pilot):
        commands = commands_of(app.screen)
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, Page))
        shown = text(pilot)
        assert len(commands) > 20
        for command in commands:
            assert command.words in shown, command.id


async def test_a_fatal_error_shows_no_values_of_variables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    writer = sessions.paused(tmp_path, experiments=5)
    app = ViewerApp(writer.place, writer.session, clock=lambda: writer.now)

    def fail() -> None:
        api_key = "-".join(["sk", "very", "secret"])
        raise RuntimeError(f"it broke {len(api_key)}")

    async def run_into_it() -> None:
        async with app.run_test(size=(80, 24)) as pilot:
            app.call_later(fail)
            await pilot.pause()

    with pytest.raises(RuntimeError):
        await run_into_it()
    printed = capsys.readouterr()
    assert app.return_code == 1
    assert "sk-very-secret" not in printed.out + printed.err
    assert "it broke 14" in printed.out + printed.err
