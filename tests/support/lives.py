"""The real command as a process of its own, forked from one that has its imports: most of a start is imports.

A life may come with a broken disk or a clock that jumps.
"""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import ModuleType
from typing import Any

from autoresearch.state import faults

_MODULES = [
    "autoresearch.tui.cli", "autoresearch.tui.commands.doctor", "autoresearch.tui.commands.run",
    "autoresearch.tui.terminal.line_mode", "autoresearch.engine.host", "autoresearch.engine.agents.replay", "lives",
]  # fmt: skip


@dataclass(frozen=True)
class Trouble:
    """What befalls the journal of one life, at its `at`-th append; or a clock that jumps."""

    kind: str = ""
    """full: no byte is written; short: half a line; write-eio; sync-eio; clock."""
    at: int = 1
    seed: int = 0


def begin(folder: Path, args: list[str], log: Path, trouble: Trouble = Trouble()) -> ForkServerProcess:
    """`autoresearch ARGS` in `folder`; what it writes is appended to `log`."""
    return _start(folder, args, (log, log), os.environ, trouble)


def call(folder: Path, args: list[str], env: Mapping[str, str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    """`autoresearch ARGS` in `folder`, and what came of it."""
    with tempfile.TemporaryDirectory() as files:
        streams = (Path(files, "out"), Path(files, "err"))
        process = _start(folder, args, streams, env, Trouble())
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(args, timeout_s)
        out, err = (stream.read_text() if stream.exists() else "" for stream in streams)
    return subprocess.CompletedProcess(args, process.exitcode, out, err)


def _start(
    folder: Path, args: list[str], streams: tuple[Path, Path], env: Mapping[str, str], trouble: Trouble
) -> ForkServerProcess:
    """A daemon of the test process, so that no failure leaves it behind."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_MODULES)
    process = context.Process(target=_live, args=(str(folder), args, streams, dict(env), trouble), daemon=True)
    process.start()
    return process


def _live(folder: str, args: list[str], streams: tuple[Path, Path], env: dict[str, str], trouble: Trouble) -> None:
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for fd, stream in enumerate(streams, 1):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), fd)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.argv = ["autoresearch", *args]
    faults._WANTED = env.get("AUTORESEARCH_FAULT", "")
    if trouble.kind == "clock":
        _jump(random.Random(trouble.seed))
    elif trouble.kind:
        from autoresearch.state.journal import journal

        journal.os = _BrokenDisk(trouble)  # type: ignore[attr-defined]
    from autoresearch.tui.cli import main

    code = 1
    try:
        main()
    except SystemExit as done:
        code = done.code if isinstance(done.code, int) else 1 if done.code else 0
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _jump(dice: random.Random) -> None:
    """The wall clock jumps by up to ten days either way at one look in fifty."""
    real, offset = time.time, 0.0

    def now() -> float:
        nonlocal offset
        if dice.random() < 0.02:
            offset = dice.uniform(-864_000, 864_000)
        return real() + offset

    time.time = now
    time.time_ns = lambda: int(now() * 1e9)


class _BrokenDisk(ModuleType):
    """`os` as the journal sees it, with one append that goes wrong."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__("os")
        self._trouble = trouble
        self._appends = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def write(self, fd: int, data: bytes) -> int:
        self._appends += 1
        if self._appends == self._trouble.at:
            match self._trouble.kind:
                case "full":
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                case "write-eio":
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                case "short":
                    return os.write(fd, data[: len(data) // 2])
        return os.write(fd, data)

    def fdatasync(self, fd: int) -> None:
        if self._appends >= self._trouble.at and self._trouble.kind == "sync-eio":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        os.fdatasync(fd)
