"""A journal judged again: what was written agrees with its samples, and what was changed afterwards does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contests import Played, near

from autoresearch.engine.verdict import Noise, recompute
from autoresearch.engine.verdict import frozen as rule
from autoresearch.engine.verdict.frozen import Settings
from autoresearch.engine.verdict.pace import Pace
from autoresearch.state.journal import Journal, records

BASE, CANDIDATE = "a" * 40, "b" * 40
BASELINE = (10.02, 9.99, 10.01, 9.98)
NOISE = Noise.pool([BASELINE])
NOISE_LINE = {"ss": NOISE.ss, "nu": NOISE.nu, "identical": NOISE.identical}


def sample(number: int, sha: str, arm: records.Arm, k: int, metric: float) -> records.Sample:
    return records.Sample(experiment=number, sha=sha, arm=arm, k=k, seed=k, metric=metric)


def session(*samples: float, incumbent: tuple[float, ...] = ()) -> list[records.Record]:
    """A baseline, and a candidate with these samples, incumbent runs after the first, concluded as the rule has it."""
    again = rule.judge(samples, [*BASELINE, *incumbent], NOISE, Settings())
    assert again.final
    first, *more = (sample(2, CANDIDATE, "candidate", k, value) for k, value in enumerate(samples, 1))
    return [
        records.Header(base=BASE, verdict=Settings().for_header()),
        records.Intent(experiment=1, proposal=None, parent=BASE, sha=BASE),
        *(sample(1, BASE, "candidate", k, value) for k, value in enumerate(BASELINE, 1)),
        records.Experiment(run=1, commit=BASE[:7], metric=10.0, status="keep", cause="baseline", sha=BASE),
        records.Proposal(id=1, base=BASE, sha=CANDIDATE),
        records.Intent(experiment=2, proposal=1, parent=BASE, sha=CANDIDATE, version=rule.VERSION, noise=NOISE_LINE),
        first,
        *(sample(2, BASE, "incumbent", k, value) for k, value in enumerate(incumbent, 5)),
        *more,
        records.Experiment(
            run=2, commit=CANDIDATE[:7], metric=samples[0], status=again.action, cause=again.cause,  # type: ignore[arg-type]
            sha=CANDIDATE, parent=BASE, proposal=1, verdict=again.verdict,
        ),
    ]  # fmt: skip


def judged(path: Path, lines: list[records.Record]) -> list[tuple[int, str, str, tuple[str, ...]]]:
    path.unlink(missing_ok=True)
    journal = Journal(path)
    journal.append(*lines)
    journal.close()
    return [(each.run, each.recorded, each.again, each.differences) for each in recompute(path)]


def test_what_the_rule_concluded_comes_out_again(tmp_path: Path) -> None:
    kept, discarded = session(9.0, 9.0, incumbent=(10.0,)), session(11.0)
    assert judged(tmp_path / "j", kept) == [(2, "keep better", "keep better", ())]
    assert judged(tmp_path / "j", discarded) == [(2, "discard worse", "discard worse", ())]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"status": "keep", "cause": "better"}, "recorded keep better, comes out as discard worse"),
        ({"verdict": {"rule": "race"}}, "is None on record and comes out as"),
    ],
)
def test_a_verdict_that_was_changed_is_found(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    lines = session(11.0)
    assert isinstance(lines[-1], records.Experiment)
    lines[-1] = replace(lines[-1], **changes)
    ((_, _, again, differences),) = judged(tmp_path / "j", lines)
    assert again == "discard worse"
    assert said in " ".join(differences)


def test_a_sample_that_was_changed_or_taken_out_of_turn_is_found(tmp_path: Path) -> None:
    lines = session(9.0, 9.0, incumbent=(10.0,))
    changed = [
        replace(line, metric=12.0) if line == sample(2, CANDIDATE, "candidate", 1, 9.0) else line for line in lines
    ]
    assert judged(tmp_path / "j", changed)[0][3]
    more = [*lines[:-1], sample(2, CANDIDATE, "candidate", 3, 9.0), lines[-1]]
    assert any(text.startswith("sample 3 is the candidate's") for text in judged(tmp_path / "j", more)[0][3])


def test_baselines_crashes_and_failed_guards_are_no_judgements(tmp_path: Path) -> None:
    lines = session(11.0)
    assert isinstance(lines[-1], records.Experiment)
    guard = replace(lines[-1], status="checks_failed", cause="guard")
    crash = replace(lines[-1], status="crash", cause="timeout", verdict={})
    assert judged(tmp_path / "j", lines[:7]) == judged(tmp_path / "j", [*lines[:-1], guard]) == []
    assert judged(tmp_path / "j", [*lines[:-1], crash]) == []


# -- randomised blocks


def night() -> Played:
    """#2 is kept, #3 is worse, #4 and #6 leave for a proposal, #5 is simpler."""
    played = Played()
    for change, lines, waiting in (
        (9.9, (1, 1), False), (10.2, (1, 1), False), (9.88, (1, 1), True), (9.9, (0, 30), False), (9.89, (1, 1), True),
    ):  # fmt: skip
        played.open(lines)
        played.conclude(played.run(near(change), near(10.0) if played.proposals == 1 else near(9.9), waiting=waiting))
    return played


