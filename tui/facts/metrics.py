"""What was recorded besides the primary metric: which metrics there are, and one metric's value of each experiment.

The read model holds the primary metric alone, so another one is read from the journal's lines when it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import orjson

from autoresearch.state.journal import History, Row
from autoresearch.state.text import numbers


def names_of(history: History) -> list[str]:
    """The metrics that can be shown, the primary one first, constraints next."""
    header = history.header
    if header is None:
        return []
    found = dict.fromkeys([header.metric_name, *header.constraints])
    found |= dict.fromkeys(sorted(history.baseline_metrics))
    found |= dict.fromkeys(sorted(history.incumbent.metrics if history.incumbent else {}))
    return list(found)


def values_of(journal: Path, rows: Iterable[Row], name: str) -> dict[int, float]:
    """A metric's recorded values by experiment number; experiments without one are left out.

    10,000 experiments take about a tenth of a second, so it is called in a thread.
    """
    values: dict[int, float] = {}
    with journal.open("rb") as file:
        for row in rows:
            file.seek(row.line_at)
            try:
                value = (orjson.loads(file.readline()).get("metrics") or {}).get(name)
            except (orjson.JSONDecodeError, AttributeError):
                continue  # the journal was replaced meanwhile: the feed says so and reads it again
            if (known := numbers.finite(value)) is not None:
                values[row.number] = float(known)
    return values
