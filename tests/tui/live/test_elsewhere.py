"""Watching an engine of another machine over a shared file system, whose clock is off and whose lock is not seen."""

from __future__ import annotations

from pathlib import Path

import pytest
import sessions
from viewing import at_home, line, several, text, until, watching

HOURS = 5 * 3_600_000


@pytest.mark.parametrize("ahead", [-HOURS, HOURS])
async def test_a_live_engine_is_never_lost_and_a_dead_one_never_alive(tmp_path: Path, ahead: int) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    reader_ms = [writer.now - ahead]
    async with watching(writer, clock=lambda: reader_ms[0], read_only=True) as (app, pilot):
        assert "LOOKING watching for a sign of the engine on gpu-box" in " ".join(text(pilot).split())
        for _ in range(3):
            writer.now += 2_000
            reader_ms[0] += 2_000
            writer.live(experiment=writer.number, k=2, of=8)
            await until(pilot, lambda: "RUNNING" in text(pilot) and app.watched.live.updated == writer.now)  # type: ignore[union-attr]
            assert "12s  on gpu-box" in text(pilot), "by its own clock"
        reader_ms[0] += 9_000
        app.dashboard.refresh_state()
        await until(pilot, lambda: "No sign of the engine" in text(pilot))
        assert "go on here" not in text(pilot), "it only reads"
        assert app.watched.engine is not None
        assert app.watched.engine.state == "lost"
        writer.now += 11_000
        writer.live(experiment=writer.number, k=3, of=8)
        await until(pilot, lambda: app.screen is app.dashboard and "RUNNING" in text(pilot))


async def test_going_on_here_is_offered_last(tmp_path: Path) -> None:
    writer = sessions.running(tmp_path, experiments=5)
    starter = sessions.Starts(lambda: None)
    async with watching(writer, starter=starter) as (app, pilot):
        assert "RUNNING" in text(pilot), "the clocks agree, and it was written just now"
        writer.now += 9_000
        app.dashboard.refresh_state()
        await until(pilot, lambda: "No sign of the engine" in text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.dashboard)
        assert starter.began == []
        assert "on gpu-box" in text(pilot)


async def test_home_judges_by_changes_too(tmp_path: Path) -> None:
    found = several(tmp_path)
    writer = found["depth"]
    writer.host = "gpu-box"
    writer.add(sessions.records.Resume(by="you"))
    writer.flush()
    writer.now += HOURS
    writer.live(experiment=writer.number)
    async with at_home(found) as (_, pilot):
        await until(pilot, lambda: "LOOKING" in line(pilot, "depth")[0])
        writer.now += 2_000
        writer.live(experiment=writer.number)
        await until(pilot, lambda: "RUNNING" in line(pilot, "depth")[0])
