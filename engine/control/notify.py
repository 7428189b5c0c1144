"""Tell somebody outside what happened: `notify.command` gets one JSON object on stdin.

It never holds the loop up and never fails it: the command runs beside it with a time limit, and what goes wrong is a
warning in the journal.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from autoresearch.engine import sandbox
from autoresearch.engine.limits import environment_suspect
from autoresearch.engine.process import claim, release, starting_child
from autoresearch.engine.record import Recorder
from autoresearch.state.journal import History, records

TIMEOUT_S = 30.0
LAST_S = 2 * TIMEOUT_S
"""For what is left when the engine ends: the notice under way, and the one that tells the end."""


@dataclass(frozen=True, slots=True)
class Notice:
    event: str
    """keep, crashes, limit, pause or stop."""
    session: str
    text: str
    experiment: int | None = None
    metric: float | None = None
    fix: str = ""


def notice_of(record: records.Record, history: History, session: str) -> Notice | None:
    """What is worth a notice; None for most lines."""
    match record:
        case records.Experiment(status="keep") if record.cause != "baseline":
            text = f"#{record.run} kept: {record.description}, {record.reason}"
            return Notice("keep", session, text, record.run, record.metric)
        case records.Experiment(status="crash") if environment_suspect(history.crash_streak):
            return Notice("crashes", session, f"{history.crash_streak} crashes in a row: {record.reason}", record.run)
        case records.Pause():
            return Notice("limit" if record.limit else "pause", session, record.reason, fix=record.fix)
        case records.Stop():
            return Notice("stop", session, record.reason)
    return None


class Notifier:
    """One notice after the other, in the order of the journal."""

    def __init__(self, command: str | tuple[str, ...], folder: Path, recorder: Recorder) -> None:
        self._command = command
        self._folder = folder
        self._recorder = recorder
        self._waiting: deque[Notice] = deque()
        self._sending: asyncio.Task[None] | None = None
        if command:
            recorder.also(self._see)

    def _see(self, record: records.Record, history: History) -> None:
        notice = notice_of(record, history, self._recorder.session.name)
        if notice is None:
            return
        self._waiting.append(notice)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.get_running_loop().create_task(self._send_waiting())

    async def _send_waiting(self) -> None:
        while self._waiting:
            await self._send(self._waiting.popleft())

    async def _send(self, notice: Notice) -> None:
        argv = sandbox.argv_of(self._command)
        try:
            with starting_child():
                child = await asyncio.create_subprocess_exec(
                    *argv,
                    cwd=self._folder,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.DEVNULL,
                    stderr=asyncio.subprocess.DEVNULL,
                    start_new_session=True,
                )
                claim(child.pid)
        except OSError as error:
            self._warn(f"notify.command could not be started: {error.strerror}")
            return
        try:
            await asyncio.wait_for(child.communicate(orjson.dumps(asdict(notice))), TIMEOUT_S)
            if child.returncode:
                self._warn(f"notify.command ended with exit code {child.returncode}")
        except TimeoutError:
            self._warn(f"notify.command took longer than {TIMEOUT_S:.0f} s and was ended")
        finally:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                await child.wait()
            release(child.pid)

    def _warn(self, text: str) -> None:
        self._recorder.warn(text, code="notify")

    async def close(self) -> None:
        """Wait for what is under way: the notice of a pause is sent as the engine ends."""
        if self._sending is None:
            return
        try:
            await asyncio.wait_for(self._sending, LAST_S)
        except TimeoutError:
            self._warn(f"notify.command is too slow: {len(self._waiting) + 1} notices were not sent")
