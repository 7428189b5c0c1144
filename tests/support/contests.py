"""A session under randomised blocks, written line by line as an engine would, from the values that its runs give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from autoresearch.engine.verdict.contest import VERSION, Decision
from autoresearch.engine.verdict.pace import Pace
from autoresearch.engine.verdict.race import contest_of, terms_of
from autoresearch.engine.verdict.rule import judge
from autoresearch.engine.verdict.settings import Settings
from autoresearch.state.journal import History, records

BASE = "a" * 40
BASELINE = (10.02, 9.99, 10.01, 9.98)
SETTINGS = Settings(seed="5eed", baseline_runs=4)

Values = Callable[[int], float]
"""Of the k-th run of an arm, from 0."""


def near(level: float) -> Values:
    return lambda k: level + (0.0, 0.007, -0.006, 0.002, -0.009, 0.01, -0.003)[k % 7]


class Played:
    """Its lines, and what they add up to."""

    def __init__(self, settings: Settings = SETTINGS, pace: Pace | None = None) -> None:
        self.settings, self.pace = settings, pace or Pace(60.0, 60.0)
        self.lines: list[records.Record] = []
        self.history = History()
        self.proposals = 0
        self.write(records.Header(metric_name="score", base=BASE, verdict=settings.for_header()))
        self.write(records.Intent(experiment=1, proposal=None, parent=BASE, sha=BASE, version=VERSION))
        for k, value in enumerate(BASELINE, 1):
            self.write(records.Sample(experiment=1, sha=BASE, arm="candidate", k=k, seed=(k + 1) // 2, metric=value))
        self.write(
            records.Experiment(
                run=1, commit=BASE[:7], metric=10.0, status="keep", cause="baseline", sha=BASE, parent=BASE
            )
        )

    @property
    def best(self) -> str:
        assert self.history.incumbent is not None
        return self.history.incumbent.sha

    def write(self, *lines: records.Record) -> None:
        for line in lines:
            line = replace(line, timestamp=len(self.lines) + 1)
            self.lines.append(line)
            self.history.feed(0, records.encode(line)[:-1])
        assert self.history.problems == []

    def open(self, lines: tuple[int, int] = (1, 1), bundle: tuple[int, ...] = ()) -> int:
        """A proposal gets its number."""
        self.proposals += 1
        number, sha = self.history.next_number(), f"{self.proposals:040x}"
        self.write(records.Proposal(id=self.proposals, base=self.best, sha=sha, lines=lines, bundle=bundle))
        terms = terms_of(self.history, self.settings, self.pace, self.history.waiting[self.proposals])
        self.write(
            records.Intent(
                experiment=number, proposal=self.proposals, parent=self.best, sha=sha, version=VERSION,
                terms=terms.for_line(),
            )
        )  # fmt: skip
        return number

    def decide(self, *, waiting: bool = False, resumed: bool = False) -> Decision:
        assert self.history.open is not None
        return judge(contest_of(self.history, self.history.open, self.settings, {}), waiting=waiting, resumed=resumed)

    def sample(self, decision: Decision, metric: float | None, cause: str | None = None) -> None:
        opened, run = self.history.open, decision.run
        assert opened is not None
        assert run is not None
        sha = opened.sha if run.mine else opened.parent
        self.write(
            records.Sample(
                experiment=opened.number, sha=sha, arm="candidate" if run.mine else "incumbent", seed=run.seed,
                k=self.history.next_k(sha), metric=metric, block=run.block, place=run.place, basis=run.basis,
                cause=cause,
            )
        )  # fmt: skip

    def run(self, change: Values, best: Values | None = None, *, most: int = 1000, waiting: bool = False) -> Decision:
        """Until it is decided, or for so many runs; the best gives about 10."""
        best = best or near(10.0)
        for _ in range(most):
            decision = self.decide(waiting=waiting)
            if decision.run is None:
                break
            assert self.history.open is not None
            arm = "candidate" if decision.run.mine else "incumbent"
            self.sample(decision, (change if decision.run.mine else best)(len(self.history.open.of(arm))))
        return self.decide(waiting=waiting)

    def park(self, decision: Decision) -> None:
        assert self.history.open is not None
        self.write(records.Park(experiment=self.history.open.number, reason=decision.reason, verdict=decision.verdict))

    def go_on(self, number: int, parent: str | None = None, sha: str | None = None) -> None:
        parked = self.history.parked[number]
        anew = parent is not None and parent != parked.parent
        assert parked.waiting is not None
        terms = terms_of(self.history, self.settings, self.pace, parked.waiting).for_line() if anew else {}
        self.write(
            records.Intent(
                experiment=number, proposal=parked.proposal, parent=parent or parked.parent, sha=sha or parked.sha,
                attempt=parked.attempt + 1, version=VERSION, terms=terms,
            )
        )  # fmt: skip

    def conclude(self, decision: Decision) -> None:
        opened = self.history.open
        assert opened is not None
        action = "keep" if decision.action == "keep" else "discard"
        self.write(
            records.Experiment(
                run=opened.number, commit=opened.sha[:7], metric=9.0, status=action, cause=decision.cause,
                reason=decision.reason, estimate=decision.estimate, interval=decision.interval, sha=opened.sha,
                parent=opened.parent, proposal=opened.proposal, verdict=decision.verdict,
            )
        )  # fmt: skip
