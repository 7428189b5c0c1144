"""Repositories and sessions of any size for the benchmark, made without running anything."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from repos import git, make_repo

from autoresearch.engine.git import Git
from autoresearch.engine.sessions import header_for
from autoresearch.state.config import config as configs
from autoresearch.state.journal import records
from autoresearch.state.session import Live, Place, Session, create_session, find_place, write_live

NO_OP = """\
name = "no-op"

[metric]
name = "score"

[scope]
edit = ["knob.py"]

[measure]
run = ["/bin/echo", "METRIC score=20"]
budget_s = 0

[agent]
kind = "tuner"
"""


def repository(folder: Path, files: int) -> Path:
    """A repository of `files` small files besides the target."""
    content = {"autoresearch.toml": NO_OP, "knob.py": "VALUE = 10.0\n"}
    content |= {f"src/p{n // 50:03d}/m{n:05d}.py": f"x = {n}\n" * 20 for n in range(files)}
    return make_repo(folder, content)


def session(repo: Path, experiments: int, name: str = "bench") -> tuple[Place, Session]:
    """A paused session with that many finished experiments, whose baseline scored about 10."""
    place = find_place(repo)
    config = configs.load(place.config_file)
    base = git(repo, "rev-parse", "HEAD").strip()
    made = Session(place.sessions_dir / name)
    header = header_for(place, made, config, base)
    made = create_session(place, name, header, configs.dumps(config))
    with made.journal.open("ab") as file:
        for record in _experiments(experiments, base):
            file.write(records.encode(record))
    refs = "".join(f"create {made.refs}{n} {base}\n" for n in range(1, experiments + 1))
    plumbing = Git(place.common_dir)
    plumbing("update-ref", "--stdin", stdin=refs + f"create {made.branch} {base}\n")
    plumbing("pack-refs", "--all")
    return place, made


LOG_LINE = "step {n:7d} | loss 2.{n:07d} | lr 6.00e-04 | tokens/s 123456 | grad norm 0.12345\n"


def log(session: Session, number: int, lines: int) -> Path:
    """An output.log of that many lines for one experiment."""
    folder = session.run(number)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "output.log").open("w") as file:
        for start in range(0, lines, 10_000):
            file.write("".join(LOG_LINE.format(n=n) for n in range(start, min(start + 10_000, lines))))
    return folder / "output.log"


@contextlib.contextmanager
def running(session: Session, number: int, lines_per_s: int = 1_700) -> Iterator[None]:
    """What an engine does to the files while it measures: the lock, the heartbeat, a log of 100,000 lines a minute."""
    over = threading.Event()
    live = Live(pid=os.getpid(), host="bench", phase="measuring", since=records.now_ms(), updated=0, experiment=number)

    def write() -> None:
        n = 0
        with (session.run(number) / "output.log").open("a") as file:
            while not over.wait(0.05):
                file.write("".join(LOG_LINE.format(n=n + k) for k in range(lines_per_s // 20)))
                file.flush()
                n += lines_per_s // 20
                live.updated = records.now_ms()
                write_live(session, live)

    with session.lock(), session.journal.open("ab") as journal:
        journal.write(records.encode(records.Resume(by="bench")))
        journal.flush()
        writer = threading.Thread(target=write)
        writer.start()
        try:
            yield
        finally:
            over.set()
            writer.join()


@contextlib.contextmanager
def arriving(session: Session, first: int, count: int, per_s: int = 50) -> Iterator[threading.Event]:
    """A night in fast motion: experiments come with their lines, heartbeats and logs; set when all have come."""
    over, done = threading.Event(), threading.Event()
    base = session.history().rows[0].sha
    live = Live(pid=os.getpid(), host="bench", phase="measuring", since=records.now_ms(), updated=0)
    batch = max(1, per_s // 10)

    def write() -> None:
        with session.journal.open("ab", buffering=0) as journal:
            journal.write(records.encode(records.Resume(by="bench")))
            for start in range(first, first + count, batch):
                for n in range(start, start + batch):
                    journal.write(b"".join(records.encode(line) for line in _experiment(n, base)))
                log(session, start, lines=2_000)
                live.experiment, live.updated = start + batch - 1, records.now_ms()
                write_live(session, live)
                if over.wait(batch / per_s):
                    return
        done.set()

    with session.lock():
        writer = threading.Thread(target=write)
        writer.start()
        try:
            yield done
        finally:
            over.set()
            writer.join()


def _experiments(count: int, base: str) -> list[records.Record]:
    lines: list[records.Record] = [records.Intent(experiment=1, proposal=None, parent=base, sha=base)]
    lines += [_sample(1, base, k, 10.0 + k / 100) for k in range(1, 5)]
    lines.append(
        records.Experiment(
            run=1, commit=base[:7], metric=10.025, status="keep", cause="baseline", sha=base, parent=base,
            description="baseline",
        )
    )  # fmt: skip
    for n in range(2, count + 1):
        lines += _experiment(n, base)
    lines.append(records.Pause(reason="generated"))
    return lines


def _experiment(n: int, base: str) -> list[records.Record]:
    hypothesis = "A lower value should help, since the score is the value itself."
    proposal = records.Proposal(
        id=n - 1, base=base, sha=base, agent="tuner", hypothesis=hypothesis, files=("knob.py",), lines=(1, 1),
        description=f"VALUE 10.0 → {10 + n % 97}", category="optimizer",
        params={"knob.py:VALUE": {"from": 10.0, "to": 10 + n % 97}},
    )  # fmt: skip
    experiment = records.Experiment(
        run=n, commit=base[:7], metric=10.1 + n % 7 / 10, status="discard", cause="worse", sha=base,
        parent=base, proposal=n - 1, description=f"VALUE 10.0 → {10 + n % 97}",
        reason="worse by 0.30 ±0.04 (2 runs)",
        estimate=-0.3, interval=0.04, hypothesis=hypothesis, category="optimizer", files=("knob.py",),
        verdict={"rule": "race", "version": 1, "s": 0.02, "nu": 3, "delta": 0.04, "d": -0.3, "r": 2, "n": 4,
                 "log_evidence": -9.0, "threshold": 10.0},
    )  # fmt: skip
    intent = records.Intent(experiment=n, proposal=n - 1, parent=base, sha=base)
    return [proposal, intent, *(_sample(n, base, k, 10.1 + n % 7 / 10) for k in range(1, 3)), experiment]


def _sample(n: int, sha: str, k: int, value: float) -> records.Sample:
    return records.Sample(
        experiment=n, sha=sha, arm="candidate", k=k, seed=k, slot="local", metric=value, duration_s=0.001
    )
