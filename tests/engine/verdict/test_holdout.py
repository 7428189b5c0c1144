"""When the held-out command is due, and after which ends of a session."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autoresearch.engine.verdict import holdout_due, holdout_folder, holdout_follows
from autoresearch.state.config import Holdout
from autoresearch.state.journal import History, records

BASE, KEPT = "a" * 40, "b" * 40
AT_END, AFTER_KEEPS = Holdout("held"), Holdout("held", "keeps")
BASELINE = (
    records.Header(base=BASE),
    records.Intent(experiment=1, proposal=None, parent=BASE, sha=BASE),
    records.Experiment(run=1, commit=BASE[:7], metric=10.0, status="keep", cause="baseline", sha=BASE),
)
KEEP = (
    records.Proposal(id=1, base=BASE, sha=KEPT),
    records.Intent(experiment=2, proposal=1, parent=BASE, sha=KEPT),
    records.Experiment(run=2, commit=KEPT[:7], metric=9.0, status="keep", sha=KEPT, parent=BASE, proposal=1),
)


def held(number: int, sha: str, k: int, metric: float | None) -> records.Sample:
    cause = "nonzero_exit" if metric is None else None
    return records.Sample(experiment=number, sha=sha, arm="holdout", k=k, seed=k, metric=metric, cause=cause)


@pytest.mark.parametrize(
    ("lines", "settings", "ending", "due"),
    [
        ((), AT_END, True, []),
        (BASELINE, AT_END, True, [1]),
        (BASELINE, AT_END, False, []),
        (BASELINE, AFTER_KEEPS, False, [1]),
        (BASELINE, Holdout(when="keeps"), True, []),
        ((*BASELINE, *KEEP), AT_END, True, [1, 2]),
        ((*BASELINE, held(1, BASE, 1, 20.0), *KEEP), AT_END, True, [2]),
        ((*BASELINE, *KEEP, held(1, BASE, 1, 20.0), held(2, KEPT, 1, 19.0)), AT_END, True, []),
        ((*BASELINE, held(1, BASE, 1, None)), AT_END, True, [1]),
        ((*BASELINE, held(1, BASE, 1, None), held(1, BASE, 2, None)), AT_END, True, []),
        ((*BASELINE, held(1, BASE, 1, None), held(1, BASE, 2, 20.0)), AT_END, True, []),
    ],
)
def test_what_has_no_value_yet_is_due_a_bounded_number_of_times(
    lines: tuple[records.Record, ...], settings: Holdout, ending: bool, due: list[int]
) -> None:
    history = History()
    for line in lines:
        history.feed(0, records.encode(line)[:-1])
    assert history.problems == []
    assert [row.number for row in holdout_due(history, settings, ending=ending)] == due


@pytest.mark.parametrize(
    ("line", "code", "follows"),
    [
        (records.Pause(reason="", limit="experiments", by="engine"), 3, True),
        (records.Pause(reason="no more proposals", by="engine"), 0, True),
        (records.Pause(reason="", limit="disk", by="engine"), 3, False),
        (records.Pause(reason="it broke", by="engine"), 1, False),
        (records.Pause(reason="", by="person"), 0, False),
        (records.Stop(by="engine"), 0, False),
    ],
)
def test_it_follows_a_limit_or_the_end_of_the_proposals(line: Any, code: int, follows: bool) -> None:
    assert holdout_follows(line, code) is follows


def test_its_logs_lie_apart_from_the_runs() -> None:
    assert holdout_folder(Path("/s"), 7) == Path("/s/holdout/00007")
