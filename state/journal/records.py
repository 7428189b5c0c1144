"""Typed records, one dataclass per kind of journal line, and their bytes.

The journal is compatible with pi-autoresearch's log: a header has `"type": "config"`, an experiment has no `type` but a
numeric `run`, and both carry its fields in its meaning; what is ours goes into further keys. Every other line has a
`type` and never a numeric `run`. Unknown types decode to `Other`, unknown keys are ignored: a newer program's journal
opens in an older one.

Timestamps are milliseconds since the epoch. A metric that is missing or not finite is None, never 0.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import field, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import orjson

from autoresearch.state.text import numbers

if TYPE_CHECKING:
    from dataclasses import dataclass as _line
else:
    from dataclasses import dataclass

    def _line(*, frozen, **options):
        """Frozen for the type checker alone: methods that refuse at run time would make every start slower."""
        return dataclass(repr=False, **options)


Status = Literal["keep", "discard", "crash", "checks_failed"]
Direction = Literal["lower", "higher"]
Arm = Literal["candidate", "incumbent", "fresh", "holdout"]

COMMITS = ("sha", "parent", "base")
"""Where lines name commits: by their full name, or "" for none."""
_COMMIT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})?")
STATUSES: tuple[Status, ...] = ("keep", "discard", "crash", "checks_failed")

KEEP_CAUSES = ("baseline", "better", "simpler", "bundle", "overruled")
DISCARD_CAUSES = ("worse", "unproven", "too_noisy", "seedless", "over_constraint")
"""`too_noisy`: a gain that matters could have stayed hidden. `seedless`: it gives one value at all seeds."""
CRASH_CAUSES = (
    "timeout",
    "stalled",
    "over_budget",
    "output_limit",
    "out_of_memory",
    "process_limit",
    "disk_limit",
    "no_metric",
    "not_finite",
    "nonzero_exit",
    "tampered",
    "contaminated",
    "out_of_scope",
    "no_change",
    "no_proposal",
    "conflict",
    "interrupted",
)
FLAGS = ("jump", "seed", "budget", "score", "long")
"""A gain far outside history; a diff that touches the seed, the evaluation's budget or time, the printing of the
metric; one that is too long to look at all of it."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@_line(frozen=True, slots=True, kw_only=True)
class Header:
    """Opens a segment: a stretch of the session whose numbers compare."""

    type: ClassVar[str] = "config"

    name: str = ""
    metric_name: str = field(default="metric", metadata={"key": "metricName"})
    metric_unit: str = field(default="", metadata={"key": "metricUnit"})
    direction: Direction = field(default="lower", metadata={"key": "bestDirection"})
    v: int = 1
    session: str = ""
    target: str = ""
    """The target's folder inside the repository, POSIX, "" for its root."""
    base: str = ""
    """The commit this segment starts from: HEAD at first, later the incumbent."""
    branch: str = ""
    scope: tuple[str, ...] = ()
    config_sha: str = ""
    evaluator_sha: str = ""
    """Hash over the protected files of `base`."""
    linked_sha: str = ""
    """Hash over the names, sizes and times of the linked inputs; empty without any."""
    host: str = ""
    accelerator: str = ""
    protection: str = ""
    verdict: dict[str, Any] = field(default_factory=dict)
    """mode, odds, baseline_runs, max_runs, bundle, min_effect, scale, seed, version: what `log --recompute` needs."""
    constraints: dict[str, str | float] = field(default_factory=dict)
    scored: str = ""
    """What prints the number: `evaluate` (apart from the run), `run` (a protected file of the run's), `scope` (code
    that the agent may edit); empty in lines of older versions and of other programs."""
    reason: str = ""
    """Why a further segment was opened; empty for the first."""
    timestamp: int = 0


