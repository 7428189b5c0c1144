"""The long figures of the verdict on simulated machines, beside those that a reference in another program gave.

`python tests/bench/nights.py` prints a table in some minutes. `tests/engine/verdict/test_nights.py` has the short
ones.
"""

from __future__ import annotations

import random
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from worlds import NOISES, World, night, tried

DEAR = (4.29, 5.13, 4.54, 4.44, 4.75, 4.58, 4.24, 5.18, 3.31, 5.06, 5.77)
"""True gain in sd of 400 nights of runs of 300 s, by noise."""
NIGHTS = [
    *((noise, 300.0, 400, gain, 0.6) for noise, gain in zip(NOISES, DEAR, strict=True)),
    ("gaussian", 60.0, 60, 22.6, 3.3), ("skewed", 60.0, 60, 26.5, 3.3), ("strong drift", 60.0, 60, 28.6, 3.3),
    ("gaussian", 5.0, 12, 34.4, 4.0), ("ar1", 5.0, 12, 45.6, 4.0), ("gaussian", 0.2, 5, 56.0, 6.0),
]  # fmt: skip


def main() -> int:
    failed = 0
    print(f"{'a run takes':12s} {'noise':13s} {'gain':>6s} {'reference':>9s} {'claimed':>8s} {'false':>6s}")
    for noise, run_s, count, reference, off in NIGHTS:
        played = [
            night(World(noise, f"night {k}", run_s, 60.0), random.Random(f"ideas {k}"), 60.0) for k in range(count)
        ]
        gain = statistics.fmean(one.gain for one in played)
        claimed = sum(one.claimed for one in played) / max(1e-9, sum(one.gain for one in played))
        false = statistics.fmean(one.false for one in played)
        good = abs(gain - reference) <= off and false <= 0.6
        failed += not good
        mark = "" if good else "  FAILS"
        print(f"{run_s:10g} s {noise:13s} {gain:6.2f} {reference:9.2f} {claimed:8.2f} {false:6.3f}{mark}", flush=True)
    for noise in NOISES:
        kept = 100 * tried(noise, 0.0, 800, 60.0, most_runs=120)[0] / 800
        print(f"ideas that do nothing, cheap runs, {noise}: {kept:.2f}% kept", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
