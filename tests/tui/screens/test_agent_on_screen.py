"""The agent at work, on the screen: its log, what it waits for, and the terminal's bell when something happened."""

from __future__ import annotations

from pathlib import Path

import pytest
import sessions
from terminals import Terminal
from viewing import beating, text, until, viewed, watching

from autoresearch.state.journal import records
from autoresearch.tui.live.bell import Bell, sequence
from autoresearch.tui.widgets.log_view import LogView


def proposing(writer: sessions.Writer, **more: str) -> Path:
    """The engine waits for a proposal, whose agent has begun to write its log."""
    folder = writer.session.proposal(writer.proposals + 1)
    folder.mkdir(parents=True)
    (folder / "agent.log").write_text("reading the brief\n")
    writer.live("proposing", proposing="command", experiment=writer.number, description="an old one", **more)
    return folder


def between(folder: Path) -> sessions.Writer:
    """Five experiments are done and nothing is open."""
    writer = sessions.Writer(folder)
    writer.begin()
    writer.baseline()
    while writer.number < 5:
        writer.experiment()
    writer.output(writer.number)
    writer.flush()
    return writer


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_the_log_is_the_agents_while_nothing_is_measured(tmp_path: Path, size: tuple[int, int]) -> None:
    writer = between(tmp_path)
    folder = proposing(writer)
    with sessions.engine(writer):
        async with watching(writer, size=size) as (app, pilot):
            await pilot.press("2")
            await until(pilot, lambda: "reading the brief" in text(pilot))
            assert "agent.log of the next" in text(pilot)
            with (folder / "agent.log").open("a") as file:
                file.write("editing \x1b]0;owned\x07train.py\n")
            await until(pilot, lambda: "editing train.py" in text(pilot))
            _, commit, about = writer.open()
            folder.rename(writer.session.run(writer.number))
            (writer.session.run(writer.number) / "output.log").write_text("step 1\n")
            writer.live(experiment=writer.number, description=about[0], k=1, of=8, sha=commit)
            writer.flush()
            await until(pilot, lambda: "step 1" in text(pilot))
            log = app.dashboard.query_one(LogView)
            assert log.file is not None
            assert log.file.path.name == "output.log"


