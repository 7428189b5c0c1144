"""One change races the best in a slot, until it is decided or makes room: the only way in which two commits are
compared.

All that a contest knows is in the journal. It can be left at any sample and goes on with the next, in this engine or in
another; `verdict.judge` says which run that is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from autoresearch.engine import verdict
from autoresearch.engine.loop.samples import Samples
from autoresearch.engine.record import Recorder
from autoresearch.engine.verdict import Run, Verdict
from autoresearch.state.config import Config
from autoresearch.state.faults import reach
from autoresearch.state.journal import Open, records

FRESH_RUNS = 3


class Arena:
    """Where contests take place: a slot with its record, and the guards that a change must pass."""

    def __init__(self, config: Config, recorder: Recorder, samples: Samples) -> None:
        self._config = config
        self._recorder = recorder
        self._samples = samples
        self._passed: set[str] = set()
        """Commits that have passed their guards."""

    @property
    def settings(self) -> verdict.Settings:
        header = self._recorder.history.header
        assert header is not None
        return verdict.Settings.from_header(header)

    def judge(self, opened: Open, *, waiting: bool, resumed: bool) -> verdict.Decision:
        """What the runs of an experiment, open or parked, so far mean."""
        contest = verdict.contest_of(self._recorder.history, opened, self.settings, self._config.constraints)
        return verdict.judge(contest, waiting=waiting, resumed=resumed)

    async def race(self, opened: Open, waits: Callable[[], bool], *, resumed: bool = False) -> Verdict | None:
        """Samples of both until the verdict is in; None where the change was parked because another `waits`."""
        if not opened.of("candidate") and (failure := await self._samples.guard(opened, "before")) is not None:
            return failure
        while True:
            crashed = next((sample for sample in opened.of("candidate") if sample.cause), None)
            if crashed is not None:
                return Verdict("crash", crashed.cause or "", crashed.detail)
            decision = self.judge(opened, waiting=waits(), resumed=resumed)
            if decision.action == "discard":
                return Verdict("discard", decision.cause, decision.reason, decision)
            if decision.action == "park":
                self._park(opened, decision)
                return None
            if (failure := await self._refused(opened)) is not None:
                # As with a sample that crashes, no judgement goes with a crash.
                return failure if failure.status == "crash" else replace(failure, decision=decision)
            if decision.run is None:
                return Verdict("keep", decision.cause, decision.reason, decision)
            await self._take(opened, decision.run)

    def fresh_runs(self, opened: Open, reached: Verdict) -> int:
        """Runs of a new best that only its level is made of, where there is time for them or nothing else is known."""
        settings = self.settings
        if reached.cause == "overruled":
            return 1 if settings.mode == "single" else FRESH_RUNS
        exact = reached.decision is not None and reached.decision.verdict["rule"] == "exact"
        wanted = settings.mode == "fast" or (
            settings.mode == "blocks" and bool(opened.terms.get("cheap")) and not exact
        )
        return FRESH_RUNS if wanted else 0

    async def _refused(self, opened: Open) -> Verdict | None:
        """What a guard says against a change that has a value. They are asked once."""
        if opened.sha in self._passed or not any(sample.good for sample in opened.of("candidate")):
            return None
        failure = await self._samples.guard(opened, "better")
        if failure is None:
            self._passed.add(opened.sha)
        return failure

    async def _take(self, opened: Open, run: Run) -> None:
        arm: records.Arm = "candidate" if run.mine else "incumbent"
        taken = sum(sample.good for sample in opened.samples)
        self._recorder.phase("measuring", arm=arm, k=taken + 1, of=0)
        if run.mine:
            await self._samples.take(opened, "candidate", opened.sha, run)
        else:
            await self._samples.take_incumbent(opened, run)

    def _park(self, opened: Open, decision: verdict.Decision) -> None:
        self._recorder.write(records.Park(experiment=opened.number, reason=decision.reason, verdict=decision.verdict))
        reach("after:park")
