"""Fold journal lines into the read model: compact rows and file offsets, never the parsed lines.

Everything that shows or decides reads a `History`. Feeding is incremental: an engine feeds what it appends, a screen
what the file has gained. The fold works on decoded JSON objects instead of records, because building 50,000 dataclasses
took three times as long as parsing them (10,000 experiments are to open in half a second).
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import orjson

from autoresearch.state.journal import heldout, records
from autoresearch.state.journal.heldout import Gap, HeldOut
from autoresearch.state.journal.journal import Reader
from autoresearch.state.journal.model import (
    LISTED,
    LISTS,
    Control,
    DeadEndState,
    Decision,
    Family,
    IdeaState,
    Incumbent,
    Open,
    Row,
    SampleRow,
    Spread,
    Text,
    Waiting,
    list_of,
)
from autoresearch.state.text.numbers import finite

__all__ = [
    "LISTED",
    "LISTS",
    "SCORE_MARKS",
    "SCORE_NOTES",
    "WINDOW",
    "Control",
    "DeadEndState",
    "Decision",
    "Family",
    "Gap",
    "HeldOut",
    "History",
    "IdeaState",
    "Incumbent",
    "Open",
    "Row",
    "SampleRow",
    "Spread",
    "Text",
    "Waiting",
    "list_of",
]

WINDOW = 30
"""Of how many of the last measurements the incumbent's count (design section 7)."""
JUDGED = 200
"""So many of the last estimates are kept, to tell what lies far outside them."""
SCORE_NOTES = {
    "scope": "Code that the agent may edit prints the score itself; "
    "`measure.evaluate` would read it where the agent cannot write.",
    "run": "The run that the agent's code takes part in reports the score; "
    "`measure.evaluate` would read it where the agent cannot write.",
}
"""By what `History.scored` is: one line wherever the number stands. The first is also a warning (code `own-score`)."""
SCORE_MARKS = {"scope": "printed by its own code", "run": "reported by its own run"}
"""The same where there is room for a few words."""
PRINTED_USD = 100.0
"""The most that one sample's `cost_usd` adds to the bill: a candidate in the printing process may print anything."""


