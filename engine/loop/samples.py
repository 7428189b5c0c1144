"""What the loop measures: samples of a commit, guards on it, the incumbent again, the holdout.

Each sample is recorded before anything is made of it. What spoils samples for good ends the session with the way out.
"""

from __future__ import annotations

from dataclasses import replace

from autoresearch.engine import verdict
from autoresearch.engine.control import Ended
from autoresearch.engine.measure import SPOILED, Job, LocalSlot
from autoresearch.engine.record import Recorder
from autoresearch.engine.verdict import HOLDOUT_TRIES, Run, Verdict, holdout_due, holdout_folder
from autoresearch.engine.workspace import NewFiles, Workspace
from autoresearch.state import text
from autoresearch.state.config import Config
from autoresearch.state.faults import reach
from autoresearch.state.journal import History, Open, Row, records
from autoresearch.state.journal.records import Arm


class Samples:
    """One slot's measurements, on record."""

    def __init__(self, config: Config, workspace: Workspace, recorder: Recorder, slot: LocalSlot) -> None:
        self._config = config
        self._workspace = workspace
        self._recorder = recorder
        self._slot = slot

    @property
    def _history(self) -> History:
        return self._recorder.history

    async def take(self, opened: Open | None, arm: Arm, sha: str, run: Run | None = None) -> records.Sample:
        """One recorded measurement; again where something beside the commit spoiled it, a bounded number of times.
        `run` is which of a contest's it is.

        An engine that follows a dead one says first that it tries again.
        """
        if opened is not None and opened.died:
            self._recorder.write(
                records.Intent(
                    experiment=opened.number,
                    proposal=opened.proposal,
                    parent=opened.parent,
                    sha=opened.sha,
                    attempt=opened.attempt + 1,
                )
            )
        for _ in range(SPOILED):
            sample = await self._measured(opened, arm, sha, run)
            if not sample.again:
                return sample
            self._recorder.warn(f"A run is measured again: {sample.detail}.", code="contaminated")
        fix = "Wait for it or end it, or choose another GPU with CUDA_VISIBLE_DEVICES, then `autoresearch resume`."
        raise Ended(records.Pause(reason=f"{SPOILED} runs in a row were spoiled: {sample.detail}", fix=fix), code=1)

    async def take_incumbent(self, opened: Open | None, run: Run | None = None) -> None:
        """An incumbent run that crashes is repeated once; if it crashes again the session pauses."""
        assert self._history.incumbent is not None
        sha = self._history.incumbent.sha
        sample = await self.take(opened, "incumbent", sha, run)
        if sample.cause:
            sample = await self.take(opened, "incumbent", sha, run)
        if sample.cause:
            raise broken(f"The incumbent itself crashed twice ({sample.cause}): {sample.detail}")

    async def guard(self, opened: Open, when: str) -> Verdict | None:
        """Run the guards of that kind on a clean checkout; what the first failure makes of the experiment."""
        for guard in self._config.guard:
            if guard.when != when:
                continue
            self._recorder.phase("guarding", arm="", k=0)
            job = Job(
                experiment=opened.number, sha=opened.sha, arm="candidate", k=0, seed=0,
                folder=self._recorder.session.run(opened.number), metric=self._config.metric.name,
                new=self._new_files(opened),
            )  # fmt: skip
            result = await self._slot.guard(job, guard)
            if result.crashed:
                return Verdict("crash", result.cause or "", result.detail)
            if not result.passed:
                return Verdict("checks_failed", "guard", result.detail)
        return None

    async def hold_out(self, *, ending: bool) -> None:
        """Measure the holdout of the commits that lack it. What goes wrong with it harms nothing else."""
        for row in holdout_due(self._history, self._config.holdout, ending=ending):
            tried = self._history.held_out.get(row.sha, [])
            while len(tried) < HOLDOUT_TRIES and not any(tried):
                await self._held_out(row, len(tried) + 1)
                tried = self._history.held_out[row.sha]
            if not any(tried):
                logs = holdout_folder(self._recorder.session.folder, row.number)
                self._recorder.warn(f"The holdout of #{row.number} gave no value; its logs are in {logs}.", "holdout")

    def refuse_changed_inputs(self) -> None:
        """Numbers from here on would not compare with earlier ones, and only a person knows who changed what."""
        if self._slot.changed_inputs:
            shown = text.clean_line(", ".join(self._slot.changed_inputs), 200)
            fix = "Put them back as they were, or `autoresearch resume` to begin a new segment with them as they are."
            raise Ended(records.Pause(reason=f"linked inputs changed during a run: {shown}", fix=fix, by="engine"), 1)

    async def _measured(self, opened: Open | None, arm: Arm, sha: str, run: Run | None) -> records.Sample:
        history = self._history
        assert history.header is not None
        k = history.next_k(sha)
        first = opened is not None and arm == "candidate" and not opened.of("candidate")
        seed = run.seed if run else verdict.seed_alone(history.header, sha, k, baseline=arm == "candidate")
        job = Job(
            experiment=opened.number if opened else None, sha=sha, arm=arm, k=k, seed=seed,
            folder=self._recorder.session.run(opened.number if opened else history.next_number() - 1),
            expected_s=history.baseline_duration_s or None,
            metric=self._config.metric.name, constraints=tuple(self._config.constraints),
            new=self._new_files(opened) if first and self._config.measure.evaluate else None,
        )  # fmt: skip
        sample = await self._slot.sample(job)
        if run is not None:
            sample = replace(sample, block=run.block, place=run.place, basis=run.basis)
        reach("after:measure")
        self._recorder.write(sample)
        return sample

    def _new_files(self, opened: Open | None) -> NewFiles | None:
        """Of a proposal; a baseline has none."""
        waiting = self._history.opened_proposal
        if opened is None or waiting is None or not self._workspace.adds(opened.parent, waiting.files):
            return None
        return self._workspace.new_files(opened.parent, opened.sha)

    async def _held_out(self, row: Row, k: int) -> None:
        self._recorder.phase("measuring", experiment=row.number, description="", arm="holdout", k=k, of=0, sha=row.sha)
        logs = holdout_folder(self._recorder.session.folder, row.number)
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        header = self._history.header
        assert header is not None
        expected = self._history.baseline_duration_s if self._config.measure.evaluate else 0.0
        job = Job(
            experiment=row.number, sha=row.sha, arm="holdout", k=k, seed=k, folder=logs, expected_s=expected or None,
            metric=self._config.metric.name,
            new=self._workspace.new_files(header.base, row.sha) if self._config.measure.evaluate else None,
        )  # fmt: skip
        sample = await self._slot.sample(job)
        reach("after:holdout")
        self._recorder.write(sample)


def broken(reason: str) -> Ended:
    """The target itself does not run: nothing can be measured until a person mends it."""
    fix = "`autoresearch doctor` tells more; commit the fix, then `autoresearch resume`."
    return Ended(records.Pause(reason=reason, fix=fix, by="engine"), code=1)
