"""Propose, measure, guard, judge, record, and nothing else.

The loop owns no clock, no command and no git call: it asks `Proposals` for the next candidate, an `Arena` for the
contest between it and the best, and the `Recorder` to write down what came of it. It ends by an exception that carries
what has to be recorded (`Ended`), so there is one place where a session stops.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from autoresearch.engine import limits, verdict
from autoresearch.engine.agents import Blocked, Exhausted
from autoresearch.engine.control import Attendant, Ended
from autoresearch.engine.loop.baseline import Baseline
from autoresearch.engine.loop.contest import Arena
from autoresearch.engine.loop.parked import Parked
from autoresearch.engine.loop.samples import Samples
from autoresearch.engine.measure import LocalSlot, writing
from autoresearch.engine.proposals import Proposals, Researcher
from autoresearch.engine.record import Notebook, Recorder
from autoresearch.engine.verdict import Flag, Verdict, experiment_line, holdout_follows, touched
from autoresearch.engine.workspace import Workspace, branch_holder
from autoresearch.state.config import Config
from autoresearch.state.faults import reach
from autoresearch.state.journal import History, Open, Waiting, records

DIED_TWICE = 2
SILENCES = 3


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
        self._recorder = recorder
        self._workspace = workspace
        self._slot = slot
        self._samples = Samples(config, workspace, recorder, slot)
        self._arena = Arena(config, recorder, self._samples)
        self._baseline = Baseline(config, recorder, self._samples, proposals, at_hand)
        self._parked = Parked(config, recorder, workspace, self._arena, proposals)
        self._researcher = researcher
        self._proposals = proposals
        self._attendant = attendant
        self._notebook = notebook

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
        if self._parked.race_out_after(ended.line):
            await self._race_out(self._parked.time_is_over(ended.line))
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
            waiting = await self._proposals.next(self._think)
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
            return
        self._proposals.prepare()
        if waiting.agent == "overrule":
            await self._keep(opened, Verdict("keep", "overruled", waiting.hypothesis or "a person decided so"))
            return
        await self._settle(opened, await self._arena.race(opened, lambda: self._parked.must_leave(opened)))

    async def _settle(self, opened: Open, reached: Verdict | None) -> None:
        """What a contest has come to: a keep, another verdict, or it was parked."""
        if reached is None:
            for each in self._parked.surplus():
                self._conclude(each, self._parked.given_up(each, "given up for more promising ones"))
        elif reached.status == "keep":
            await self._keep(opened, reached)
        else:
            self._conclude(opened, reached)

    async def _finish(self, opened: Open) -> None:
        """Go on with an experiment that an earlier engine left open, at its next sample."""
        waiting = opened.waiting
        self._announce(opened)
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
                terms=self._parked.terms(waiting).for_line() if waiting else {},
            )
        )  # fmt: skip
        self._workspace.number_ref(number, sha, id)
        assert self._history.open is not None
        self._announce(self._history.open)
        return self._history.open

    def _touched(self, waiting: Waiting | None, parent: str, sha: str) -> tuple[Flag, ...]:
        """What in the diff is worth a second look; what a person decided is not."""
        if waiting is None or waiting.problem or waiting.agent == "overrule":
            return ()
        config, score = self._config, None
        if not config.measure.evaluate:
            score = writing((config.metric.name, *config.constraints), config.measure.metrics_file)
        return touched(self._workspace.patch_of(parent, sha), score)

    def _announce(self, opened: Open) -> None:
        """Make the experiment's folder, of the proposal's where there is one, and say what is under way."""
        folder = self._recorder.session.run(opened.number)
        if opened.proposal is not None and not folder.exists():
            with contextlib.suppress(FileNotFoundError):
                self._recorder.session.proposal(opened.proposal).rename(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self._recorder.live.experiment = opened.number
        self._recorder.live.description = opened.waiting.description if opened.waiting else "baseline"
        self._recorder.live.sha = opened.sha

    async def _measure_baseline(self, opened: Open) -> None:
        self._proposals.prepare(first=True)
        reached, failure = await self._baseline.measure(opened)
        self._conclude(opened, reached)
        if failure is not None:
            raise failure
        self._baseline.warn_of_noise()

    async def _keep(self, opened: Open, reached: Verdict) -> None:
        """Fresh samples first, where there is time for them: then only they are the new incumbent's value."""
        wanted = self._arena.fresh_runs(opened, reached)
        while (done := len(opened.of("fresh"))) < wanted:
            self._recorder.phase("measuring", arm="fresh", k=done + 1, of=wanted)
            sample = await self._samples.take(opened, "fresh", opened.sha)
            if sample.cause:
                self._conclude(opened, Verdict("crash", sample.cause, sample.detail, reached.decision))
                return
        self._conclude(opened, reached)

    # -- while the agent thinks

    async def _think(self) -> bool:
        """Let the most promising parked race go on until somebody waits; False where none can."""
        return not self._proposals.waits and await self._go_on(lambda: self._proposals.waits)

    async def _race_out(self, is_over: Callable[[], bool]) -> None:
        """Decide what is parked, within its time, before the session ends."""
        while not is_over() and await self._go_on(is_over):
            self._attendant.obey()

    async def _go_on(self, waits: Callable[[], bool]) -> bool:
        parked = self._parked.next()
        if parked is None:
            return False
        if not self._parked.go_on(parked):
            self._conclude(parked, self._parked.given_up(parked, "it does not merge onto the new best"))
            return True
        self._announce(parked)
        await self._settle(parked, await self._arena.race(parked, waits, resumed=True))
        return True

    # -- between experiments

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
        touched = self._touched(opened.waiting, opened.parent, opened.sha) if opened.flags else ()
        line = self._recorder.struck(experiment_line(opened, reached, touched, self._history.segment))
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