@_line(frozen=True, slots=True, kw_only=True)
class Proposal:
    """An in-scope diff with its hypothesis, committed under `refs/autoresearch/<session>/p<id>`."""

    type: ClassVar[str] = "proposal"

    id: int
    base: str
    sha: str
    """The candidate commit; empty when nothing could be taken (see `dropped`, `problem`)."""
    agent: str = ""
    model: str = ""
    hypothesis: str = ""
    description: str = ""
    category: str = ""
    expected_effect: str = ""
    idea: str | None = None
    bundle: tuple[int, ...] = ()
    """Numbers of the unproven experiments whose changes are tried together here."""
    mends: int | None = None
    files: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    """Paths that were changed outside the scope and not taken."""
    lines: tuple[int, int] = (0, 0)
    """In-scope lines added, removed."""
    params: dict[str, Any] = field(default_factory=dict)
    """The tuner's values, by knob."""
    tokens: dict[str, int] = field(default_factory=dict)
    cost_usd: float | None = None
    heard: int = 0
    """How many of the people's messages, counted from the first, its brief held."""
    briefed: int = 0
    """When its brief was given, ms; 0 without a brief."""
    took_s: float = 0.0
    """How long its agent took; 0 where none made it."""
    problem: str = ""
    """A crash cause when there is nothing to measure: no_change, out_of_scope, conflict or no_proposal."""
    reason: str = ""
    timestamp: int = 0


@_line(frozen=True, slots=True, kw_only=True)
class Withdrawn:
    """A waiting proposal that will not be measured: it no longer merged onto a new incumbent, or was given up."""

    type: ClassVar[str] = "withdrawn"

    proposal: int
    reason: str = ""
    timestamp: int = 0


@_line(frozen=True, slots=True, kw_only=True)
class Intent:
    """The experiment's number is given here. Written again with `attempt` + 1 when an engine that died is followed, and
    as it was when an experiment that was parked goes on; with another `parent` it begins anew on another best."""

    type: ClassVar[str] = "intent"

    experiment: int
    proposal: int | None
    """None for a baseline."""
    parent: str
    sha: str
    attempt: int = 1
    version: int = 1
    """Of the rule that judges it (`rule.VERSION`)."""
    flags: tuple[str, ...] = ()
    """What in the diff asks for more runs: of `FLAGS`, all but `jump`, which only the runs can show."""
    noise: dict[str, Any] = field(default_factory=dict)
    """ss, nu, identical: the segment's noise as it was when the number was given, which the whole race is judged by.
    Of versions 1 and 2 of the rule."""
    terms: dict[str, Any] = field(default_factory=dict)
    """odds, line, looks, cheap, paired, scale, run_s, proposal_s, ideas: what the whole contest is judged by."""
    timestamp: int = 0


