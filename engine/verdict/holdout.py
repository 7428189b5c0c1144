"""When the held-out command runs: for people, a check that what was gained is more than a fit to the metric.

It is measured like a sample (arm `holdout`), on the evaluate tree where there is one, else in a clean measure tree, and
enters no verdict. Nothing of it is shown to an agent: not its values, its logs (which lie apart from the runs), or its
command.
"""

from __future__ import annotations

from pathlib import Path

from autoresearch.state.config import Holdout, is_empty
from autoresearch.state.journal import History, Row, records

HOLDOUT_TRIES = 2
"""Runs without a value after which a commit's holdout is given up."""
_LOGS = "holdout"


def holdout_due(history: History, settings: Holdout, *, ending: bool) -> list[Row]:
    """The baseline and the incumbent, as far as their holdout has no value yet; what a kill left is found again."""
    if is_empty(settings.run) or (settings.when == "end" and not ending):
        return []
    incumbent = history.by_number.get(history.incumbent.number) if history.incumbent is not None else None
    rows = {row.number: row for row in (history.baseline, incumbent) if row is not None}
    tried = {row.number: history.held_out.get(row.sha, []) for row in rows.values()}
    return [row for row in rows.values() if not any(tried[row.number]) and len(tried[row.number]) < HOLDOUT_TRIES]


def holdout_follows(line: records.Pause | records.Stop, code: int) -> bool:
    """Whether the end of the session is one after which the holdout is measured: a limit, the goal, no more proposals.

    What a person asked for happens at once, what is broken would break it too, and a full disk has no room for it.
    """
    engine = isinstance(line, records.Pause) and line.by == "engine"
    return engine and code in (0, 3) and not (isinstance(line, records.Pause) and line.limit == "disk")


def holdout_folder(session: Path, number: int) -> Path:
    """Where its logs go: apart from the run's folder, which agents are shown."""
    return session / _LOGS / f"{number:05d}"
