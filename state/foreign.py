"""Other programs' histories -> records, and back: pi-autoresearch's journal and the five-column results.tsv.

Pure: text in, records out. A line that cannot be taken is named with its number and never hides the ones after it.
What was imported is history to read: it stands in segments of its own, so that no verdict ever compares with it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import orjson

from autoresearch.state.journal import records
from autoresearch.state.text import numbers

Direction = Literal["lower", "higher"]

RESULTS_COLUMNS = ("commit", "val_bpb", "memory_gb", "status", "description")
_CHECKS_FAILED = "[checks failed]"
"""How a failed guard is told in a format that knows keep, discard and crash alone."""
_HEX = re.compile(r"[0-9a-f]{6,64}", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_MB_PER_GB = 1024


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit that an imported line names and that this repository has."""

    sha: str
    parent: str = ""
    timestamp: int = 0
    """Commit time, ms."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Experiments whose numbers compare, each a journal line as a JSON object."""

    metric: str
    unit: str = ""
    direction: Direction | None = None
    """None: the file does not say."""
    name: str = ""
    lines: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file holds. `problems` are sentences about what was not taken as it stood."""

    segments: tuple[Segment, ...]
    problems: tuple[str, ...] = ()
    config: Segment = Segment("")
    """What the last config line of a journal says; its metric is "" where none names one."""

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [line for segment in self.segments for line in segment.lines]

    def commits(self) -> list[str]:
        """The commits that are told by exactly one line, or kept by it: what `with_commits` wants to know.

        Loops that undo a discard often write down the commit they fell back to, so a discard that shares its commit
        with another line does not belong to it.
        """
        told = self._told()
        return list(dict.fromkeys(line["commit"] for line in self.lines if _owns_commit(line, told)))

    def _told(self) -> Counter[str]:
        told = Counter(line["commit"] for line in self.lines)
        for line in self.lines:
            if line["status"] == "keep":
                told[line["commit"]] = -1  # the first keep of a commit owns it
        return told

    def with_commits(self, known: Mapping[str, Commit]) -> Imported:
        """The same with full commit names where the repository has them, and times where the file had none."""
        told = self._told()
        taken: set[str] = set()
        last = 0
        segments = []
        for segment in self.segments:
            lines = []
            for line in segment.lines:
                short = line["commit"]
                commit = known.get(short) if _owns_commit(line, told) and short not in taken else None
                extra: dict[str, Any] = {}
                if commit is not None:
                    taken.add(short)
                    extra = {"sha": commit.sha, "parent": commit.parent}
                if not line.get("timestamp"):
                    extra["timestamp"] = (commit.timestamp if commit else 0) or last
                lines.append({**line, **extra})
                last = max(last, int(lines[-1].get("timestamp") or 0))
            segments.append(replace(segment, lines=tuple(lines)))
        return replace(self, segments=tuple(segments))


def _owns_commit(line: Mapping[str, Any], told: Mapping[str, int]) -> bool:
    if not _HEX.fullmatch(line["commit"]):
        return False
    return line["status"] == "keep" if told[line["commit"]] < 0 else told[line["commit"]] == 1


def read(text: str) -> Imported:
    """The history in a file, by what it looks like. Raises ValueError with a sentence when it is neither format."""
    text = text.removeprefix("\ufeff")
    return read_journal(text) if text.lstrip()[:1] in ("{", "[") else read_results(text)


def to_records(imported: Imported, first: records.Header, source: str) -> list[records.Record]:
    """The lines after `first` of a session that holds this history, beginning with a pause.

    `first` (see `first_header`) opens the first segment. The pause comes before the experiments because the time
    between their stamps is not time that our engine ran.
    """
    count = len(imported.lines)
    reason = f"imported {count} experiment{'' if count == 1 else 's'} from {source}"
    lines: list[records.Record] = [records.Pause(reason=reason, by="import", timestamp=first.timestamp)]
    began = first.timestamp
    for number, segment in enumerate(imported.segments):
        if number:
            began = int(segment.lines[0].get("timestamp") or began)
            lines.append(replace(_header(segment, first, f"imported from {source}"), timestamp=began))
        lines += [records.Other(data={**line, "timestamp": line.get("timestamp") or began}) for line in segment.lines]
    return lines


def first_header(imported: Imported, base: records.Header, source: str) -> records.Header:
    """The header of the first imported segment. `base` is the session's own; what measured this is not known."""
    stamps = [int(line.get("timestamp") or 0) for line in imported.lines]
    began = min((stamp for stamp in stamps if stamp > 0), default=base.timestamp or records.now_ms())
    return replace(_header(imported.segments[0], base, f"imported from {source}"), timestamp=began)


