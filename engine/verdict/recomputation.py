"""Judge a journal again: from the samples on record, every step and verdict must come out as it was written.

This is what makes a keep a claim that anybody can check without running anything.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autoresearch.engine.verdict import rule
from autoresearch.engine.verdict.race import judge_open, noise_of
from autoresearch.state.journal import History, Reader, records

_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Recomputed:
    """One experiment's verdict on record and as it comes out again."""

    run: int
    recorded: str
    """Status and cause, as one text."""
    again: str
    reason: str
    """The sentence that comes out now."""
    differences: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        return not self.differences


def recompute(journal: Path) -> Iterator[Recomputed]:
    """Every judged experiment of the journal, in order; baselines, crashes and failed guards are no judgements."""
    history = History()
    race: _Race | None = None
    for at, line in Reader(journal).lines():
        try:
            record = records.decode(line)
        except records.MalformedRecord:
            record = None
        if isinstance(record, records.Sample) and race is not None and record.experiment == race.number:
            race.before_sample(history, record)
        if isinstance(record, records.Experiment) and race is not None and record.run == race.number:
            if record.verdict and record.cause != "guard":
                yield race.conclude(history, record)
            race = None
        history.feed(at, line)
        if isinstance(record, records.Intent) and record.attempt == 1:
            race = _Race(history) if record.proposal is not None and history.header is not None else None


class _Race:
    """Follows one experiment's samples, asking the rule at each step what it would have done."""

    def __init__(self, history: History) -> None:
        assert history.open is not None
        assert history.header is not None
        self.number = history.open.number
        self._header = history.header
        self._settings = rule.Settings.from_header(history.header)
        self._noise = noise_of(history)
        self._differences: list[str] = []
        self._final: rule.Decision | None = None

    def before_sample(self, history: History, sample: records.Sample) -> None:
        if sample.arm == "fresh" and self._final is None:
            self._final = self._judge(history)  # fresh samples push older ones out of the window
        if sample.arm not in ("candidate", "incumbent"):
            return
        assert history.open is not None
        if sample.arm == "incumbent" and any(s.cause for s in history.open.of("incumbent")[-1:]):
            return  # a crashed incumbent run is repeated, whatever the rule says
        wanted = self._judge(history).action
        if wanted != sample.arm:
            self._differences.append(f"sample {sample.k} is the {sample.arm}'s where the rule says {wanted}")

    def conclude(self, history: History, line: records.Experiment) -> Recomputed:
        again = self._final or self._judge(history)
        recorded = f"{line.status} {line.cause}"
        out = f"{again.action} {again.cause}"
        # A keep whose fresh samples crashed is recorded as the crash it is; the judgement before it still stands.
        if line.status != "crash" and out != recorded:
            self._differences.append(f"recorded {recorded}, comes out as {out}")
        for key, value in again.verdict.items():
            if not _same(value, line.verdict.get(key)):
                self._differences.append(f"{key} is {line.verdict.get(key)} on record and comes out as {value}")
        return Recomputed(line.run, recorded, out, again.reason, tuple(self._differences))

    def _judge(self, history: History) -> rule.Decision:
        return judge_open(history, self._noise, self._settings, self._header.constraints)


def _same(a: object, b: object) -> bool:
    if isinstance(a, float) and isinstance(b, (int, float)):
        return math.isclose(a, b, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    return a == b