def told(path: Path, played: Played) -> dict[int, tuple[str, ...]]:
    return {number: differences for number, _, _, differences in judged(path, played.lines)}


def test_every_verdict_of_a_night_of_blocks_comes_out_again(tmp_path: Path) -> None:
    played = night()
    found = [(run, again) for run, _, again, _ in judged(tmp_path / "j", played.lines)]
    assert found == [
        (2, "keep better"), (3, "discard worse"), (4, "discard unproven"), (5, "keep simpler"), (6, "discard unproven"),
    ]  # fmt: skip
    assert not any(told(tmp_path / "j", played).values())


def changed(kind: type[Any], number: int, **changes: Any) -> list[records.Record]:
    """The night's lines, with the first of that kind about #2 or #3 changed; a sample is of block 1."""
    lines = night().lines
    for at, line in enumerate(lines):
        about = line.run if isinstance(line, records.Experiment) else getattr(line, "experiment", None)
        if isinstance(line, kind) and about == number and getattr(line, "block", 1) == 1:
            new = {key: value(getattr(line, key)) if callable(value) else value for key, value in changes.items()}
            return [*lines[:at], replace(line, **new), *lines[at + 1 :]]
    raise AssertionError("no such line")


def other(arm: str) -> str:
    return "candidate" if arm == "incumbent" else "incumbent"


def terms(**changes: Any) -> Any:
    return lambda held: {**held, **changes}


TAMPERED = {
    "the arm of a run": (records.Sample, {"arm": other}, "which was not drawn"),
    "a value": (records.Sample, {"metric": 9.95}, "comes out as"),
    "a seed": (records.Sample, {"seed": 1}, "has the seed 1 and not the one drawn"),
    "a spread": (records.Sample, {"basis": {"s": 1e-6}}, "block 1, place 1: s is 1e-06 on record"),
    "the block": (records.Sample, {"block": 2}, "was run where block 1, place 1 was next"),
    "the place": (records.Sample, {"place": 4}, "was run where block 1, place 1 was next"),
    "odds": (records.Intent, {"terms": terms(odds=2.0)}, "odds is 2.0 on record and comes out as 18"),
    "the line": (records.Intent, {"terms": terms(line=-9.0)}, "line is -9.0 on record and comes out as 2"),
    "a figure": (records.Experiment, {"verdict": terms(log_evidence=9.0)}, "log_evidence is 9.0 on record"),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_what_was_changed_in_a_night_of_blocks_is_found(tmp_path: Path, what: str) -> None:
    kind, changes, said = TAMPERED[what]
    found = judged(tmp_path / "j", changed(kind, 2, **changes))
    assert said in " ".join(text for _, _, _, differences in found for text in differences), found


def test_a_drop_that_is_told_as_a_keep_is_found(tmp_path: Path) -> None:
    found = judged(tmp_path / "j", changed(records.Experiment, 3, status="keep", cause="better"))
    assert "recorded keep better, comes out as discard worse" in found[1][3]


def test_a_race_that_was_parked_and_went_on_comes_out_as_one_that_was_not(tmp_path: Path) -> None:
    cheap = Pace(0.2, 60.0)
    whole, parted = Played(pace=cheap), Played(pace=cheap)
    for played in (whole, parted):
        played.open()
    whole.conclude(whole.run(near(9.9)))
    for most in (3, 4, 5):
        parted.run(near(9.9), most=most)
        parted.park(parted.decide(waiting=True, resumed=True))
        parted.go_on(2)
    parted.conclude(parted.run(near(9.9)))
    assert whole.history.rows[-1].log_evidence == parted.history.rows[-1].log_evidence
    assert told(tmp_path / "j", parted) == {2: ()}
    assert judged(tmp_path / "j", parted.lines)[0][2] == "keep better"


def test_a_parked_race_begins_anew_on_another_best(tmp_path: Path) -> None:
    played = Played(pace=Pace(5.0, 60.0))
    played.open()
    played.run(near(9.97), most=9)
    played.park(played.decide(waiting=True, resumed=True))
    played.open()
    played.conclude(played.run(near(9.9)))
    assert played.history.rows[-1].status == "keep"
    played.go_on(2, parent=played.best, sha="c" * 40)
    assert played.history.open is not None
    assert [sample.block for sample in played.history.open.samples] == [0], "only its look stands"
    decision = played.decide()
    assert decision.run is not None
    assert (decision.run.block, decision.run.place) == (1, 1)
    played.conclude(played.run(near(9.8), near(9.9)))
    assert [row.number for row in played.history.rows] == [1, 3, 2]
    assert told(tmp_path / "j", played) == {3: (), 2: ()}
    assert played.history.repeats.luck == pytest.approx(3 / 1000)


def test_a_run_of_the_best_that_crashes_is_repeated_in_its_place(tmp_path: Path) -> None:
    played = Played()
    played.open()
    while (decision := played.decide()).run is None or decision.run.mine:
        played.sample(decision, 9.9)
    played.sample(decision, None, cause="nonzero_exit")
    assert played.decide() == decision
    played.conclude(played.run(near(9.9)))
    assert told(tmp_path / "j", played) == {2: ()}
