"""Metrics out of a run's log, or out of a JSON file it wrote.

Of lines that count (`formats`), marked ones may have any name, the others that of the primary metric, of a constraint
metric or of a summary line of Karpathy's train.py. Values are plain ASCII decimals. The last line that names the
primary metric decides; if it is not finite, or a marked line whose value is no number, the run has no value: an earlier
number is not what the run said in the end.

The log is read in chunks, and of a line only its beginning is kept: a log of any size needs little memory.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path
from typing import Any, Literal

import orjson

from autoresearch.engine import files
from autoresearch.engine.files import NotTaken, open_regular
from autoresearch.engine.measure.formats import LINES, MARKS, examples
from autoresearch.state import text
from autoresearch.state.text.numbers import LARGEST

SUMMARY_NAMES = (
    "val_bpb",
    "training_seconds",
    "total_seconds",
    "peak_vram_mb",
    "mfu_percent",
    "total_tokens_M",
    "num_steps",
    "num_params_M",
    "depth",
)
LINE_BYTES = 4096
"""A longer line is no metric line."""
FILE_BYTES = 1 << 20
"""A larger metrics file is refused."""
MOST = 200
"""So many metrics besides the asked ones are recorded: a run that prints a million would fill the journal."""
NAME_CHARS = 100
_CHUNK = 1 << 20

_DECIMAL = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
# nan, inf and infinity as Python, C, Java, JavaScript and old Windows runtimes print them.
_NOT_FINITE = re.compile(
    rb"[+-]?(?:nan(?:\([a-z0-9_]*\))?|inf(?:inity)?|1\.#(?:inf|ind|qnan|snan)[0-9]*)", re.IGNORECASE
)
_ESCAPE = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]")


@dataclass(frozen=True, slots=True)
class Reading:
    """What a run reported. `metric` is None exactly when there is a `cause`."""

    metric: float | None
    metrics: dict[str, float] = field(default_factory=dict)
    """All finite values but the primary's, each as last reported."""
    cause: Literal["no_metric", "not_finite"] | None = None
    detail: str = ""


def read_metrics(path: Path, start: int, end: int, *, primary: str, others: Collection[str] = ()) -> Reading:
    """The metrics in the bytes [start, end) of a log. `others` are constraint metrics: one missing is `no_metric`."""
    named = {primary.encode(), *(name.encode() for name in (*others, *SUMMARY_NAMES))}
    values: dict[str, float | str] = {}
    try:
        for line in _lines(path, start, end, (*(mark.encode() for mark in MARKS), *named)):
            found = _parse(line, named)
            if found is not None and _has_room(found[0], values, primary, others):
                values[found[0]] = found[1]
    except NotTaken as error:
        return Reading(None, cause="no_metric", detail=f"the log {error}: the run removed or replaced it")
    return _judge(values, primary, others, f"a line `{examples(primary, '<number>')[-1]}`")


def read_metrics_file(path: Path, *, primary: str, others: Collection[str] = (), root: Path | None = None) -> Reading:
    """The metrics in a JSON object. The file must be a regular file of at most FILE_BYTES, with no link below `root`.

    `root` is the folder that the run could write to; without it, the file's own.
    """
    root = root or path.parent
    try:
        with open(open_regular(root, path.relative_to(root).as_posix()), "rb") as file:  # noqa: PTH123 - a descriptor
            data = file.read(FILE_BYTES + 1)
    except NotTaken as error:
        return Reading(None, cause="no_metric", detail=f"the metrics file {error}")
    if len(data) > FILE_BYTES:
        return Reading(None, cause="no_metric", detail=f"the metrics file {path.name} is larger than 1 MB")
    try:
        decoded: Any = orjson.loads(_json_with_strings_for_nan(data))
    except orjson.JSONDecodeError as error:
        return Reading(None, cause="no_metric", detail=f"the metrics file {path.name} is not JSON: {error}")
    if not isinstance(decoded, dict):
        return Reading(None, cause="no_metric", detail=f"the metrics file {path.name} holds no JSON object")
    values: dict[str, float | str] = {}
    for name, value in decoded.items():
        if not _has_room(name, values, primary, others):
            continue
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            values[name] = float(value)
        elif isinstance(value, str) and _NOT_FINITE.fullmatch(value.encode()):
            values[name] = math.nan
        elif name == primary or name in others:
            values[name] = text.clean_line(orjson.dumps(value).decode(), 60)
    return _judge(values, primary, others, f"a number `{primary}` in the metrics file {path.name}")


