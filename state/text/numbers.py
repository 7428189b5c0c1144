"""How numbers read: metric values with the digits their noise justifies, uncertainties, durations, odds.

Sentences in the journal, log lines and screens use the same functions, so a value looks the same wherever it stands.
"""

from __future__ import annotations

import math
from typing import Any

MISSING = "–"
LARGEST = 1e150
"""Samples are cut to this size: a candidate that prints 1e308 must not overflow a square, here or at any later reading
of its line."""

_MAX_DECIMALS = 12
_HUGE = 1e15
_CAPPED_ODDS = 10_000


def finite(value: Any) -> float | None:
    """A number of somebody's JSON as it is; None for anything else: text, a truth value, an infinity."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        return None
    return value


def cut(value: float) -> float:
    return max(-LARGEST, min(LARGEST, value))


def metric(value: float | None, step: float | None = None) -> str:
    """`value` with two digits of `step` (its noise, or the half width of its interval): 0.9979 for a step of 0.0012.

    Without a step (None, 0, not finite) six significant digits, whole numbers whole. Never rounds a value that differs
    from 0 to zeros unless its step is larger than the value.
    """
    if value is None:
        return MISSING
    if not math.isfinite(value):
        return str(value)
    if not _usable(step):
        return _plain(value)
    assert step is not None
    decimals = 1 - _exponent(step)
    if abs(value) >= _HUGE or decimals > _MAX_DECIMALS:
        digits = _exponent(value) + decimals if value else 1
        return f"{value:.{min(max(digits, 1), 15)}e}"
    return _fixed(value, max(decimals, 0))


def plus_minus(half_width: float | None) -> str:
    """ "±0.0012"; empty where nothing is known about the noise, "±0" where there is none."""
    if half_width is None or not math.isfinite(half_width):
        return ""
    return f"±{metric(half_width, half_width)}" if half_width > 0 else "±0"


def signed(estimate: float | None, step: float | None = None) -> str:
    """ "+0.0041" or "−0.0041"; 0 has no sign."""
    text = metric(estimate, step)
    if estimate is None or not math.isfinite(estimate) or not any(digit in text for digit in "123456789"):
        return text
    return f"+{text}" if estimate > 0 else f"−{text.removeprefix('-')}"


def duration(seconds: float) -> str:
    """ "85ms", "4.2s", "42s", "3m05s", "2h05m", "3d04h". A negative time (a clock was set back) reads as none."""
    seconds = max(0.0, seconds)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms" if seconds >= 0.0005 else "0s"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    minutes = whole // 60
    if minutes < 48 * 60:
        return f"{minutes // 60}h{minutes % 60:02d}m"
    hours = minutes // 60
    return f"{hours // 24}d{hours % 24:02d}h"


def plural(count: int, one: str, many: str = "") -> str:
    """ "1 run", "1,204 runs"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def odds(log_evidence: float) -> str:
    """ "34 to 1" for, "1 to 5" against, from the natural logarithm of the odds; capped at 10,000 either way."""
    if log_evidence < 0:
        ratio = _ratio(-log_evidence)
        return "1 to 1" if ratio == "1" else f"1 to {ratio}"
    return f"{_ratio(log_evidence)} to 1"


def _ratio(log_evidence: float) -> str:
    if log_evidence > math.log(_CAPPED_ODDS):
        return f"over {_CAPPED_ODDS:,}"
    ratio = math.exp(log_evidence)
    if ratio < 9.95:
        return f"{ratio:.1f}".removesuffix(".0")
    if ratio < 99.5:
        return f"{ratio:.0f}"
    return f"{round(ratio, 1 - _exponent(ratio)):,.0f}"


def _usable(step: float | None) -> bool:
    return step is not None and math.isfinite(step) and step > 0


def _plain(value: float) -> str:
    if value == 0:
        return "0"
    if abs(value) >= _HUGE or abs(value) < 1e-6:
        return f"{value:.6g}"
    if value == int(value):
        return f"{int(value):,}"
    text = _fixed(value, max(0, 5 - _exponent(value)))
    return text.rstrip("0").rstrip(".") if "." in text else text


def _fixed(value: float, decimals: int) -> str:
    text = f"{value:,.{decimals}f}"
    return text if any(digit in text for digit in "123456789") else text.removeprefix("-")


def _exponent(value: float) -> int:
    """The decimal exponent of a value's first digit, after rounding it to two digits: 0.0996 counts as 0.10."""
    return int(f"{abs(value):.1e}".partition("e")[2])
