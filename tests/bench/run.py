"""Every figure of docs/benchmarks.md beside its floor, measured in the same run. `make bench` prints the table.

A figure is ours; a floor is what the same machine needs for the part that nobody can avoid. Ratios are to be trusted
more than absolutes. Each figure runs in a process of its own, so that one's memory is not another's.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

HERE = Path(__file__).parent
SIZES = (10, 1_000, 10_000)


@dataclass(frozen=True)
class Figure:
    name: str
    ours: str
    floor: str
    ratio: str
    budget: str


def measure(part: str, **args: object) -> dict[str, float]:
    """One part in a fresh process; it prints a JSON object last."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        env = {
            **os.environ,
            "XDG_CACHE_HOME": f"{folder}/cache",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "BENCH_FOLDER": folder,
        }
        env["AUTORESEARCH_MIN_FREE_MB"] = "0"
        done = subprocess.run(
            [sys.executable, str(HERE / "parts.py"), part, json.dumps(args)],
            env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{part} {args} failed:\n{done.stdout}\n{done.stderr}")
    result: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return result


def overheads(quick: bool) -> list[Figure]:
    found = []
    for files in (3, 1_000):
        for size in SIZES[: 2 if quick else 3]:
            got = measure("overhead", files=files, experiments=size, rounds=20 if quick else 60)
            name = f"overhead per experiment, {size:,} in the history, {files:,} files"
            found.append(_ms(name, got["ours"], got["floor"], "2.5 × floor"))
    return found


def openings(quick: bool) -> list[Figure]:
    found = []
    for size, budget in ((1_000, "200 ms"), (10_000, "500 ms"))[: 1 if quick else 2]:
        got = measure("open", experiments=size)
        found.append(_ms(f"open and recover, {size:,} experiments", got["ours"], got["floor"], budget))
    return found


def memory(quick: bool) -> list[Figure]:
    size = SIZES[1 if quick else 2]
    got = measure("memory", experiments=size)
    return [_mb(f"engine's memory, {size:,} experiments", got["ours"], got["floor"], "60 MB")]


def screen(quick: bool) -> list[Figure]:
    size = SIZES[1 if quick else 2]
    got = measure("screen", experiments=size)
    load = "100,000 log lines a minute"
    return [
        _ms(f"first frame, {size:,} experiments", got["frame"], got["frame_floor"], "700 ms"),
        _ms(f"… with the experiments in it, {size:,}", got["filled"], got["frame_floor"], ""),
        Figure(f"idle screen, 120x40, {size:,} experiments", f"{got['idle']:.0f} B/s", "0 B/s", "", "1 kB/s"),
        Figure("… with the machine's meters, 160x50", f"{got['idle_meters']:.0f} B/s", "0 B/s", "", "1 kB/s"),
        Figure(f"busy screen, 120x40, {load}", f"{got['busy'] / 1000:.1f} kB/s", "0 B/s", "", "35 kB/s"),
        Figure(f"key to paint, {load}", f"{got['key'] * 1000:.0f} ms", "", "", "50 ms"),
        Figure("… the longest of 120", f"{got['key_worst'] * 1000:.0f} ms", "", "", "100 ms"),
        _mb(
            f"viewer's memory, {size:,} experiments, 1,000,000 log lines",
            got["busy_memory"],
            got["memory_floor"],
            "150 MB",
        ),
    ]


def night(quick: bool) -> list[Figure]:
    count = 1_000 if quick else 4_000
    got = measure("night", experiments=1_000, arriving=count)
    grown = f"{(got['late'] - got['early']) * 1000 / got['between']:.1f} MB"
    return [Figure(f"viewer's growth per 1,000 experiments, {count:,} arriving", grown, "", "", "flat")]


def commands(quick: bool) -> list[Figure]:
    got = measure("commands", experiments=SIZES[1 if quick else 2])
    return [
        _ms("autoresearch --version", got["version"], got["python"], ""),
        _ms("autoresearch status", got["status"], got["python"], ""),
        _ms("search, index fresh", got["search"], got["python"], ""),
        _ms("search, index built anew", got["build"], got["python"], ""),
    ]


def slots(quick: bool) -> list[Figure]:
    got = measure("slot", run_s=2.0, think_s=0.4, rounds=4 if quick else 12)
    name = "slot busy, 2 s measurements, 0.4 s of thinking"
    return [
        Figure(f"{name}, prepared ahead", f"{got['ahead_1']:.1%}", "100%", "", "98%"),
        Figure(f"{name}, not ahead", f"{got['ahead_0']:.1%}", "100%", "", "at most 84%"),
    ]


PARTS: dict[str, Callable[[bool], list[Figure]]] = {
    "overhead": overheads, "open": openings, "memory": memory, "screen": screen, "night": night, "commands": commands,
    "slot": slots,
}  # fmt: skip


def _ms(name: str, ours: float, floor: float, budget: str) -> Figure:
    return Figure(name, f"{ours * 1000:.1f} ms", f"{floor * 1000:.1f} ms", f"{ours / floor:.2f}", budget)


def _mb(name: str, ours: float, floor: float, budget: str) -> Figure:
    return Figure(name, f"{ours:.0f} MB", f"{floor:.0f} MB", f"{ours / floor:.2f}", budget)


def machine() -> str:
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    git = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    return f"{os.cpu_count()} cores ({model}), {system}, Python {platform.python_version()}, git {git}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "parts", nargs="*", choices=[[], *PARTS], default=[], help="which figures; all of them if none is named"
    )
    parser.add_argument("--quick", action="store_true", help="small histories and few rounds")
    args = parser.parse_args()
    print(f"{date.today().isoformat()} · {machine()}\n", flush=True)
    print("| figure | ours | floor | ratio | budget |\n|---|---|---|---|---|", flush=True)
    for name in args.parts or PARTS:
        for figure in PARTS[name](args.quick):
            print(f"| {figure.name} | {figure.ours} | {figure.floor} | {figure.ratio} | {figure.budget} |", flush=True)


if __name__ == "__main__":
    main()