def tail(path: Path, start: int = 0, end: int | None = None, *, lines: int = 20, chars: int = 4000) -> str:
    """The last lines of a part of a log, safe to show, and at most `chars` characters; "" when there is no log."""
    said = files.tail(path, 4 * chars + 4096, start=start, end=end)
    shown = text.clean(said).rstrip().split("\n")[-lines:]
    return "\n".join(line.rstrip() for line in shown)[-chars:]


def _lines(path: Path, start: int, end: int, needles: Collection[bytes]) -> Iterator[bytes]:
    """Lines that may be metric lines, without their ends; a carriage return ends a line as well.

    A chunk in which no needle occurs is passed over whole, which is what makes a 1 GB log a matter of a second.
    """
    partial, too_long = b"", False
    with FileIO(open_regular(path.parent, path.name), "rb") as file:
        file.seek(start)
        while start < end and (data := file.read(min(_CHUNK, end - start))):
            start += len(data)
            newest = max(data.rfind(b"\n"), data.rfind(b"\r"))
            if newest < 0:
                too_long = too_long or len(partial) + len(data) > LINE_BYTES
                partial = b"" if too_long else partial + data
                continue
            whole, rest = data[:newest], data[newest + 1 :]
            if not too_long and len(partial) + _first_end(data) <= LINE_BYTES:
                whole = partial + whole
            else:
                whole = whole[_first_end(data) :]
            if any(needle in whole for needle in needles):
                for line in whole.replace(b"\r", b"\n").split(b"\n"):
                    if len(line) <= LINE_BYTES:
                        yield line
            too_long = len(rest) > LINE_BYTES
            partial = b"" if too_long else rest
    if partial:
        yield partial


def _has_room(name: str, values: Collection[str], primary: str, others: Collection[str]) -> bool:
    if name == primary or name in others or name in values:
        return True
    return len(values) < MOST + 1 + len(others) and len(name) <= NAME_CHARS and name.isprintable()


def _first_end(data: bytes) -> int:
    return min(at for at in (data.find(b"\n"), data.find(b"\r")) if at >= 0)


def _parse(line: bytes, named: Collection[bytes]) -> tuple[str, float | str] | None:
    """Name and value of a metric line, the value as text where a marked line's is no number; None for other lines."""
    line = _ESCAPE.sub(b"", line).strip(b" \t\r\f\v")
    for form, pattern in LINES:
        found = pattern.fullmatch(line)
        if found and (form.mark or found[1] in named):
            value = _value(found[2])
            if value is not None or form.mark:
                return found[1].decode(errors="replace"), found[2].decode(errors="replace") if value is None else value
    return None


def _value(written: bytes) -> float | None:
    if _DECIMAL.fullmatch(written):
        return float(written)
    return math.nan if _NOT_FINITE.fullmatch(written) else None


def _judge(values: dict[str, float | str], primary: str, others: Collection[str], wanted: str) -> Reading:
    finite = {name: value for name, value in values.items() if isinstance(value, float) and abs(value) <= LARGEST}
    metrics = {name: value for name, value in finite.items() if name != primary}
    for name in (primary, *others):
        if name in finite:
            continue
        if name not in values:
            what = f"{wanted} was not found" if name == primary else f"the constraint metric {name} was not reported"
            return Reading(None, metrics, "no_metric", what)
        value = values[name]
        if isinstance(value, str):
            shown = text.clean_line(value, 60)
            return Reading(None, metrics, "no_metric", f"{name} was last reported as `{shown}`, which is not a number")
        how = f"{value:g}, beyond the ±{LARGEST:g} that can be compared" if math.isfinite(value) else "not finite"
        return Reading(None, metrics, "not_finite", f"{name} was last reported as {how}")
    return Reading(finite[primary], metrics)


_BARE_NAN = re.compile(rb'"(?:[^"\\]|\\.)*"|(-?\bInfinity\b|-?\bNaN\b)')


def _json_with_strings_for_nan(data: bytes) -> bytes:
    """Python's json writes bare NaN and Infinity, which no standard reader takes: they become strings."""
    if b"NaN" not in data and b"Infinity" not in data:
        return data
    return _BARE_NAN.sub(lambda found: b'"nan"' if found[1] else found[0], data)
