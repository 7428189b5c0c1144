"""The columns of the experiments' table: which of them fit, what stands in them, by what they sort. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.style import Style

from autoresearch.state.journal import History, Open, Row
from autoresearch.state.session import Live
from autoresearch.state.text import numbers, safe_line
from autoresearch.tui.facts import documents
from autoresearch.tui.facts.text import SIGNS
from autoresearch.tui.look.palette import Palette

_ORDER = {status: at for at, status in enumerate(("keep", "checks_failed", "discard", "crash"))}
ROOMY = 90
"""Columns from which the interval stands beside the estimate."""

_ENOUGH = 24
"""So wide the description stays while the metric's name gets room."""
_LONGEST_NAME = 24

Cells = dict[str, tuple[str, Style]]


@dataclass(frozen=True, slots=True)
class Column:
    key: str
    title: str
    size: int
    right: bool = True


Key = Callable[[Row], Any]
SORTS: dict[str, Key] = {
    "#": lambda row: row.number,
    "status": lambda row: (_ORDER[row.status], row.cause),
    "metric": lambda row: row.metric,
    "better by": lambda row: row.estimate,
    "odds": lambda row: row.log_evidence,
    "runs": lambda row: row.runs,
    "time": lambda row: row.duration_s,
    "cost": lambda row: row.cost_usd,
    "kind": lambda row: row.category,
}


def columns_of(history: History, width: int) -> list[Column]:
    """Fixed widths; what does not fit is left out, the metric's name gets room, the description takes the rest."""
    metric = (history.header.metric_name if history.header else "metric") + "*" * bool(history.score_mark)
    last = history.rows[-1].number if history.rows else 0
    columns = [
        Column("#", "#", max(4, len(str(last + 1)))),
        Column("status", "status", 9, right=False),
        Column("metric", safe_line(metric), _metric_width(history)),
    ]
    optional = [
        (60, Column("better by", "better by", 17 if width >= ROOMY else 9)),
        (84, Column("odds", "odds", 9)),
        (76, Column("runs", "runs", 4)),
        (100, Column("time", "time", 6)),
    ]
    if history.cost_usd:
        optional.append((130, Column("cost", "cost", 6)))
    optional.append((150, Column("kind", "category", 14, right=False)))
    columns += [column for least, column in optional if width >= least]
    rest = width - sum(column.size + 2 for column in columns) - 1
    value = columns[2]
    named = min(cell_len(value.title) + 1, _LONGEST_NAME)  # with the sign of sorting
    wider = max(0, min(named - value.size, rest - _ENOUGH))
    columns[2] = replace(value, size=value.size + wider)
    return [*columns, Column("what", "what", max(8, rest - wider), right=False)]


def _metric_width(history: History) -> int:
    """As wide as the values of the baseline and the best, so that it changes with them alone."""
    step = history.spread.sd
    values = [history.baseline.metric if history.baseline else None]
    values.append(history.incumbent.metric if history.incumbent else None)
    return min(max(9, *(len(numbers.metric(value, step)) for value in values)), 14)


def ordered(rows: list[Row], key: str, backwards: bool) -> list[Row]:
    """Sorted; rows without a value come last either way, and the newer of two equals first."""
    if key == "#":
        return rows if backwards else rows[::-1]
    value = SORTS[key]
    known = [row for row in rows if value(row) is not None]
    unknown = [row for row in rows if value(row) is None]
    return [*sorted(known, key=value, reverse=backwards), *unknown]


def better_first(key: str, direction: str) -> bool:
    """Whether a column is sorted backwards when it is first chosen: what people look for stands at the top."""
    return key in ("#", "better by", "odds", "runs", "time", "cost") or (key == "metric" and direction == "higher")


def row_cells(row: Row, history: History, palette: Palette, roomy: bool, chain: list[int]) -> Cells:
    """`chain` holds what the row mends, nearest first; it stands for all of them."""
    style = palette.status(row.status, row.cause)
    quiet = palette.text if row.status == "keep" else palette.quiet
    what = safe_line(row.description) or row.cause
    if row.status != "keep" and row.cause and row.cause != "worse":
        what = f"{row.cause.replace('_', ' ')}: {what}"
    if chain:
        what = f"↳ {', '.join(f'#{number}' for number in chain)} {what}"
    if row.segment != history.segment:
        quiet = style = palette.faint
    better = ""
    if row.estimate is not None and row.cause != "baseline":
        better = numbers.signed(row.estimate, row.interval)
        if roomy:
            better = f"{better} {numbers.plus_minus(row.interval)}".rstrip()
    # One number of digits for a segment's values: what its noise justifies, so that the column lines up.
    step = (history.spread.sd if row.segment == history.segment else None) or row.interval
    return {
        "#": (str(row.number), quiet),
        "status": (SIGNS[row.status], style),
        "metric": (numbers.metric(row.metric, step), palette.strong if row.status == "keep" else quiet),
        "better by": (better or ("baseline" if row.cause == "baseline" else "–"), quiet),
        "odds": (_odds(row.log_evidence), quiet),
        "runs": (str(row.runs), quiet),
        "time": (numbers.duration(row.duration_s), quiet),
        "cost": ("–" if row.cost_usd is None else f"${row.cost_usd:.2f}", quiet),
        "kind": (safe_line(row.category), quiet),
        "what": (what, palette.text if row.status in ("keep", "crash", "checks_failed") else palette.quiet),
    }


def open_cells(item: Open, history: History, live: Live | None, running: bool, palette: Palette) -> Cells:
    values = [s.metric for s in item.of("candidate") if s.metric is not None and s.cause is None]
    mean = sum(values) / len(values) if values else None
    proposal = history.opened_proposal
    what = "the baseline" if item.proposal is None else safe_line(proposal.description) if proposal else ""
    if live is not None and live.experiment == item.number and live.description:
        what = safe_line(live.description)
    if proposal is not None:
        what = documents.mending_text(proposal.mends, what)
    return {
        "#": (str(item.number), palette.run),
        "status": (SIGNS["open"] if running else "OPEN >", palette.run),
        "metric": (numbers.metric(mean, history.spread.sd), palette.run),
        "runs": (str(len(item.of("candidate"))), palette.quiet),
        "kind": (safe_line(proposal.category) if proposal else "", palette.quiet),
        "what": (what, palette.text),
    }


def fitted(text: str, column: Column) -> str:
    """A cell's text in exactly the column's width; a number that is too long is written with an exponent."""
    size = column.size
    if cell_len(text) > size and column.key == "metric":
        text = _shortened(text, size)
    if cell_len(text) > size:
        return set_cell_size(text, size - 1) + "…"
    return set_cell_size(text.rjust(size) if column.right else text, size)


def _shortened(text: str, size: int) -> str:
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        return text
    return next((short for digits in range(6, 0, -1) if len(short := f"{value:.{digits}g}") <= size), text)


def _odds(log_evidence: float | None) -> str:
    """Odds as narrow as a column: "34:1", ">10,000:1"."""
    if log_evidence is None:
        return "–"
    return numbers.odds(log_evidence).replace(" to ", ":").replace("over ", ">")
