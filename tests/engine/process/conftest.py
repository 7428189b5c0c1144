from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autoresearch.engine.process import Command, release


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., Command]:
    def make(script: str | list[str], **limits: Any) -> Command:
        return Command(
            **{
                "argv": ["bash", "-c", script] if isinstance(script, str) else script,
                "cwd": tmp_path,
                "env": {"PATH": os.environ["PATH"]},
                "output": tmp_path / "output.log",
                "timeout_s": 60,
                "grace_s": 0.3,
                **limits,
            }
        )

    return make


@pytest.fixture
def strangers() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that a test starts itself; ended at its end whatever happened."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for child in started:
        release(child.pid)
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        child.wait()
