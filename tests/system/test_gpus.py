"""GPUs through the real engine, with a driver that a file stands in for: who else computes, and what is recorded."""

from __future__ import annotations

import os
from pathlib import Path

from engines import check_agreement, lines, run, session
from fakenvml import FakeDriver
from repos import TOML, git, make_repo

from autoresearch.engine.verdict import recompute
from autoresearch.state.journal import records

STRANGER = {"pid": os.getpid(), "mb": 5000, "sm": 70}
"""The process that runs the tests: the engine descends from it, not the other way round."""
BENCH = """\
import json, os, pathlib, sys, time
from knob import VALUE
driver = pathlib.Path({driver!r})

def devices(*processes, used):
    made = driver / f"devices.{{os.getpid()}}"
    made.write_text(json.dumps([{{"used": used, "util": 40, "processes": list(processes)}}]))
    made.rename(driver / "devices.json")

def looked():
    calls = driver / "calls"
    before = calls.stat().st_size
    deadline = time.monotonic() + 30
    while calls.stat().st_size < before + 40:
        assert time.monotonic() < deadline
        time.sleep(0.01)

me = {{"pid": os.getpid(), "mb": 3000, "sm": 50}}
{body}
print(f"METRIC score={{VALUE}}")
"""
CALM = "devices(me, used=3500)\nlooked()\ndevices(used=500)"
TWICE = """\
seen = driver / "visits"
visits = int(seen.read_text()) if seen.exists() else 0
seen.write_text(str(visits + 1))
devices(me, *([{stranger}] if {spoiled} else []), used=3500)
looked()
devices(used=500)"""
TOML_GPU = TOML.replace("budget_s = 0", 'budget_s = 0\nconfine = "off"') + (
    '\n[verdict]\nmode = "single"\nbaseline_runs = 1\n'
)


def target(tmp_path: Path, body: str) -> tuple[Path, FakeDriver]:
    driver = FakeDriver(tmp_path / "driver", {"used": 500})
    bench = BENCH.format(driver=str(driver.folder), body=body)
    knob = "# the knob\nVALUE = 10.0\n# the end\n"
    return make_repo(tmp_path / "r", {"autoresearch.toml": TOML_GPU, "bench.py": bench, "knob.py": knob}), driver


def samples(repo: Path) -> list[records.Sample]:
    return [line for line in lines(repo) if isinstance(line, records.Sample)]


def test_memory_and_utilisation_are_recorded_with_each_sample(tmp_path: Path) -> None:
    repo, driver = target(tmp_path, CALM)
    run(repo, "--agent", "tuner", "--max-experiments", "2", expect=3, **driver.env)
    history = check_agreement(repo)
    assert history.header is not None
    assert history.header.accelerator == "Some GPU (80 GB)"
    for sample in samples(repo):
        assert sample.cause is None
        assert sample.peak_vram_mb == 3000
        assert sample.gpu_util is not None
        assert 0 < sample.gpu_util <= 40
    assert driver.calls.count("init") == 1, "looked up once, not per sample"


def test_a_run_that_somebody_else_spoiled_is_measured_again(tmp_path: Path) -> None:
    repo, driver = target(tmp_path, TWICE.format(stranger=STRANGER, spoiled="visits == 1"))
    run(repo, "--agent", "tuner", "--max-experiments", "2", expect=3, **driver.env)
    history = check_agreement(repo)
    first, spoiled, again = samples(repo)
    assert (spoiled.cause, spoiled.again, spoiled.metric) == ("contaminated", True, None)
    assert f"pid {os.getpid()}" in spoiled.detail
    assert "5,000 MB" in spoiled.detail
    assert (again.cause, again.again, again.sha, again.k) == (None, False, spoiled.sha, 2)
    assert first.sha != again.sha
    assert history.rows[0].status == "keep"
    assert history.rows[1].status in ("keep", "discard"), "it is not the candidate's crash"
    assert [notice.code for notice in history.notices].count("contaminated") == 1
    assert all(one.agrees for one in recompute(session(repo).journal))


def test_who_stays_on_the_gpu_pauses_the_session_by_name(tmp_path: Path) -> None:
    repo, driver = target(tmp_path, TWICE.format(stranger=STRANGER, spoiled="True"))
    run(repo, "--agent", "tuner", expect=1, **driver.env)
    pause = lines(repo)[-1]
    assert isinstance(pause, records.Pause)
    assert f"pid {os.getpid()}" in pause.reason
    assert "CUDA_VISIBLE_DEVICES" in pause.fix
    assert len(samples(repo)) == 3
    history = session(repo).history()
    assert history.open is not None, "the baseline is still open and goes on"


def test_an_evaluation_is_watched_as_a_run_is(tmp_path: Path) -> None:
    repo, driver = target(tmp_path, TWICE.format(stranger=STRANGER, spoiled="visits == 1"))
    toml = repo / "autoresearch.toml"
    toml.write_text(toml.read_text().replace('run = "python bench.py"', 'run = "true"\nevaluate = "python bench.py"'))
    git(repo, "commit", "-qam", "an evaluator apart")
    run(repo, "--agent", "tuner", "--max-experiments", "2", expect=3, **driver.env)
    first, spoiled, again = samples(repo)
    assert first.peak_vram_mb == again.peak_vram_mb == 3000
    assert (spoiled.cause, spoiled.again, spoiled.metric) == ("contaminated", True, None)
    assert f"pid {os.getpid()}" in spoiled.detail
    assert (again.cause, again.sha) == (None, spoiled.sha)
