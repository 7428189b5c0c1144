"""What one measurement is: the measure commands, once, on one commit, in a slot.

The loop asks a slot for samples of commits and does not know where they run. The slot here is this machine: a stack
with exactly the commit, `build` once per candidate, `run` within its limits, and with `evaluate` a second, pristine one
that sees only the artifacts. What cannot be measured is a sample with a cause and a sentence, never an exception.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from autoresearch.engine import files, sandbox
from autoresearch.engine.measure import metrics
from autoresearch.engine.measure.commands import Commands, write_line
from autoresearch.engine.measure.gpu import GpuWatch
from autoresearch.engine.measure.slot import GuardResult, Job
from autoresearch.engine.measure.stacks import Base, Stacks
from autoresearch.engine.process import Exit
from autoresearch.engine.sandbox import Confinement, Role, Stack
from autoresearch.engine.workspace import Linked
from autoresearch.state.config import Config, Guard
from autoresearch.state.journal.records import Sample
from autoresearch.state.text import clean_line, listed

KEEP_MB = 100.0
FEEDBACK_MB = 1.0
GPU_BACK_S = 10.0
_OPENED_BYTES = 16 << 20
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
        stacks: Stacks,
        *,
        prefix: str,
        confinement: Confinement,
        on_phase: Callable[[str], None] = lambda phase: None,
        warn: Callable[[str], None] = lambda text: None,
        linked: Linked | None = None,
        keeps_last: bool = False,
    ) -> None:
        """`session` must name the session on this machine, not just in its repository: recovery ends processes by it.

        `prefix` is the target's folder in a tree. `on_phase` is told `building`, `measuring` and `evaluating` where a
        sample has several parts, `warn` what people should know of the machine. `linked` are inputs that commands could
        write to. `keeps_last`: what a sample left stays until the next one, for `run_tree`.
        """
        self._config = config
        self._stacks = stacks
        self._prefix = prefix
        self._on_phase = on_phase
        self._linked = linked
        self.changed_inputs: tuple[str, ...] = ()
        """Linked inputs that changed while a command ran: what is measured from then on is something else."""
        self._warn = warn
        self._commands = Commands(config, session, prefix, confinement)
        self._keeps_last = keeps_last
        self._last: list[Stack] = []
        self._setup_key = ""
        self._setup_sha = ""

    async def prepare(self, key: str, sha: str, folder: Path) -> Exit | None:
        """Run `setup` on a commit unless that was done for this `key`; its log goes to `folder`. None without a run.

        What it leaves is seen by all commands from then on.
        """
        self._setup_key, self._setup_sha = key, sha
        if not self._config.measure.setup or self._stacks.is_prepared(key):
            return None
        base = self._stacks.ready(sha)
        stack = self._stacks.stack(base, "setup", self._stacks.prepare())
        self._stacks.lay(stack)
        self._stacks.begin(stack)
        try:
            exited = await self._commands.set_up(stack, folder)
        finally:
            self._stacks.end(stack)
        if exited.cause is None:
            self._stacks.prepared(key, base)
        else:
            self._stacks.forget_prepared()
        return exited

    def keep(self, sha: str) -> None:
        """The commit's change is kept: what its runs compiled is there for all from now on."""
        self._stacks.keep(sha)

    async def sample(self, job: Job) -> Sample:
        ran: Exit | None = None
        ended: Exit | None = None
        gpu = GpuWatch()
        reading = metrics.Reading(None)
        cause: str | None = None
        detail = ""
        again = False
        stacks: list[Stack] = []
        try:
            base = await self._make_ready(job)
            stack = self._new_stack(base, self._role_of_run(job), stacks)
            ran, changed = await self._run_once(job, stack, gpu)
            ended = ran
            self._refuse_run(job, ran, changed, gpu)
            if self._config.measure.evaluate:
                reading = await self._evaluated(job, base, stack, ran, gpu, stacks)
            else:
                reading = self._reading(job, stack, ran, self._role_of_run(job))
            cause, detail = reading.cause, reading.detail
        except _Crash as crash:
            cause, detail, again = crash.cause, crash.detail, crash.again
            ended = crash.exited or ended
        finally:
            if ran is not None and job.arm != "holdout":  # what the holdout wrote would be shown to agents
                self._keep(job, stacks)
            self._drop(stacks)
            self._make_room(ended)
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

    @property
    def run_tree(self) -> Path | None:
        """Where the files lie that the last sample's run wrote, as far as they are kept."""
        return self._stacks.written(self._last[0], "")[0] if self._last else None

    def _drop(self, stacks: list[Stack]) -> None:
        gone, self._last = (self._last, stacks) if self._keeps_last else (stacks, [])
        for stack in gone:
            self._stacks.drop(stack)

    async def guard(self, job: Job, guard: Guard) -> GuardResult:
        short = _short(guard.run)
        ended: Exit | None = None
        stacks: list[Stack] = []
        try:
            if job.new is not None:
                await self._refuse_taken_by_guard(job, guard, stacks)
            base = await self._make_ready(job)
            stack = self._new_stack(base, "guard", stacks)
            self._stacks.lay(stack)
            what = f"guard · {short}"
            exited, changed = await self._run(job, stack, guard.run, "guard.log", what, guard.timeout_s, "guard")
            ended = exited
            self._refuse_tampering(exited, changed, "the guard")
            if exited.cause is None:
                return GuardResult(True, duration_s=exited.duration_s)
            detail = f"the guard `{short}` failed: {self._commands.explain(exited, job.folder / 'guard.log')}"
            if exited.cause not in _REFUSALS:
                raise _Crash(exited.cause, detail, exited)
            return GuardResult(False, exited.cause, detail, exited.duration_s)
        except _Crash as crash:
            ended = crash.exited or ended
            return GuardResult(False, crash.cause, crash.detail, crashed=True)
        finally:
            for stack in stacks:
                self._stacks.drop(stack)
            self._make_room(ended)

    # -- the parts of both

    def _make_room(self, exited: Exit | None) -> None:
        """After a command that filled the disk, at once: what it wrote would keep the session from continuing."""
        if exited is not None and exited.cause == "disk_limit":
            self._stacks.make_room()

    async def _make_ready(self, job: Job) -> Base:
        """The commit, built. Raises _Crash."""
        if self._linked is not None:
            self._linked.look()
        if self._stacks.is_spoiled:
            # A candidate that spoiled what `setup` had left must not be the end of those that follow.
            exited = await self.prepare(self._setup_key, self._setup_sha, job.folder)
            if exited is not None:
                self._refuse_failure(exited, job.folder / "setup.log", "setup")
        base = self._stacks.ready(job.sha)
        if self._config.measure.build and base.built is None:
            await self._build(job, base)
        return base

    async def _build(self, job: Job, base: Base) -> None:
        """Once per commit. Raises _Crash."""
        self._on_phase("building")
        timeout_s = self._commands.timeout_s("build")
        stack = self._stacks.stack(base, "build")
        try:
            self._stacks.lay(stack)
            build, what = self._config.measure.build, f"build {job.sha[:7]}"
            exited, changed = await self._run(job, stack, build, "build.log", what, timeout_s, "build")
            self._refuse_tampering(exited, changed, "the build")
            self._refuse_failure(exited, job.folder / "build.log", "the build")
        except BaseException:
            self._stacks.drop(stack)
            raise
        self._commands.took_s.setdefault("build", exited.duration_s)
        self._stacks.built(base, stack)
        self._on_phase("measuring")

    def _new_stack(self, base: Base, role: Role, stacks: list[Stack]) -> Stack:
        """One that is dropped with the sample."""
        stacks.append(self._stacks.stack(base, role))
        return stacks[-1]

    async def _run(
        self,
        job: Job,
        stack: Stack,
        command: str | tuple[str, ...],
        log: str,
        what: str,
        timeout_s: float,
        role: Role,
        gpu: GpuWatch | None = None,
        watched: bool = False,
    ) -> tuple[Exit, list[str]]:
        """How a command on a stack ended, and the protected files that it changed."""
        changed: list[str] = []
        self._stacks.begin(stack)
        try:
            exited = await self._commands.run(
                job, stack, command, log, what, timeout_s, role=role, gpu=gpu, watched=watched
            )
        finally:
            changed = self._stacks.end(stack)
        return exited, changed

    def _refuse_tampering(self, exited: Exit, changed: list[str], whose: str) -> None:
        """Raises _Crash for a command that changed what it may not, or that nobody could end."""
        self._refuse_changed_inputs(exited, whose)
        if exited.survivors:
            raise _Crash("contaminated", f"{len(exited.survivors)} processes of {whose} could not be ended", exited)
        if changed:
            shown = clean_line(", ".join(changed[:5]), 200) + (" and more" if len(changed) > 5 else "")
            raise _Crash("tampered", f"{whose} changed protected files: {shown}", exited)

    async def _run_once(self, job: Job, stack: Stack, gpu: GpuWatch) -> tuple[Exit, list[str]]:
        """`run`; for the holdout of a target without `evaluate`, its command in the place of `run`."""
        settings, role = self._config.measure, self._role_of_run(job)
        self._stacks.lay(stack, without="" if settings.evaluate else settings.metrics_file)
        timeout_s, budget_s = self._commands.limits_s(job.expected_s)
        ended = await self._run(
            job,
            stack,
            self._config.holdout.run if role == "holdout" else settings.run,
            "output.log",
            f"sample {job.k} · {job.arm} {job.sha[:7]} · seed {job.seed}",
            min(timeout_s, budget_s),
            role,
            gpu,
        )
        await self._wait_for_gpu(gpu, "a run")
        return ended

    def _refuse_run(self, job: Job, exited: Exit, changed: list[str], gpu: GpuWatch) -> None:
        """Raises _Crash for a run that did not come to a good end, and for one that had no GPU to itself."""
        self._refuse_tampering(exited, changed, "the run")
        self._refuse_foreign(gpu, exited)
        timeout_s, budget_s = self._commands.limits_s(job.expected_s)
        if exited.cause == "timeout" and budget_s < timeout_s:
            allowed = f"{budget_s:.4g} s are allowed: the baseline's {job.expected_s:.4g} s and 20% of the budget"
            raise _Crash("over_budget", f"not finished when {allowed}", exited)
        if exited.cause is not None:
            raise _Crash(exited.cause, self._commands.explain(exited, job.folder / "output.log"), exited)

    def _role_of_run(self, job: Job) -> Role:
        return "holdout" if job.arm == "holdout" and not self._config.measure.evaluate else "run"

    def _refuse_foreign(self, gpu: GpuWatch, exited: Exit) -> None:
        if gpu.foreign:
            raise _Crash("contaminated", f"somebody else computed on the GPU: {gpu.foreign}", exited, again=True)

    async def _wait_for_gpu(self, gpu: GpuWatch, what: str) -> None:
        if gpu.active and not gpu.is_back() and not await asyncio.to_thread(gpu.wait_back, GPU_BACK_S):
            self._warn(f"GPU memory is not back {GPU_BACK_S:g} s after {what}: {gpu.holders()}.")

    async def _evaluated(
        self, job: Job, base: Base, ran_on: Stack, ran: Exit, gpu: GpuWatch, stacks: list[Stack]
    ) -> metrics.Reading:
        """`evaluate` in a tree that the run could not touch, with nothing of it but the artifacts. Raises _Crash.

        For the holdout its command in the place of `evaluate`.
        """
        settings = self._config.measure
        name, held = ("holdout", self._config.holdout.run) if job.arm == "holdout" else ("evaluate", settings.evaluate)
        self._on_phase("evaluating")
        timeout_s = self._commands.timeout_s(name)
        if job.new is not None:
            asked = self._new_stack(self._stacks.ready(job.new.sha), "evaluate", stacks)
            self._bring_artifacts(job, ran_on, asked, ran)
            await self._refuse_taken(job, asked, held, "the evaluation", timeout_s, "evaluate")
            base = self._stacks.ready(job.sha)
        stack = self._new_stack(base, "evaluate", stacks)
        self._bring_artifacts(job, ran_on, stack, ran)
        what = f"evaluate {job.k} · {job.arm} {job.sha[:7]} · seed {job.seed}"
        exited, changed = await self._run(job, stack, held, "evaluate.log", what, timeout_s, "evaluate", gpu)
        await self._wait_for_gpu(gpu, "an evaluation")
        self._refuse_tampering(exited, changed, "the evaluation")
        self._refuse_foreign(gpu, exited)
        self._refuse_failure(exited, job.folder / "evaluate.log", "the evaluation", "evaluate")
        self._commands.took_s.setdefault(name, exited.duration_s)
        return self._reading(job, stack, exited, "evaluate")

    def _bring_artifacts(self, job: Job, ran_on: Stack, stack: Stack, ran: Exit) -> None:
        """What the run left for the evaluation. Raises _Crash."""
        laid = self._stacks.lay(stack, without=self._config.measure.metrics_file)
        for artifact in self._config.measure.artifacts:
            try:
                self._stacks.hand_on(ran_on, stack, artifact, laid)
            except files.NotTaken as error:
                lacking = self._commands.lacking_network(ran, job.folder / "output.log", "run")
                raise _Crash("no_metric", f"the artifact {error}{lacking}") from None

    async def _refuse_taken_by_guard(self, job: Job, guard: Guard, stacks: list[Stack]) -> None:
        assert job.new is not None
        asking = replace(job, sha=job.new.sha)
        try:
            base = await self._make_ready(asking)
        except _Crash:  # what an empty file does to the build says nothing of the candidate
            base = self._stacks.ready(asking.sha)
        stack = self._new_stack(base, "guard", stacks)
        self._stacks.lay(stack)
        await self._refuse_taken(job, stack, guard.run, f"the guard `{_short(guard.run)}`", guard.timeout_s, "guard")

    async def _refuse_taken(
        self, job: Job, stack: Stack, command: str | tuple[str, ...], whose: str, timeout_s: float, role: Role
    ) -> None:
        """Raises _Crash when a command that decides about the candidate would take its new files by their names.

        The stack holds them, empty. How the command ends there says nothing.
        """
        assert job.new is not None
        log, what = job.folder / "opened.log", f"{whose} · what does it open?"
        exited, changed = await self._run(job, stack, command, log.name, what, 2 * timeout_s, role, watched=True)
        self._refuse_tampering(exited, changed, whose)
        try:
            if exited.cause not in (None, "nonzero_exit"):
                raise sandbox.Unknown(exited.detail)
            taken = job.new.taken(sandbox.opened(files.tail(log, _OPENED_BYTES, start=exited.output_from)))
        except sandbox.Unknown as error:
            self._warn(f"What {whose} opens is not known ({error}): new files are held by a list of names alone.")
            return
        if taken:
            shown = clean_line(listed(taken), 200)
            raise _Crash("out_of_scope", f"{whose} would take new files by their names: {shown}", exited)

    def _reading(self, job: Job, stack: Stack, exited: Exit, role: Role) -> metrics.Reading:
        """What the command that came to a good end on this stack reports."""
        log = job.folder / ("evaluate.log" if role == "evaluate" else "output.log")
        if self._config.measure.metrics_file:
            root, path = self._stacks.written(stack, self._config.measure.metrics_file)
            reading = metrics.read_metrics_file(root / path, primary=job.metric, others=job.constraints, root=root)
        else:
            start, end = exited.output_from, exited.output_to
            reading = metrics.read_metrics(log, start, end, primary=job.metric, others=job.constraints)
        if reading.cause != "no_metric":
            return reading
        return replace(reading, detail=reading.detail + self._commands.lacking_network(exited, log, role))

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

    def _keep(self, job: Job, stacks: list[Stack]) -> None:
        """Copy what people and agents want of this run. What cannot be copied is said in the log, and harms nothing."""
        settings = self._config.measure
        wanted = [(stacks[0], path, KEEP_MB) for path in settings.keep]
        if settings.feedback:
            wanted.append((stacks[-1], settings.feedback, FEEDBACK_MB))
        for stack, path, limit_mb in wanted:
            try:
                files.copy(*self._stacks.look_up(stack, path), job.folder / "kept", limit_mb, to=path)
            except files.NotTaken as error:
                if not error.missing:
                    write_line(job.folder / "output.log", f"not kept: {error}")


def _short(command: str | tuple[str, ...]) -> str:
    return clean_line(command if isinstance(command, str) else " ".join(command), 60)
