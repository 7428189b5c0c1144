"""Races that left the slot undecided, and which of them goes on when nobody waits."""

from __future__ import annotations

import time
from collections.abc import Callable

from autoresearch.engine import verdict
from autoresearch.engine.loop.contest import Arena
from autoresearch.engine.proposals import Proposals
from autoresearch.engine.record import Recorder
from autoresearch.engine.verdict import Terms, Verdict
from autoresearch.engine.workspace import Workspace
from autoresearch.state.config import Config
from autoresearch.state.faults import reach
from autoresearch.state.journal import History, Open, Waiting, records

HELD = 16
"""More are not held: the least promising is given up."""
SHORT_S = 10.0
"""Where a run takes less, what is parked is decided before a session ends by itself ..."""
TENTH = 0.1
"""... within this part of its time."""


class Parked:
    def __init__(
        self, config: Config, recorder: Recorder, workspace: Workspace, arena: Arena, proposals: Proposals
    ) -> None:
        self._config = config
        self._recorder = recorder
        self._workspace = workspace
        self._arena = arena
        self._proposals = proposals

    @property
    def _history(self) -> History:
        return self._recorder.history

    def terms(self, waiting: Waiting) -> Terms:
        """What an experiment that begins now is judged by."""
        return verdict.terms_of(
            self._history, self._arena.settings, self._proposals.pace, waiting, think=self._config.verdict.think_time
        )

    def must_leave(self, opened: Open) -> bool:
        """Whether the slot is wanted: a proposal waits, or nobody makes one because this is being measured.

        An agent that does not work ahead waits as long as it would have taken, measured on this change.
        """
        if self._proposals.waits:
            return True
        spent = sum(sample.duration_s for sample in opened.samples)
        return not self._proposals.under_way and spent >= self._proposals.pace.proposal_s

    # -- which goes on

    def next(self) -> Open | None:
        """The most promising."""
        return max(self._history.parked.values(), key=promise, default=None)

    def surplus(self) -> list[Open]:
        """The least promising of more than are held."""
        ranked = sorted(self._history.parked.values(), key=promise, reverse=True)
        return ranked[HELD:]

    def given_up(self, opened: Open, why: str) -> Verdict:
        """What becomes of one that will not go on."""
        decision = self._arena.judge(opened, waiting=True, resumed=True)
        cause = decision.cause or "unproven"
        return Verdict("discard", cause, f"{decision.reason}; {why}", decision)

    def go_on(self, parked: Open) -> bool:
        """Make it the open experiment, on the present best; False where it no longer fits there."""
        best = self._history.incumbent
        assert best is not None
        sha, parent, terms = parked.sha, best.sha, {}
        if parked.parent != best.sha:
            taken = self._workspace.merge(best.sha, parked.sha)
            if taken is None or not taken.tree:
                return False
            assert parked.waiting is not None
            sha = self._workspace.commit(taken.tree, best.sha, parked.waiting.description, {})
            terms = self.terms(parked.waiting).for_line()
        self._recorder.write(
            records.Intent(
                experiment=parked.number, proposal=parked.proposal, parent=parent, sha=sha, attempt=parked.attempt,
                version=parked.version, flags=parked.flags, terms=terms,
            )
        )  # fmt: skip
        reach("after:go-on")
        if terms:
            self._workspace.number_ref(parked.number, sha, None)
        return True

    # -- at the end

    def race_out_after(self, line: records.Pause | records.Stop) -> bool:
        """Whether what is parked is decided before the session ends: it ran out of experiments, and runs are short."""
        out = isinstance(line, records.Pause) and line.by == "engine" and line.limit in ("", "experiments")
        return out and bool(self._history.parked) and self._proposals.pace.run_s < SHORT_S

    def time_is_over(self, line: records.Pause | records.Stop) -> Callable[[], bool]:
        """A list of prepared changes that is at its end is raced out whatever it takes: each was asked for."""
        if self._proposals.asks_for_each and isinstance(line, records.Pause) and not line.limit:
            return lambda: False
        until = time.monotonic() + TENTH * self._history.running_ms / 1000
        return lambda: time.monotonic() >= until


def promise(parked: Open) -> float:
    """d / (1 + se^2), from the figures it was parked with."""
    d, se = parked.verdict.get("d"), parked.verdict.get("se")
    return 0.0 if d is None or se is None else float(d / (1 + se * se))
