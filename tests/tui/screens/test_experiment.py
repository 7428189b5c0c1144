"""One experiment on the screen: what is said of it, and every action by its effect on files and clipboard."""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import sessions
from journals import Told, told
from repos import git
from textual.pilot import Pilot
from viewing import asked, text, until, watching

from autoresearch.state.journal import Reader, records
from autoresearch.tui.app.app import ViewerApp
from autoresearch.tui.screens.experiment import ExperimentScreen
from autoresearch.tui.widgets.strip_plot import columns


@pytest.fixture
def session(tmp_path: Path) -> Told:
    return told(tmp_path / "repo")


@contextlib.asynccontextmanager
async def shown(
    session: Told, number: int, size: tuple[int, int] = (120, 40), read_only: bool = False
) -> AsyncIterator[tuple[ViewerApp, Pilot[None]]]:
    app = ViewerApp(session.place, session.session, starter=sessions.Starts(), read_only=read_only)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.watched.opened and app.watched.engine is not None)
        app.open_experiment(number)
        await until(pilot, lambda: isinstance(app.screen, ExperimentScreen) and app.screen.facts is not None)
        yield app, pilot


def last(session: Told) -> records.Record:
    *_, (_, line) = Reader(session.session.journal).lines()
    return records.decode(line)


@pytest.mark.parametrize(
    ("values", "counts", "mean"),
    [([1.0, 3.0], [1, 0, 1], 1), ([2.0], [0, 1, 0], 1), ([1.0, 1.0, 3.0], [2, 0, 1], 1), ([1.0], [1, 0, 0], 0)],
)
def test_dots_stand_where_their_values_are(values: list[float], counts: list[int], mean: int) -> None:
    assert columns(values, 1.0, 3.0, 3) == (counts, mean)


def test_dots_without_a_spread_stand_in_the_middle() -> None:
    assert columns([5.0, 5.0], 5.0, 5.0, 3) == ([0, 2, 0], 1)


# -- the screen


async def test_tabs_show_verdict_diff_logs_and_outputs(session: Told) -> None:
    async with shown(session, 3, (80, 24)) as (app, pilot):
        assert "worse by 1.000" in text(pilot)
        assert "best #2" in text(pilot)
        await pilot.press("2")
        await until(pilot, lambda: "VALUE = 11" in text(pilot))
        await pilot.press("3")
        await until(pilot, lambda: "progress 100%" in text(pilot))
        assert "owned" not in text(pilot)
        await pilot.press("4")
        await until(pilot, lambda: "It kept no outputs" in text(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.dashboard)


async def test_next_and_before_end_at_the_ends(session: Told) -> None:
    async with shown(session, 4) as (app, pilot):
        await pilot.press("n")
        await until(pilot, lambda: "#5  CRASH !" in text(pilot))
        await pilot.press("n")
        await until(pilot, lambda: "There is no further one." in text(pilot))
        for _ in range(4):
            await pilot.press("N")
        await until(pilot, lambda: "#1  KEEP" in text(pilot))
        await pilot.press("2")
        await until(pilot, lambda: "It changed nothing" in text(pilot))
        await pilot.press("t")
        await until(pilot, lambda: "It is a baseline" in text(pilot))
        assert isinstance(app.screen, ExperimentScreen)


async def test_retry_measure_again_and_overrule_are_on_record(session: Told) -> None:
    async with shown(session, 4) as (app, pilot):
        await pilot.press("t")
        await until(pilot, lambda: isinstance(last(session), records.Retry))
        await until(pilot, lambda: app.watched.history.retries == [4])
        await pilot.press("o", "enter")
        await until(pilot, lambda: "needs a note" in text(pilot))
        await pilot.press("o", *"memory", "enter")
        await until(pilot, lambda: isinstance(last(session), records.Overrule))
        line = last(session)
        assert isinstance(line, records.Overrule)
        assert (line.experiment, line.action, line.note) == (4, "keep", "memory")
        await until(pilot, lambda: "decided to keep it, done next: memory" in text(pilot))
        await pilot.press("N", "N", "a")
        await until(pilot, lambda: app.watched.history.again == 1)
        await pilot.press("o", *"no", "enter")
        await until(pilot, lambda: app.watched.history.decisions.get(2) is not None)
        assert app.watched.history.decisions[2].action == "discard"


async def test_a_reading_screen_offers_no_change(session: Told) -> None:
    before = session.session.journal.read_bytes()
    async with shown(session, 2, read_only=True) as (app, pilot):
        for key in "tao":
            await pilot.press(key)
            await pilot.pause()
            assert isinstance(app.screen, ExperimentScreen)
        assert "o overrule" not in text(pilot)
        assert "y copy" in text(pilot)
    assert session.session.journal.read_bytes() == before
    assert session.session.requests() == []


async def test_copying_says_so(session: Told) -> None:
    async with shown(session, 3) as (app, pilot):
        await until(pilot, lambda: app.screen.diff)  # type: ignore[attr-defined]
        for key, wanted in (("1", app.screen.diff), ("2", "#3"), ("3", app.watched.history.by_number[3].sha)):  # type: ignore[attr-defined]
            await pilot.press("y", key)
            await until(pilot, lambda wanted=wanted: app.clipboard == wanted)
        await until(pilot, lambda: "Copied" in text(pilot))


async def test_the_pager_gets_the_diff_and_the_log(
    session: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "pager.py"
    script.write_text(f"import sys, shutil\nshutil.copy(sys.argv[1], {str(tmp_path / 'paged')!r})\n")
    monkeypatch.setenv("PAGER", f"{sys.executable} {script}")

    @contextlib.contextmanager
    def aside(self: ViewerApp) -> Iterator[None]:
        yield

    monkeypatch.setattr(ViewerApp, "suspend", aside)
    async with shown(session, 3) as (app, pilot):
        await until(pilot, lambda: app.screen.diff)  # type: ignore[attr-defined]
        await pilot.press("v")
        assert "+VALUE = 11" in (tmp_path / "paged").read_text()
        await pilot.press("3", "v")
        assert (tmp_path / "paged").read_bytes() == (session.session.run(3) / "output.log").read_bytes()
        monkeypatch.setenv("PAGER", "no-such-pager")
        await pilot.press("v")
        await until(pilot, lambda: "not installed" in text(pilot))


async def test_what_is_gone_is_said(session: Told) -> None:
    shutil.rmtree(session.session.run(3))
    git(session.repo, "update-ref", "-d", f"{session.session.refs}3")
    git(session.repo, "reflog", "expire", "--expire=now", "--all")
    git(session.repo, "gc", "--prune=now", "-q")
    async with shown(session, 3) as (_, pilot):
        await pilot.press("2")
        await until(pilot, lambda: "Its commit is no longer in this repository" in text(pilot))
        await pilot.press("3")
        await until(pilot, lambda: "It left no logs" in text(pilot))


async def test_the_open_experiment_grows_under_the_eyes(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=6)
    with sessions.engine(writer):
        async with watching(writer) as (app, pilot):
            app.open_experiment(writer.number)
            await until(pilot, lambda: "No verdict yet." in text(pilot))
            writer.sample(writer.number, sessions.sha("x"), "candidate", 2, writer.best)
            writer.flush()
            await until(pilot, lambda: "run, seed 2" in text(pilot))
            await pilot.press("t")
            await until(pilot, lambda: "It has no verdict yet." in text(pilot))
            assert asked(writer) == []
