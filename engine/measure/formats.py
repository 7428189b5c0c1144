"""What a metric looks like where it is read, in the source that writes it, and when people are told how to write it.

One table: who reads metrics, who looks for code that prints them and who tells people of it all read it, so a further
format is a further entry.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True, slots=True)
class Format:
    example: str
    """How people are told of it, with `{name}` and `{value}` in it."""
    line: re.Pattern[bytes] | None
    """A whole line of the output: name and value; None for the format of `measure.metrics_file`."""
    written: str
    """In a line of source that writes it, a pattern with NAMES in it where the names stand."""
    drafted: str = ""
    """In source of which no metric is known yet, a pattern whose first group is the name."""
    mark: str = ""
    """What each such line holds. With one, any name counts; without, only the names that are asked for."""


_PRINTER = r"\b(?:print\w*|Print\w*|echo|puts|fprintf|write\w*|cout|say|log|info)\b"
FORMATS = (
    Format(
        "{name}: {value}",
        line=re.compile(rb"([^\s:]+)[ \t]*:[ \t]*(.*)", re.DOTALL),
        written=rf"(?:{_PRINTER}.{{0,200}}?(?:[\"'`]|\\[nr])|\becho[ \t]+)(?:NAMES)[ \t]*:.*",
        drafted=r"""print\(\s*f?["']([A-Za-z_][\w.]*):\s*[{%"']""",
    ),
    Format(
        "METRIC {name}={value}",
        line=re.compile(rb"METRIC[ \t]+([^\s=]+)[ \t]*=[ \t]*(.*)", re.DOTALL),
        written=r"METRIC[ \t]+(?:(?:NAMES)[ \t\"',]*=|[{%$<]).*",
        drafted=r"METRIC\s+([A-Za-z_][\w.]*)=",
        mark="METRIC",
    ),
    Format(
        '{{"{name}": {value}}}',
        line=None,
        written=r"[\"'](?:NAMES)[\"'][ \t]*(?::|\][ \t]*=(?!=)).*",
    ),
)
LINES = tuple((each, each.line) for each in FORMATS if each.line is not None)
MARKS = tuple(each.mark for each in FORMATS if each.mark)
_LIKE = re.compile(
    rf"(?:(?:{'|'.join(MARKS)})[ \t]+)?([A-Za-z_][\w./%-]{{0,60}})[ \t]*([:=])[ \t]*"
    r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])"
)


def examples(name: str, value: str = "0.5") -> list[str]:
    """How a command may print a metric of this name; the last is the one to recommend."""
    return [each.example.format(name=name, value=value) for each, _ in LINES]


def file_example(name: str) -> str:
    """What `measure.metrics_file` may hold."""
    return next(each.example for each in FORMATS if each.line is None).format(name=name, value="0.5")


def named_values(output: str) -> dict[str, str]:
    """Numbers with a name in an output, whether or not they are read as metrics, and how each stood there last."""
    return {found[1]: found[0] for found in _LIKE.finditer(output)}


def writing(metrics: Collection[str], metrics_file: str = "") -> re.Pattern[str] | None:
    """What source holds that writes one of the metrics in a form that is read, or names the metrics file."""
    names = "|".join(re.escape(name) for name in sorted(metrics))
    used = [each for each in FORMATS if names and (each.line is not None or metrics_file)]
    forms = [each.written.replace("NAMES", names) for each in used]
    if metrics_file:
        forms.append(rf".*{re.escape(PurePosixPath(metrics_file).name)}.*")
    return re.compile("|".join(forms)) if forms else None


def drafted_name(source: str) -> str:
    """The metric that a script seems to print: the first in a marked form, else the only one in another; or ""."""
    for each, _ in sorted(LINES, key=lambda pair: not pair[0].mark):
        found = re.findall(each.drafted, source)
        if found and (each.mark or len(set(found)) == 1):
            return str(found[0])
    return ""
