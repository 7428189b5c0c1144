"""The starting point: runs of the unchanged code, from which level and spread are known, and how long a run takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from autoresearch.engine import verdict
from autoresearch.engine.control import Ended
from autoresearch.engine.loop.samples import Samples, broken
from autoresearch.engine.proposals import Proposals
from autoresearch.engine.record import Recorder
from autoresearch.engine.verdict import Noise, Settings, Verdict, usable, values_of
from autoresearch.state.config import Config
from autoresearch.state.journal import History, Open, records
from autoresearch.state.text import numbers

LEAST_RUNS = 4
NOISY = 0.1
"""A baseline whose spread is more than this part of its value gets a warning."""


class Baseline:
    def __init__(
        self, config: Config, recorder: Recorder, samples: Samples, proposals: Proposals,
        at_hand: Sequence[records.Sample],
    ) -> None:  # fmt: skip
        """`at_hand` are samples that the dry run has just taken of the baseline's commit."""
        self._config = config
        self._recorder = recorder
        self._samples = samples
        self._proposals = proposals
        self._at_hand = at_hand

    @property
    def _history(self) -> History:
        return self._recorder.history

    async def measure(self, opened: Open) -> tuple[Verdict, Ended | None]:
        """Its verdict, and why the session ends where the target itself does not run."""
        self._take_over(opened)
        while (done := len(usable(opened.of("candidate")))) < (wanted := self._wanted(opened)):
            self._recorder.phase("baseline", arm="candidate", k=done + 1, of=wanted)
            sample = await self._samples.take(opened, "candidate", opened.sha)
            if not self._history.rows:
                self._proposals.refuse_hopeless()
            failed = [s for s in opened.of("candidate") if s.cause]
            if sample.cause and len(failed) > 1:
                reached = Verdict("crash", sample.cause, f"the baseline does not run: {sample.detail}")
                return reached, broken(f"The baseline crashed twice ({sample.cause}): {sample.detail}")
        failure = await self._samples.guard(opened, "before") or await self._samples.guard(opened, "better")
        if failure is not None:
            cause = failure.cause if failure.status == "crash" else "nonzero_exit"
            reached = Verdict("crash", cause, f"the baseline does not pass its guard: {failure.reason}")
            return reached, broken(f"The guard fails on the baseline: {failure.reason}")
        values = values_of(opened.of("candidate"))
        spread = Noise.pool([values]).sd if len(values) > 1 else 0.0
        reason = verdict.describe_baseline(values, spread) + self._of_dry_run(opened) + self._pace()
        return Verdict("keep", "baseline", reason), None

    def _wanted(self, opened: Open) -> int:
        """As many as the config says, else as many as fit in the time of a proposal, once a run's is known."""
        settings = Settings.from_config(self._config)
        if settings.baseline_runs is not None:
            return settings.baseline_runs
        if settings.mode == "single" or not usable(opened.of("candidate")):
            return 1 if settings.mode == "single" else LEAST_RUNS
        return self._proposals.pace.baseline_runs

    def _pace(self) -> str:
        """What a run and a proposal take, and what follows from it, as the end of a sentence."""
        settings, pace = Settings.from_config(self._config), self._proposals.pace
        known = self._history.proposals_s or self._proposals.asks_for_each
        if settings.mode != "blocks" or not pace.run_s or not known:
            return ""
        run, proposal = numbers.duration(pace.run_s), numbers.duration(pace.proposal_s)
        on = ", races go on while the agent thinks" if pace.cheap and self._config.verdict.think_time else ""
        return (
            f"; a run takes {run}, a proposal about {proposal}: {settings.odds or pace.odds:,.0f} to 1 for a keep{on}"
        )

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

    def warn_of_noise(self) -> None:
        """Once it is on record."""
        base, known = self._history.baseline, verdict.known_of(self._history)
        s = known.s("linear", "lower")
        if base is not None and base.metric is not None and s > NOISY * abs(base.metric) > 0:
            least = numbers.metric(2 * s, s)
            self._recorder.warn(
                f"The baseline's runs differ much: only gains of about {least} and more can be proven quickly. "
                "Longer runs make it finer.",
                code="noise",
            )
