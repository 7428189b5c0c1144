"""The dashboard as a whole: zoomed panes, a state line that is never behind, values and words of any size."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import sessions
from rich.cells import cell_len
from viewing import text, until, watching

from autoresearch.tui.screens.ideas import IdeasScreen
from autoresearch.tui.screens.panes import PANES, mode_of, tabs, visible

# -- panes


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_each_pane_can_have_the_whole_screen(tmp_path: Path, size: tuple[int, int]) -> None:
    writer = sessions.running(tmp_path, experiments=30)
    seen = {"1": "DISCARD ×", "2": "step   228", "3": "To try (3)", "4": "Refuted (", "5": "Running #31", "6": "#1 "}
    with sessions.engine(writer):
        async with watching(writer, size=size) as (app, pilot):
            await pilot.press("z")
            for key, words in seen.items():
                await pilot.press(key)
                await until(pilot, lambda words=words: words in text(pilot))
                others = [other for at, other in seen.items() if at != key]
                assert not [other for other in others if other in text(pilot)], key
                assert app.focused is app.dashboard.widget_of(app.dashboard.active)
                assert app.focused.outer_size == (size[0], size[1] - 3), "all but the state and the keys"
            await pilot.press("escape", "1")
            await until(pilot, lambda: "DISCARD ×" in text(pilot) and "#1 " in text(pilot))
            await pilot.press("2", "z", "z")
            assert not app.dashboard.zoomed


async def test_escape_undoes_one_thing_at_a_time(tmp_path: Path) -> None:
    async with watching(sessions.paused(tmp_path, experiments=30)) as (app, pilot):
        board = app.dashboard
        assert not board.check_action("back", ())
        await pilot.press("1", "z", "slash", *"keep", "enter")
        await pilot.press("escape")
        assert board.zoomed
        assert "keep" not in text(pilot).splitlines()[2]
        await pilot.press("escape")
        assert not board.zoomed
        await pilot.press("escape")
        assert not app._exit


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
async def test_enter_on_the_short_lists_opens_the_whole_ones(tmp_path: Path, size: tuple[int, int]) -> None:
    async with watching(sessions.paused(tmp_path, experiments=30), size=size) as (app, pilot):
        for key in "34":
            await pilot.press(key, "enter")
            await until(pilot, lambda: isinstance(app.screen, IdeasScreen))
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is app.dashboard)


def test_no_arrangement_leaves_a_place_empty() -> None:
    for mode in ("tiny", "narrow", "wide", "xwide"):
        for pane in PANES:
            assert "chart" in visible(mode, pane, "log", None)  # type: ignore[arg-type]
            assert visible(mode, pane, "log", pane) == {pane}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "mode"),
    [((59, 40), "tiny"), ((60, 15), "narrow"), ((99, 60), "narrow"), ((100, 30), "wide"), ((140, 40), "xwide")],
)
def test_more_room_shows_more(size: tuple[int, int], mode: str) -> None:
    from textual.geometry import Size

    assert mode_of(Size(*size)) == mode


def test_tabs_fit_and_the_active_one_keeps_its_name() -> None:
    assert "Dead ends" in tabs(PANES, "log", 120)
    narrow = tabs(PANES, "dead", 60)
    assert "Dead ends" in narrow
    assert "Experiments" not in narrow
    assert "\\[x]" in tabs(PANES, "log", 120, "a name [x]")


# -- the state line


async def test_the_state_line_is_never_behind_the_table(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    with sessions.engine(writer):
        async with watching(writer) as (_, pilot):
            assert "#6 of 100" in text(pilot)
            for _ in range(3):
                proposal, commit, about = writer.proposals, sessions.sha("x"), ("y", "", "")
                writer.close(proposal, commit, about, "discard", "worse", metric=2.0, runs=1)
                _, commit, about = writer.open()
                # As an engine does it: the journal first, the heartbeat a moment later.
                writer.flush()
                writer.live(experiment=writer.number, description=about[0], k=1, of=8, sha=commit)
                wanted = f"#{writer.number} of 100"
                await until(pilot, lambda number=writer.number: f"{number:>4}  RUN >" in text(pilot))
                await until(pilot, lambda wanted=wanted: wanted in text(pilot), seconds=0.6)


# -- of any size


@pytest.mark.parametrize("size", [(60, 15), (80, 24), (120, 40), (200, 60)])
@pytest.mark.parametrize("values", [(1e-12, 1e12), (1e12, 1.0001e12), (-1e300, 1e300), (0.0, 0.0)])
async def test_any_value_and_any_word_keeps_every_line_whole(
    tmp_path: Path, size: tuple[int, int], values: tuple[float, float]
) -> None:
    dice = random.Random(3)
    writer = sessions.Writer(tmp_path)
    writer.begin()
    writer.baseline()
    for _ in range(30):
        proposal, commit, _ = writer.open()
        value = dice.choice((*values, sum(values) / 2))
        words = dice.choice(("学習率を上げる " * 9, "🚀" * 60, "e\u0301" * 90, "a b" * 200, "[bold]x[/]", "\u202egnp"))
        writer.close(
            proposal, commit, (words, words, words), dice.choice(("keep", "discard", "crash")), "better",
            metric=value, estimate=value, interval=abs(value) / 9, runs=2, evidence=900.0,
        )  # fmt: skip
    writer.live(experiment=writer.number, description="長い名前" * 40, k=1)
    writer.flush()
    with sessions.engine(writer):
        async with watching(writer, size=size) as (_, pilot):
            for keys in (("1",), ("6", "L"), ("o", "o", "4"), ("z",)):
                await pilot.press(*keys)
                await pilot.pause()
                lines = text(pilot).split("\n")
                assert len(lines) == size[1]
                assert {cell_len(line) for line in lines} == {size[0]}
