"""A constraint on another metric as `[constraints]` has it: `20000`, `"1.2x"`, `"<= 30"`, `">= 30"`, `">= 0.9x"`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from autoresearch.state.config.validate import MAX_NUMBER

_TEXT = re.compile(r"\s*(<=|>=)?\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(x?)\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Bound:
    """The metric's mean must be at most (`upper`) or at least `value`."""

    upper: bool
    value: float
    of_baseline: bool
    """`value` is a factor of the baseline's mean."""

    def limit(self, baseline: float) -> float:
        """A fifth more than -5 is -4: the factor's distance from 1 counts, so that the baseline itself always holds."""
        if not self.of_baseline:
            return self.value
        return baseline + (self.value - 1) * abs(baseline)

    def holds(self, mean: float, baseline: float) -> bool:
        return mean <= self.limit(baseline) if self.upper else mean >= self.limit(baseline)


def bound(text: float | str) -> Bound:
    """The parsed constraint; a number without a sign is an upper limit. Raises ValueError."""
    if not isinstance(text, str):
        return Bound(True, float(text), False)
    if not (match := _TEXT.fullmatch(text)) or abs(value := float(match[2])) > MAX_NUMBER:
        raise ValueError(f"not a constraint: {text}")
    if match[3] and value <= 0:
        raise ValueError(f"not a factor above 0: {text}")
    return Bound(match[1] != ">=", value, bool(match[3]))
