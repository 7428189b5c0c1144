"""The parts of the benchmark, each run alone in a process: `parts.py NAME '{"args": …}'` prints figures as JSON."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import generated
import viewer

from autoresearch.engine import agents, host
from autoresearch.engine.agents import protocol
from autoresearch.engine.brief import Brief
from autoresearch.engine.sessions import RunOptions
from autoresearch.state.journal import History, records
from autoresearch.state.session import Place, find_place

FOLDER = Path(os.environ.get("BENCH_FOLDER", "/tmp"))
NO_OP = ["/bin/echo", "METRIC score=20"]


def overhead(files: int, experiments: int, rounds: int) -> dict[str, float]:
    """From a ready proposal through a no-op measurement to the recorded verdict, beside the floor loop."""
    repo = generated.repository(FOLDER / "r", files)
    place, session = generated.session(repo, experiments)
    ready = _Ready()
    agents.create = lambda *_, **__: ready  # type: ignore[assignment]
    took: list[float] = []

    def observe(record: records.Record, _: History) -> None:
        if isinstance(record, records.Experiment):
            took.append(time.perf_counter() - ready.at)

    before = floor(repo, rounds // 2)
    options = RunOptions(session=session.name, max_experiments=rounds)
    host.engine_main(place, options, observe, lambda live: None)
    after = floor(repo, rounds // 2)
    return {"ours": statistics.median(took[3:]), "floor": statistics.median(before + after)}


class _Ready:
    """Edits one line and says so; its time is not counted."""

    name = "ready"
    reads = False

    def __init__(self, thinks_s: float = 0.0) -> None:
        self.thinks_s = thinks_s
        self.at = 0.0
        self.count = 0

    async def propose(self, brief: Brief, tree: Path) -> protocol.Proposal:
        self.count += 1
        (tree / "knob.py").write_text(f"VALUE = {10 + self.count / 1000}\n")
        await asyncio.sleep(self.thinks_s)
        self.at = time.perf_counter()
        return protocol.Proposal(description=f"VALUE {self.count}", hypothesis="for the clock")

    async def learn(self, verdict: records.Experiment, feedback: str = "") -> None:
        return None


def floor(repo: Path, rounds: int) -> list[float]:
    """Write a file, commit, start the command, append and fdatasync, reset: what any such loop must do."""
    worktree = FOLDER / "floor"
    if not worktree.exists():
        generated.git(repo, "worktree", "add", "-q", "--detach", str(worktree))
    who = {f"GIT_{role}_{what}": "floor" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    env = os.environ | who
    git = ["git", "-c", "core.fsync=loose-object,reference", "-c", "gc.auto=0", "-c", "core.hooksPath=/dev/null"]
    journal = os.open(FOLDER / "floor.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    line = records.encode(records.Experiment(run=1, commit="abc", metric=1.0, status="discard"))
    took = []
    for n in range(rounds):
        start = time.perf_counter()
        (worktree / "knob.py").write_text(f"VALUE = {n}.{time.time_ns()}\n")
        subprocess.run([*git, "commit", "-qam", "try"], cwd=worktree, env=env, check=True)
        subprocess.run(NO_OP, cwd=worktree, stdout=subprocess.DEVNULL, check=True)
        os.write(journal, line)
        os.fdatasync(journal)
        subprocess.run([*git, "reset", "-q", "--hard", "HEAD~1"], cwd=worktree, env=env, check=True)
        took.append(time.perf_counter() - start)
    os.close(journal)
    return took


def open_and_recover(experiments: int) -> dict[str, float]:
    """From the call, imports done, to the `resume` line: lock, fold, leftovers, recovery, settings. Floor: parsing."""
    import orjson

    repo = generated.repository(FOLDER / "r", 3)
    place, session = generated.session(repo, experiments)
    agents.create = lambda *_, **__: _Ready()  # type: ignore[assignment]
    _engine_to_resume(place, session.name)
    ours = statistics.median(_engine_to_resume(place, session.name) for _ in range(5))
    start = time.perf_counter()
    for line in session.journal.read_bytes().splitlines():
        orjson.loads(line)
    return {"ours": ours, "floor": time.perf_counter() - start}


def _engine_to_resume(place: Place, name: str) -> float:
    at: list[float] = []

    def observe(record: records.Record, _: History) -> None:
        if isinstance(record, records.Resume):
            at.append(time.perf_counter())

    start = time.perf_counter()
    host.engine_main(place, RunOptions(session=name, max_experiments=0), observe, lambda live: None)
    return at[0] - start


def memory(experiments: int) -> dict[str, float]:
    """The engine alone in a process, beside one that imports what any such program needs."""
    repo = generated.repository(FOLDER / "r", 3)
    generated.session(repo, experiments)
    alone = [sys.executable, __file__, "engine_memory", json.dumps({"repo": str(repo)})]
    ours = subprocess.run(alone, capture_output=True, text=True, check=True).stdout.splitlines()[-1]
    bare = f"import orjson, asyncio, subprocess, sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    bare += "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    floor = subprocess.run([sys.executable, "-c", bare], capture_output=True, text=True, check=True).stdout
    return {"ours": json.loads(ours)["mb"], "floor": int(floor) / 1024}


def engine_memory(repo: str) -> dict[str, float]:
    agents.create = lambda *_, **__: _Ready()  # type: ignore[assignment]
    options = RunOptions(session="bench", max_experiments=5)
    host.engine_main(find_place(Path(repo)), options, lambda *_: None, lambda _: None)
    return {"mb": viewer.peak_mb("self")}


def commands(experiments: int) -> dict[str, float]:
    repo = generated.repository(FOLDER / "r", 3)
    place, _ = generated.session(repo, experiments)
    autoresearch = [sys.executable, "-P", "-m", "autoresearch"]

    def build() -> None:
        for file in place.sessions_dir.glob("index.db*"):
            file.unlink()

    return {
        "python": _time([sys.executable, "-c", "pass"], repo),
        "version": _time([*autoresearch, "--version"], repo),
        "status": _time([*autoresearch, "status"], repo),
        "build": _time([*autoresearch, "search", "lower"], repo, rounds=2, before=build),
        "search": _time([*autoresearch, "search", "lower"], repo),
    }


def slot(run_s: float, think_s: float, rounds: int) -> dict[str, float]:
    """The share of the time in which the slot measures, with a model that thinks for a fifth of a measurement."""
    return {f"ahead_{ahead}": _busy(run_s, think_s, rounds, ahead) for ahead in (1, 0)}


def _busy(run_s: float, think_s: float, rounds: int, ahead: int) -> float:
    repo = generated.repository(FOLDER / f"r{ahead}", 3)
    toml = (repo / "autoresearch.toml").read_text()
    toml = toml.replace('run = ["/bin/echo", "METRIC score=20"]', f'run = "sleep {run_s}; echo METRIC score=20"')
    (repo / "autoresearch.toml").write_text(toml + f"ahead = {ahead}\n")
    thinking = _Ready(think_s)
    agents.create = lambda *_, **__: thinking  # type: ignore[assignment]
    spans: list[tuple[float, float]] = []

    def observe(record: records.Record, _: History) -> None:
        if isinstance(record, records.Sample) and record.experiment != 1:
            now = time.perf_counter()
            spans.append((now - record.duration_s, now))

    options = RunOptions(max_experiments=rounds)
    host.engine_main(find_place(repo), options, observe, lambda live: None)
    return sum(end - start for start, end in spans) / (spans[-1][1] - spans[0][0])


def _time(command: list[str], cwd: Path, rounds: int = 5, before: Callable[[], None] = lambda: None) -> float:
    took = []
    for _ in range(rounds):
        before()
        start = time.perf_counter()
        subprocess.run(command, cwd=cwd, stdout=subprocess.DEVNULL, check=True)
        took.append(time.perf_counter() - start)
    return statistics.median(took)


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "overhead": overhead, "open": open_and_recover, "memory": memory, "engine_memory": engine_memory,
    "screen": viewer.screen, "night": viewer.night, "commands": commands, "slot": slot,
}  # fmt: skip

if __name__ == "__main__":
    print(json.dumps(PARTS[sys.argv[1]](**json.loads(sys.argv[2]))))
