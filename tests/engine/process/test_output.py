"""Progress series are read beside the engine, so that no pattern and no line holds it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import orjson
import pytest

from autoresearch.engine.process.output import Progress

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
