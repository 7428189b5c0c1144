"""What becomes of an agent's edits before anything is measured."""

from __future__ import annotations

import pytest

from autoresearch.engine.agents import Proposal
from autoresearch.engine.proposals import queue
from autoresearch.engine.workspace import Taken


@pytest.mark.parametrize(
    ("taken", "problem", "reason"),
    [
        (Taken("t" * 40), "", ""),
        (Taken(), "no_change", "the proposal changes nothing"),
        (Taken(dropped=("a",) * 9), "out_of_scope", "only files outside the scope were changed: a, a, a, a, a"),
        (Taken(dropped=("\udcff",)), "out_of_scope", "only files outside the scope were changed: \ufffd"),
    ],
)
def test_edits_that_come_to_nothing_are_a_problem_in_words(taken: Taken, problem: str, reason: str) -> None:
    words = queue._with_problem(Proposal("x"), taken)
    assert (words.problem, words.reason) == (problem, reason)


def test_a_problem_that_the_agent_had_stays() -> None:
    words = Proposal("x", problem="conflict", reason="it does not merge")
    assert queue._with_problem(words, Taken()) is words
