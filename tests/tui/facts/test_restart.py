"""What is said before a restart: why it stopped, what was in flight and becomes of it, what came since."""

from __future__ import annotations

from pathlib import Path

import pytest
import sessions
from journals import told

from autoresearch.engine.record import recovery
from autoresearch.state.journal import records
from autoresearch.tui.facts import documents
from autoresearch.tui.facts.engine import Engine
from autoresearch.tui.facts.restart import Returning, in_flight, planned, returning, steps_in_words

STOPPED = Engine("stopped", reason="stopped by ann")


def facts_of(writer: sessions.Writer, engine: Engine = STOPPED) -> Returning:
    history = writer.session.history()
    return returning(history, engine, documents.limits(writer.session, history, {}))


def test_what_was_in_flight_says_what_becomes_of_it(tmp_path: Path) -> None:
    facts = facts_of(sessions.rich(tmp_path))
    assert [sentence.partition(" (")[0] for sentence in facts.in_flight[:1]] == ["Experiment 41"]
    assert facts.in_flight[0].endswith("had 2 of at most 8 runs; it goes on at run 3.")
    assert facts.in_flight[1] == "#40 is re-applied, as you decided."
    assert facts.in_flight[2].startswith("A proposal waits and is measured next: ")


def test_only_what_came_since_the_last_start_is_told(tmp_path: Path) -> None:
    writer = sessions.rich(tmp_path)
    facts, history = facts_of(writer), writer.session.history()
    assert facts.finished == len(history.rows) - 32
    numbers = {number for entries in facts.dead.values() for entry in entries for number in entry.experiments}
    assert numbers
    assert min(numbers | {row.number for row in facts.keeps}) > 32
    assert [warning.code for warning in facts.warnings] == ["stagnation"]
    assert [idea.id for idea in facts.ideas] == ["i1", "i2", "i3"]
    assert facts.left == ("$8.53 of $10",)


@pytest.mark.parametrize(
    ("engine", "why"),
    [
        (Engine("paused", reason="the limit of 60 was reached", fix="raise it"), "The limit of 60 was reached."),
        (Engine("paused"), "It was paused."),
        (Engine("lost", reason="x"), "The engine ended without a word: killed, or the machine went down."),
        (Engine("new"), "No engine has run on it yet."),
        (Engine("running"), "An engine is running."),
    ],
)
def test_why_it_stopped_in_words(tmp_path: Path, engine: Engine, why: str) -> None:
    assert facts_of(sessions.paused(tmp_path, experiments=3), engine).why == why


def test_an_open_experiment_in_every_state(tmp_path: Path) -> None:
    writer = sessions.Writer(tmp_path)
    writer.begin()
    writer.baseline(runs=2, finish=False)
    writer.add(records.Stop(reason="x"))
    writer.flush()

    def first() -> str:
        return in_flight(writer.session.history(), {})[0]

    assert first() == "The baseline (#1) had 2 of 4 runs; it goes on at run 3."
    writer.add(
        records.Experiment(run=1, commit="x", metric=1.9, status="keep", cause="baseline", sha=writer.incumbent,
                           parent=writer.incumbent)
    )  # fmt: skip
    _, commit, _ = writer.open()
    writer.flush()
    assert first().endswith("had no run yet; it begins with its first.")
    writer.sample(2, commit, "candidate", 1, 1.8)
    writer.sample(2, commit, "candidate", 2, 1.8)
    writer.sample(2, commit, "fresh", 3, 1.8)
    writer.flush()
    assert first().endswith("is a keep and had 1 of 3 fresh runs; it goes on at fresh run 2.")
    writer.add(records.Intent(experiment=2, proposal=1, parent=writer.incumbent, sha=commit, attempt=2))
    writer.flush()
    assert first().endswith("is closed as interrupted: the engine died twice in it.")


def test_recoverys_steps_are_sentences(tmp_path: Path) -> None:
    said = steps_in_words(
        [
            recovery.Adopt(3, "a" * 40),
            recovery.MoveBranch("b" * 40, ""),
            recovery.DropProposalRef(4),
            recovery.SetAside(9, "c" * 40),
            recovery.Diverged("refs/heads/autoresearch/x", "d" * 40, "e" * 40),
        ]
    )
    assert len(said) == 4
    assert said[1] == "The branch moves to the last keep, bbbbbbbbbbbb."
    assert "`git branch -f autoresearch/x eeeeeeeeeeee`" in said[3]


def test_the_plan_is_asked_of_the_real_repository(tmp_path: Path) -> None:
    session = told(tmp_path / "repo")
    history = session.session.history()
    assert planned(session.place, session.session, history) == []
    from repos import git

    git(session.repo, "update-ref", session.session.branch, session.base)
    assert planned(session.place, session.session, history) == [
        f"The branch moves to the last keep, {history.incumbent.sha[:12]}."  # type: ignore[union-attr]
    ]


def test_a_limit_that_was_raised_is_not_asked_to_be_raised(tmp_path: Path) -> None:
    writer = sessions.paused(tmp_path, experiments=5)
    engine = Engine("paused", reason="experiment limit reached (5)", fix="raise it", limit="experiments")

    def fix(experiments: int) -> str:
        writer.add(records.Settings(changes={"limits.experiments": experiments}))
        writer.flush()
        return facts_of(writer, engine).fix

    assert fix(5) == "Raise it."
    assert fix(9) == "The limits leave room now: `autoresearch resume` goes on."
