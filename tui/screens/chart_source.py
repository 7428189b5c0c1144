"""What the chart shows: the primary metric, another recorded one with its limit, or a live series."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import Any

from autoresearch.state.journal import History, Row
from autoresearch.state.session import Session
from autoresearch.state.text import safe_line
from autoresearch.tui.facts.rows import names_of, values_of
from autoresearch.tui.live.growing_files import Progress
from autoresearch.tui.widgets.plot import Points, points_of

AT_ONCE = 50
"""Lines of the journal that are read without a thread."""


class Charted:
    """`metric` is "" for the primary one; `series` is a live series, "" for none."""

    def __init__(self, session: Session, progress: Progress) -> None:
        self.session = session
        self.progress = progress
        self.history = History()
        self.metric = ""
        self.series = ""
        self._values: dict[int, float] = {}
        self._read = 0
        """Of how many experiments the values were read."""
        self._goal: tuple[str, float | None] = ("", None)

    def choices(self) -> list[tuple[str, str]]:
        """(metric, series) of all that can be shown."""
        metrics = names_of(self.history)
        return [("", ""), *((name, "") for name in metrics[1:]), *(("", name) for name in self.progress.names())]

    def turn(self, by: int) -> None:
        choices = self.choices()
        now = (self.metric, self.series)
        at = choices.index(now) if now in choices else 0
        self.metric, self.series = choices[(at + by) % len(choices)]
        self._values, self._read = {}, 0

    def forget(self, history: History) -> None:
        """Another journal was opened."""
        self.history = history
        self._values, self._read = {}, 0

    def wanting(self) -> list[Row]:
        """Experiments whose value of the chosen metric is not read yet."""
        return self.history.rows[self._read :] if self.metric else []

    def read(self, metric: str, rows: list[Row], end: int) -> tuple[str, dict[int, float], int]:
        """What `take` takes; many rows are for a thread."""
        return metric, values_of(self.session.journal, rows, metric), end

    def take(self, metric: str, values: dict[int, float], end: int) -> None:
        if metric == self.metric:
            self._values, self._read = {**self._values, **values}, end

    def points(self) -> Points:
        points = points_of(self.history, self.goal())
        if not self.metric:
            return points
        best, base = self.history.incumbent, self.history.baseline
        limit = self.history.header.constraints.get(self.metric) if self.history.header else None
        return replace(
            points,
            values=self._values,
            baseline=self._values.get(base.number) if base else None,
            best=self._values.get(best.number) if best else None,
            value=None,
            noise=None,
            goal=float(limit) if isinstance(limit, (int, float)) else None,
        )

    def goal(self) -> float | None:
        """The config's `metric.goal`; read again with each segment, since another config opens one."""
        stamp = self.history.header.config_sha if self.history.header else ""
        if self._goal[0] != stamp:
            self._goal = (stamp, _goal_in(self.session))
        return self._goal[1]

    def words(self) -> str:
        """The title."""
        header = self.history.header
        if header is None:
            return ""
        if self.series:
            return safe_line(f"{self.series}, live")
        if self.metric:
            limit = header.constraints.get(self.metric)
            return safe_line(f"{self.metric}" + (f", limit {limit}" if limit is not None else ""))
        unit = f" in {header.metric_unit}" if header.metric_unit else ""
        goal = self.goal()
        aim = f", goal {goal:g}" if goal is not None else ""
        aim += f", *{self.history.score_mark}" if self.history.score_mark else ""
        return safe_line(f"{header.metric_name}{unit}, {header.direction} is better{aim}")


def _goal_in(session: Session) -> float | None:
    try:
        table: dict[str, Any] = tomllib.loads(session.config.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError):
        return None
    goal = table.get("metric", {}).get("goal")
    return float(goal) if isinstance(goal, (int, float)) and not isinstance(goal, bool) else None
