"""Measures `minitpl`: the CPU time to parse the templates of a small site and to render its pages.

A repetition makes a fresh environment, renders each page in a few rounds, and makes the same pages by hand in between,
without the engine (`pages.expected`). On a shared machine the same work takes up to 1.6 times as long from one second
to the next, and it takes the pages by hand along: so time is given in units of theirs. For both, each step counts
with its fastest repetition, as whatever else the machine does can only add. Standard deviations of repeated runs on two
cores: 0.6% when quiet and 1 to 4% when contended, where plain CPU times spread by 2 and by up to 20%.

    render_ms     milliseconds to parse and render all, on a machine that makes the pages by hand in REFERENCE_MS
    parse_ms      the same, to parse each template once
    reference_ms  what the pages by hand took here; a candidate that changes it is suspect

Every page of every repetition has to equal the one made by hand; a difference ends the run with exit code 1 and without
a metric.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import sys
from pathlib import Path

# Bound before the engine is imported, so that it cannot replace them by patching the module. The engine is charged
# for all its threads, the pages by hand for this one only.
from time import process_time_ns as process_ns
from time import thread_time_ns as thread_ns

sys.path.insert(0, str(Path(__file__).resolve().parent))

import minitpl
import pages

REFERENCE_MS = 0.8
ROUNDS = 3
PASSES = 3
"""of the pages by hand after each page, which are much faster; the mean counts"""


class Fastest:
    """The least time of each step over all repetitions."""

    def __init__(self) -> None:
        self._steps: dict[str, int] = {}

    def note(self, step: str, duration_ns: int) -> None:
        self._steps[step] = min(duration_ns, self._steps.get(step, duration_ns))

    def total_ms(self) -> float:
        return sum(self._steps.values()) / 1e6


class WrongOutputError(Exception):
    pass


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure minitpl.")
    parser.add_argument("--repetitions", type=int, default=20)
    repetitions = parser.parse_args().repetitions
    rng = random.Random(int(os.environ.get("AUTORESEARCH_SEED", "0")))
    render, parse, by_hand = Fastest(), Fastest(), Fastest()
    gc.collect()
    gc.disable()
    try:
        for _ in range(repetitions):
            measure_site(rng, render, by_hand)
            measure_parsing(rng, parse)
    except WrongOutputError as error:
        print(error, file=sys.stderr)
        return 1
    reference_ms = by_hand.total_ms() / PASSES
    print(f"METRIC render_ms={REFERENCE_MS * render.total_ms() / reference_ms:.4f}")
    print(f"METRIC parse_ms={REFERENCE_MS * parse.total_ms() / reference_ms:.4f}")
    print(f"METRIC reference_ms={reference_ms:.4f}")
    return 0


def measure_site(rng: random.Random, render: Fastest, by_hand: Fastest) -> None:
    build = f"{rng.randrange(16**12):012x}"
    sources = pages.sources(build)
    started = process_ns()
    site = minitpl.Environment(sources)
    render.note("environment", process_ns() - started)
    for round_ in range(ROUNDS):
        for page, data in pages.data(rng).items():
            started = process_ns()
            rendered = site.render(page, data)
            render.note(f"{page} {round_}", process_ns() - started)

            started = thread_ns()
            for _ in range(PASSES):
                expected = pages.expected(page, build, data)
            by_hand.note(f"{page} {round_}", thread_ns() - started)
            if rendered != expected:
                raise WrongOutputError(f"wrong output of page '{page}': {_difference(rendered, expected)}")


def measure_parsing(rng: random.Random, parse: Fastest) -> None:
    sources = pages.sources(f"{rng.randrange(16**12):012x}")
    site = minitpl.Environment(sources)
    for name in sources:
        started = process_ns()
        site.template(name)
        parse.note(name, process_ns() - started)


def _difference(got: str, wanted: str) -> str:
    at = next((i for i, (a, b) in enumerate(zip(got, wanted, strict=False)) if a != b), min(len(got), len(wanted)))
    return f"at character {at}, {got[at : at + 40]!r} instead of {wanted[at : at + 40]!r}"


if __name__ == "__main__":
    sys.exit(main())