async def test_brackets_go_through_the_runs_logs_and_back_to_what_comes(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    run = writer.session.run(writer.number)
    (run / "build.log").write_text("compiling\n")
    (run / "agent.log").write_text("an old thought\n")
    ahead = writer.session.proposal(writer.proposals + 1)
    ahead.mkdir()
    (ahead / "agent.log").write_text("the next thought\n")
    with sessions.engine(writer):
        async with watching(writer) as (_, pilot):
            await until(pilot, lambda: "step   228" in text(pilot))
            await pilot.press("right_square_bracket")
            await until(pilot, lambda: "the next thought" in text(pilot))
            assert "agent.log of the next, picked" in text(pilot)
            await pilot.press("right_square_bracket")
            await until(pilot, lambda: "step   228" in text(pilot))
            assert "picked" not in text(pilot)
            await pilot.press("left_square_bracket")
            await until(pilot, lambda: "compiling" in text(pilot))
            await pilot.press("right_square_bracket", "right_square_bracket")
            await until(pilot, lambda: "the next thought" in text(pilot))
            writer.live(experiment=writer.number, k=2, of=8)
            await until(pilot, lambda: "an old thought" in text(pilot))


async def test_an_experiment_that_never_ran_shows_its_agents_log(tmp_path: Path) -> None:
    writer = between(tmp_path)
    proposal, commit, about = writer.open()
    writer.close(proposal, commit, about, "crash", "no_proposal")
    folder = writer.session.run(writer.number)
    folder.mkdir()
    (folder / "agent.log").write_text("I would rather discuss this\n")
    writer.add(records.Pause(reason="the agent made no proposal"))
    writer.flush()
    async with watching(writer) as (_, pilot):
        await until(pilot, lambda: "I would rather discuss this" in text(pilot))


WAITS = "waiting for the API since 03:12 (overloaded)"


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_an_outage_is_on_the_state_line(tmp_path: Path, size: tuple[int, int]) -> None:
    writer = between(tmp_path)
    proposing(writer, waiting_for=WAITS)
    with sessions.engine(writer):
        async with watching(writer, size=size) as (_, pilot):
            await until(pilot, lambda: WAITS in text(pilot).splitlines()[0])
            assert f"for {WAITS}" not in text(pilot)
            assert "an old one" not in text(pilot).splitlines()[0], "the experiment before is over"
            assert "#5" not in text(pilot).splitlines()[0]
            await pilot.press("5")
            await until(pilot, lambda: "! waiting for the API since 03:12" in " ".join(text(pilot).split()))


async def test_a_measurement_that_goes_on_through_an_outage_is_still_a_measurement(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    writer.live(experiment=writer.number, k=2, of=8, proposing="claude", waiting_for=WAITS)
    with sessions.engine(writer):
        async with watching(writer) as (_, pilot):
            line = text(pilot).splitlines()[0]
    assert "measuring, run 2 of ≤8" in line
    assert f"claude {WAITS}" in line


async def test_a_mend_points_at_what_it_mends(tmp_path: Path) -> None:
    writer = between(tmp_path)
    writer.proposals += 1
    writer.number += 1
    commit = sessions.sha("mend")
    writer.add(records.Proposal(id=writer.proposals, base=writer.incumbent, sha=commit, description="mended", mends=4))
    writer.add(records.Intent(experiment=writer.number, proposal=writer.proposals, parent=writer.incumbent, sha=commit))
    writer.flush()
    async with watching(writer, size=(80, 24)) as (_, pilot):
        assert "↳ #4 mended" in text(pilot)
        writer.close(writer.proposals, commit, ("mended", "", ""), "crash", "nonzero_exit")
        writer.flush()
        await until(pilot, lambda: "↳ #4 nonzero exit" in text(pilot))


# -- the bell


def told(terminal: Terminal) -> int:
    return terminal.written.count(b"\x1b]9;")


def test_a_keep_and_a_limit_ring_and_what_was_there_before_does_not(tmp_path: Path) -> None:
    writer = between(tmp_path)
    writer.live("judging", experiment=5)
    with beating(writer), viewed(writer) as terminal:
        terminal.until(lambda: b"DISCARD" in terminal.written)
        terminal.read(1.0)
        assert told(terminal) == 0
        proposal, commit, about = writer.open()
        writer.keep(proposal, commit, ("wider\x1b]0;owned\x07; deeper", *about[1:]))
        writer.add(records.Pause(reason="dollar limit reached", limit="dollars"))
        writer.flush()
        terminal.until(lambda: told(terminal) == 2)
        first = b"\x1b]9;autoresearch nov20: #6 kept: wider, deeper, better by"
        assert first in terminal.written
        assert b"\x1b]777;notify;autoresearch;autoresearch nov20: #6 kept: wider, deeper" in terminal.written
        last = b"autoresearch nov20: dollar limit reached\x07"
        assert b"\x1b]9;" + last + b"\x1b]777;notify;autoresearch;" + last + b"\x07" in terminal.written
        assert b"owned" not in terminal.written


def test_five_crashes_in_a_row_ring_once(tmp_path: Path) -> None:
    writer = between(tmp_path)
    writer.live("judging", experiment=writer.number)
    with beating(writer), viewed(writer) as terminal:
        terminal.until(lambda: b"DISCARD" in terminal.written)
        for _ in range(6):
            proposal, commit, about = writer.open()
            writer.close(proposal, commit, about, "crash", "nonzero_exit")
        writer.flush()
        terminal.until(lambda: b" crashes in a row" in terminal.written)
        terminal.read(1.5)
        assert told(terminal) == 1


def test_it_can_be_switched_off(tmp_path: Path) -> None:
    writer = between(tmp_path)
    writer.live("judging", experiment=writer.number)
    with beating(writer), viewed(writer, AUTORESEARCH_NO_BELL="1") as terminal:
        terminal.until(lambda: b"DISCARD" in terminal.written)
        writer.keep(*writer.open())
        writer.flush()
        before = terminal.written.count(b"KEEP")
        terminal.until(lambda: terminal.written.count(b"KEEP") > before)
        terminal.read(1.2)
        assert told(terminal) == 0
        assert b"\x1b]777" not in terminal.written


def test_at_most_one_a_second_and_the_last_one_is_told() -> None:
    now = 100.0
    written: list[str] = []
    timers: list[tuple[float, object]] = []
    bell = Bell(written.append, lambda s, call: timers.append((s, call)), environ={}, clock=lambda: now)
    for word in ("one", "two", "three", ""):
        bell.ring(word)
        now += 0.25
    assert written == [sequence("one")]
    (delay, call), *others = timers
    assert delay == 0.75
    assert not others
    assert callable(call)
    call()
    assert written == [sequence("one"), sequence("three")]
    bell.ring("four")
    assert len(written) == 2
    assert len(timers) == 2
