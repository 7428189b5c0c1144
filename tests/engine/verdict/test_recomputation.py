"""A journal judged again: what was written agrees with its samples, and what was changed afterwards does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autoresearch.engine.verdict import Noise, Settings, recompute, rule
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
