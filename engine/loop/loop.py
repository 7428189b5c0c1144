"""Propose, measure, guard, judge, record, and nothing else.

The loop owns no clock, no command and no git call: it asks `Proposals` for the next candidate, a `Slot` for samples of
commits, `verdict.judge` what they mean, and the `Recorder` to write it down. It ends by an exception that carries what
has to be recorded (`Ended`), so there is one place where a session stops.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from typing import Protocol

from autoresearch.engine import limits, verdict
from autoresearch.engine.agents import Blocked, Exhausted
from autoresearch.engine.control import Ended
from autoresearch.engine.measure import SPOILED, Job, Slot, writing
from autoresearch.engine.proposals import Proposals, Researcher
from autoresearch.engine.record import Recorder
from autoresearch.engine.verdict import (
    HOLDOUT_TRIES,
    Flag,
    Noise,
    Verdict,
    experiment_line,
    good,
    holdout_due,
    holdout_folder,
    holdout_follows,
    judge_open,
    mean_of,
    noise_of,
    touched,
    values_of,
)
from autoresearch.engine.workspace import Workspace
from autoresearch.state import text
from autoresearch.state.config import Config
from autoresearch.state.faults import reach
from autoresearch.state.journal import History, Open, Row, SampleRow, Waiting, records
from autoresearch.state.journal.records import Arm
from autoresearch.state.session import proposal_folder
from autoresearch.state.text import numbers

DIED_TWICE = 2
SILENCES = 3
NOISY = 0.2
"""A baseline whose smallest provable gain is more than this part of its value gets a warning."""


@contextlib.contextmanager
def _endings() -> Iterator[None]:
    """An agent with nothing left, or one that needs a person, pauses the session."""
    try:
        yield
    except Exhausted as done:
        raise Ended(records.Pause(reason=str(done), by="engine")) from done
    except Blocked as blocked:
        raise Ended(records.Pause(reason=blocked.reason, fix=blocked.fix, by="engine"), code=1) from blocked


class Attendant(Protocol):
    """Whoever listens to people and watches limits, between experiments."""

    def attend(self) -> None:
        """Obey what was asked. Raises Ended when a limit is reached or a pause was asked for."""
        ...


class Loop:
    def __init__(
        self,
        config: Config,
        recorder: Recorder,
        workspace: Workspace,
        slot: Slot,
        researcher: Researcher,
        proposals: Proposals,
        attendant: Attendant,
        write_notebook: Callable[[], None],
        at_hand: Sequence[records.Sample] = (),
    ) -> None:
        """`at_hand` are samples that the dry run has just taken of the baseline's commit."""
        self._config = config
        self._settings = verdict.Settings.from_config(config)
        self._recorder = recorder
        self._workspace = workspace
        self._slot = slot
        self._researcher = researcher
        self._proposals = proposals
        self._attendant = attendant
        self._write_notebook = write_notebook
        self._at_hand = at_hand

    @property
    def _history(self) -> History:
        return self._recorder.history

    async def run(self) -> None:
        """Until something raises Ended."""
        try:
            await self._run()
        except Ended as ended:
            if holdout_follows(ended.line, ended.code):
                await self._hold_out(ending=True)
            raise

    async def _run(self) -> None:
        if self._history.open is not None:
            with _endings():
                await self._finish(self._history.open)
        while True:
            self._attendant.attend()
            self._refuse_changed_inputs()
            if self._history.incumbent is None:
                with _endings():
                    await self._baseline()
                continue
            await self._hold_out(ending=False)
            if limits.environment_suspect(self._history.crash_streak):
                await self._check_environment()
            await self._measure_again()
            self._give_up_on_silence()
            with _endings():
                waiting = await self._proposals.next()
            self._attendant.attend()  # a pause that was asked for meanwhile leaves the proposal waiting
            await self._experiment(waiting)

    # -- one experiment

    async def _baseline(self) -> None:
        assert self._history.header is not None
        sha = self._history.header.base
        parent = self._workspace.refs.resolve(self._recorder.session.branch) or sha
        opened = self._begin(None, parent, sha)
        await self._measure_baseline(opened)

    async def _experiment(self, waiting: Waiting) -> None:
        opened = self._begin(waiting, waiting.base, waiting.sha or waiting.base)
        if waiting.problem:
            self._conclude(opened, Verdict("crash", waiting.problem, waiting.reason))
        else:
            await self._race(opened, waiting)

    def _begin(self, waiting: Waiting | None, parent: str, sha: str) -> Open:
        """Give the number: the intent line, then the ref."""
        number = self._history.next_number()
        id = waiting.id if waiting else None
        self._recorder.write(
            records.Intent(
                experiment=number, proposal=id, parent=parent, sha=sha, version=verdict.VERSION,
                flags=tuple(flag.code for flag in self._touched(waiting, parent, sha)),
                noise=asdict(self._history.spread),
            )
        )  # fmt: skip
        self._workspace.number_ref(number, sha, id)
        assert self._history.open is not None
        self._announce(self._history.open, waiting)
        return self._history.open

    def _touched(self, waiting: Waiting | None, parent: str, sha: str) -> tuple[Flag, ...]:
        """What in the diff is worth a second look; what a person decided is not."""
        if waiting is None or waiting.problem or waiting.agent == "overrule":
            return ()
        config, score = self._config, None
        if not config.measure.evaluate:
            score = writing((config.metric.name, *config.constraints), config.measure.metrics_file)
        return touched(self._workspace.patch_of(parent, sha), score)

    def _announce(self, opened: Open, waiting: Waiting | None) -> None:
        """Make the experiment's folder, of the proposal's where there is one, and say what is under way."""
        folder = self._recorder.session.run(opened.number)
        if opened.proposal is not None and not folder.exists():
            with contextlib.suppress(FileNotFoundError):
                proposal_folder(self._recorder.session.runs, opened.proposal).rename(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._recorder.live.experiment = opened.number
        self._recorder.live.description = waiting.description if waiting else "baseline"
        self._recorder.live.sha = opened.sha

    async def _finish(self, opened: Open) -> None:
        """Go on with an experiment that an earlier engine left open, at its next sample."""
        waiting = self._history.opened_proposal
        self._announce(opened, waiting)
        if waiting is None and opened.proposal is None:
            await self._measure_baseline(opened)
            return
        if waiting is None:
            reason = "its proposal's line in the journal cannot be read"
            self._conclude(opened, Verdict("crash", "interrupted", reason))
            return
        if waiting.problem:
            self._conclude(opened, Verdict("crash", waiting.problem, waiting.reason))
        elif opened.attempt > DIED_TWICE:
            reason = "the engine died twice while this was measured"
            self._conclude(opened, Verdict("crash", "interrupted", reason))
        else:
            await self._race(opened, waiting)

    async def _measure_baseline(self, opened: Open) -> None:
        self._proposals.prepare(first=True)
        self._take_over(opened)
        wanted = self._settings.baseline_runs
        while (done := len(good(opened.of("candidate")))) < wanted:
            self._recorder.phase("baseline", arm="candidate", k=done + 1, of=wanted)
            sample = await self._sample(opened, "candidate", opened.sha)
            if not self._history.rows:
                self._proposals.refuse_hopeless()
            failed = [s for s in opened.of("candidate") if s.cause]
            if sample.cause and len(failed) > 1:
                self._conclude(opened, Verdict("crash", sample.cause, f"the baseline does not run: {sample.detail}"))
                raise Ended(_broken(f"The baseline crashed twice ({sample.cause}): {sample.detail}"), code=1)
        failure = await self._guards(opened, "before") or await self._guards(opened, "better")
        if failure is not None:
            cause = failure.cause if failure.status == "crash" else "nonzero_exit"
            reason = f"the baseline does not pass its guard: {failure.reason}"
            self._conclude(opened, Verdict("crash", cause, reason))
            raise Ended(_broken(f"The guard fails on the baseline: {failure.reason}"), code=1)
        values = values_of(opened.of("candidate"))
        spread = Noise.pool([values]).sd if len(values) > 1 else 0.0
        reason = verdict.describe_baseline(values, spread) + self._of_dry_run(opened)
        self._conclude(opened, Verdict("keep", "baseline", reason))
        self._warn_of_noise(values)

    def _take_over(self, opened: Open) -> None:
        """What the dry run measured of this commit counts as the baseline's, where nothing else was measured of it."""
        if self._at_hand and not self._history.sampled.get(opened.sha):
            number, sha = opened.number, opened.sha
            self._recorder.write(*(replace(sample, experiment=number, sha=sha) for sample in self._at_hand))

    def _of_dry_run(self, opened: Open) -> str:
        """How many of the baseline's runs were not its own, as the end of a sentence."""
        pairs = zip(self._at_hand, opened.of("candidate"), strict=False)
        count = sum(ours.metric == theirs.metric for ours, theirs in pairs)
        return f"; {count} of them by the dry run" if count else ""

    def _warn_of_noise(self, values: list[float]) -> None:
        noise = Noise.pool([values]).s if len(values) > 2 else 0.0
        if 2 * noise > NOISY * abs(mean_of(values)) > 0:
            least = numbers.metric(2 * noise, noise)
            self._recorder.warn(
                f"The baseline's runs differ much: only gains of about {least} and more can be proven quickly. "
                "Longer runs, or more `verdict.baseline_runs`, make it finer.",
                code="noise",
            )

    async def _race(self, opened: Open, waiting: Waiting) -> None:
        """Samples of candidate and incumbent until the verdict is in; then fresh ones if it is a keep."""
        self._proposals.prepare()
        if waiting.agent == "overrule":
            await self._keep(opened, Verdict("keep", "overruled", waiting.hypothesis or "a person decided so"))
            return
        failure = None if opened.of("candidate") else await self._guards(opened, "before")
        if failure is not None:
            self._conclude(opened, failure)
            return
        guarded = False
        noise = noise_of(self._history)
        while True:
            crashed = next((s for s in opened.of("candidate") if s.cause), None)
            if crashed is not None:
                self._conclude(opened, Verdict("crash", crashed.cause or "", crashed.detail))
                return
            decision = judge_open(self._history, noise, self._settings, self._config.constraints)
            if decision.action == "discard":
                self._conclude(opened, Verdict("discard", decision.cause, decision.reason, decision))
                return
            if opened.of("candidate") and not guarded:
                failure = await self._guards(opened, "better")
                if failure is not None:
                    # As with a sample that crashes, no judgement goes with a crash.
                    crashed_there = failure.status == "crash"
                    self._conclude(opened, failure if crashed_there else replace(failure, decision=decision))
                    return
                guarded = True
            if decision.action == "keep":
                await self._keep(opened, Verdict("keep", decision.cause, decision.reason, decision))
                return
            await self._sample_for(opened, decision.action)

    async def _sample_for(self, opened: Open, action: verdict.Action) -> None:
        r = len(opened.of("candidate"))
        if action == "candidate":
            self._recorder.phase("measuring", arm="candidate", k=r + 1, of=self._settings.max_runs)
            await self._sample(opened, "candidate", opened.sha)
        else:
            self._recorder.phase("measuring", arm="incumbent", k=r, of=self._settings.max_runs)
            await self._sample_incumbent(opened)

    async def _keep(self, opened: Open, reached: Verdict) -> None:
        """Fresh samples first: only they are the new incumbent's value. Then the line, then the branch."""
        wanted = self._settings.fresh_runs
        while (done := len(opened.of("fresh"))) < wanted:
            self._recorder.phase("measuring", arm="fresh", k=done + 1, of=wanted)
            sample = await self._sample(opened, "fresh", opened.sha)
            if sample.cause:
                self._conclude(opened, Verdict("crash", sample.cause, sample.detail, reached.decision))
                return
        self._conclude(opened, reached)

    def _refuse_changed_inputs(self) -> None:
        """Numbers from here on would not compare with earlier ones, and only a person knows who changed what."""
        if self._slot.changed_inputs:
            shown = text.clean_line(", ".join(self._slot.changed_inputs), 200)
            fix = "Put them back as they were, or `autoresearch resume` to begin a new segment with them as they are."
            raise Ended(records.Pause(reason=f"linked inputs changed during a run: {shown}", fix=fix, by="engine"), 1)

    def _give_up_on_silence(self) -> None:
        """An agent that makes no proposal several times in a row will not begin to by being asked again."""
        last = self._history.rows[-SILENCES:]
        if len(last) == SILENCES and all(row.cause == "no_proposal" for row in last):
            fix = "Look at agent.log of the last experiments, then `autoresearch resume`."
            raise Ended(records.Pause(reason=f"the agent made no proposal {SILENCES} times in a row", fix=fix), code=1)

    async def _hold_out(self, *, ending: bool) -> None:
        """Measure the holdout of the commits that lack it. What goes wrong with it harms nothing else."""
        for row in holdout_due(self._history, self._config.holdout, ending=ending):
            tried = self._history.held_out.get(row.sha, [])
            while len(tried) < HOLDOUT_TRIES and not any(tried):
                await self._sample_holdout(row, len(tried) + 1)
                tried = self._history.held_out[row.sha]
            if not any(tried):
                logs = holdout_folder(self._recorder.session.folder, row.number)
                self._recorder.warn(f"The holdout of #{row.number} gave no value; its logs are in {logs}.", "holdout")

    async def _sample_holdout(self, row: Row, k: int) -> None:
        self._recorder.phase("measuring", experiment=row.number, description="", arm="holdout", k=k, of=0, sha=row.sha)
        logs = holdout_folder(self._recorder.session.folder, row.number)
        logs.mkdir(mode=0o700, parents=True, exist_ok=True)
        expected = self._history.baseline_duration_s if self._config.measure.evaluate else 0.0
        job = Job(
            experiment=row.number, sha=row.sha, arm="holdout", k=k, seed=k, folder=logs, expected_s=expected or None,
            metric=self._config.metric.name,
        )  # fmt: skip
        sample = await self._slot.sample(job)
        reach("after:holdout")
        self._recorder.write(sample)

    # -- samples, guards, evidence

    async def _sample(self, opened: Open | None, arm: Arm, sha: str) -> SampleRow:
        """One recorded measurement; again where something beside the commit spoiled it, a bounded number of times.

        An engine that follows a dead one says first that it tries again.
        """
        if opened is not None and opened.died:
            self._recorder.write(
                records.Intent(
                    experiment=opened.number,
                    proposal=opened.proposal,
                    parent=opened.parent,
                    sha=opened.sha,
                    attempt=opened.attempt,
                )
            )
            opened.died = False
        for _ in range(SPOILED):
            sample = await self._measured(opened, arm, sha)
            if not sample.again:
                return SampleRow(
                    sha, arm, sample.k, sample.k, sample.metric, sample.metrics, sample.cause, sample.detail,
                    sample.duration_s, 0,
                )  # fmt: skip
            self._recorder.warn(f"A run is measured again: {sample.detail}.", code="contaminated")
        fix = "Wait for it or end it, or choose another GPU with CUDA_VISIBLE_DEVICES, then `autoresearch resume`."
        raise Ended(records.Pause(reason=f"{SPOILED} runs in a row were spoiled: {sample.detail}", fix=fix), code=1)

    async def _measured(self, opened: Open | None, arm: Arm, sha: str) -> records.Sample:
        history = self._history
        k = history.next_k(sha)
        number = opened.number if opened else None
        session = self._recorder.session
        folder = session.run(opened.number if opened else history.next_number() - 1)
        expected = history.baseline_duration_s or None
        job = Job(
            experiment=number, sha=sha, arm=arm, k=k, seed=k, folder=folder, expected_s=expected,
            metric=self._config.metric.name, constraints=tuple(self._config.constraints),
        )  # fmt: skip
        sample = await self._slot.sample(job)
        reach("after:measure")
        self._recorder.write(sample)
        return sample

    async def _sample_incumbent(self, opened: Open | None) -> None:
        """An incumbent run that crashes is repeated once; if it crashes again the session pauses."""
        assert self._history.incumbent is not None
        sha = self._history.incumbent.sha
        sample = await self._sample(opened, "incumbent", sha)
        if sample.cause:
            sample = await self._sample(opened, "incumbent", sha)
        if sample.cause:
            raise Ended(_broken(f"The incumbent itself crashed twice ({sample.cause}): {sample.detail}"), code=1)

    async def _measure_again(self) -> None:
        """Further runs of the incumbent that people asked for."""
        while self._history.again:
            self._recorder.phase("measuring", arm="incumbent", k=1, of=self._history.again)
            await self._sample_incumbent(None)
            self._attendant.attend()

    async def _check_environment(self) -> None:
        streak = self._history.crash_streak
        self._recorder.warn(f"{streak} crashes in a row: measuring the incumbent to see if the environment broke.")
        self._recorder.phase("measuring", arm="incumbent", k=1, of=1)
        await self._sample_incumbent(None)

    async def _guards(self, opened: Open, when: str) -> Verdict | None:
        """Run the guards of that kind on a clean checkout; what the first failure makes of the experiment."""
        for guard in self._config.guard:
            if guard.when != when:
                continue
            self._recorder.phase("guarding", arm="", k=0)
            folder = self._recorder.session.run(opened.number)
            job = Job(
                experiment=opened.number, sha=opened.sha, arm="candidate", k=0, seed=0, folder=folder, expected_s=None,
                metric=self._config.metric.name, constraints=(),
            )  # fmt: skip
            result = await self._slot.guard(job, guard)
            if result.crashed:
                return Verdict("crash", result.cause or "", result.detail)
            if not result.passed:
                return Verdict("checks_failed", "guard", result.detail)
        return None

    # -- the record

    def _conclude(self, opened: Open, reached: Verdict) -> None:
        self._recorder.phase("judging")
        waiting = self._history.opened_proposal
        touched = self._touched(waiting, opened.parent, opened.sha) if opened.flags else ()
        line = experiment_line(opened, waiting, reached, touched, self._history.segment)
        self._recorder.write(line)
        if line.status == "keep":
            holder = self._workspace.branch_holder()
            if holder is not None:
                fix = f"Switch {holder} to another branch (`git switch -`), then `autoresearch resume`."
                raise Ended(records.Pause(reason=f"the session's branch is checked out in {holder}", fix=fix), code=1)
            self._workspace.keep(line.sha, self._branch_before(opened))
        self._write_notebook()
        reach("after:notebook")
        self._researcher.tell(line)
        if line.status == "keep":
            self._workspace.save_state(f"#{line.run} {line.cause}: {line.description}")

    def _branch_before(self, opened: Open) -> str | None:
        """Where the branch must be for the keep to move it; a baseline takes it from wherever it is."""
        return self._workspace.refs.resolve(self._recorder.session.branch) if opened.proposal is None else opened.parent


def _broken(reason: str) -> records.Pause:
    fix = "Make the commands run by hand in a clean checkout, commit the mend, then `autoresearch resume`."
    return records.Pause(reason=reason, fix=fix, by="engine")
