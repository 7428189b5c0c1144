"""What the notebook says of a history."""

from __future__ import annotations

from dataclasses import replace

from repos import TOML

from autoresearch.engine.record.notebook import view
from autoresearch.state.config import Guard
from autoresearch.state.config import config as configs
from autoresearch.state.journal import History, records
from autoresearch.state.journal.records import Experiment, Idea, Intent, Lesson, Note, Proposal, Sample

BASE, KEPT, FAILED = "a" * 40, "b" * 40, "c" * 40
CONFIG = configs.loads(TOML)
BASELINE: tuple[records.Record, ...] = (
    records.Header(metric_name="score", base=BASE),
    Intent(experiment=1, proposal=None, parent=BASE, sha=BASE),
    *(
        Sample(experiment=1, sha=BASE, arm="candidate", k=k, seed=k, metric=value)
        for k, value in enumerate((10.0, 10.2), 1)
    ),
    Experiment(run=1, commit=BASE[:7], metric=10.1, status="keep", cause="baseline", sha=BASE),
)
NIGHT: tuple[records.Record, ...] = (
    *BASELINE,
    Proposal(id=1, base=BASE, sha=KEPT, description="down"),
    Intent(experiment=2, proposal=1, parent=BASE, sha=KEPT),
    Experiment(
        run=2, commit=KEPT[:7], metric=9.0, status="keep", cause="better", sha=KEPT, parent=BASE, proposal=1,
        description="down", estimate=1.1, interval=0.2,
    ),
    Proposal(id=2, base=KEPT, sha=FAILED, description="boom"),
    Intent(experiment=3, proposal=2, parent=KEPT, sha=FAILED),
    Experiment(
        run=3, commit=FAILED[:7], metric=0.0, status="crash", cause="out_of_memory", sha=FAILED, parent=KEPT,
        proposal=2, description="boom",
    ),
    Lesson(experiment=3, lesson="too large", retry_if="there is more memory"),
)  # fmt: skip


def fed(*lines: records.Record) -> History:
    history = History()
    for line in lines:
        history.feed(0, records.encode(line)[:-1])
    assert history.problems == []
    return history


def test_before_the_baseline_it_says_what_is_wanted_and_how_it_is_measured() -> None:
    found = view(History(), CONFIG)
    assert (found.title, [*found.objective]) == ("knob", ["The lowest score."])
    assert [*found.measured] == ["`score`, lower is better.", "run: `python bench.py`"]
    assert [*found.stand] == ["The baseline is not measured yet."]
    named = replace(CONFIG, objective="", program="program.md")
    assert [*view(History(), named).objective] == ["Improve score.", "The strategy is in `program.md`."]


def test_the_rules_name_scope_guards_and_constraints() -> None:
    config = replace(CONFIG, guard=(Guard(("make", "test")),), constraints={"memory": "1.2x"})
    rules = view(History(), config).rules
    assert rules[0].startswith("In scope: `knob.py`.")
    assert {"Guard: `make test`", "Constraint: `memory` 1.2x"} <= {*rules}


def test_the_stand_compares_the_best_with_the_baseline() -> None:
    stand = view(fed(*NIGHT), CONFIG).stand
    assert [*stand][:2] == ["Baseline 10.10 (#1).", "Best 9.00 (#2): better by 1.10, 10.9%."]
    assert stand[2].startswith("3 experiments: ")
    assert len(view(fed(*BASELINE), CONFIG).stand) == 2


def test_each_experiment_stands_in_its_list_with_its_figures_and_lesson() -> None:
    found = view(fed(*NIGHT), CONFIG)
    assert [(entry.id, entry.text) for entry in found.worked.shown] == [("#2", "#2 down: 9.00, +1.10 ±0.20")]
    crashed = "#3 boom (out of memory). too large Retry if there is more memory."
    assert [(entry.id, entry.text) for entry in found.crashed.shown] == [("#3", crashed)]
    assert [*found.refuted.shown, *found.unproven.shown] == []


def test_what_people_wrote_is_there_and_a_written_dead_end_stands_for_its_experiment() -> None:
    end = records.DeadEnd(id="d1", text="large ones", list="crashed", experiment=3, retry_if="rich", by="person")
    lines = (end, Idea(id="i1", text="try"), Idea(id="i2", text="no"), records.Veto(id="i2"), Note(id="n1", text="so"))
    found = view(fed(*NIGHT, *lines), CONFIG)
    assert [(entry.id, entry.text) for entry in found.crashed.shown] == [("d1", "large ones (retry if rich)")]
    assert [(idea.id, idea.text, idea.state) for idea in found.ideas] == [("i1", "try", "open")]
    assert [(note.id, note.text) for note in found.notes] == [("n1", "so")]
