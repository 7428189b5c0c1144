"""Where to look for a literal's value: a scale between two ends, or a list of values.

A space maps values to [0, 1] and back, so that the optimiser works on plain numbers whatever the scale, and rounds to
values a person would have written. The ends come from the author's comment, else from the value itself:

    scale       for                                            ends without a comment
    log         numbers > 0 (mirrored for those < 0)           a tenth to ten times the value
    one_minus   0.9 ≤ value < 1, fractions from 0.8, ranges    1 − value: a tenth to ten times, within 0.0001 … 0.5
    linear      fractions from 0.05; zero                      0 … twice the value, 0.5 … 0.95; 0 … 0.5 (whole: 0 … 4)
    log1p       a range from 0 to 64 or more                   -
    list        booleans, `one of:`, powers of two from 16     an eighth to eight times, by powers of two
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from autoresearch.engine.agents.tuner import names as naming
from autoresearch.engine.agents.tuner.literals import Knob, Scalar

Scale = Literal["linear", "log", "log1p", "one_minus", "list"]
_NICE = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)
_GRID = 9


@dataclass(frozen=True, slots=True)
class Space:
    value: Scalar
    """The present value."""
    scale: Scale
    low: float = 0.0
    high: float = 1.0
    options: tuple[Scalar, ...] = ()
    multiple: int = 1
    """Whole numbers are rounded to multiples of this."""

    @property
    def whole(self) -> bool:
        return isinstance(self.value, int)

    def encode(self, value: Scalar) -> float:
        """The place of a value in [0, 1]; one outside the ends or not on the list is put at the nearest there is."""
        assert not isinstance(value, str)
        if self.scale == "list":
            nearest = min(range(len(self.options)), key=lambda place: abs(float(self.options[place]) - value))
            return nearest / (len(self.options) - 1)
        start, end = self._at(self.low), self._at(self.high)
        return (self._at(min(max(value, self.low), self.high)) - start) / (end - start)

    def decode(self, place: float) -> Scalar:
        """The value at a place in [0, 1], rounded to what a person would write."""
        if self.scale == "list":
            return self.options[min(len(self.options) - 1, max(0, round(place * (len(self.options) - 1))))]
        start, end = self._at(self.low), self._at(self.high)
        return self._rounded(self._back(start + place * (end - start)), digits=3)

    def steps(self) -> dict[str, Scalar]:
        """The first values to try, by direction: one bold step each way, or each other value of an unordered list."""
        if self.scale == "list":
            if not self.ordered:
                return {str(option): option for option in self.options if option != self.value}
            at = self.options.index(self.value)
            ends = {"higher": at + 1, "lower": at - 1}
            return {way: self.options[place] for way, place in ends.items() if 0 <= place < len(self.options)}
        stepped = (value for value in (self._step(1), self._step(-1)) if value != self.value)
        return {way_of(self.value, value): value for value in stepped}

    def grid(self) -> Iterator[Scalar]:
        """A few values over the whole space."""
        if self.scale == "list":
            yield from self.options
        else:
            yield from dict.fromkeys(self.decode(index / (_GRID - 1)) for index in range(_GRID))

    @property
    def ordered(self) -> bool:
        """Whether neighbours in the space are alike."""
        return not isinstance(self.value, (bool, str))

    def _step(self, sign: int) -> Scalar:
        """A third of the space at most; on the logarithmic scales a factor of three (two for whole numbers)."""
        assert not isinstance(self.value, str)
        start, end = self._at(self.low), self._at(self.high)
        third = abs(end - start) / 3
        factor = math.log(2.0 if self.whole else 3.0)
        size = third if self.scale in ("linear", "log1p") else min(third, factor)
        present = self._at(min(max(self.value, self.low), self.high))
        place = present + sign * math.copysign(size, end - start)
        place = min(max(place, min(start, end)), max(start, end))
        value = self._rounded(self._back(place), digits=1 if size == factor else 2)
        if self.whole and value == self.value:
            value = int(self.value) + sign * self.multiple
        return value if self.low <= float(value) <= self.high else self.value

    def _at(self, value: float) -> float:
        if self.scale == "log":
            return math.log(abs(value))
        if self.scale == "log1p":
            return math.log1p(value)
        return -math.log(1.0 - value) if self.scale == "one_minus" else float(value)

    def _back(self, place: float) -> float:
        if self.scale == "log":
            return math.copysign(math.exp(place), self.low)
        if self.scale == "log1p":
            return math.expm1(place)
        return 1.0 - math.exp(-place) if self.scale == "one_minus" else place

    def _rounded(self, value: float, digits: int) -> int | float:
        if self.whole:
            size = max(1, 10 ** (math.floor(math.log10(max(1.0, abs(value)))) - 1)) if self.multiple == 1 else 1
            unit = max(self.multiple, size)
            number = round(value / unit) * unit
            return min(max(number, math.ceil(self.low)), math.floor(self.high))
        if self.scale == "one_minus":
            return min(max(round(1.0 - _nice(1.0 - value, digits), 4), self.low), self.high)
        if self.scale == "linear":
            unit = 10.0 ** (math.floor(math.log10(self.high - self.low)) - (1 if digits < 3 else 2))
            return min(max(_short(round(value / unit) * unit), self.low), self.high)
        return min(max(_nice(value, digits), self.low), self.high)


def way_of(old: Scalar, new: Scalar) -> str:
    """The direction of a change: `higher`, `lower`, or the new value itself where there is no order."""
    if isinstance(old, (bool, str)) or isinstance(new, (bool, str)):
        return str(new)
    return "higher" if new > old else "lower"


def space_of(knob: Knob) -> Space | None:
    """Where to look for this knob's value; None when there is only one."""
    value = knob.value
    assert not isinstance(value, tuple)
    if knob.choices:
        ordered = not isinstance(value, (bool, str))
        options = sorted(knob.choices, key=float) if ordered else knob.choices
        return Space(value, "list", options=tuple(options))
    if isinstance(value, bool):
        return Space(value, "list", options=(False, True))
    assert not isinstance(value, str)
    if knob.low is not None and knob.high is not None:
        return _within(value, knob.low, knob.high)
    return _whole(value) if isinstance(value, int) else _around(value, naming.words_of(knob.name.partition("[")[0]))


