"""Progress series are read beside the engine, so that no pattern and no line holds it; long logs are cut."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

from autoresearch.engine.process import output
from autoresearch.engine.process.output import Progress, cap_engine_log, cut_log

PATTERNS = {"exponential": r"^(?:[a-z]+ ?)+: ([0-9.]+)$", "polynomial": r"a*a*a*a*a*: ([0-9.]+)"}
EVIL = "a" * 4000 + "!"


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
def test_a_pattern_that_backtracks_does_not_hold_the_engine(pattern: str, tmp_path: Path) -> None:
    log, file = tmp_path / "output.log", tmp_path / "progress.jsonl"
    log.write_text(f"loss: 0.5\n{EVIL}\n")
    reading = os.open(log, os.O_RDONLY)
    progress = Progress(reading, 0, {"loss": re.compile(pattern)}, file, {})
    began = time.monotonic()
    progress.look(0.1, 10)
    progress.look(0.2, log.stat().st_size)
    assert time.monotonic() - began < 1
    progress.look(0.3, log.stat().st_size)
    progress.finish(0.4, log.stat().st_size)
    assert time.monotonic() - began < 10
    os.close(reading)
    assert [orjson.loads(line)["value"] for line in file.read_bytes().splitlines()] in ([0.5], [])


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=PATTERNS)
def test_in_one_process_it_would(pattern: str) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run([sys.executable, "-c", f"import re; re.search({pattern!r}, {EVIL!r})"], timeout=3, check=False)


@pytest.mark.parametrize("start", [0, 50_000])
def test_a_cut_keeps_both_ends_in_whole_lines_and_all_before(tmp_path: Path, start: int) -> None:
    log = tmp_path / "log"
    before, lines = b"b" * start, [b"line %d\n" % number for number in range(20_000)]
    log.write_bytes(before + b"".join(lines))
    end = cut_log(log, start, 0.125)
    assert log.stat().st_size == end < start + 0.125 * 2**20 + 100
    head, marker, tail = log.read_bytes()[start:].partition(b"=== the log passed 0.125 MB: ")
    assert log.read_bytes().startswith(before)
    said, _, tail = tail.partition(b" MB are left out here ===\n")
    kept = head.count(b"\n"), tail.count(b"\n")
    assert [*head.splitlines(True), *tail.splitlines(True)] == lines[: kept[0]] + lines[-kept[1] :]
    assert marker
    assert float(said) == pytest.approx((len(b"".join(lines)) - len(head) - len(tail)) / 2**20, abs=0.06)
    assert cut_log(log, start, 0.25) == end, "short enough"


def test_an_engines_log_is_left_alone_below_its_cap_and_may_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    cap_engine_log(log)
    assert not log.exists()
    log.write_bytes(b"x\n" * 100_000)
    cap_engine_log(log)
    assert log.stat().st_size == 200_000
    monkeypatch.setattr(output, "ENGINE_LOG_MB", 0.125)
    cap_engine_log(log)
    assert log.stat().st_size < 0.13 * 2**20