def _header(segment: Segment, base: records.Header, reason: str) -> records.Header:
    return replace(
        base,
        name=segment.name or base.name,
        metric_name=segment.metric,
        metric_unit=segment.unit or (base.metric_unit if segment.metric == base.metric_name else ""),
        direction=segment.direction or base.direction,
        config_sha="",
        evaluator_sha="",
        host="",
        accelerator="",
        protection="",
        verdict={},
        constraints={},
        reason=reason,
    )


# -- pi-autoresearch's journal (ours is one too)


def read_journal(text: str) -> Imported:
    """A pi-autoresearch log. Experiment lines stay as they are, apart from numbers that do not count from 1."""
    config = Segment("", direction="lower")
    segments: list[Segment] = []
    lines: list[dict[str, Any]] = []
    problems: list[str] = []
    renumbered = False

    def close() -> None:
        if lines:
            segments.append(replace(config, metric=config.metric or "metric", lines=tuple(lines)))
            lines.clear()

    count = 0
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            data = orjson.loads(line)
        except orjson.JSONDecodeError:
            problems.append(f"line {number}: not JSON, left out")
            continue
        if isinstance(data, dict) and data.get("type") == "config":
            close()
            config = Segment(  # names are sticky, the direction is not
                metric=_text(data.get("metricName")) or config.metric,
                unit=_text(data.get("metricUnit")) or config.unit,
                direction="higher" if data.get("bestDirection") == "higher" else "lower",
                name=_text(data.get("name")) or config.name,
            )
        elif isinstance(data, dict) and records.name_in(data) == "experiment":
            try:
                lines.append(_experiment(data, count + 1))
            except records.MalformedRecord as error:
                problems.append(f"line {number}: {error}, left out")
                continue
            count += 1
            renumbered = renumbered or data["run"] != count
        elif not isinstance(data, dict):
            problems.append(f"line {number}: not a JSON object, left out")
    close()
    if renumbered:
        problems.append("the experiments are numbered anew: their numbers did not count from 1 without gaps")
    return Imported(tuple(segments), tuple(problems), config)


def _experiment(data: dict[str, Any], number: int) -> dict[str, Any]:
    """The line, valid for our reader. Proposals and samples behind it are not imported, so it names none."""
    seen = records.from_json(data)
    assert isinstance(seen, records.Experiment)
    line = {**data, "run": number, "commit": seen.commit, "metric": seen.metric, "status": seen.status}
    odd = {key for key in records.COMMITS if not records.is_commit(str(line.get(key) or ""))}
    return {key: value for key, value in line.items() if key != "proposal" and key not in odd}


# -- results.tsv


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where a results.tsv keeps what, by position."""

    commit: int
    metric: int
    status: int
    description: int
    memory: int | None
    count: int
    others: dict[int, str] = field(default_factory=dict)
    name: str = ""


def read_results(text: str) -> Imported:
    """A results.tsv: `commit`, the metric, `memory_gb`, `status`, `description`; further number columns are metrics.

    Raises ValueError when there is no such header row.
    """
    rows = [line.rstrip("\r").split("\t") for line in text.split("\n")]
    columns = _columns(rows[0])
    lines: list[dict[str, Any]] = []
    problems: list[str] = []
    for number, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        try:
            lines.append(_result(columns, row, len(lines) + 1))
        except ValueError as error:
            problems.append(f"line {number}: {error}")
    segment = Segment(columns.name, lines=tuple(lines))
    return Imported((segment,) if lines else (), tuple(problems))


def results_metric(text: str) -> str:
    """The metric's name in the header row of a results.tsv; "" when it is none."""
    try:
        return _columns(text.removeprefix("\ufeff").split("\n", 1)[0].rstrip("\r").split("\t")).name
    except ValueError:
        return ""


