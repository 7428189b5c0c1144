"""What makes a result worth a second look, without accusing anybody. Pure.

A flag is one of `records.FLAGS` with a sentence for people. It changes no verdict: a candidate that carries one needs
more runs before it is a keep (`rule`), and is listed. Two things raise flags. A *jump*: a gain far outside what the
segment's experiments have differed by. A *touched* seed, time budget or printing of the metric in the diff, where an
agent can gain on the number without gaining on the thing; the words looked for are few and exact, because a flag that
is often wrong is soon read by nobody. A line that only moved, or whose telling part stayed the same, raises none. What
is *long* is not looked at to its end, and that is a flag as well: nothing hides behind it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath

from autoresearch.engine.verdict.noise import mean, median
from autoresearch.state.text import clean_line, listed

LEAST_EARLIER = 8
"""Differences that must be on record before one can be far outside them: of fewer the MAD is mostly luck."""
FAR = 6.0
"""The usual cut-off of the modified z-score is 3.5. Here it would flag every honest gain of four sd."""

_MAD_TO_SD = 1.4826
_MEAN_DEVIATION_TO_SD = 1.2533
_SHOWN = 70
_PROSE = frozenset({".md", ".rst", ".txt"})
_MOST_LINES = 20_000
_LINE_CHARS = 400
"""A longer diff is looked at only so far, so that no candidate can make the looking take minutes. It is flagged."""


@dataclass(frozen=True, slots=True)
class Flag:
    code: str
    """Of `records.FLAGS`."""
    text: str
    """One sentence for people."""


# -- a jump


def modified_z(estimate: float, earlier: Sequence[float], least_sd: float = 0.0) -> float | None:
    """How far `estimate` lies above the earlier differences, in their robust standard deviations.

    z = (x - median) / (1.4826 * MAD), the modified z-score of B. Iglewicz and D. Hoaglin, "How to Detect and Handle
    Outliers" (ASQC, 1993); where the MAD is 0 their fallback, 1.2533 times the mean absolute deviation from the median.
    The standard deviation is never taken as less than `least_sd`, the noise of one run: experiments that happened to
    agree must not make noise look like a jump. None with fewer than LEAST_EARLIER earlier differences, and where they
    have no spread at all.
    """
    if len(earlier) < LEAST_EARLIER:
        return None
    middle = median(earlier)
    deviations = [abs(value - middle) for value in earlier]
    sd = _MAD_TO_SD * median(deviations) or _MEAN_DEVIATION_TO_SD * mean(deviations)
    sd = max(sd, least_sd)
    return (estimate - middle) / sd if sd > 0 else None


def jump(estimate: float, earlier: Sequence[float], least_sd: float) -> Flag | None:
    """A flag for a gain that lies FAR outside the segment's earlier differences from their incumbents."""
    z = modified_z(estimate, earlier, least_sd)
    if z is None or z < FAR:
        return None
    times = f"{z:.0f}" if z < 1000 else "over 1000"
    return Flag(
        "jump",
        f"The gain is far outside history: {times} times the usual spread of the last {len(earlier)} differences.",
    )


# -- a diff


@dataclass(frozen=True, slots=True)
class _Touch:
    """A telling part of an added or removed line, without its spaces; the line; and where it stands."""

    what: str
    shown: str
    path: str
    line: int


def touched(diff: str, score: re.Pattern[str] | None) -> tuple[Flag, ...]:
    """The flags of a unified diff without context lines, in the order of `records.FLAGS`.

    `score` tells what writes the score; None where `evaluate` prints it, out of reach of the diff.
    """
    patterns = {"seed": _pattern(_SEED), "budget": _pattern(_BUDGET), "score": score}
    added: dict[str, list[_Touch]] = {code: [] for code in (*patterns, "long")}
    removed: dict[str, list[_Touch]] = {code: [] for code in added}
    for looked_at, (sign, path, number, line) in enumerate(_changed(diff), 1):
        found = added if sign == "+" else removed
        if looked_at > _MOST_LINES:
            found["long"].append(_Touch(line, "", path, number))
            continue
        code = line[:_LINE_CHARS]
        for name, pattern in patterns.items():
            touches = [_Touch(what, line.strip(), path, number) for what in _telling(pattern, code)] if pattern else []
            found[name].extend(touches)
        if code != line:
            found["long"].append(_Touch(line.strip(), "", path, number))
    flags = []
    for name in added:
        changed = _unmatched(added[name], removed[name])
        if changed:
            flags.append(Flag(name, _too_long(changed[0]) if name == "long" else _sentence(name, changed)))
    return tuple(flags)


