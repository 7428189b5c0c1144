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
from rich.segment import Segment
from textual.pilot import Pilot
from viewing import asked, text, until, watching

from autoresearch.state.journal import Reader, records
from autoresearch.tui.app.app import ViewerApp
from autoresearch.tui.facts import experiment as facts
from autoresearch.tui.look.palette import COLOUR
from autoresearch.tui.screens.experiment import ExperimentScreen
from autoresearch.tui.widgets.diff_view import DiffView
from autoresearch.tui.widgets.strip_plot import columns


@pytest.fixture
def session(tmp_path: Path) -> Told:
    return told(tmp_path / "repo")


def read(session: Told, number: int) -> facts.Experiment:
    history = session.session.history()
    item = facts.known(history, number)
    assert item is not None
    return facts.read(session.session, history, item)


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


# -- the facts


def test_the_verdict_is_words_with_evidence_and_the_samples_of_both_sides(session: Told) -> None:
    found = read(session, 3)
    assert found.verdict == "worse by 1.000 ±0.040 (1 to 7.4, 1 run); value 11.000"
    assert found.race == (11.0,)
    assert found.against == (9.01, 8.99, 9.0), "the fresh runs of the best it started from"
    assert found.against_number == 2
    assert (found.lesson, found.retry_if) == ("up is worse", "the sign changes")


def test_metrics_say_which_way_they_went(session: Told) -> None:
    assert [(m.name, m.value, m.change) for m in read(session, 3).metrics] == [
        ("score", "11.000", "+2.000 (+22.2%), worse")
    ]
    session.write(
        records.Intent(experiment=6, proposal=None, parent=session.incumbent, sha="f" * 40),
        records.Experiment(run=6, commit="f" * 7, metric=8.0, metrics={"score": 8.0, "mb": 3.0}, status="discard",
                           cause="worse", sha="f" * 40, parent=session.incumbent, warnings=("odd \x1b[2J",)),
    )  # fmt: skip
    found = read(session, 6)
    assert found.warnings == ("odd",)
    assert found.metrics[1].change == "", "the best has no such metric: nothing to compare with"


@pytest.mark.parametrize(
    ("value", "before", "lower", "said"),
    [
        (0.9, 1.0, True, "−0.1 (−10.0%), better"),
        (0.9, 1.0, False, "−0.1 (−10.0%), worse"),
        (1.1, 1.0, None, "+0.1 (+10.0%)"),
        (1.0, 1.0, True, "same"),
        (1.0, 0.0, True, "+1, worse"),
        (1.0, None, True, ""),
    ],
)
def test_a_change_in_its_own_direction(value: float, before: float | None, lower: bool | None, said: str) -> None:
    assert facts._change(value, before, lower, None) == said


def test_a_decision_stands_where_the_experiment_and_what_carries_it_out_are_told(session: Told) -> None:
    session.write(records.Overrule(experiment=3, action="keep", note="memory", by="ann"))
    assert read(session, 3).decided == "ann decided to keep it, done next: memory"
    session.write(
        records.Proposal(id=50, base=session.incumbent, sha="e" * 40, agent="overrule", description="overrule #3"),
        records.Intent(experiment=6, proposal=50, parent=session.incumbent, sha="e" * 40),
        records.Experiment(run=6, commit="e" * 7, metric=11.0, status="keep", cause="overruled", sha="e" * 40,
                           parent=session.incumbent, proposal=50),
    )  # fmt: skip
    assert read(session, 3).decided == "ann decided to keep it, done as #6: memory"
    assert read(session, 6).decided == "re-applies #3 as ann decided: memory"


def test_samples_of_the_holdout_are_never_shown(session: Told) -> None:
    sha = session.open("knob to 7", "7")
    session.sample(sha, "candidate", 1, 7.0)
    session.sample(sha, "holdout", 1, 77.0)
    assert [sample.metric for sample in read(session, 6).samples] == [7.0]


def test_kept_outputs_are_read_beside_the_bests_and_never_through_a_link(session: Told, tmp_path: Path) -> None:
    mine, best = session.session.run(3) / "kept", session.session.run(2) / "kept"
    mine.mkdir(parents=True)
    best.mkdir(parents=True)
    (mine / "a.txt").write_text("one\ntwo\n")
    (best / "a.txt").write_text("one\n")
    (mine / "b.bin").write_bytes(b"\0\1")
    (tmp_path / "secret").write_text("secret")
    (mine / "c.txt").symlink_to(tmp_path / "secret")
    found = facts.kept(session.session, 3, 2)
    assert [(each.name, each.mine, each.best) for each in found] == [
        ("a.txt", "one\ntwo\n", "one\n"),
        ("b.bin", None, None),
    ]


@pytest.mark.parametrize(
    ("values", "counts", "mean"),
    [([1.0, 3.0], [1, 0, 1], 1), ([2.0], [0, 1, 0], 1), ([1.0, 1.0, 3.0], [2, 0, 1], 1), ([1.0], [1, 0, 0], 0)],
)
def test_dots_stand_where_their_values_are(values: list[float], counts: list[int], mean: int) -> None:
    assert columns(values, 1.0, 3.0, 3) == (counts, mean)


def test_dots_without_a_spread_stand_in_the_middle() -> None:
    assert columns([5.0, 5.0], 5.0, 5.0, 3) == ([0, 2, 0], 1)


# -- the diff


def drawn(text: str, width: int = 60) -> list[list[Segment]]:
    view = DiffView(COLOUR)
    lines = text.split("\n")
    view._lines = lines
    view._files = [(n, line.partition(" b/")[2]) for n, line in enumerate(lines) if line.startswith("diff --git")]
    return [view.draw(number, width) for number in range(len(lines))]


def test_a_diff_has_the_colours_of_its_language_and_no_escape_of_its_content() -> None:
    shown = drawn(
        'diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-y = 1\n+def f(): return "\x1b[31mz"  # \x07'
    )
    words = {segment.text: segment.style for segment in shown[5]}
    assert words["def"] == COLOUR.title
    assert words["f"] == COLOUR.strong
    assert "".join(segment.text for segment in shown[5]) == ' + def f(): return "z"  # '
    assert shown[4][0] == Segment(" - ", COLOUR.crash)


def test_a_removed_line_that_looks_like_a_header_is_none() -> None:
    shown = drawn("diff --git a/q.sql b/q.sql\n--- a/q.sql\n+++ b/q.sql\n@@ -1,2 +1 @@\n--- a comment\n x")
    assert shown[4][0].text == " - "


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
