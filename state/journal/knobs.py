"""What a proposal's `params` say of knobs, however they were written, and what people call the knobs. Pure.

The tuner writes old value and new, `{"train.py:LR": {"from": 3e-4, "to": 1e-3}}`; older journals the new value alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

REPLAYED = "replay"
"""In `params`, which prepared change a proposal is: no knob."""


def knob_values(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """The value that each knob was set to."""
    return {name: _new(value) for name, value in (params or {}).items() if name != REPLAYED}


def _new(value: Any) -> Any:
    return value["to"] if isinstance(value, dict) and value.keys() == {"from", "to"} else value


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Each name without its file, `LR` for `train.py:LR`; whole where two files have a knob of that name."""
    short = {name: name.rpartition(":")[2] or name for name in names}
    known = Counter(short.values())
    return {name: each if known[each] == 1 else name for name, each in short.items()}