def prints_score(source: str, score: re.Pattern[str]) -> bool:
    """Whether a file's text writes the score, as `score` tells."""
    return any(_telling(score, line[:_LINE_CHARS]) for line in source.splitlines())


_ASSIGN = r"\s*(?::[^=\n]{0,40})?[-+*/%&|^?]{0,2}(?<![=!<>])=(?!=)\s*"
_NAME = r"(?:(?:\w+_)?(?:seed|random_state)|(?-i:[a-z]\w{0,30}Seed))"
_SEED = rf"""
      \bAUTORESEARCH_SEED\b .*
    | \b(?:manual_seed(?:_all)?|set_seed|seed_everything|set_random_seed|seed_all|RandomState|default_rng
        |PCG64(?:DXSM)?|MT19937|Philox|SFC64|SeedSequence|random\.Random|new[ ]Random|random\.key|PRNGKey
        |srand(?:om|48)?|setseed|set\.seed|seed_from_u64|from_seed|rand\.NewSource|NewPCG) \s*\( [^)\n]*
    | \b(?:\w{{0,20}}(?:random|rng|rnd|rand)|gen|generator|engine|np|numpy|torch|cuda|jax|tf)\.seed!? \s*\( [^)\n]*
    | \bmt19937(?:_64)? \s+ \w+ \s* [({{] [^)}}\n]+
    | (?<!\w) {_NAME} {_ASSIGN} (?!\s*(?:\w+\.)*{_NAME}\s*(?:[,)\n;]|$)) [^,)\n;]+
    | (?<![\w."']) {_NAME} \s*:\s* (?:[-+]?\d|~|\$|null\s*(?:$|[,}}])) [^,}}\n]*
    | ["']{_NAME}["'] \s*(?::|\]\s*=(?!=))\s* [^,}}\n]+
    | \#\s*define \s+ {_NAME} \s .*
    | --(?:random-)?seed\b [\s=]* \S*
    """
_LIMIT = (
    r"(?:time_?budget\w*|budget(?:_?(?:s|sec|secs|seconds|ms|min|minutes|time))?"
    r"|max_(?:seconds|wall\w*|runtime)|(?:wall|wall_?clock|time)_?limit\w*)"
)
_CLOCK = r"(?:time|perf_counter|monotonic|process_time)(?:_ns)?"
_BUDGET = rf"""
      \bAUTORESEARCH_BUDGET\w* .*
    | (?<![\w.]) {_LIMIT} \b {_ASSIGN} [^,)\n;]+
    | [<>]=? \s* (?:\w{{1,40}}\.){{0,3}} {_LIMIT} \b [^:\n]*
    | \b{_LIMIT} \s* [<>]=? [^:\n]*
    | \btime\.{_CLOCK}\b {_ASSIGN} .+
    | \b(?:setattr|patch|patch\.object|monkeypatch\.\w+) \s*\( \s* ["']?time["']?(?:\.|\s*,\s*["']) {_CLOCK} .*
    | \b(?:datetime\.)?datetime(?:\.now)? {_ASSIGN} (?:type|lambda|class)\b .*
    | \bsys\.modules\[\s*["']time["']\s*\] .*
    | \b(?:freeze_time|libfaketime|clock_settime) \b .*
    """


_FILE = re.compile(r'\+\+\+ "?(?:b/)?(.*?)"?\t?$')
_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")


