"""The lines of a session's journal, made up without a repository, and what they add up to."""

from __future__ import annotations

from typing import Any

from autoresearch.state.journal import History
from autoresearch.state.journal import records as r

BASE = "b" * 40


def sha(number: int) -> str:
    return f"{number:040x}"


def fold(*lines: r.Record) -> History:
    history, at = History(), 0
    for record in lines:
        line = r.encode(record)
        history.feed(at, line[:-1])
        at += len(line)
    assert not history.problems
    return history


def sample(n: int | None, value: float | None, arm: Any = "candidate", k: int = 1, commit: str = "") -> r.Sample:
    cause = None if value is not None else "nonzero_exit"
    return r.Sample(
        experiment=n, sha=commit or sha(n or 0), arm=arm, k=k, seed=k, metric=value, cause=cause, duration_s=2.0
    )


def baseline(values: list[float]) -> list[r.Record]:
    samples = [sample(1, value, k=k, commit=BASE) for k, value in enumerate(values, 1)]
    done = r.Experiment(
        run=1, commit=BASE[:7], metric=sum(values) / len(values), status="keep", cause="baseline", sha=BASE, parent=BASE
    )
    return [r.Header(base=BASE), r.Intent(experiment=1, proposal=None, parent=BASE, sha=BASE), *samples, done]


def proposed(id: int, **more: Any) -> r.Proposal:
    return r.Proposal(id=id, base=BASE, sha=sha(id + 1), description=f"change {id}", **more)


def tried(
    id: int, values: list[float], status: Any, cause: str, fresh: tuple[float, ...] = (), **more: Any
) -> list[r.Record]:
    n = id + 1
    return [
        proposed(id, **more),
        r.Intent(experiment=n, proposal=id, parent=BASE, sha=sha(n)),
        *(sample(n, value, k=k) for k, value in enumerate(values, 1)),
        *(sample(n, value, "fresh", k=k) for k, value in enumerate(fresh, len(values) + 1)),
        r.Experiment(
            run=n, commit=sha(n)[:7], metric=(fresh or values or [0.0])[0], status=status, cause=cause, sha=sha(n),
            parent=BASE, proposal=id, estimate=0.5, description=f"change {id}",
        ),
    ]  # fmt: skip
