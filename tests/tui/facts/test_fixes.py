"""Chains of mends, cost per experiment and per keep, and what `show` keeps from agents."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner
from journals import Told, told

from autoresearch.state.journal import History, records
from autoresearch.tui.cli import cli
from autoresearch.tui.facts import documents
from autoresearch.tui.facts import experiment as facts
from autoresearch.tui.look.palette import PLAIN
from autoresearch.tui.screens.experiment import told as told_of


def ask(session: Told, *args: str) -> str:
    result = CliRunner().invoke(cli, [*args, "-C", str(session.repo)])
    assert result.exit_code == 0, result.output
    return result.output


def mend(session: Told, of: int, status: records.Status, finish: bool = True) -> None:
    """The next experiment mends experiment `of`."""
    session.proposals += 1
    session.number += 1
    sha = session.incumbent
    session.write(
        records.Proposal(
            id=session.proposals, base=sha, sha=sha, agent="claude", description=f"mend of {of}", mends=of
        ),
        records.Intent(experiment=session.number, proposal=session.proposals, parent=sha, sha=sha),
    )  # fmt: skip
    if finish:
        session.write(
            records.Experiment(
                run=session.number, commit=sha[:7], metric=0.0, status=status, cause="nonzero_exit", sha=sha,
                reason="it said boom", description=f"mend of {of}", parent=sha, proposal=session.proposals,
            )
        )  # fmt: skip


def chained(folder: Path) -> Told:
    """#5 crashed, #6 mends it and crashed, #7 is another one, #8 mends #6 and is being measured."""
    session = told(folder)
    mend(session, 5, "crash")
    session.discard("between", 12.0)
    mend(session, 6, "keep", finish=False)
    return session


def test_a_chain_is_the_same_from_each_of_its_links(tmp_path: Path) -> None:
    session = chained(tmp_path / "repo")
    history = session.session.history()
    wanted = [
        {"number": 5, "status": "crash"},
        {"number": 6, "status": "crash"},
        {"number": 8, "status": "open"},
    ]
    for number in (5, 6, 8):
        assert documents.chain(number, history) == wanted
        assert json.loads(ask(session, "show", str(number), "--json"))["chain"] == wanted
    assert documents.chain(7, history) == documents.chain(1, history) == []
    assert "#5 crash → this crash → #8 open" in ask(session, "show", "6")
    assert "chain" not in ask(session, "show", "7")


def test_the_log_and_the_detail_point_at_what_is_mended(tmp_path: Path) -> None:
    session = chained(tmp_path / "repo")
    listed = {line.split()[0]: line for line in ask(session, "log").splitlines()}
    assert "↳ #5 mend of 5" in listed["#6"]
    assert "↳" not in listed["#7"]
    history = session.session.history()
    told_at = [text for _, _, text, _ in told_of(facts.read(session.session, history, history.by_number[5]), PLAIN)]
    assert told_at[told_at.index("Tries") + 1 :][:3] == [
        "#5 knob to boom (nonzero exit)",
        "#6 mend of 5 (nonzero exit)",
        "#8 being measured",
    ]


def test_a_mend_of_an_experiment_that_is_not_there_is_no_chain() -> None:
    assert documents.chain(3, History()) == []


def test_cost_is_told_per_experiment_and_per_keep(tmp_path: Path) -> None:
    session = told(tmp_path / "repo")
    for command in ("status", "summary"):
        spend = json.loads(ask(session, command, "--json"))["spend"]
        assert (spend["usd"], spend["usd_per_experiment"], spend["usd_per_keep"]) == (1.0, 0.25, 1.0)
        assert "$1.00 · $0.25 an experiment · $1.00 a keep" in ask(session, command)


def test_an_unknown_cost_is_null_and_not_told(tmp_path: Path) -> None:
    session = Told(tmp_path / "repo")
    session.baseline()
    spend = json.loads(ask(session, "status", "--json"))["spend"]
    assert spend["usd_per_experiment"] is spend["usd_per_keep"] is None
    assert "$" not in ask(session, "summary")


def test_holdout_samples_are_shown_only_when_asked_for(tmp_path: Path) -> None:
    session = told(tmp_path / "repo")
    sha = session.open("knob to 7", "7.0")
    session.sample(sha, "candidate", 1, 7.0)
    session.sample(sha, "holdout", 1, 7.125)
    for also in ([], ["--json"]):
        quiet = ask(session, "show", "6", *also)
        assert "7.125" not in quiet
        assert "holdout" not in quiet
        assert "7.125" in ask(session, "show", "6", "--holdout", *also)