def _changed(diff: str) -> Iterator[tuple[str, str, int, str]]:
    """(sign, path, line number, text) of each changed line of code; prose and lines of comment are left out."""
    path, before, after, in_hunk, old = "", 0, 0, False, ""
    for raw in diff.split("\n"):
        hunk = _HUNK.match(raw)
        if hunk is not None:
            before, after, in_hunk = int(hunk[1]), int(hunk[2]), True
        elif raw.startswith("diff --git "):
            in_hunk = False
        elif not in_hunk:
            if raw.startswith("--- "):
                old = raw[4:].strip().strip('"').removeprefix("a/")
            elif found := _FILE.match(raw):
                path = old if found[1] == "/dev/null" else found[1]
        elif raw[:1] in ("+", "-"):
            number = after if raw[0] == "+" else before
            before, after = before + (raw[0] == "-"), after + (raw[0] == "+")
            suffix = PurePosixPath(path).suffix.lower()
            if suffix not in _PROSE and not _comment(suffix).match(raw, 1):
                yield raw[0], path, number, raw[1:]


_OF_C = r"//|/\*(?!.*\*/\s*\S)|\*(?:[\s/]|$)"
_COMMENTS = {
    **dict.fromkeys(
        (".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".cu", ".cuh", ".cl", ".m", ".java", ".js", ".jsx", ".mjs", ".ts",
         ".tsx", ".go", ".rs", ".swift", ".kt", ".scala", ".cs", ".zig", ".glsl", ".metal", ".proto"), _OF_C),
    **dict.fromkeys((".php",), rf"\#|{_OF_C}"),
    **dict.fromkeys((".lua", ".sql", ".hs", ".adb"), "--"),
    **dict.fromkeys((".ini", ".cfg"), "[#;]"),
    **dict.fromkeys((".lisp", ".scm", ".clj", ".el"), ";"),
    **dict.fromkeys((".tex", ".erl"), "%"),
    **dict.fromkeys((".f90", ".f95", ".f"), "!"),
}  # fmt: skip
"""How a line of comment begins, where it does not begin with #."""


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """Compiled when a diff is looked at, not when a journal is read."""
    return re.compile(text, re.VERBOSE | re.IGNORECASE)


@cache
def _comment(suffix: str) -> re.Pattern[str]:
    return re.compile(rf"\s*(?:{_COMMENTS.get(suffix, '#')})")


_TRAILING = re.compile(r"[^\"'`]*?(?=  #)")
"""Code before a comment at its end; behind a quotation mark a # may be part of a string."""


def _telling(pattern: re.Pattern[str], line: str) -> list[str]:
    """The parts of a line that match, without spaces, so that a new indentation or an added argument is no change."""
    before_comment = _TRAILING.match(line)
    code = before_comment[0] if before_comment else line
    return ["".join(found[0].split()) for found in pattern.finditer(code)]


def _unmatched(added: Sequence[_Touch], removed: Sequence[_Touch]) -> list[_Touch]:
    """Parts that were added or removed but not both: what merely moved is no change. The added ones first."""

    def left(some: Iterable[_Touch], others: Iterable[_Touch]) -> list[_Touch]:
        room = Counter(touch.what for touch in others)
        out = []
        for touch in some:
            if room[touch.what] > 0:
                room[touch.what] -= 1
            else:
                out.append(touch)
        return out

    return [*left(added, removed), *left(removed, added)]


_TOUCHES: Mapping[str, str] = {
    "seed": "the seed",
    "budget": "the evaluation's time or budget",
    "score": "the printing of the metric",
}


def _sentence(code: str, touches: Sequence[_Touch]) -> str:
    distinct = dict.fromkeys((one.shown, one.path, one.line) for one in touches)
    places = [f"`{clean_line(line, _SHOWN)}` in {clean_line(path, 80)}:{n}" for line, path, n in distinct]
    return f"The change touches {_TOUCHES[code]}: {listed(places, 2)}."


def _too_long(first: _Touch) -> str:
    what = (
        f"a line of {len(first.what):,} characters" if len(first.what) > _LINE_CHARS else f"over {_MOST_LINES:,} lines"
    )
    return f"The change is too long to look at all of it: {what}, at {clean_line(first.path, 80)}:{first.line}."
