"""A race is judged by the noise that its intent holds, whatever has been learned since."""

from __future__ import annotations

import orjson

from autoresearch.engine.verdict import Noise
from autoresearch.engine.verdict.frozen import noise_of
from autoresearch.state.journal import History, records

BASE, CANDIDATE = "a" * 40, "b" * 40


def fed(*lines: records.Record) -> History:
    history = History()
    for line in lines:
        history.feed(0, records.encode(line)[:-1])
    assert history.problems == []
    return history


def sample(number: int, sha: str, arm: records.Arm, k: int, metric: float) -> records.Sample:
    return records.Sample(experiment=number, sha=sha, arm=arm, k=k, seed=k, metric=metric)


def a_race_without_noise(**intent: object) -> list[records.Record]:
    """A baseline whose runs agree, and a candidate's open race in which an incumbent run did not."""
    return [
        records.Header(base=BASE),
        records.Intent(experiment=1, proposal=None, parent=BASE, sha=BASE),
        *(sample(1, BASE, "candidate", k, 10.0) for k in (1, 2, 3, 4)),
        records.Experiment(run=1, commit=BASE[:7], metric=10.0, status="keep", cause="baseline", sha=BASE),
        records.Proposal(id=1, base=BASE, sha=CANDIDATE),
        records.Intent(experiment=2, proposal=1, parent=BASE, sha=CANDIDATE, **intent),  # type: ignore[arg-type]
        sample(2, CANDIDATE, "candidate", 1, 9.0),
        sample(2, BASE, "incumbent", 5, 10.1),
    ]


def test_a_race_that_goes_on_after_a_kill_keeps_its_noise() -> None:
    lines = a_race_without_noise(version=2, noise={"ss": 0.0, "nu": 3, "identical": True})
    before, after = fed(*lines[:-1]), fed(*lines)
    assert after.spread.identical is False, "the segment has learned that there is noise"
    assert noise_of(before) == noise_of(after) == Noise(ss=0.0, nu=3, identical=True)


def test_an_intent_of_an_older_version_is_judged_by_the_segment() -> None:
    history = fed(*a_race_without_noise())
    assert history.open is not None
    assert history.open.version == 1
    assert noise_of(history) == Noise(ss=0.0, nu=3, identical=False)


def test_what_a_run_prints_of_its_cost_is_bounded() -> None:
    def spent(scored: str, *printed: float) -> float:
        header = records.Header(base=BASE, scored=scored)
        intent = records.Intent(experiment=1, proposal=None, parent=BASE, sha=BASE)
        runs = [
            records.Sample(experiment=1, sha=BASE, arm="candidate", k=k, seed=k, metric=1.0, metrics={"cost_usd": usd})
            for k, usd in enumerate(printed, 1)
        ]
        return fed(header, intent, *runs).cost_usd

    assert spent("evaluate", 0.5, 0.25) == 0.75
    assert spent("run", -1e300, 0.5) == 0.5
    assert spent("run", 1e300) == 100.0, "a session whose bill can never be paid could not go on"
    assert spent("scope", 0.5) == 0.0


def test_a_spoiled_sample_counts_for_nothing() -> None:
    lines = a_race_without_noise(version=2, noise={"ss": 0.0, "nu": 3, "identical": True})
    spoiled = records.Sample(
        experiment=2, sha=BASE, arm="incumbent", k=6, seed=6, cause="contaminated", detail="", again=True
    )
    before, after = fed(*lines), fed(*lines, spoiled)
    assert before.open is not None
    assert after.open is not None
    assert len(after.open.samples) == len(before.open.samples)
    assert after.recent == before.recent
    assert after.next_k(BASE) == 7, "its seed is used up"
    assert orjson.loads(records.encode(spoiled))["again"] is True
