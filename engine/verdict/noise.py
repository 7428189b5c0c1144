"""What is known of a metric's noise: the spread of repeats within arms, pooled. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from autoresearch.state.journal import Spread


@dataclass(frozen=True, slots=True)
class Noise:
    """The spread of repeats within arms, pooled over a segment's arms.

    Arms are the baseline's runs, each candidate's race and the fresh runs after a keep. Incumbent re-runs are spread
    over hours and carry the drift of the machine; they are left out.
    """

    ss: float = 0.0
    """Sum over arms of the squared deviations from the arm's mean."""
    nu: int = 0
    """Degrees of freedom: samples minus arms."""
    identical: bool = True
    """No two samples of one commit have differed yet."""

    @classmethod
    def pool(cls, arms: Iterable[Sequence[float]]) -> Noise:
        spread = Spread()
        for arm in arms:
            spread.add(arm)
        return cls.of(spread)

    @classmethod
    def of(cls, spread: Spread) -> Noise:
        return cls(spread.ss, spread.nu, spread.identical)

    @property
    def sd(self) -> float:
        """The plain standard deviation; infinite where nothing is known."""
        sd = Spread(self.ss, self.nu, self.identical).sd
        return math.inf if sd is None else sd

    @property
    def s(self) -> float:
        """The standard deviation the rule works with, infinite where nu < 2.

        Its square is inflated by (nu + 1) / (nu - 1): an estimate from few repeats is often far too small, and a small
        s makes luck look like evidence.
        """
        return self.sd * math.sqrt((self.nu + 1) / (self.nu - 1)) if self.nu > 1 else math.inf

    @property
    def known(self) -> bool:
        return self.nu > 1 and math.isfinite(self.ss) and (self.ss > 0 or self.identical)


def mean(values: Sequence[float]) -> float:
    """The exact value where all agree, which a plain sum divided by its count need not give."""
    first = values[0]
    return first + math.fsum(value - first for value in values) / len(values)


def median(values: Sequence[float]) -> float:
    """As `statistics.median`, whose module takes 30 ms to import: who only reads a journal needs it not."""
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2


def low_median(values: Sequence[float]) -> float:
    """The lower of the two in the middle."""
    return sorted(values)[(len(values) - 1) // 2]


@lru_cache(maxsize=64)
def student_t(nu: int) -> float:
    """The 97.5% quantile of Student's t.

    Exact for 1 and 2 degrees of freedom; above, the Cornish-Fisher expansion around the normal quantile (Abramowitz and
    Stegun 26.7.5), off by at most 0.2% (at 3).
    """
    if nu < 3:
        return {1: 12.706204736, 2: 4.302652730}[nu]
    x = 1.959963984540054
    x3, x5, x7, x9 = x**3, x**5, x**7, x**9
    terms = (
        (x3 + x) / 4,
        (5 * x5 + 16 * x3 + 3 * x) / 96,
        (3 * x7 + 19 * x5 + 17 * x3 - 15 * x) / 384,
        (79 * x9 + 776 * x7 + 1482 * x5 - 1920 * x3 - 945 * x) / 92160,
    )
    return x + math.fsum(term / float(nu) ** power for power, term in enumerate(terms, 1))