def _within(value: int | float, low: float, high: float) -> Space | None:
    if isinstance(value, int):
        low, high = math.ceil(low), math.floor(high)
        if low >= high:
            return None
    if isinstance(value, float) and low >= 0.5 and high < 1:
        return Space(value, "one_minus", low, high)
    if low > 0 and high / low >= 4:
        return Space(value, "log", low, high)
    if low == 0 and high >= 64:
        return Space(value, "log1p", low, high)
    return Space(value, "linear", low, high)


def _whole(value: int) -> Space:
    if value >= 16 and value & (value - 1) == 0:
        exponent = value.bit_length() - 1
        return Space(value, "list", options=tuple(2**power for power in range(exponent - 3, exponent + 4)))
    if value == 0:
        return Space(value, "linear", 0, 4)
    if value < 0:
        return Space(value, "linear", 4 * value, -1)
    grain = min(64, value & -value) if value >= 64 else 1
    grain = grain if grain >= 16 else 1
    return Space(value, "log", max(1, grain * round(value / 8 / grain)), 8 * value, multiple=grain)


def _around(value: float, words: list[str]) -> Space:
    fraction = not naming.FRACTIONS.isdisjoint(words)
    scale = not naming.SCALES.isdisjoint(words)
    if value == 0:
        return Space(value, "linear", 0.0, 0.5)
    if 0 < value < 1 and (fraction or (value >= 0.9 and not scale)):
        if value >= 0.8:
            rest = 1.0 - value
            return Space(value, "one_minus", 1.0 - min(0.5, max(10 * rest, 0.01)), 1.0 - max(1e-4, rest / 10))
        if value >= 0.05:
            return Space(value, "linear", 0.0, min(0.95, max(0.5, 2 * value)))
        return Space(value, "log", _short(value / 10), min(0.9, _short(value * 10)))
    low, high = sorted((_short(value / 10), _short(value * 10)))
    return Space(value, "log", low, high)


def _nice(value: float, digits: int) -> float:
    """To 1 digit: the nearest of 1, 1.5, 2, 3, 5, 7 times a power of ten; otherwise to that many digits."""
    if value == 0:
        return 0.0
    exponent = math.floor(math.log10(abs(value)))
    if digits > 1:
        return float(f"{value:.{digits - 1}e}")
    head = abs(value) / 10.0**exponent
    nearest = min(_NICE, key=lambda nice: abs(math.log(nice / head)))
    return math.copysign(float(f"{nearest * 10.0**exponent:.1e}"), value)


def _short(value: float) -> float:
    return float(f"{value:.3e}")
