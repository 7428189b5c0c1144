"""Listens to people, the clock and the limits while the loop works; keeps the heartbeat.

A pause waits for the experiment to finish; "pause now", a stop and a signal cancel the running measurement, which ends
its processes, and leave the experiment open to go on at its next sample.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
from datetime import datetime
from pathlib import Path

from autoresearch.engine import files
from autoresearch.engine.control import inbox
from autoresearch.engine.limits import Progress, in_force, reached, stagnant
from autoresearch.engine.process import cap_engine_log
from autoresearch.engine.record import Notebook, Recorder
from autoresearch.state.config import Config, Limits
from autoresearch.state.journal import records
from autoresearch.state.session import Request
from autoresearch.state.text import numbers

LOOK_S = 0.25
INTERRUPTED = 130
LIMIT_REACHED = 3


class Ended(Exception):
    """The session pauses or stops on purpose; `line` says why and is written last."""

    def __init__(self, line: records.Pause | records.Stop, code: int = 0) -> None:
        self.line = line
        self.code = code
        super().__init__(line.reason)


class Attendant:
    """One per running engine. `watch` runs beside the loop; `attend` is called by it between experiments."""

    def __init__(
        self, recorder: Recorder, config: Config, trees: Path, max_experiments: int | None, notebook: Notebook
    ) -> None:
        self._recorder = recorder
        self._config = config
        self._trees = trees
        self._max_experiments = max_experiments
        self._notebook = notebook
        self._tried_before = recorder.history.tried
        self._started = datetime.now().astimezone()
        self._earlier = {
            request.id
            for _, request in recorder.session.requests()
            if request is not None and request.timestamp < recorder.live.since
        }
        """Requests that were waiting at the start, by id: later ones are for this engine whatever the clock says."""
        self._wish: Ended | None = None
        """What somebody asked the engine to do with itself."""
        self._now = False
        """Whether it was to be done at once."""
        self._loop_task: asyncio.Task[None] | None = None
        self._stagnant = False

    # -- beside the loop

    async def watch(self, loop_task: asyncio.Task[None]) -> None:
        """Obey the inbox and signals, and keep live.json fresh, until cancelled."""
        self._loop_task = loop_task
        running = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            running.add_signal_handler(number, self._signalled, number)
        while True:
            self.obey()
            self._recorder.beat()
            cap_engine_log(self._recorder.session.engine_log)
            self._notebook.tick()
            await asyncio.sleep(LOOK_S)

    def obey(self) -> None:
        self._recorder.attempt("The inbox", self._obey)

    def _obey(self) -> None:
        session = self._recorder.session
        for sentence in inbox.obey(session, self._recorder.history, self._recorder.write, self._control):
            self._recorder.warn(sentence, code="refused")

    def _control(self, request: Request) -> None:
        if request.id in self._earlier:
            return  # meant for an earlier engine: whoever started this one wants it to run
        if request.kind != "unpause":
            self._want(Ended(inbox.ending_for(request)), now=request.kind == "stop" or bool(request.args.get("now")))
        elif self._wish is not None and not self._now:
            self._wish = None
            self._recorder.phase(self._recorder.live.phase, pausing="")

    def _signalled(self, number: signal.Signals) -> None:
        line = records.Stop(reason=f"interrupted by {number.name}", by="signal")
        self._want(Ended(line, INTERRUPTED), now=True)

    def _want(self, wish: Ended, now: bool) -> None:
        if self._now:
            return
        live = self._recorder.live
        # An outage may last for hours, and there is no experiment to finish.
        self._wish, self._now = wish, now or (live.phase == "proposing" and bool(live.waiting_for))
        self._recorder.phase(live.phase, pausing=wish.line.type)
        if self._now and self._loop_task is not None:
            self._loop_task.cancel()

    @property
    def interrupted(self) -> Ended | None:
        """Why the loop was cancelled; None when nobody asked for that."""
        return self._wish if self._now else None

    # -- between experiments

    def attend(self) -> None:
        """Raises Ended when a pause was asked for or a limit is reached."""
        self.obey()
        if self._max_experiments is not None:
            done = self._recorder.history.tried - self._tried_before
            self._recorder.live.limits = {"experiments": self._max_experiments, "done": done}
        if self._wish is not None:
            raise self._wish
        limit = reached(self._progress(), self.limits, self._config.metric, files.least_free_mb())
        if limit is not None:
            line = records.Pause(reason=limit.reason, limit=limit.limit, fix=limit.fix, by="engine")
            raise Ended(line, LIMIT_REACHED)
        self._note_stagnation()

    @property
    def limits(self) -> Limits:
        """The limits in force: the config's, with what people have set since."""
        return in_force(self._config.limits, self._recorder.history)

    def _progress(self) -> Progress:
        history = self._recorder.history
        free_mb, free_at = self._fullest()
        done, now = history.tried - self._tried_before, datetime.now().astimezone()
        return Progress(history, self._started, now, free_mb, str(free_at), done, self._max_experiments)

    def _fullest(self) -> tuple[float, Path]:
        """(free MB, folder) of the fuller of the two file systems that are written to."""
        folders = [path for path in (self._recorder.session.folder, self._trees) if path.is_dir()]
        return min((shutil.disk_usage(path).free / 1e6, path) for path in folders)

    def _note_stagnation(self) -> None:
        since = self._recorder.history.since_keep
        now = stagnant(since, self.limits.stagnation_after)
        if now and not self._stagnant:
            self._recorder.warn(
                f"No keep in {numbers.plural(since, 'experiment')}: perhaps another mechanism is needed.",
                code="stagnation",
            )
        self._stagnant = now