@_line(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run of the measure commands on one commit in a slot, and what it yielded."""

    type: ClassVar[str] = "sample"

    experiment: int | None
    sha: str
    arm: Arm
    k: int
    """Counts the samples of this commit from 1."""
    seed: int
    slot: str = ""
    metric: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    exit: int | None = None
    cause: str | None = None
    """None, or why the sample has no value: a crash cause."""
    detail: str = ""
    """One sentence for people when there is a cause."""
    duration_s: float = 0.0
    peak_rss_mb: float | None = None
    peak_vram_mb: float | None = None
    gpu_util: float | None = None
    """Mean utilisation of the busiest GPU that it saw, in percent; None without a GPU."""
    again: bool = False
    """Something beside the commit spoiled it (somebody else on the GPU): it counts for nothing and is repeated."""
    block: int | None = None
    """Of a contest: its block, from 1; 0 for the runs before the first, -1 for a warm-up that counts for nothing."""
    place: int | None = None
    """From 1: which of the block's runs it is."""
    basis: dict[str, float] = field(default_factory=dict)
    """`s`, the spread that a block or a look is judged by; of a look also the best's `level` and of how many `runs`."""
    timestamp: int = 0


@_line(frozen=True, slots=True, kw_only=True)
class Park:
    """An experiment leaves the slot undecided. It goes on when no proposal waits."""

    type: ClassVar[str] = "park"

    experiment: int
    reason: str = ""
    verdict: dict[str, Any] = field(default_factory=dict)
    """Its figures so far, as an experiment's."""
    timestamp: int = 0


@_line(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A finished experiment with its verdict. A `metric` of 0 can mean "no value" (pi's convention): see `value`."""

    type: ClassVar[str] = "experiment"
    """As others are called by theirs; its lines have none."""

    run: int
    commit: str = ""
    metric: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    status: Status
    description: str = ""
    timestamp: int = 0
    segment: int = 0
    confidence: float | None = None
    asi: dict[str, Any] = field(default_factory=dict)
    proposal: int | None = None
    sha: str = ""
    parent: str = ""
    cause: str = ""
    reason: str = ""
    estimate: float | None = None
    """How much better than the incumbent, in the metric's unit; positive is better."""
    interval: float | None = None
    """Half width of the 95% interval of `estimate`."""
    verdict: dict[str, Any] = field(default_factory=dict)
    hypothesis: str = ""
    category: str = ""
    files: tuple[str, ...] = ()
    duration_s: float = 0.0
    cost_usd: float | None = None
    warnings: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    """Of `FLAGS`: what makes the result worth a second look; each has its sentence in `warnings`."""

    @property
    def value(self) -> float | None:
        return value_of({"metric": self.metric, "status": self.status, "cause": self.cause, "verdict": self.verdict})


@_line(frozen=True, slots=True, kw_only=True)
class Lesson:
    """Why it came out so, in the agent's words."""

    type: ClassVar[str] = "lesson"

    experiment: int
    lesson: str
    retry_if: str = ""
    by: str = ""
    timestamp: int = 0


@_line(frozen=True, slots=True, kw_only=True)
class Idea:
    """Something to try. A line with a known id changes that idea's text or order, or restores it after a veto.

    What only moves an idea restores none.
    """

    type: ClassVar[str] = "idea"

    id: str
    text: str
    by: str = ""
    first: bool = False
    """Goes to the head of the list."""
    after: str | None = None
    """Goes right behind the idea of this id."""
    request: str | None = None
    timestamp: int = 0


@_line(frozen=True, slots=True, kw_only=True)
class Veto:
    """An idea, a dead end or a note is taken back."""

    type: ClassVar[str] = "veto"

    id: str
    reason: str = ""
    by: str = ""
    request: str | None = None
    timestamp: int = 0


@_line(frozen=True, slots=True, kw_only=True)
class DeadEnd:
    """Something that failed and why. `list` is `refuted`, `unproven` or `crashed`."""

    type: ClassVar[str] = "dead_end"

    id: str
    text: str
    list: str = "refuted"
    experiment: int | None = None
    idea: str | None = None
    """The idea that is given up with it: it leaves the list."""
    retry_if: str = ""
    by: str = ""
    request: str | None = None
    timestamp: int = 0


@_line(frozen=True, slots=True, kw_only=True)
class Note:
    """What somebody wants to be remembered."""

    type: ClassVar[str] = "note"

    id: str
    text: str
    by: str = ""
    request: str | None = None
    timestamp: int = 0


@_line(frozen=True, slots=True, kw_only=True)
class Steer:
    """A message from a person to the agent, given with the next brief."""

    type: ClassVar[str] = "steer"

    text: str
    by: str = ""
    request: str | None = None
    timestamp: int = 0


@_line(frozen=True, slots=True, kw_only=True)
class Pause:
    """The engine ended on purpose. `limit` names the limit that was reached, if one was."""

    type: ClassVar[str] = "pause"

    reason: str
    limit: str = ""
    fix: str = ""
    by: str = ""
    request: str | None = None
    timestamp: int = 0


@_line(frozen=True, slots=True, kw_only=True)
class Resume:
    """An engine started."""

    type: ClassVar[str] = "resume"

    by: str = ""
    request: str | None = None
    timestamp: int = 0


@_line(frozen=True, slots=True, kw_only=True)
class Stop:
    """The engine was stopped; an experiment may be open and goes on at its next sample."""

    type: ClassVar[str] = "stop"

    reason: str = ""
    by: str = ""
    request: str | None = None
    timestamp: int = 0


@_line(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings that simply apply: limits, agent, notify. `changes` holds dotted keys and their new values."""

    type: ClassVar[str] = "settings"

    changes: dict[str, Any]
    by: str = ""
    request: str | None = None
    timestamp: int = 0


@_line(frozen=True, slots=True, kw_only=True)
class Retry:
    """A person asks for an experiment to be tried again, on the present incumbent; the incumbent itself is measured
    once more."""

    type: ClassVar[str] = "retry"

    experiment: int
    by: str = ""
    request: str | None = None
    timestamp: int = 0


@_line(frozen=True, slots=True, kw_only=True)
class Overrule:
    """A person decides against the verdict: "keep" re-applies the experiment's commit, "discard" reverts it."""

    type: ClassVar[str] = "overrule"

    experiment: int
    action: str
    note: str
    by: str = ""
    request: str | None = None
    timestamp: int = 0


@_line(frozen=True, slots=True, kw_only=True)
class Warn:
    """Something a person should see; `code` lets a screen keep one line per kind."""

    type: ClassVar[str] = "warning"

    text: str
    code: str = ""
    experiment: int | None = None
    timestamp: int = 0


@_line(frozen=True, slots=True, kw_only=True)
class Fault:
    """An error of the engine or of its surroundings, with what to do about it."""

    type: ClassVar[str] = "error"

    text: str
    fix: str = ""
    experiment: int | None = None
    timestamp: int = 0


@_line(frozen=True, slots=True, kw_only=True)
class AgentEvent:
    """An agent session began or ended, or reported usage."""

    type: ClassVar[str] = "agent"

    event: str
    agent: str = ""
    model: str = ""
    text: str = ""
    tokens: dict[str, int] = field(default_factory=dict)
    cost_usd: float | None = None
    timestamp: int = 0


@_line(frozen=True, slots=True, kw_only=True)
class Other:
    """A line of a type this version does not know, as it was read."""

    type: ClassVar[str] = ""

    data: dict[str, Any]
    timestamp: int = 0


Record = (
    Header
    | Proposal
    | Withdrawn
    | Intent
    | Sample
    | Park
    | Experiment
    | Lesson
    | Idea
    | Veto
    | DeadEnd
    | Note
    | Steer
    | Pause
    | Resume
    | Stop
    | Settings
    | Retry
    | Overrule
    | Warn
    | Fault
    | AgentEvent
    | Other
)

_KINDS: dict[str, type[Any]] = {cls.type: cls for cls in get_args(Record) if cls is not Other}

# field name, JSON key, and the field's declared type as text: computed once, decoding is a walk over it.
_LAYOUT: dict[type[Any], tuple[tuple[str, str, str], ...]] = {
    cls: tuple((f.name, f.metadata.get("key", f.name), str(f.type)) for f in fields(cls)) for cls in _KINDS.values()
}

_JSON: dict[str, tuple[type[Any], ...]] = {
    "int": (int, float),
    "float": (int, float, type(None)),
    "bool": (bool,),
    "tuple": (list,),
    "dict": (dict,),
    "None": (type(None),),
}
_REMEMBERED = 100
_SPARSE: dict[type[Any], tuple[str, ...]] = {
    Experiment: ("asi",),
    Intent: ("noise", "terms"),
    Sample: ("block", "place", "basis"),
}
"""What a line leaves out where there is nothing to say."""


class _Shape:
    """Which types the values of a JSON object's known keys may have, and the items of its lists and objects."""

    def __init__(self, declared: Mapping[str, str]) -> None:
        self._types = {key: _json_types(text) for key, text in declared.items()}
        inside = {
            key: text.partition("[")[2].rpartition("]")[0].removesuffix(", ...").split(", ")[-1]
            for key, text in declared.items()
            if text.startswith(("tuple", "dict"))
        }
        self._items = {key: _json_types(text) for key, text in inside.items() if text != "Any"}
        self._looks: dict[tuple[object, ...], _Look] = {}

    def problem(self, data: Mapping[str, Any], commits: bool = False) -> str:
        """What is wrong with a value; "" for a good object.

        Of objects with the same keys and types, the first is looked at key by key, the others only inside: 10,000
        experiments are to open in half a second.
        """
        signature = (*data, *map(type, data.values()))
        look = self._looks.get(signature)
        if look is None:
            for key, value in data.items():
                if type(value) not in self._types.get(key, (type(value),)):
                    return f"its {key} is of a wrong type"
            look = self._look_of(data)
            if len(self._looks) < _REMEMBERED:
                self._looks[signature] = look
        items, figures, named = look
        for key, kinds in items:
            if (held := data[key]) and not kinds.issuperset(map(type, held.values() if type(held) is dict else held)):
                return f"its {key} is of a wrong type"
        for key in figures:
            if _FIGURES.problem(data[key]):
                return f"its {key} is of a wrong type"
        for key in named if commits else ():
            if not is_commit(data[key]):
                return f"its {key} is no commit's full name"
        return ""

    def _look_of(self, data: Mapping[str, Any]) -> _Look:
        items = [(key, kinds) for key, kinds in self._items.items() if data.get(key) is not None]
        figures = [
            str(key) for key in ("verdict", "noise", "terms") if key in self._types and data.get(key) is not None
        ]
        return items, figures, [key for key in COMMITS if key in self._types and data.get(key) is not None]


_Look = tuple[list[tuple[str, frozenset[type[Any]]]], list[str], list[str]]
"""What to look into: lists and objects with the types of their items, figures, and names of commits."""


def _json_types(declared: str) -> frozenset[type[Any]]:
    """Of an annotation: what names no other type is text."""
    names = re.sub(r"\[.*]", "", declared).split(" | ")
    return frozenset(kind for name in names for kind in _JSON.get(name, (str,)))


_SHAPES = {name: _Shape({key: declared for _, key, declared in _LAYOUT[cls]}) for name, cls in _KINDS.items()}
_FIGURES = _Shape(
    dict.fromkeys("s nu delta d r n log_evidence threshold version least_runs ss odds min_effect".split(), "float")
    | dict.fromkeys("se blocks runs wins look promise line run_s proposal_s ideas".split(), "float")
    | dict.fromkeys(("rule", "mode", "scale", "seed"), "str | None")
    | dict.fromkeys(("baseline_runs", "max_runs", "bundle"), "int | None")
    | dict.fromkeys(("identical", "looks", "cheap", "paired"), "bool | None")
    | {"flags": "tuple[str, ...] | None", "stakes": "tuple[float, ...] | None"}
)
"""What `verdict`, `noise` and `terms` hold."""


class MalformedRecord(ValueError):
    """A JSON object that claims to be a known kind of line but lacks a required field or holds a wrong type."""


def encode(record: Record) -> bytes:
    """The record as one journal line, newline included. `timestamp` 0 is replaced by now."""
    if isinstance(record, Other):
        return orjson.dumps(record.data, option=orjson.OPT_APPEND_NEWLINE)
    cls = type(record)
    data: dict[str, Any] = {} if isinstance(record, Experiment) else {"type": record.type}
    for name, key, _ in _LAYOUT[cls]:
        data[key] = getattr(record, name)
    if not data["timestamp"]:
        data["timestamp"] = now_ms()
    for key in _SPARSE.get(cls, ()):
        if data[key] is None or data[key] == {}:
            del data[key]
    return dumps(data, orjson.OPT_APPEND_NEWLINE)


def dumps(data: Any, option: int = 0) -> bytes:
    """JSON of words and numbers of others too, whatever they hold."""
    try:
        return orjson.dumps(data, option=option)
    except TypeError:
        return orjson.dumps(_holdable(data), option=option)


def _holdable(value: Any) -> Any:
    """A value as JSON can hold it: others' words and numbers must never cost us a line.

    Half of a surrogate pair becomes a question mark, an integer beyond 64 bits a float (null where even that is small).
    """
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return float(value) if abs(value) < 2**1023 else None
    if isinstance(value, dict):
        return {_holdable(str(key)): _holdable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_holdable(item) for item in value]
    return value


def decode(line: bytes) -> Record:
    """The record in one line.

    Raises MalformedRecord when the line is not a JSON object or a known kind lacks what it must have.
    """
    try:
        data = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise MalformedRecord(f"not JSON: {error}") from error
    if not isinstance(data, dict):
        raise MalformedRecord("not a JSON object")
    return from_json(data)


def from_json(data: Mapping[str, Any]) -> Record:
    """The record in a decoded JSON object; see `decode`."""
    name = name_in(data)
    cls = _KINDS.get(name)
    if cls is None:
        return Other(data=dict(data), timestamp=int(numbers.finite(data.get("timestamp")) or 0))
    if wrong := problem(data, name):
        raise MalformedRecord(f"a bad {name} line: {wrong}")
    values = {name: _taken(declared, data[key]) for name, key, declared in _LAYOUT[cls] if key in data}
    if cls is Experiment and values.get("status") not in STATUSES:
        values["status"] = "discard"  # what is not known is no keep
    try:
        return cls(**values)  # type: ignore[no-any-return]
    except TypeError as error:
        missing = [key for name, key, _ in _LAYOUT[cls] if name not in values and f"'{name}'" in str(error)]
        raise MalformedRecord(f"a {cls.__name__.lower()} line lacks {', '.join(missing) or 'a field'}") from error


def name_in(data: Mapping[str, Any]) -> str:
    """Which kind of line a JSON object is: its `type`, `experiment` without one, "" for neither.

    A `config` is a header even when it has a `run`, as pi reads it.
    """
    kind = data.get("type")
    if kind is None:
        return "experiment" if type(data.get("run")) in (int, float) else ""
    return kind if type(kind) is str else ""


def value_of(line: Mapping[str, Any]) -> float | None:
    """The metric of an experiment's JSON object; None where nothing was measured, though its line says 0.

    That is so for a crash, and for a guard that failed before the first run, which no figures of a verdict go with.
    """
    metric = numbers.finite(line.get("metric"))
    unmeasured = metric == 0 and line.get("cause") == "guard" and not line.get("verdict")
    return None if unmeasured or line.get("status") == "crash" else metric


def problem(data: Mapping[str, Any], name: str, commits: bool = False) -> str:
    """What is wrong with the values of a line of this kind; "" for a good one, and for one of a kind not known.

    A pulled or imported line, or a later version's, may hold anything anywhere. With `commits`, names of commits must
    be whole: git takes branches and options where it takes commits.
    """
    shape = _SHAPES.get(name)
    return shape.problem(data, commits) if shape is not None else ""


@lru_cache(maxsize=256)
def is_commit(value: str) -> bool:
    """Whether it is a commit's full name, or "". Kept for the last ones: each line names some, mostly the same."""
    return _COMMIT.fullmatch(value) is not None


def _taken(declared: str, value: Any) -> Any:
    """A value of the right type, as the record holds it."""
    if value is None:
        return 0.0 if declared == "float" else None
    if declared.startswith("tuple"):
        return tuple(value)
    return int(value) if declared.startswith("int") else value
