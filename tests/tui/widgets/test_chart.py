"""The chart through its keys and the mouse: what part it shows, of which metric, on which axis."""

from __future__ import annotations

import math
from pathlib import Path

import orjson
import sessions
from hypothesis import given
from hypothesis import strategies as st
from textual.geometry import Offset
from viewing import text, until, watching

from autoresearch.state.journal import records
from autoresearch.tui.live.growing_files import Progress, ProgressFile, thinned
from autoresearch.tui.widgets.chart import Chart
from autoresearch.tui.widgets.table import Experiments


async def test_zoom_and_pan_by_key(tmp_path: Path) -> None:
    async with watching(sessions.paused(tmp_path, experiments=60)) as (app, pilot):
        chart = app.dashboard.query_one(Chart)
        await pilot.press("6", "plus")
        assert chart.view.window == (31, 60)
        assert "#31–60, 0 shows all" in text(pilot)
        await pilot.press("h")
        assert chart.view.window == (24, 53)
        await pilot.press("right", "right", "right")
        assert chart.view.window == (31, 60), "not beyond the newest"
        await pilot.press("minus", "minus")
        assert chart.view.window is None
        await pilot.press(*["plus"] * 9)
        assert chart.view.window is not None
        assert chart.view.window[1] - chart.view.window[0] == 7
        await pilot.press("0")
        assert chart.view.window is None
        assert "0 shows all" not in text(pilot)


async def test_zoom_pan_and_picking_by_mouse(tmp_path: Path) -> None:
    async with watching(sessions.paused(tmp_path, experiments=100), size=(160, 50)) as (app, pilot):
        chart = app.dashboard.query_one(Chart)
        width = chart.content_region.width
        await pilot._post_mouse_events([_scroll()], chart, (width // 2, 5))
        assert chart.view.window is not None
        first, last = chart.view.window
        assert first > 10
        assert last < 95
        await pilot.mouse_down(chart, offset=(30, 5))
        await pilot.hover(chart, offset=(40, 5))
        await pilot.mouse_up(chart, offset=(40, 5))
        assert chart.view.window[0] < first
        table = app.dashboard.query_one(Experiments)
        await pilot.press("0")
        await pilot.click(chart, offset=Offset(width // 2, 5))
        await until(pilot, lambda: table.cursor)
        assert table.chosen is not None
        assert 35 < table.chosen < 65


def _scroll() -> type:
    from textual.events import MouseScrollUp

    return MouseScrollUp


async def test_the_log_axis_is_said(tmp_path: Path) -> None:
    async with watching(sessions.paused(tmp_path, experiments=30)) as (app, pilot):
        await pilot.press("6", "L")
        assert app.dashboard.query_one(Chart).view.log
        assert "log axis" in text(pilot).split("Experiments")[0]
        await pilot.press("L")
        assert "log axis" not in text(pilot).split("Experiments")[0].split("+ closer")[0]


async def test_other_metrics_and_live_series_take_turns(tmp_path: Path) -> None:
    writer = sessions.Writer(tmp_path)
    writer.begin()
    writer.baseline()
    for number in range(2, 90):
        writer.number = number
        writer.add(
            records.Experiment(
                run=number, commit="abc", metric=2.0, status="keep" if number == 2 else "discard", sha="a" * 40,
                metrics={"val_bpb": 2.0, "memory_mb": 1000.0 + number},
            )
        )  # fmt: skip
    writer.proposals += 1
    _, commit, about = writer.open()
    writer.output(writer.number)
    writer.live(experiment=writer.number, description=about[0], k=1, of=4, sha=commit)
    writer.flush()
    with sessions.engine(writer):
        async with watching(writer, size=(120, 40)) as (app, pilot):
            assert "val_bpb in bits/byte" in text(pilot)
            await pilot.press("6", "v")
            await until(pilot, lambda: "6 memory_mb" in text(pilot))
            await until(pilot, lambda: "1,075" in text(pilot))
            # What comes later has its value too.
            chart = app.dashboard.query_one(Chart)
            writer.close(writer.proposals, commit, about, "discard", "worse", metric=2.0, runs=1)
            writer.flush()
            await until(pilot, lambda: len(chart.points.rows) == 90)
            assert chart.points.values is not None
            assert len(chart.points.values) == 88
            await pilot.press("V")
            await until(pilot, lambda: "val_bpb in bits/byte" in text(pilot))


async def test_a_live_series_fills_the_chart(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    progress = writer.session.run(writer.number) / "progress.jsonl"
    with sessions.engine(writer):
        async with watching(writer) as (app, pilot):
            await pilot.press("6", "V")
            await until(pilot, lambda: "6 loss, live" in text(pilot))
            assert not app.dashboard.query_one(Chart).check_action("zoom", (2,))
            with progress.open("ab") as file:
                file.write(orjson.dumps({"t": 9.0, "name": "loss", "value": 77.5}) + b"\n")
            await until(pilot, lambda: "77.5" in text(pilot))


def test_a_series_of_millions_stays_small_and_keeps_its_spikes(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    values = [1.0] * 50_000
    values[31_111], values[40_000] = 99.0, -99.0
    path.write_bytes(
        b"".join(orjson.dumps({"t": at, "name": "x", "value": value}) + b"\n" for at, value in enumerate(values))
    )
    file = ProgressFile(path)
    while file.advance():
        pass
    points = file.series["x"]
    assert len(points) <= 20_001
    assert {99.0, -99.0} <= {value for _, value in points}
    assert points[-1] == (49_999.0, 1.0)
    assert [at for at, _ in points] == sorted(at for at, _ in points)


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=40))
def test_thinning_halves_and_keeps_the_extremes(values: list[float]) -> None:
    points = [(float(at), value) for at, value in enumerate(values)]
    kept = thinned(points)
    finite = [value for value in values if math.isfinite(value)]
    if finite:
        assert {min(finite), max(finite)} <= {value for _, value in kept}
    assert any(not math.isfinite(value) for _, value in kept) is any(not math.isfinite(value) for value in values)
    assert set(kept) <= set(points) or any(math.isnan(value) for value in values)


def test_without_a_run_there_are_no_series(tmp_path: Path) -> None:
    progress = Progress()
    assert not progress.aim(None, None)
    assert progress.names() == []
    assert progress.aim(tmp_path / "none.jsonl", None)
    assert not progress.look()
    assert progress.of("loss") == ([], [])