class History:
    """The read model of one session. Feed it lines in order; every attribute is then up to date."""

    def __init__(self) -> None:
        self.header: records.Header | None = None
        self.first_header: records.Header | None = None
        self.segment = 0
        self.rows: list[Row] = []
        self.by_number: dict[int, Row] = {}
        self.imported = 0
        """Experiments that another program ran, or that were closed without being measured here."""
        self.open: Open | None = None
        self.opened_proposal: Waiting | None = None
        """The proposal that the open experiment measures."""
        self.waiting: dict[int, Waiting] = {}
        self.next_proposal = 1
        self.incumbent: Incumbent | None = None
        self.baseline: Row | None = None
        self.baseline_metrics: dict[str, float] = {}
        self.baseline_duration_s = 0.0
        self.spread = Spread()
        self.recent: deque[tuple[str, float, bool]] = deque(maxlen=WINDOW)
        self.sampled: dict[str, int] = {}
        """How many samples the open experiment's and the incumbent's commits have had: seeds go on counting."""
        self.unproven: dict[int, tuple[float, int]] = {}
        self.estimates: deque[float] = deque(maxlen=JUDGED)
        """How much better each of the segment's last judged candidates was than its incumbent."""
        self.flagged: list[int] = []
        """Experiments with something worth a second look (`Row.flags`)."""
        self.holdout: list[HeldOut] = []
        """The segment's values of the held-out command, the baseline's first. For people, never for agents."""
        self.held_out: dict[str, list[bool]] = {}
        """Whether each of a commit's held-out runs in this segment gave a value."""
        self.counts: Counter[str] = Counter()
        self.since_keep = 0
        self.crash_streak = 0
        self.cost_usd = 0.0
        self.tokens = 0
        self.measured_s = 0.0
        """Seconds the slot spent in `run`."""
        self.withdrawn_usd = 0.0
        """What proposals cost that were made ahead and never measured."""
        self.running_ms = 0
        self.started_ms = 0
        self.last_ms = 0
        self.resumed_ms = 0
        """When an engine started last."""
        self.rows_before = 0
        """Experiments that were finished when it did."""
        self.control = Control()
        self.requests: set[str] = set()
        self.ideas: dict[str, IdeaState] = {}
        self.dead_ends: dict[str, DeadEndState] = {}
        self.lessons: dict[int, tuple[str, str]] = {}
        self.notes: dict[str, Text] = {}
        self.steers: list[Text] = []
        self.notices: deque[Text] = deque(maxlen=200)
        self.warned: set[str] = set()
        """The codes of all warnings so far: some are given once in a session."""
        self.settings: dict[str, Any] = {}
        self.agent: tuple[str, str] = ("", "")
        """The agent that was used last, and its source where it has one: a resumed session goes on with it."""
        self.retries: list[int] = []
        """Experiments that people want tried again and that no proposal has taken up yet."""
        self.again = 0
        """Further runs of the incumbent that people want and that are not measured yet."""
        self.overrules: list[records.Overrule] = []
        """Decisions against a verdict that no proposal has taken up yet."""
        self.decisions: dict[int, Decision] = {}
        """The last decision of a person against the verdict of each experiment."""
        self.families: dict[tuple[str, str], Family] = {}
        """Counts by (list, family): what the notebook folds older entries into."""
        self.lists: dict[str, deque[Row]] = {name: deque(maxlen=LISTED) for name in LISTS}
        """The newest experiments of each of the notebook's lists."""
        self.problems: list[tuple[int, str]] = []
        """(line number, what is wrong) of lines that were skipped."""
        self.lines = 0
        self.offset = 0

    # -- feeding

    def feed(self, at: int, line: bytes) -> None:
        """Fold in one complete line that begins at byte `at`. A bad line is noted and skipped, never fatal."""
        self.lines += 1
        self.offset = at + len(line) + 1
        if not line.strip():
            return
        try:
            data = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            self.problems.append((self.lines, f"not JSON: {error}"))
            return
        if not isinstance(data, dict):
            self.problems.append((self.lines, "not a JSON object"))
            return
        kind = data.get("type")
        if kind is None:
            fold = _FOLDS["experiment"] if isinstance(data.get("run"), (int, float)) else None
        else:
            fold = _FOLDS.get(kind) if isinstance(kind, str) else None
        if fold is None:
            return
        if odd := records.odd_commit(data):
            self.problems.append((self.lines, f"a bad {kind or 'experiment'} line: its {odd} is no commit's full name"))
            return
        try:
            fold(self, at, data)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            self.problems.append((self.lines, f"a bad {kind or 'experiment'} line: {error}"))
            return
        self._tick(kind, data)

    def load(self, path: Path) -> History:
        reader = Reader(path, self.offset)
        for at, line in reader.lines():
            self.feed(at, line)
        return self

    def _tick(self, kind: str | None, data: dict[str, Any]) -> None:
        stamp = data.get("timestamp")
        if not isinstance(stamp, (int, float)):
            return
        stamp = int(stamp)
        request = data.get("request")
        if isinstance(request, str):
            self.requests.add(request)
        if kind == "resume" or not self.last_ms:
            self.started_ms = self.started_ms or stamp
        elif kind not in _OUTSIDE and self.control.state == "running":
            self.running_ms += max(0, stamp - self.last_ms)
        if kind not in _OUTSIDE:
            self.last_ms = max(self.last_ms, stamp)

    # -- questions

    def incumbent_values(self) -> list[float]:
        """The incumbent's runs among the last `WINDOW` measurements of any arm."""
        if self.incumbent is None:
            return []
        sha = self.incumbent.sha
        return [value for commit, value, counts in self.recent if counts and commit == sha]

    def next_k(self, sha: str) -> int:
        return self.sampled.get(sha, 0) + 1

    def next_number(self) -> int:
        return (self.open.number if self.open else self.rows[-1].number if self.rows else 0) + 1

    def first_samples(self) -> list[float | None]:
        """First samples of this segment's experiments after the baseline, None where there is none."""
        return [row.first for row in self.rows if row.segment == self.segment and row.cause != "baseline"]

    @property
    def scored(self) -> str:
        """What prints the number: `evaluate`, a protected file of the `run`, a file in `scope`; "" where unknown."""
        scored = self.header.scored if self.header is not None else ""
        return scored or ("scope" if "own-score" in self.warned else "")

    @property
    def self_scored(self) -> bool:
        """Whether code that the agent may edit prints the number itself."""
        return self.scored == "scope"

    @property
    def score_note(self) -> str:
        """What nobody can rule out about the number, in a sentence; "" where it is read apart from the agent's code."""
        return SCORE_NOTES.get(self.scored, "")

    @property
    def score_mark(self) -> str:
        return SCORE_MARKS.get(self.scored, "")

    @property
    def gap(self) -> Gap | None:
        """The best's gain on the metric beside its gain on the holdout. For people, never for agents."""
        header = self.header or records.Header()
        sd = math.sqrt(self.spread.ss / self.spread.nu) if self.spread.nu else None
        effect = finite(header.verdict.get("min_effect")) or 0.0
        return heldout.gap(self.holdout, header.metric_name, header.direction, sd, effect)

    @property
    def measured(self) -> int:
        """Experiments that limits count: those of this session's own engine, the unfinished one left out."""
        return len(self.rows) - self.imported

    @staticmethod
    def free_id(prefix: str, known: Iterable[str]) -> str:
        """The next free id such as `i7`."""
        numbers = [int(id[1:]) for id in known if id.startswith(prefix) and id[1:].isdigit()]
        return f"{prefix}{max(numbers, default=0) + 1}"

    # -- folds, one per kind of line

    def _header(self, at: int, data: dict[str, Any]) -> None:
        header = records.from_json(data)
        assert isinstance(header, records.Header)
        if self.header is not None and self.rows:
            self.segment += 1
        self.first_header = self.first_header or header
        self.header = header
        self.baseline = None
        self.incumbent = None
        self.baseline_metrics = {}
        self.baseline_duration_s = 0.0
        self.spread = Spread()
        self.recent.clear()
        self.unproven.clear()
        self.estimates.clear()
        self.holdout.clear()
        self.held_out.clear()
        self.open = None

    def _proposal(self, at: int, data: dict[str, Any]) -> None:
        lines = data.get("lines") or (0, 0)
        waiting = Waiting(
            id=int(data["id"]),
            base=data["base"],
            sha=data["sha"],
            description=data.get("description", ""),
            hypothesis=data.get("hypothesis", ""),
            category=data.get("category", ""),
            agent=data.get("agent", ""),
            idea=data.get("idea"),
            mends=data.get("mends"),
            bundle=tuple(data.get("bundle") or ()),
            params=data.get("params") or None,
            net_lines=int(lines[0]) - int(lines[1]),
            cost_usd=data.get("cost_usd"),
            files=tuple(data.get("files") or ()),
            dropped=tuple(data.get("dropped") or ()),
            problem=data.get("problem", ""),
            reason=data.get("reason", ""),
            at=at,
        )
        self.waiting[waiting.id] = waiting
        self.next_proposal = max(self.next_proposal, waiting.id + 1)
        self.cost_usd += waiting.cost_usd or 0.0
        self.tokens += sum((data.get("tokens") or {}).values())
        for number in waiting.bundle:
            self.unproven.pop(number, None)
        if waiting.idea in self.ideas:
            self.ideas[waiting.idea].state = "taken"
        if waiting.agent == "retry" and self.retries:
            self.retries.pop(0)
        if waiting.agent == "overrule" and self.overrules:
            decided = self.decisions[self.overrules.pop(0).experiment]
            decided.proposal = waiting.id
        for steer in reversed(self.steers[: int(data.get("heard") or 0)]):
            if steer.read_by is not None:
                break
            steer.read_by, steer.read_ms = waiting.id, int(data.get("briefed") or 0)

    def _withdrawn(self, at: int, data: dict[str, Any]) -> None:
        waiting = self.waiting.pop(int(data["proposal"]), None)
        if waiting is not None and "as p" not in data.get("reason", ""):
            self.withdrawn_usd += waiting.cost_usd or 0.0
        if waiting and waiting.idea in self.ideas:
            self.ideas[waiting.idea].state = "open"

    def _intent(self, at: int, data: dict[str, Any]) -> None:
        number = int(data["experiment"])
        if self.open is not None and self.open.number == number:
            self.open.attempt = int(data.get("attempt", 1))
            self.open.clean = False
            return
        proposal = data["proposal"]
        self.opened_proposal = self.waiting.pop(proposal, None) if proposal is not None else None
        self.open = Open(
            number=number,
            proposal=proposal,
            parent=data["parent"],
            sha=data["sha"],
            attempt=int(data.get("attempt", 1)),
            at=at,
            version=int(data.get("version", 1)),
            flags=tuple(data.get("flags") or ()),
            noise=Spread(**noise) if (noise := data.get("noise")) else None,
        )
        keep = self.incumbent.sha if self.incumbent else ""
        self.sampled = {sha: count for sha, count in self.sampled.items() if sha == keep}

    def _sample(self, at: int, data: dict[str, Any]) -> None:
        sample = SampleRow(
            sha=data["sha"],
            arm=data["arm"],
            k=int(data["k"]),
            seed=int(data.get("seed", data["k"])),
            metric=finite(data.get("metric")),
            metrics=data.get("metrics") or {},
            cause=data.get("cause"),
            detail=data.get("detail", ""),
            duration_s=data.get("duration_s") or 0.0,
            at=at,
        )
        self.measured_s += sample.duration_s
        self.cost_usd += self._printed_usd(sample)
        if sample.arm == "holdout":
            self._held_out(sample, data.get("experiment"))
            return
        self.sampled[sample.sha] = max(self.sampled.get(sample.sha, 0), sample.k)
        if data.get("again"):
            return
        if sample.arm == "incumbent" and data.get("experiment") is None:
            self.again = max(0, self.again - 1)
        mine = self.open is not None and data.get("experiment") == self.open.number
        baseline = self.open is not None and self.open.proposal is None
        if mine and self.open is not None:
            self.open.samples.append(sample)
        if sample.metric is not None and sample.cause is None:
            if sample.arm == "incumbent" and any(v != sample.metric for v in self.incumbent_values()):
                self.spread.identical = False
            # A candidate's race is selected for being lucky when it wins, so it never counts as the incumbent's.
            counts = sample.arm in ("incumbent", "fresh") or baseline
            self.recent.append((sample.sha, sample.metric, counts))

    def _printed_usd(self, sample: SampleRow) -> float:
        """What a run says that it cost. Never below 0; where code in scope prints it, it counts for nothing."""
        if self.self_scored:
            return 0.0
        return min(max(0.0, finite(sample.metrics.get("cost_usd")) or 0.0), PRINTED_USD)

    def _held_out(self, sample: SampleRow, number: Any) -> None:
        good = sample.cause is None and sample.metric is not None
        self.held_out.setdefault(sample.sha, []).append(good)
        row = self.by_number.get(number) if isinstance(number, int) else None
        if good and sample.metric is not None and row is not None and row.metric is not None:
            self.holdout.append(HeldOut(row.number, sample.metric, row.metric))

    def _experiment(self, at: int, data: dict[str, Any]) -> None:
        opened = self.open if self.open is not None and self.open.number == int(data["run"]) else None
        row = self._row(at, data, opened)
        if self.by_number.get(row.number) is not None:
            raise ValueError(f"experiment {row.number} is there already")
        self.imported += opened is None
        self.rows.append(row)
        self.by_number[row.number] = row
        self.counts[row.status] += 1
        if row.flags:
            self.flagged.append(row.number)
        if row.status in ("keep", "discard") and isinstance(row.estimate, (int, float)):
            self.estimates.append(row.estimate)
        if row.cause not in _NOT_MEASURED:
            self.crash_streak = self.crash_streak + 1 if row.status == "crash" else 0
        if row.cause != "baseline":
            family = self.families.setdefault((list_of(row), row.family or "other"), Family(first=row.number))
            family.add(row, self.header)
            self.lists[list_of(row)].append(row)
        if row.idea in self.ideas:
            idea = self.ideas[row.idea]
            idea.state = "tried"
            idea.experiments.append(row.number)
        if row.status == "keep":
            self._kept(row, data, opened)
        else:
            self.since_keep += 1
            if row.cause == "unproven" and not row.bundle and row.estimate is not None:
                self.unproven[row.number] = (row.estimate, row.runs)
        if opened is not None:
            for arm in ("candidate", "fresh"):
                self.spread.add([s.metric for s in opened.of(arm) if s.metric is not None and s.cause is None])
            self.open = None
            self.opened_proposal = None

    def _kept(self, row: Row, data: dict[str, Any], opened: Open | None) -> None:
        self.since_keep = 0
        self.again = 0
        samples = (opened.of("fresh") or opened.of("candidate")) if opened else []
        if opened is not None and row.cause != "baseline" and not opened.of("fresh"):
            # `single` mode takes no fresh samples: its one run is all that is known of the new incumbent.
            self.recent.extend((row.sha, s.metric, True) for s in samples if s.metric is not None and s.cause is None)
        durations = [sample.duration_s for sample in samples if sample.cause is None]
        self.incumbent = Incumbent(
            number=row.number,
            sha=row.sha,
            metric=row.metric,
            metrics=data.get("metrics") or {},
            duration_s=sum(durations) / len(durations) if durations else 0.0,
        )
        if row.cause == "baseline" or self.baseline is None:
            self.baseline = row
            self.baseline_metrics = self.incumbent.metrics
            self.baseline_duration_s = self.incumbent.duration_s

    def _row(self, at: int, data: dict[str, Any], opened: Open | None) -> Row:
        proposal = self.opened_proposal if opened is not None else None
        verdict = data.get("verdict") or {}
        status = data.get("status")
        race = [s for s in opened.of("candidate")] if opened else []
        row = Row()
        row.number = int(data["run"])
        row.proposal = data.get("proposal")
        row.sha = data.get("sha") or data.get("commit", "")
        row.parent = data.get("parent", "")
        row.status = status if status in records.STATUSES else "discard"
        row.cause = data.get("cause", "")
        row.metric = records.value_of(data)
        row.first = race[0].metric if race else row.metric
        row.estimate = data.get("estimate")
        row.interval = data.get("interval")
        row.log_evidence = verdict.get("log_evidence")
        row.runs = len(race)
        row.segment = self.segment
        row.description = data.get("description", "")
        row.category = data.get("category", "")
        row.agent = proposal.agent if proposal else ""
        row.idea = proposal.idea if proposal else None
        row.mends = proposal.mends if proposal else None
        row.bundle = proposal.bundle if proposal else ()
        row.params = proposal.params if proposal else None
        row.net_lines = proposal.net_lines if proposal else 0
        row.warnings = len(data.get("warnings") or ())
        row.flags = tuple(data.get("flags") or ())
        row.timestamp = int(data.get("timestamp") or 0)
        row.duration_s = data.get("duration_s") or 0.0
        row.cost_usd = data.get("cost_usd")
        row.proposal_at = proposal.at if proposal else -1
        row.intent_at = opened.at if opened else -1
        row.line_at = at
        return row

    def _lesson(self, at: int, data: dict[str, Any]) -> None:
        self.lessons[int(data["experiment"])] = (data["lesson"], data.get("retry_if", ""))

    def _idea(self, at: int, data: dict[str, Any]) -> None:
        known = self.ideas.get(data["id"])
        if known is not None:
            known.text = data["text"]
            # Moving one that was vetoed a moment before does not put it back.
            if known.state == "vetoed" and not data.get("first") and not data.get("after"):
                known.state, known.reason = "open", ""
        else:
            self.ideas[data["id"]] = IdeaState(
                id=data["id"], text=data["text"], by=data.get("by", ""), timestamp=int(data.get("timestamp") or 0)
            )
        after = data.get("after")
        if data.get("first"):
            self.ideas = {data["id"]: self.ideas.pop(data["id"]), **self.ideas}
        elif after in self.ideas and after != data["id"]:
            moved = self.ideas.pop(data["id"])
            ids = list(self.ideas)
            ids.insert(ids.index(after) + 1, moved.id)
            self.ideas = {id: moved if id == moved.id else self.ideas[id] for id in ids}

    def _veto(self, at: int, data: dict[str, Any]) -> None:
        if data["id"] in self.ideas:
            self.ideas[data["id"]].state = "vetoed"
            self.ideas[data["id"]].reason = data.get("reason", "")
        self.dead_ends.pop(data["id"], None)
        self.notes.pop(data["id"], None)

    def _dead_end(self, at: int, data: dict[str, Any]) -> None:
        self.dead_ends[data["id"]] = DeadEndState(
            id=data["id"],
            text=data["text"],
            list=data.get("list", "refuted"),
            experiment=data.get("experiment"),
            retry_if=data.get("retry_if", ""),
            by=data.get("by", ""),
            idea=data.get("idea"),
            timestamp=int(data.get("timestamp") or 0),
        )
        if data.get("idea") in self.ideas:
            given_up = self.ideas[data["idea"]]
            given_up.state, given_up.reason = "vetoed", f"given up as {data['id']}"

    def _note(self, at: int, data: dict[str, Any]) -> None:
        self.notes[data["id"]] = Text(
            text=data["text"], timestamp=data.get("timestamp", 0), id=data["id"], by=data.get("by", "")
        )

    def _steer(self, at: int, data: dict[str, Any]) -> None:
        self.steers.append(Text(text=data["text"], timestamp=data.get("timestamp", 0), by=data.get("by", "")))

    def _pause(self, at: int, data: dict[str, Any]) -> None:
        self._ended("paused", data)

    def _stop(self, at: int, data: dict[str, Any]) -> None:
        self._ended("stopped", data)

    def _ended(self, state: Literal["paused", "stopped"], data: dict[str, Any]) -> None:
        stamp = int(data.get("timestamp") or 0)
        if self.control.state == "running" and self.last_ms:
            self.running_ms += max(0, stamp - self.last_ms)
        self.control = Control(
            state=state,
            reason=data.get("reason", ""),
            limit=data.get("limit", ""),
            fix=data.get("fix", ""),
            since=stamp,
        )
        if self.open is not None:
            self.open.clean = not self.open.failed

    def _resume(self, at: int, data: dict[str, Any]) -> None:
        self.control = Control(since=int(data.get("timestamp") or 0))
        self.resumed_ms, self.rows_before = self.control.since, len(self.rows)
        if self.open is not None:
            self.open.clean = self.open.failed = False

    def _settings(self, at: int, data: dict[str, Any]) -> None:
        self.settings.update(data["changes"])

    def _retry(self, at: int, data: dict[str, Any]) -> None:
        number = int(data["experiment"])
        if self.incumbent is not None and self.incumbent.number == number:
            self.again += 1
        else:
            self.retries.append(number)

    def _overrule(self, at: int, data: dict[str, Any]) -> None:
        record = records.from_json(data)
        assert isinstance(record, records.Overrule)
        self.overrules.append(record)
        self.decisions[record.experiment] = Decision(record.action, record.note, record.by, record.timestamp)

    def _notice(self, at: int, data: dict[str, Any]) -> None:
        if data["type"] == "warning":
            self.warned.add(data.get("code", ""))
        if data["type"] == "error" and self.open is not None and data.get("experiment") == self.open.number:
            self.open.failed = True
        self.notices.append(
            Text(
                text=data["text"],
                timestamp=data.get("timestamp", 0),
                experiment=data.get("experiment"),
                code=data["type"] if data["type"] == "error" else data.get("code", ""),
                fix=data.get("fix", ""),
            )
        )

    def _agent(self, at: int, data: dict[str, Any]) -> None:
        self.cost_usd += data.get("cost_usd") or 0.0
        self.tokens += sum((data.get("tokens") or {}).values())
        if data.get("event") == "began":
            self.agent = (data.get("agent", ""), data.get("text", ""))


_OUTSIDE = frozenset({"pause", "stop", "idea", "veto", "note", "steer", "dead_end", "settings", "retry", "overrule"})
"""Lines that may be written while no engine runs; they never count as running time."""

_FOLDS: dict[str, Callable[[History, int, dict[str, Any]], None]] = {
    "config": History._header,
    "proposal": History._proposal,
    "withdrawn": History._withdrawn,
    "intent": History._intent,
    "sample": History._sample,
    "experiment": History._experiment,
    "lesson": History._lesson,
    "idea": History._idea,
    "veto": History._veto,
    "dead_end": History._dead_end,
    "note": History._note,
    "steer": History._steer,
    "pause": History._pause,
    "stop": History._stop,
    "resume": History._resume,
    "settings": History._settings,
    "retry": History._retry,
    "overrule": History._overrule,
    "warning": History._notice,
    "error": History._notice,
    "agent": History._agent,
}


NOTHING_TAKEN = frozenset({"no_change", "out_of_scope", "no_proposal"})
"""Crashes whose commit is its parent's: there is no change that could be tried or kept."""
_NOT_MEASURED = NOTHING_TAKEN | {"conflict"}
"""Crashes that say nothing about the environment: nothing ran."""
