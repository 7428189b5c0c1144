"""Propose, measure, guard, judge, record, and nothing else.

The loop owns no clock, no command and no git call: it asks `Proposals` for the next candidate, a slot for samples of
commits, `verdict.judge` what they mean, and the `Recorder` to write it down. It ends by an exception that carries what
has to be recorded (`Ended`), so there is one place where a session stops.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, replace

from autoresearch.engine import limits, verdict
from autoresearch.engine.agents import Blocked, Exhausted
from autoresearch.engine.control import Attendant, Ended
from autoresearch.engine.loop.samples import Samples, broken
from autoresearch.engine.measure import LocalSlot, writing
from autoresearch.engine.proposals import Proposals, Researcher
from autoresearch.engine.record import Notebook, Recorder
from autoresearch.engine.verdict import (
    Flag,
    Noise,
    Verdict,
    experiment_line,
    holdout_follows,
    judge_open,
    mean_of,
    noise_of,
    touched,
    usable,
    values_of,
)
from autoresearch.engine.workspace import Workspace, branch_holder
from autoresearch.state.config import Config
from autoresearch.state.faults import reach
from autoresearch.state.journal import History, Open, Waiting, records
from autoresearch.state.text import numbers

DIED_TWICE = 2
SILENCES = 3
NOISY = 0.2
"""A baseline whose smallest provable gain is more than this part of its value gets a warning."""


class Loop:
    def __init__(
        self,
        config: Config,
        recorder: Recorder,
        workspace: Workspace,
        slot: LocalSlot,
        researcher: Researcher,
        proposals: Proposals,
        attendant: Attendant,
        notebook: Notebook,
        at_hand: Sequence[records.Sample] = (),
    ) -> None:
        """`at_hand` are samples that the dry run has just taken of the baseline's commit."""
        self._config = config
        self._settings = verdict.Settings.from_config(config)
        self._recorder = recorder
        self._workspace = workspace
        self._slot = slot
        self._samples = Samples(config, workspace, recorder, slot)
        self._researcher = researcher
        self._proposals = proposals
        self._attendant = attendant
        self._notebook = notebook
        self._at_hand = at_hand

    @property
    def _history(self) -> History:
        return self._recorder.history

    async def run(self) -> None:
        """Until something raises Ended."""
        await _prepare(self._config, self._recorder, self._slot)
        try:
            await self._run()
        except Exhausted as done:
            ended = Ended(records.Pause(reason=str(done), by="engine"))
        except Blocked as blocked:
            ended = Ended(records.Pause(reason=blocked.reason, fix=blocked.fix, by="engine"), code=1)
        except Ended as reason:
            ended = reason
        if holdout_follows(ended.line, ended.code):
            await self._samples.hold_out(ending=True)
        raise ended

    async def _run(self) -> None:
        if self._history.open is not None:
            await self._finish(self._history.open)
        while True:
            self._attendant.attend()
            self._samples.refuse_changed_inputs()
            if self._history.incumbent is None:
                await self._measure_baseline(self._begin_baseline())
                continue
            await self._samples.hold_out(ending=False)
            await self._measure_incumbent_again()
            self._give_up_on_silence()
            waiting = await self._proposals.next()
            self._attendant.attend()  # a pause that was asked for meanwhile leaves the proposal waiting
            await self._measure(self._begin(waiting, waiting.base, waiting.sha or waiting.base), waiting)

    # -- one experiment

    def _begin_baseline(self) -> Open:
        assert self._history.header is not None
        sha = self._history.header.base
        return self._begin(None, self._workspace.refs.resolve(self._recorder.session.branch) or sha, sha)

    async def _measure(self, opened: Open, waiting: Waiting) -> None:
        if waiting.problem:
            self._conclude(opened, Verdict("crash", waiting.problem, waiting.reason))
        else:
            await self._race(opened, waiting)

    async def _finish(self, opened: Open) -> None:
        """Go on with an experiment that an earlier engine left open, at its next sample."""
        waiting = self._history.opened_proposal
        self._announce(opened, waiting)
        if waiting is None and opened.proposal is None:
            await self._measure_baseline(opened)
        elif waiting is None:
            self._conclude(opened, Verdict("crash", "interrupted", "its proposal's line in the journal cannot be read"))
        elif opened.attempt + opened.died > DIED_TWICE and not waiting.problem:
            self._conclude(opened, Verdict("crash", "interrupted", "the engine died twice while this was measured"))
        else:
            await self._measure(opened, waiting)

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
                self._recorder.session.proposal(opened.proposal).rename(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._recorder.live.experiment = opened.number
        self._recorder.live.description = waiting.description if waiting else "baseline"
        self._recorder.live.sha = opened.sha

    async def _measure_baseline(self, opened: Open) -> None:
        self._proposals.prepare(first=True)
        self._take_over(opened)
        wanted = self._settings.baseline_runs
        while (done := len(usable(opened.of("candidate")))) < wanted:
            self._recorder.phase("baseline", arm="candidate", k=done + 1, of=wanted)
            sample = await self._samples.take(opened, "candidate", opened.sha)
            if not self._history.rows:
                self._proposals.refuse_hopeless()
            failed = [s for s in opened.of("candidate") if s.cause]
            if sample.cause and len(failed) > 1:
                self._conclude(opened, Verdict("crash", sample.cause, f"the baseline does not run: {sample.detail}"))
                raise broken(f"The baseline crashed twice ({sample.cause}): {sample.detail}")
        failure = await self._samples.guard(opened, "before") or await self._samples.guard(opened, "better")
        if failure is not None:
            cause = failure.cause if failure.status == "crash" else "nonzero_exit"
            reason = f"the baseline does not pass its guard: {failure.reason}"
            self._conclude(opened, Verdict("crash", cause, reason))
            raise broken(f"The guard fails on the baseline: {failure.reason}")
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
        failure = None if opened.of("candidate") else await self._samples.guard(opened, "before")
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
                failure = await self._samples.guard(opened, "better")
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
        k = len(opened.of("candidate")) + (action == "candidate")
        self._recorder.phase("measuring", arm=action, k=k, of=self._settings.max_runs)
        if action == "candidate":
            await self._samples.take(opened, "candidate", opened.sha)
        else:
            await self._samples.take_incumbent(opened)

    async def _keep(self, opened: Open, reached: Verdict) -> None:
        """Fresh samples first: only they are the new incumbent's value. Then the line, then the branch."""
        wanted = self._settings.fresh_runs
        while (done := len(opened.of("fresh"))) < wanted:
            self._recorder.phase("measuring", arm="fresh", k=done + 1, of=wanted)
            sample = await self._samples.take(opened, "fresh", opened.sha)
            if sample.cause:
                self._conclude(opened, Verdict("crash", sample.cause, sample.detail, reached.decision))
                return
        self._conclude(opened, reached)

    def _give_up_on_silence(self) -> None:
        """An agent that makes no proposal several times in a row will not begin to by being asked again."""
        last = self._history.rows[-SILENCES:]
        if len(last) == SILENCES and all(row.cause == "no_proposal" for row in last):
            fix = "Look at agent.log of the last experiments, then `autoresearch resume`."
            raise Ended(records.Pause(reason=f"the agent made no proposal {SILENCES} times in a row", fix=fix), code=1)

    async def _measure_incumbent_again(self) -> None:
        """Where crashes in a row ask for it, and as often as people want."""
        streak = self._history.crash_streak
        if limits.environment_suspect(streak):
            self._recorder.warn(f"{streak} crashes in a row: measuring the incumbent to see if the environment broke.")
            self._recorder.phase("measuring", arm="incumbent", k=1, of=1)
            await self._samples.take_incumbent(None)
        while self._history.again:
            self._recorder.phase("measuring", arm="incumbent", k=1, of=self._history.again)
            await self._samples.take_incumbent(None)
            self._attendant.attend()

    # -- the record

    def _conclude(self, opened: Open, reached: Verdict) -> None:
        self._recorder.phase("judging")
        waiting = self._history.opened_proposal
        touched = self._touched(waiting, opened.parent, opened.sha) if opened.flags else ()
        line = self._recorder.struck(experiment_line(opened, waiting, reached, touched, self._history.segment))
        self._recorder.write(line)
        if line.status == "keep":
            holder = branch_holder(self._workspace.place, self._workspace.session)
            if holder is not None:
                fix = f"Switch {holder} to another branch (`git switch -`), then `autoresearch resume`."
                raise Ended(records.Pause(reason=f"the session's branch is checked out in {holder}", fix=fix), code=1)
            # The branch stands at the parent; a baseline takes it from wherever it is.
            branch = self._recorder.session.branch
            before = self._workspace.refs.resolve(branch) if opened.proposal is None else opened.parent
            self._workspace.keep(line.sha, before)
            self._slot.keep(line.sha)
        self._notebook.update()
        reach("after:notebook")
        self._researcher.tell(line)
        if line.status == "keep":
            said = f"#{line.run} {line.cause}: {line.description}"
            self._recorder.attempt("The saved state", lambda: self._workspace.save_state(said))


async def _prepare(config: Config, recorder: Recorder, slot: LocalSlot) -> None:
    """Run the target's `setup`, once for its command and the commit that measures."""
    setup, header = config.measure.setup, recorder.history.header
    assert header is not None
    if not setup:
        return
    runs = recorder.session.runs
    recorder.phase("preparing", waiting_for="setup")
    runs.mkdir(exist_ok=True)
    exited = await slot.prepare(f"{setup!r} {header.evaluator_sha}", header.base, runs)
    recorder.phase("starting", waiting_for="")
    if exited is not None and exited.cause is not None:
        fix = f"See {runs / 'setup.log'}; mend `measure.setup` and resume."
        raise Ended(records.Pause(reason=f"setup failed: {exited.detail}", fix=fix, by="engine"), code=1)
