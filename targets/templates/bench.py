"""Measures `minitpl`: the CPU time to parse the templates of a small site and to render its pages.

Prints `METRIC render_ms=…` (a fresh environment, then each page: parsing and rendering) and `METRIC parse_ms=…` (each
template parsed once). Both are the fastest of many repetitions, because whatever else the machine does can only
add time. Every page of every repetition is compared with one written without the engine; a difference ends the run
with exit code 1 and without a metric.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import sys
from pathlib import Path

# Bound before the engine is imported, so that it cannot replace them by patching the module.
from time import process_time_ns as cpu_ns

sys.path.insert(0, str(Path(__file__).resolve().parent))

import pages

import minitpl

_ROUNDS = 2


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=24)
    repetitions = parser.parse_args().repetitions
    rng = random.Random(int(os.environ.get("AUTORESEARCH_SEED", "0")))
    render_ns, parse_ns = [], []
    gc.collect()
    gc.disable()
    for _ in range(repetitions):
        build = f"{rng.randrange(16**12):012x}"
        sources = pages.sources(build)
        jobs = [job for _ in range(_ROUNDS) for job in pages.data(rng).items()]

        started = cpu_ns()
        site = minitpl.Environment(sources)
        rendered = [site.render(page, data) for page, data in jobs]
        render_ns.append(cpu_ns() - started)

        for (page, data), text in zip(jobs, rendered, strict=True):
            if difference := _difference(text, pages.expected(page, build, data)):
                print(f"wrong output of page '{page}': {difference}", file=sys.stderr)
                return 1

        other = pages.sources(f"{rng.randrange(16**12):012x}")
        started = cpu_ns()
        site = minitpl.Environment(other)
        for name in other:
            site.template(name)
        parse_ns.append(cpu_ns() - started)
    print(f"METRIC render_ms={min(render_ns) / 1e6:.4f}")
    print(f"METRIC parse_ms={min(parse_ns) / 1e6:.4f}")
    return 0


def _difference(got: str, wanted: str) -> str:
    if got == wanted:
        return ""
    at = next((i for i, (a, b) in enumerate(zip(got, wanted, strict=False)) if a != b), min(len(got), len(wanted)))
    return f"at character {at}, {got[at : at + 40]!r} instead of {wanted[at : at + 40]!r}"


if __name__ == "__main__":
    sys.exit(main())
