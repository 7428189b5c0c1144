"""The commands of a slot: started with their limits and environment, and explained when they fail."""

from __future__ import annotations

import os
import re
from pathlib import Path

from autoresearch.engine import files, process, sandbox
from autoresearch.engine.measure import metrics
from autoresearch.engine.measure.gpu import GpuWatch
from autoresearch.engine.measure.slot import Job
from autoresearch.engine.process import Command, Exit
from autoresearch.engine.sandbox import Confinement, Role, Stack
from autoresearch.state.config import Config
from autoresearch.state.text import clean_line

FIRST_TIMEOUT_S = 3600.0
"""For a command of which no duration is known yet."""
LEAST_TIMEOUT_S = 30.0
BUDGET_SLACK = 0.2
"""A run may take the baseline's time and this part of the budget."""


class Commands:
    def __init__(self, config: Config, session: str, prefix: str, confinement: Confinement) -> None:
        """`prefix` is the target's folder in a tree."""
        self._config = config
        self._session = session
        self._prefix = prefix
        self._confinement = confinement
        self._progress = {name: re.compile(pattern) for name, pattern in config.measure.progress.items()}
        self.took_s: dict[str, float] = {}
        """How long `build` and `evaluate` took when they first succeeded."""

    async def set_up(self, stack: Stack, folder: Path) -> Exit:
        settings = self._config.measure
        self._confinement.make_empty()
        command = Command(
            argv=sandbox.argv_of(settings.setup),
            cwd=self._cwd(stack),
            env=self._confinement.environment("setup", stack, self._session),
            output=folder / "setup.log",
            timeout_s=settings.timeout_s or FIRST_TIMEOUT_S,
            output_mb=settings.output_mb,
            free_mb=files.least_free_mb(),
            pid_file=folder / "pid",
        )
        return await process.run_async(command, self._confinement.spawn("setup", stack))

    async def run(
        self,
        job: Job,
        stack: Stack,
        command: str | tuple[str, ...],
        log: str,
        what: str,
        timeout_s: float,
        *,
        role: Role = "run",
        gpu: GpuWatch | None = None,
        watched: bool = False,
    ) -> Exit:
        """Run a command on a stack with all limits; a line with `what` goes into the log before it.

        `watched`, the log says at its end which files of the tree it opened.
        """
        settings = self._config.measure
        self._confinement.make_empty()
        write_line(job.folder / log, what)
        run = sandbox.run_variables(experiment=job.experiment, budget_s=settings.budget_s, seed=job.seed)
        argv, cwd = sandbox.argv_of(command), self._cwd(stack)
        limited = Command(
            argv=sandbox.watched(argv, os.path.relpath(stack.root, cwd)) if watched else argv,
            cwd=cwd,
            env=self._confinement.environment(role, stack, self._session) | run,
            output=job.folder / log,
            timeout_s=timeout_s,
            stall_s=settings.stall_s,
            memory_mb=settings.memory_mb,
            output_mb=settings.output_mb,
            free_mb=files.least_free_mb(),
            pid_file=job.folder / "pid",
            label={"arm": job.arm, "k": job.k},
            progress=self._progress if gpu is not None and role != "evaluate" else {},
            progress_file=job.folder / "progress.jsonl",
            watch=gpu.look if gpu is not None and gpu.active else None,
        )
        return await process.run_async(limited, self._confinement.spawn(role, stack))

    def _cwd(self, stack: Stack) -> Path:
        """The target's folder, which is there outside of a view too."""
        folder = stack.root / self._prefix
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def explain(self, exited: Exit, log: Path, role: Role = "run") -> str:
        """How it ended, with the last line it wrote: mostly that is the exception. And when it lacked the network."""
        said = clean_line(_last_words(exited, log).rpartition("\n")[2][-300:], 200)
        lacking = self.lacking_network(exited, log, role) if exited.cause in ("nonzero_exit", "timeout") else ""
        return f"{exited.detail}{': ' if said else ''}{said}{lacking}"

    def lacking_network(self, exited: Exit, log: Path, role: Role) -> str:
        """The end of a sentence when its last words say so. A program may catch that error, and end with 0."""
        held = self._confinement.level.holds("network")
        hint = sandbox.network_hint(_last_words(exited, log), self._confinement.network(role), held)
        return hint and f"; {hint}"

    def limits_s(self, expected_s: float | None) -> tuple[float, float]:
        """The time limit of `run`, and what the budget allows (infinite while the baseline is not known)."""
        settings = self._config.measure
        known = max(3 * expected_s, LEAST_TIMEOUT_S) if expected_s else FIRST_TIMEOUT_S
        budget_s = float("inf")
        if settings.budget_s and expected_s:
            budget_s = expected_s + BUDGET_SLACK * settings.budget_s
        return settings.timeout_s or known, budget_s

    def timeout_s(self, name: str) -> float:
        """The time limit of `build`, `evaluate` or the holdout."""
        if self._config.measure.timeout_s:
            return self._config.measure.timeout_s
        took_s = self.took_s.get(name)
        return FIRST_TIMEOUT_S if took_s is None else max(3 * took_s, LEAST_TIMEOUT_S)


def _last_words(exited: Exit, log: Path) -> str:
    return metrics.tail(log, exited.output_from, exited.output_to, lines=12, chars=3000).strip()


def write_line(log: Path, what: str) -> None:
    """A line of ours in a log, after whatever stands there; a run before may have left something else in its place."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.is_symlink() or (log.exists() and not log.is_file()):
        files.remove(log)
    with log.open("ab+", buffering=0) as file:
        size = file.seek(0, 2)
        file.seek(max(size - 1, 0))
        file.write((b"" if file.read(1) in (b"", b"\n") else b"\n") + f"=== {what} ===\n".encode())
