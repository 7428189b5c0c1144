"""What one measurement is: the measure commands, once, on one commit, in a slot.

The loop asks a slot for samples of commits and does not know where they run. The slot here is this machine: a tree made
exactly the commit, `build` once per candidate, `run` within its limits, and with `evaluate` a second, pristine tree
that sees only the artifacts. What cannot be measured is a sample with a cause and a sentence, never an exception.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from autoresearch.engine import files, sandbox
from autoresearch.engine.measure import metrics
from autoresearch.engine.measure.commands import Commands, write_line
from autoresearch.engine.measure.gpu import GpuWatch
from autoresearch.engine.measure.slot import GuardResult, Job
from autoresearch.engine.process import Exit
from autoresearch.engine.sandbox import Confinement, Role, Scratch
from autoresearch.engine.workspace import Linked, Tree
from autoresearch.state.config import Config, Guard
from autoresearch.state.journal.records import Sample
from autoresearch.state.text import clean_line, listed

KEEP_MB = 100.0
FEEDBACK_MB = 1.0
GPU_BACK_S = 10.0
_OPENED_BYTES = 16 * 2**20
_REFUSALS = ("nonzero_exit", "timeout", "stalled")
"""How a guard says no. Whatever else ends it is a crash of the candidate."""


class _Crash(Exception):
    """This sample has no value."""

    def __init__(self, cause: str, detail: str, exited: Exit | None = None, *, again: bool = False) -> None:
        """`again`: the commit is not to blame, so it is measured again."""
        super().__init__(detail)
        self.cause = cause
        self.detail = detail
        self.exited = exited
        self.again = again


class LocalSlot:
    """This machine, which takes one measurement at a time. Cancelling one ends all its processes first."""

    name = "local"

    def __init__(
        self,
        config: Config,
        session: str,
        measure: Tree,
        evaluate: Tree | None,
        *,
        user_folder: Path,
        confinement: Confinement,
        on_phase: Callable[[str], None] = lambda phase: None,
        warn: Callable[[str], None] = lambda text: None,
        linked: Linked | None = None,
    ) -> None:
        """`session` must name the session on this machine, not just in its repository: recovery ends processes by it.

        `on_phase` is told `building`, `measuring` and `evaluating` where a sample has several parts, `warn` what people
        should know of the machine. `linked` are inputs that commands could write to.
        """
        self._config = config
        self._measure = measure
        self._evaluate = evaluate
        self._on_phase = on_phase
        self._linked = linked
        self.changed_inputs: tuple[str, ...] = ()
        """Linked inputs that changed while a command ran: what is measured from then on is something else."""
        self._warn = warn
        scratch = Scratch(measure.root.parent / "scratch")
        self._commands = Commands(config, session, user_folder, scratch, confinement)

    async def prepare(self, folder: Path) -> Exit:
        """Run `setup` in the measure tree as it stands; its log goes to `folder`."""
        return await self._commands.set_up(self._measure, folder)

    async def sample(self, job: Job) -> Sample:
        ran: Exit | None = None
        ended: Exit | None = None
        gpu = GpuWatch()
        reading = metrics.Reading(None)
        cause: str | None = None
        detail = ""
        again = False
        try:
            await self._make_ready(job)
            ran = ended = await self._run_once(job, gpu)
            self._refuse_run(job, ran, gpu)
            reading = await self._evaluated(job, ran, gpu) if self._evaluate else self._reading(job, self._measure, ran)
            cause, detail = reading.cause, reading.detail
        except _Crash as crash:
            cause, detail, again = crash.cause, crash.detail, crash.again
            ended = crash.exited or ended
            self._make_room(job.sha, crash.exited)
        if ran is not None and job.arm != "holdout":  # what the holdout wrote would be shown to agents
            self._keep(job)
        return Sample(
            experiment=job.experiment,
            sha=job.sha,
            arm=job.arm,
            k=job.k,
            seed=job.seed,
            slot=self.name,
            metric=reading.metric if cause is None else None,
            metrics=reading.metrics,
            exit=ended.code if ended else None,
            cause=cause,
            detail=detail,
            duration_s=round(ran.duration_s, 4) if ran else 0.0,
            peak_rss_mb=ran.peak_rss_mb if ran else None,
            peak_vram_mb=gpu.peak_mb,
            gpu_util=gpu.utilisation,
            again=again,
        )

    async def guard(self, job: Job, guard: Guard) -> GuardResult:
        short = _short(guard.run)
        try:
            if job.new is not None:
                with contextlib.suppress(_Crash):  # what an empty file does to the build says nothing of the candidate
                    await self._make_ready(replace(job, sha=job.new.sha))
                await self._refuse_taken(job, self._measure, guard.run, f"the guard `{short}`", guard.timeout_s)
            await self._make_ready(job)
            exited = await self._commands.run(
                job, self._measure, guard.run, "guard.log", f"guard · {short}", guard.timeout_s
            )
            self._refuse_tampering(self._measure, exited, "the guard")
            if exited.cause is None:
                return GuardResult(True, duration_s=exited.duration_s)
            detail = f"the guard `{short}` failed: {self._commands.explain(exited, job.folder / 'guard.log')}"
            if exited.cause not in _REFUSALS:
                raise _Crash(exited.cause, detail, exited)
            return GuardResult(False, exited.cause, detail, exited.duration_s)
        except _Crash as crash:
            self._make_room(job.sha, crash.exited)
            return GuardResult(False, crash.cause, crash.detail, crashed=True)

    # -- the parts of both

    def _make_room(self, sha: str, exited: Exit | None) -> None:
        """After a command that filled the disk, at once: what it wrote would keep the session from going on."""
        if exited is None or exited.cause != "disk_limit":
            return
        self._commands.scratch.make_empty()
        for tree in (self._measure, self._evaluate):
            if tree is not None:
                tree.distrust()
                tree.at(sha)

    async def _make_ready(self, job: Job) -> None:
        """The commit, built, in the measure tree. Raises _Crash."""
        if self._linked is not None:
            self._linked.look()
        if (sha := self._measure.unprepared) is not None:
            # A candidate that spoiled what `setup` had left must not be the end of those that follow.
            self._measure.at(sha)
            exited = await self.prepare(job.folder)
            self._refuse_failure(exited, job.folder / "setup.log", "setup")
            self._measure.prepared()
        self._measure.at(job.sha)
        await self._build(job)

    async def _build(self, job: Job) -> None:
        """Once per commit. Raises _Crash."""
        build = self._config.measure.build
        if not build or self._measure.is_settled(job.sha):
            return
        self._on_phase("building")
        timeout_s = self._commands.timeout_s("build")
        exited = await self._commands.run(job, self._measure, build, "build.log", f"build {job.sha[:7]}", timeout_s)
        self._refuse_tampering(self._measure, exited, "the build")
        self._refuse_failure(exited, job.folder / "build.log", "the build")
        self._commands.took_s.setdefault("build", exited.duration_s)
        self._measure.settle()
        self._on_phase("measuring")

    async def _run_once(self, job: Job, gpu: GpuWatch) -> Exit:
        """`run`; for the holdout of a target without `evaluate`, its command in the place of `run`."""
        settings = self._config.measure
        role = self._role_of_run(job)
        if settings.metrics_file and not self._evaluate:
            files.remove_regular(self._measure.folder, settings.metrics_file)
        timeout_s, budget_s = self._commands.limits_s(job.expected_s)
        exited = await self._commands.run(
            job,
            self._measure,
            self._config.holdout.run if role == "holdout" else settings.run,
            "output.log",
            f"sample {job.k} · {job.arm} {job.sha[:7]} · seed {job.seed}",
            min(timeout_s, budget_s),
            role=role,
            gpu=gpu,
        )
        await self._wait_for_gpu(gpu, "a run")
        return exited

    def _role_of_run(self, job: Job) -> Role:
        return "holdout" if job.arm == "holdout" and self._evaluate is None else "run"

    def _refuse_run(self, job: Job, exited: Exit, gpu: GpuWatch) -> None:
        """Raises _Crash for a run that did not come to a good end, and for one that had no GPU to itself."""
        self._refuse_tampering(self._measure, exited, "the run")
        self._refuse_foreign(gpu, exited)
        timeout_s, budget_s = self._commands.limits_s(job.expected_s)
        if exited.cause == "timeout" and budget_s < timeout_s:
            allowed = f"{budget_s:.4g} s are allowed: the baseline's {job.expected_s:.4g} s and 20% of the budget"
            raise _Crash("over_budget", f"not finished when {allowed}", exited)
        if exited.cause is not None:
            raise _Crash(exited.cause, self._commands.explain(exited, job.folder / "output.log"), exited)

    def _refuse_foreign(self, gpu: GpuWatch, exited: Exit) -> None:
        if gpu.foreign:
            raise _Crash("contaminated", f"somebody else computed on the GPU: {gpu.foreign}", exited, again=True)

    async def _wait_for_gpu(self, gpu: GpuWatch, what: str) -> None:
        if gpu.active and not gpu.is_back() and not await asyncio.to_thread(gpu.wait_back, GPU_BACK_S):
            self._warn(f"GPU memory is not back {GPU_BACK_S:g} s after {what}: {gpu.holders()}.")

    async def _evaluated(self, job: Job, ran: Exit, gpu: GpuWatch) -> metrics.Reading:
        """`evaluate` in a tree that the run could not touch, with nothing of it but the artifacts. Raises _Crash.

        For the holdout its command in the place of `evaluate`.
        """
        settings, tree = self._config.measure, self._evaluate
        assert tree is not None
        name, held = ("holdout", self._config.holdout.run) if job.arm == "holdout" else ("evaluate", settings.evaluate)
        self._on_phase("evaluating")
        timeout_s = self._commands.timeout_s(name)
        if job.new is not None:
            self._bring_artifacts(job, job.new.sha, tree, ran)
            await self._refuse_taken(job, tree, held, "the evaluation", timeout_s, "evaluate")
        self._bring_artifacts(job, job.sha, tree, ran)
        what = f"evaluate {job.k} · {job.arm} {job.sha[:7]} · seed {job.seed}"
        exited = await self._commands.run(job, tree, held, "evaluate.log", what, timeout_s, role="evaluate", gpu=gpu)
        await self._wait_for_gpu(gpu, "an evaluation")
        self._refuse_tampering(tree, exited, "the evaluation")
        self._refuse_foreign(gpu, exited)
        self._refuse_failure(exited, job.folder / "evaluate.log", "the evaluation", "evaluate")
        self._commands.took_s.setdefault(name, exited.duration_s)
        return self._reading(job, tree, exited)

    def _bring_artifacts(self, job: Job, sha: str, tree: Tree, ran: Exit) -> None:
        """Make the tree exactly this commit, and what the run left for the evaluation. Raises _Crash."""
        tree.distrust()  # the run has ended, but it could reach this tree where it is not confined
        tree.at(sha)
        if tree.unprepared is not None:
            self._measure.share_prepared(tree)
        for artifact in self._config.measure.artifacts:
            try:
                files.copy(self._measure.folder, artifact, tree.folder)
            except files.NotTaken as error:
                lacking = self._commands.lacking_network(ran, job.folder / "output.log", "run")
                raise _Crash("no_metric", f"the artifact {error}{lacking}") from None
        if self._config.measure.metrics_file:
            files.remove_regular(tree.folder, self._config.measure.metrics_file)

    async def _refuse_taken(
        self, job: Job, tree: Tree, command: str | tuple[str, ...], what: str, timeout_s: float, role: Role = "run"
    ) -> None:
        """Raises _Crash when a command that decides about the candidate would take its new files by their names.

        The tree holds them, empty. How the command ends there says nothing.
        """
        assert job.new is not None
        log, line = job.folder / "opened.log", f"{what} · what does it open?"
        exited = await self._commands.run(job, tree, command, log.name, line, 2 * timeout_s, role=role, watched=True)
        self._refuse_tampering(tree, exited, what)
        try:
            if exited.cause not in (None, "nonzero_exit"):
                raise sandbox.Unknown(exited.detail)
            taken = job.new.taken(sandbox.opened(files.tail(log, _OPENED_BYTES, start=exited.output_from)))
        except sandbox.Unknown as error:
            self._warn(f"What {what} opens is not known ({error}): new files are held by a list of names alone.")
            return
        if taken:
            shown = clean_line(listed(taken), 200)
            raise _Crash("out_of_scope", f"{what} would take new files by their names: {shown}", exited)

    def _reading(self, job: Job, tree: Tree, exited: Exit) -> metrics.Reading:
        """What the command that came to a good end in this tree reports."""
        role: Role = "evaluate" if tree is self._evaluate else self._role_of_run(job)
        log = job.folder / ("evaluate.log" if role == "evaluate" else "output.log")
        if self._config.measure.metrics_file:
            path = tree.folder / self._config.measure.metrics_file
            reading = metrics.read_metrics_file(path, primary=job.metric, others=job.constraints, root=tree.folder)
        else:
            start, end = exited.output_from, exited.output_to
            reading = metrics.read_metrics(log, start, end, primary=job.metric, others=job.constraints)
        if reading.cause != "no_metric":
            return reading
        return replace(reading, detail=reading.detail + self._commands.lacking_network(exited, log, role))

    def _refuse_tampering(self, tree: Tree, exited: Exit, what: str) -> None:
        changed = tree.check()
        self._refuse_changed_inputs(exited, what)
        if exited.survivors:
            raise _Crash("contaminated", f"{len(exited.survivors)} processes of {what} could not be ended", exited)
        if changed:
            shown = clean_line(", ".join(changed[:5]), 200) + (" and more" if len(changed) > 5 else "")
            raise _Crash("tampered", f"{what} changed protected files, which were restored: {shown}", exited)

    def _refuse_failure(self, exited: Exit, log: Path, what: str, role: Role = "run") -> None:
        if exited.cause is not None:
            raise _Crash(exited.cause, f"{what} failed: {self._commands.explain(exited, log, role)}", exited)

    def _refuse_changed_inputs(self, exited: Exit, what: str) -> None:
        """Raises _Crash when linked inputs changed meanwhile; they are the user's own, so they stay as they are now."""
        changed = self._linked.changed() if self._linked is not None else ()
        if changed:
            self.changed_inputs = changed
            shown = clean_line(", ".join(changed), 200)
            raise _Crash(
                "tampered", f"linked inputs changed while {what} took place, and were left so: {shown}", exited
            )

    def _keep(self, job: Job) -> None:
        """Copy what people and agents want of this run. What cannot be copied is said in the log, and harms nothing."""
        settings = self._config.measure
        wanted = [(self._measure, path, KEEP_MB) for path in settings.keep]
        if settings.feedback:
            wanted.append((self._evaluate or self._measure, settings.feedback, FEEDBACK_MB))
        for tree, path, limit_mb in wanted:
            try:
                files.copy(tree.folder, path, job.folder / "kept", limit_mb)
            except files.NotTaken as error:
                if not error.missing:
                    write_line(job.folder / "output.log", f"not kept: {error}")


def _short(command: str | tuple[str, ...]) -> str:
    return clean_line(command if isinstance(command, str) else " ".join(command), 60)
