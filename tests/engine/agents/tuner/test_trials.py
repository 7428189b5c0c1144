"""What the journal says about assignments, seen from the incumbent."""

from __future__ import annotations

from typing import Any

import pytest

from autoresearch.engine.agents.tuner.trials import Change, Memory, change_of, elements, key_of, params_of, single
from autoresearch.state.journal import History, records

LR, BETAS = "a.py:LR", "a.py:BETAS"


def sha(number: int) -> str:
    return f"{number:040x}"


class Journal:
    """Experiment n is proposal n on the incumbent; its commit is `sha(n)`."""

    def __init__(self, direction: Any = "lower") -> None:
        self.history, self.number, self.incumbent = History(), 0, sha(0)
        self.header(direction)

    def header(self, direction: Any = "lower") -> None:
        self.write(records.Header(base=self.incumbent, direction=direction))

    def write(self, *lines: records.Record) -> None:
        for line in lines:
            self.history.feed(0, records.encode(line).rstrip(b"\n"))
        assert not self.history.problems

    def propose(self, change: Change) -> int:
        self.number += 1
        self.write(
            records.Proposal(id=self.number, base=self.incumbent, sha=sha(self.number), params=params_of(change))
        )
        return self.number

    def tried(self, change: Change, metric: float, status: Any = "discard", cause: str = "worse") -> None:
        number, base = self.propose(change), self.incumbent
        self.write(
            records.Intent(experiment=number, proposal=number, parent=base, sha=sha(number)),
            records.Sample(experiment=number, sha=sha(number), arm="candidate", k=1, seed=1, metric=metric),
            records.Experiment(run=number, commit="c", sha=sha(number), parent=base, metric=metric, status=status,
                               cause=cause, proposal=number),
        )  # fmt: skip
        self.incumbent = sha(number) if status == "keep" else base


@pytest.mark.parametrize(
    "change", [{}, {LR: (1, 2.5)}, {LR: (1, 2), BETAS: ((0.9, 0.95), (0.9, 0.99))}, {LR: ("a", "b")}]
)
def test_a_change_survives_the_journal(change: Change) -> None:
    assert change_of(params_of(change)) == change


@pytest.mark.parametrize("params", [None, {}, {"replay": "0001.patch"}, {LR: {"from": 1, "to": 2}, "other": 3},
                                    {LR: {"from": 1}}])  # fmt: skip
def test_what_is_not_the_tuners_is_no_change(params: dict[str, Any] | None) -> None:
    assert change_of(params) == {}


def test_tuples_are_taken_apart_and_a_single_step_is_one_number() -> None:
    change: Change = {LR: (1, 2), BETAS: ((0.9, 0.95), (0.8, 0.95))}
    assert list(elements(change)) == [(LR, 1, 2), (f"{BETAS}[0]", 0.9, 0.8)]
    assert single(change) is None
    assert single({BETAS: ((0.9, 0.95), (0.9, 0.99))}) == (f"{BETAS}[1]", 0.95, 0.99)
    assert single({LR: (1, 1)}) is None
    assert key_of({LR: 1, BETAS: (1, 2)}, {LR: 1, BETAS: (1, 3)}) == {(BETAS, (1, 2))}


def test_from_an_incumbent_the_way_back_is_known() -> None:
    journal = Journal()
    journal.tried({LR: (1, 2)}, 5.0, "keep", "better")
    journal.tried({LR: (2, 4)}, 6.0)
    journal.tried({BETAS: ((1, 1), (1, 3))}, 4.0, "keep", "better")
    past = Memory().past(journal.history, journal.incumbent, {LR: 2, BETAS: (1, 3)})
    at = {frozenset(), frozenset({(BETAS, (1, 1))}), frozenset({(BETAS, (1, 1)), (LR, 1)})}
    assert set(past.tried) == at | {frozenset({(LR, 4), (BETAS, (1, 1))})}
    assert past.led_here == {BETAS: ((1, 1), (1, 3))}
    assert set(past.looked) == {(LR, "higher"), (f"{BETAS}[1]", "higher")}
    assert [trial.score for trial in past.trials] == [5.0, 6.0, 4.0]
    assert past.count == 3
    assert past.coming == set()


def test_what_waits_is_coming_and_what_failed_has_no_score() -> None:
    journal = Journal("higher")
    journal.tried({LR: (1, 2)}, 5.0)
    journal.tried({LR: (1, 3)}, 9.0, "discard", "over_constraint")
    journal.tried({LR: (1, 4)}, 0.0, "crash", "timeout")
    journal.propose({LR: (1, 0)})
    past = Memory().past(journal.history, journal.incumbent, {LR: 1})
    assert [trial.score for trial in past.trials] == [-5.0, None, None], "lower is better in here"
    assert past.coming == {frozenset({(LR, 0)})}
    assert past.pending == ({LR: 0},)
    assert (LR, "lower") in past.looked
    assert past.count == 4


def test_a_change_by_others_ends_the_way_back() -> None:
    journal = Journal()
    journal.tried({LR: (1, 2)}, 5.0)
    journal.tried({}, 4.0, "keep", "better")
    past = Memory().past(journal.history, journal.incumbent, {LR: 1})
    assert past.tried == {frozenset()}
    assert past.led_here == {}


def test_a_new_segment_learns_from_the_one_before_while_it_has_nothing_of_its_own() -> None:
    journal, memory = Journal(), Memory()
    journal.tried({LR: (1, 2)}, 5.0)
    journal.header()
    past = memory.past(journal.history, journal.incumbent, {LR: 1})
    assert ([trial.score for trial in past.trials], past.count) == ([5.0], 0)
    journal.tried({LR: (1, 3)}, 7.0)
    past = memory.past(journal.history, journal.incumbent, {LR: 1})
    assert ([trial.score for trial in past.trials], past.count) == ([7.0], 1)
