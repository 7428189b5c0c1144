"""Judge a journal again: from the samples on record, every step and verdict must come out as it was written.

This is what makes a keep a claim that anybody can check without running anything. When an experiment was parked depends
on the clock, so that is not asked again; it can change no odds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from autoresearch.engine.verdict import contest, frozen
from autoresearch.engine.verdict.contest import Decision, Terms
from autoresearch.engine.verdict.pace import Pace
from autoresearch.engine.verdict.race import contest_of, terms_of
from autoresearch.engine.verdict.rule import judge
from autoresearch.engine.verdict.settings import Settings
from autoresearch.state.journal import History, Open, Reader, records

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


class _Followed(Protocol):
    """One experiment's samples, in the order they were taken."""

    def begins(self, recorded: Mapping[str, Any], terms: Terms) -> None: ...

    def before_sample(self, history: History, sample: records.Sample) -> None: ...

    def conclude(self, history: History, line: records.Experiment) -> Recomputed: ...


def recompute(journal: Path) -> Iterator[Recomputed]:
    """Every judged experiment of the journal, in order; baselines, crashes and failed guards are no judgements."""
    history, races = History(), dict[int, _Followed]()
    for at, line in Reader(journal).lines():
        try:
            record = records.decode(line)
        except records.MalformedRecord:
            record = None
        if isinstance(record, records.Sample) and record.experiment in races:
            races[record.experiment].before_sample(history, record)
        if isinstance(record, records.Experiment):
            race = races.pop(record.run, None)
            if race is not None and record.verdict and record.cause != "guard":
                yield race.conclude(history, record)
        terms = _terms_now(history, record) if isinstance(record, records.Intent) else None
        history.feed(at, line)
        if isinstance(record, records.Intent) and record.proposal is not None and history.header is not None:
            if record.experiment not in races and history.open is not None and record.attempt == 1:
                old = history.open.version < contest.VERSION
                races[record.experiment] = _Race(history) if old else _Blocks(history)
            if terms is not None:
                races[record.experiment].begins(record.terms, terms)


def _terms_now(history: History, intent: records.Intent) -> Terms | None:
    """What an experiment that gets its number now is to be judged by, at the pace that its line says."""
    parked = history.parked.get(intent.experiment)
    waiting = parked.waiting if parked is not None else history.waiting.get(intent.proposal or 0)
    if waiting is None or history.header is None or not intent.terms:
        return None
    said = Terms.of_line(intent.terms)
    pace = Pace(said.run_s, said.proposal_s, said.ideas)
    return terms_of(history, Settings.from_header(history.header), pace, waiting, think=said.cheap)


class _Blocks:
    """An experiment under randomised blocks: whose each run is was drawn, and no block may be left for another."""

    def __init__(self, history: History) -> None:
        assert history.open is not None
        assert history.header is not None
        self.number = history.open.number
        self._constraints = history.header.constraints
        self._settings = Settings.from_header(history.header)
        self._differences: list[str] = []

    def begins(self, recorded: Mapping[str, Any], terms: Terms) -> None:
        """A race of its own, at the terms of its time."""
        self._differences += _differing(recorded, terms.for_line())

    def before_sample(self, history: History, sample: records.Sample) -> None:
        if sample.block is None or sample.again:
            return
        wanted = self._judge(history)
        run, where = wanted.run, f"block {sample.block}, place {sample.place}"
        if run is None:
            self._differences.append(f"{where} was run where the rule says {wanted.action}")
            return
        if (run.block, run.place) != (sample.block, sample.place):
            self._differences.append(f"{where} was run where block {run.block}, place {run.place} was next")
        elif run.mine is not (sample.arm == "candidate"):
            self._differences.append(f"{where} is the {sample.arm}'s, which was not drawn")
        elif run.seed != sample.seed:
            self._differences.append(f"{where} has the seed {sample.seed} and not the one drawn, {run.seed}")
        self._differences += (f"{where}: {text}" for text in _differing(sample.basis, run.basis))

    def conclude(self, history: History, line: records.Experiment) -> Recomputed:
        again, recorded = self._ended(history, line), f"{line.status} {line.cause}"
        action = "discard" if again.action == "park" else again.action
        out = f"{action} {again.cause}".strip()
        # A keep whose fresh samples crashed is recorded as the crash it is; the judgement before it still stands.
        if line.status != "crash" and out != recorded:
            self._differences.append(f"recorded {recorded}, comes out as {out}")
        if again.verdict:
            self._differences += _differing(line.verdict, again.verdict)
        return Recomputed(line.run, recorded, out, again.reason, tuple(self._differences))

    def _ended(self, history: History, line: records.Experiment) -> Decision:
        """By itself, or because a proposal waited."""
        by_itself = self._judge(history)
        if by_itself.final or line.status == "keep":
            return by_itself
        left = [self._judge(history, waiting=True, resumed=resumed) for resumed in (False, True)]
        return next((each for each in left if each.cause == line.cause), by_itself)

    def _judge(self, history: History, *, waiting: bool = False, resumed: bool = False) -> Decision:
        opened = _opened(history, self.number)
        return judge(contest_of(history, opened, self._settings, self._constraints), waiting=waiting, resumed=resumed)


def _opened(history: History, number: int) -> Open:
    if history.open is not None and history.open.number == number:
        return history.open
    return history.parked[number]


class _Race:
    """An experiment under version 1 or 2 of the rule, which is asked at each step what it would have done."""

    def __init__(self, history: History) -> None:
        assert history.open is not None
        assert history.header is not None
        self.number = history.open.number
        self._header = history.header
        self._settings = frozen.Settings.from_header(history.header)
        self._noise = frozen.noise_of(history)
        self._differences: list[str] = []
        self._final: frozen.Decision | None = None

    def begins(self, recorded: Mapping[str, Any], terms: Terms) -> None:
        """There were no terms."""

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
        self._differences += _differing(line.verdict, again.verdict)
        return Recomputed(line.run, recorded, out, again.reason, tuple(self._differences))

    def _judge(self, history: History) -> frozen.Decision:
        return frozen.judge_open(history, self._noise, self._settings, self._header.constraints)


def _differing(recorded: Mapping[str, Any], again: Mapping[str, Any]) -> Iterator[str]:
    for key, value in again.items():
        if not _same(value, recorded.get(key)):
            yield f"{key} is {recorded.get(key)} on record and comes out as {value}"


def _same(a: object, b: object) -> bool:
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, float) and isinstance(b, (int, float)):
        return math.isclose(a, b, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    return a == b
