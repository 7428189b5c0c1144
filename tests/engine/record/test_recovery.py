"""The plan that makes journal and git agree, by what a kill left; carrying it out is tested on a real engine."""

from __future__ import annotations

import pytest

from autoresearch.engine.record.recovery import (
    Adopt,
    Diverged,
    DropProposalRef,
    MoveBranch,
    SetAside,
    SetExperimentRef,
    SetProposalRef,
    Step,
    plan,
)
from autoresearch.state.journal import History, records

BASE, KEPT, WAITING, OTHER = (letter * 40 for letter in "abcd")
WHOLE = {"1": BASE, "2": KEPT, "p2": WAITING, "state": OTHER}


@pytest.fixture(scope="module")
def history() -> History:
    """A baseline, a keep that was p1, and p2, which waits."""
    history = History()
    for line in (
        records.Header(name="t", session="s", base=BASE),
        records.Intent(experiment=1, proposal=None, parent=BASE, sha=BASE),
        records.Experiment(run=1, commit=BASE[:7], metric=1.0, status="keep", cause="baseline", sha=BASE, parent=BASE),
        records.Proposal(id=1, base=BASE, sha=KEPT),
        records.Intent(experiment=2, proposal=1, parent=BASE, sha=KEPT),
        records.Experiment(run=2, commit=KEPT[:7], metric=0.9, status="keep", sha=KEPT, parent=BASE, proposal=1),
        records.Proposal(id=2, base=KEPT, sha=WAITING),
    ):
        history.feed(0, records.encode(line)[:-1])
    assert history.problems == []
    return history


@pytest.mark.parametrize(
    ("refs", "branch", "steps"),
    [
        (WHOLE, KEPT, []),
        (WHOLE | {"p3": OTHER}, KEPT, [Adopt(3, OTHER)]),
        (WHOLE | {"p1": KEPT}, KEPT, [DropProposalRef(1)]),
        (WHOLE | {"3": OTHER}, KEPT, [SetAside(3, OTHER)]),
        ({"1": BASE, "2": KEPT}, KEPT, [SetProposalRef(2, WAITING)]),
        ({"1": BASE, "p2": WAITING}, KEPT, [SetExperimentRef(2, KEPT, None)]),
        (WHOLE, BASE, [MoveBranch(KEPT, BASE)]),
        (WHOLE, None, [MoveBranch(KEPT, "")]),
        (WHOLE, OTHER, [Diverged("refs/heads/x", OTHER, KEPT)]),
    ],
)
def test_each_gap_has_its_step(history: History, refs: dict[str, str], branch: str | None, steps: list[Step]) -> None:
    assert plan(history, refs, branch, "refs/heads/x") == steps
