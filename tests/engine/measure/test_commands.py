"""How long the commands of a slot may take, how a failure is explained, and the lines of ours in their logs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autoresearch.engine.measure.commands import Commands, write_line
from autoresearch.engine.process import Exit
from autoresearch.state.config import config as configs


def commands(network: str = "loopback", **measure: Any) -> Commands:
    config = configs.Config(
        name="t",
        metric=configs.Metric("loss"),
        scope=configs.Scope(("train.py",)),
        measure=configs.Measure(run="true", **measure),
    )
    level = SimpleNamespace(holds=lambda protection: True)
    confinement: Any = SimpleNamespace(network=lambda role: network, level=level)
    return Commands(config, "a-session", "", confinement)


def test_limits_follow_the_baseline() -> None:
    inf = float("inf")
    assert commands(budget_s=0).limits_s(None) == (3600, inf)
    assert commands(budget_s=0).limits_s(1.0) == (30, inf)
    assert commands(budget_s=0).limits_s(100.0) == (300, inf)
    assert commands(budget_s=300).limits_s(310.0) == (930, 370)
    assert commands(budget_s=300).limits_s(None) == (3600, inf)
    assert commands(budget_s=300, timeout_s=50).limits_s(310.0) == (50, 370)


@pytest.mark.parametrize(
    ("took_s", "own", "limit_s"), [(None, 0, 3600), (1.0, 0, 30), (100.0, 0, 300), (None, 50, 50), (100.0, 50, 50)]
)
def test_other_commands_have_three_times_what_they_took(took_s: float | None, own: float, limit_s: float) -> None:
    made = commands(timeout_s=own)
    if took_s is not None:
        made.took_s["build"] = took_s
    assert made.timeout_s("build") == limit_s


def test_a_failure_is_explained_by_its_last_line_and_a_missing_network(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("ValueError: of another command\nstep 1\nsocket.gaierror: Name or service not known\n")
    ended = Exit(
        code=1, cause="nonzero_exit", detail="exit code 1", duration_s=1, peak_rss_mb=None, output_from=31,
        output_to=log.stat().st_size,
    )  # fmt: skip
    said = commands().explain(ended, log)
    assert said.startswith("exit code 1: socket.gaierror: Name or service not known; the run has no network")
    assert commands("on").explain(ended, log) == "exit code 1: socket.gaierror: Name or service not known"


@pytest.mark.parametrize(("before", "gap"), [("", ""), ("a\n", ""), ("a", "\n")])
def test_a_line_of_ours_begins_a_line(tmp_path: Path, before: str, gap: str) -> None:
    log = tmp_path / "folder" / "log"
    log.parent.mkdir()
    log.write_text(before)
    write_line(log, "run 1")
    assert log.read_text() == f"{before}{gap}=== run 1 ===\n"


def test_a_link_in_the_logs_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "log").symlink_to("theirs")
    write_line(tmp_path / "log", "run 1")
    assert (tmp_path / "theirs").read_text() == "theirs"
    assert (tmp_path / "log").read_text() == "=== run 1 ===\n"
