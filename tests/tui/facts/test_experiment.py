"""One experiment whole: its verdict in words, its samples, metrics, decisions and outputs."""

from __future__ import annotations

from pathlib import Path

import pytest
from journals import Told, told

from autoresearch.state.journal import records
from autoresearch.tui.facts import experiment as facts


@pytest.fixture
def session(tmp_path: Path) -> Told:
    return told(tmp_path / "repo")


def read(session: Told, number: int) -> facts.Experiment:
    history = session.session.history()
    item = facts.known(history, number)
    assert item is not None
    return facts.read(session.session, history, item)


def test_the_verdict_is_words_with_evidence_and_the_samples_of_both_sides(session: Told) -> None:
    found = read(session, 3)
    assert found.verdict == "worse by 1.000 ±0.040 (1 to 7.4, 1 run); value 11.000"
    assert found.race == (11.0,)
    assert found.against == (9.01, 8.99, 9.0), "the fresh runs of the best it started from"
    assert found.against_number == 2
    assert (found.lesson, found.retry_if) == ("up is worse", "the sign changes")


def test_metrics_say_which_way_they_went(session: Told) -> None:
    assert [(m.name, m.value, m.change) for m in read(session, 3).metrics] == [
        ("score", "11.000", "+2.000 (+22.2%), worse")
    ]
    session.write(
        records.Intent(experiment=6, proposal=None, parent=session.incumbent, sha="f" * 40),
        records.Experiment(run=6, commit="f" * 7, metric=8.0, metrics={"score": 8.0, "mb": 3.0}, status="discard",
                           cause="worse", sha="f" * 40, parent=session.incumbent, warnings=("odd \x1b[2J",)),
    )  # fmt: skip
    found = read(session, 6)
    assert found.warnings == ("odd",)
    assert found.metrics[1].change == "", "the best has no such metric: nothing to compare with"


@pytest.mark.parametrize(
    ("value", "before", "lower", "said"),
    [
        (0.9, 1.0, True, "−0.1 (−10.0%), better"),
        (0.9, 1.0, False, "−0.1 (−10.0%), worse"),
        (1.1, 1.0, None, "+0.1 (+10.0%)"),
        (1.0, 1.0, True, "same"),
        (1.0, 0.0, True, "+1, worse"),
        (1.0, None, True, ""),
    ],
)
def test_a_change_in_its_own_direction(value: float, before: float | None, lower: bool | None, said: str) -> None:
    assert facts._change(value, before, lower, None) == said


def test_a_decision_stands_where_the_experiment_and_what_carries_it_out_are_told(session: Told) -> None:
    session.write(records.Overrule(experiment=3, action="keep", note="memory", by="ann"))
    assert read(session, 3).decided == "ann decided to keep it, done next: memory"
    session.write(
        records.Proposal(id=50, base=session.incumbent, sha="e" * 40, agent="overrule", description="overrule #3"),
        records.Intent(experiment=6, proposal=50, parent=session.incumbent, sha="e" * 40),
        records.Experiment(run=6, commit="e" * 7, metric=11.0, status="keep", cause="overruled", sha="e" * 40,
                           parent=session.incumbent, proposal=50),
    )  # fmt: skip
    assert read(session, 3).decided == "ann decided to keep it, done as #6: memory"
    assert read(session, 6).decided == "re-applies #3 as ann decided: memory"


def test_samples_of_the_holdout_are_never_shown(session: Told) -> None:
    sha = session.open("knob to 7", "7")
    session.sample(sha, "candidate", 1, 7.0)
    session.sample(sha, "holdout", 1, 77.0)
    assert [sample.metric for sample in read(session, 6).samples] == [7.0]


def test_kept_outputs_are_read_beside_the_bests_and_never_through_a_link(session: Told, tmp_path: Path) -> None:
    mine, best = session.session.run(3) / "kept", session.session.run(2) / "kept"
    mine.mkdir(parents=True)
    best.mkdir(parents=True)
    (mine / "a.txt").write_text("one\ntwo\n")
    (best / "a.txt").write_text("one\n")
    (mine / "b.bin").write_bytes(b"\0\1")
    (tmp_path / "secret").write_text("secret")
    (mine / "c.txt").symlink_to(tmp_path / "secret")
    found = facts.kept(session.session, 3, 2)
    assert [(each.name, each.mine, each.best) for each in found] == [
        ("a.txt", "one\ntwo\n", "one\n"),
        ("b.bin", None, None),
    ]