def _columns(header: list[str]) -> _Columns:
    names = [cell.strip().lower() for cell in header]
    if not {"commit", "status", "description"} <= set(names) or len(names) < 4:
        raise ValueError(
            f"no header row with {', '.join(RESULTS_COLUMNS)} (val_bpb: your metric), separated by tabs, "
            "and no journal of JSON lines either"
        )
    known = {names.index(name): name for name in ("commit", "status", "description")}
    memory = names.index("memory_gb") if "memory_gb" in names else None
    left = [at for at in range(len(names)) if at not in known and at != memory and names[at]]
    if not left:
        raise ValueError("no column for the metric beside commit, memory_gb, status and description")
    return _Columns(
        commit=names.index("commit"),
        metric=left[0],
        status=names.index("status"),
        description=names.index("description"),
        memory=memory,
        count=len(names),
        others={at: header[at].strip() for at in left[1:]},
        name=re.sub(r"[\s=:]+", "_", header[left[0]].strip()),
    )


def _result(columns: _Columns, row: list[str], number: int) -> dict[str, Any]:
    if columns.description == columns.count - 1:
        # A tab inside a description made more cells of it.
        row = [*row[: columns.description], " ".join(row[columns.description :])]
    row = [cell.strip() for cell in row] + [""] * (columns.count - len(row))
    status = row[columns.status].lower()
    description = row[columns.description]
    if status not in records.STATUSES:
        raise ValueError(f"the status {row[columns.status]!r} is none of keep, discard and crash, left out")
    value = _number(row[columns.metric])
    unmeasured = status == "crash"
    if status in ("discard", "crash") and description.endswith(_CHECKS_FAILED):
        status, description = "checks_failed", description.removesuffix(_CHECKS_FAILED).rstrip()
    if value is None and status in ("keep", "discard"):
        raise ValueError(f"{status} without a number for {columns.name}, left out")
    metrics = {name: other for at, name in columns.others.items() if (other := _number(row[at])) is not None}
    memory = _number(row[columns.memory]) if columns.memory is not None else None
    if memory:
        metrics["peak_vram_mb"] = memory * _MB_PER_GB
    return {
        "run": number,
        "commit": row[columns.commit],
        "metric": 0.0 if value is None or unmeasured else value,
        "metrics": metrics,
        "status": status,
        **({"cause": "guard"} if unmeasured and status == "checks_failed" else {}),
        "description": description,
        "timestamp": 0,
        "segment": 0,
        "confidence": None,
    }


def render_results(metric: str, lines: Iterable[Mapping[str, Any]], vram_mb: Mapping[int, float] | None = None) -> str:
    """Experiment lines as a results.tsv: six decimals of the metric, one of the memory.

    What has no value is a crash with 0 there, a guard that failed before the first run too.
    `vram_mb` gives the measured GPU memory of experiments whose commands did not print `peak_vram_mb`.
    """
    rows = ["\t".join(("commit", metric, *RESULTS_COLUMNS[2:]))]
    for line in lines:
        status, description = line.get("status"), str(line.get("description") or "")
        value = records.value_of(line)
        memory = numbers.finite((line.get("metrics") or {}).get("peak_vram_mb")) or (vram_mb or {}).get(
            line["run"], 0.0
        )
        if status == "checks_failed":
            status, description = "crash" if value is None else "discard", f"{description} {_CHECKS_FAILED}"
        cells = (
            str(line.get("commit") or ""),
            f"{value or 0.0:.6f}",
            f"{memory / _MB_PER_GB:.1f}",
            str(status),
            description,
        )
        rows.append("\t".join(" ".join(cell.split()) for cell in cells))
    return "\n".join(rows) + "\n"


def _number(text: str) -> float | None:
    text = text.removesuffix("%")
    return numbers.finite(float(text)) if _NUMBER.fullmatch(text) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
