"""What each kind of line does to the read model: one function a kind, in `FOLDS`.

The folds work on decoded JSON objects instead of records: building 50,000 dataclasses took three times as long as
parsing them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autoresearch.state.journal import records
from autoresearch.state.journal.heldout import HeldOut
from autoresearch.state.journal.model import (
    LISTS,
    UNDECIDED,
    Control,
    DeadEndState,
    Decision,
    IdeaState,
    Incumbent,
    Model,
    Open,
    Row,
    SampleRow,
    Spread,
    Text,
    Waiting,
)
from autoresearch.state.journal.repeats import Repeats
from autoresearch.state.text.numbers import finite

OUTSIDE = frozenset({"pause", "stop", "idea", "veto", "note", "steer", "dead_end", "settings", "retry", "overrule"})
"""Lines that may be written while no engine runs; they never count as running time."""
NOTHING_TAKEN = frozenset({"no_change", "out_of_scope", "no_proposal"})
"""Crashes whose commit is its parent's: there is no change that could be tried or kept."""
_NOT_MEASURED = NOTHING_TAKEN | {"conflict"}
"""Crashes that say nothing about the environment: nothing ran."""
BLOCK_SIZE = 6
"""Runs of a complete block (`engine.verdict.blocks.SIZE`)."""
WORTH_A_BUNDLE = 0.35
_PRINTED_USD = 100.0
"""The most that one sample's `cost_usd` adds to the bill: a candidate in the printing process may print anything."""


def _header(model: Model, at: int, data: dict[str, Any]) -> None:
    header = records.from_json(data)
    assert isinstance(header, records.Header)
    if model.header is not None and model.rows:
        model.segment += 1
    model.first_header = model.first_header or header
    model.header = header
    model.baseline = None
    model.incumbent = None
    model.baseline_metrics = {}
    model.baseline_duration_s = 0.0
    model.spread = Spread()
    model.repeats = Repeats()
    model.recent.clear()
    model.unproven.clear()
    model.estimates.clear()
    model.holdout.clear()
    model.held_out.clear()
    model.open = None
    model.parked.clear()


def _proposal(model: Model, at: int, data: dict[str, Any]) -> None:
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
    model.waiting[waiting.id] = waiting
    model.next_proposal = max(model.next_proposal, waiting.id + 1)
    model.cost_usd += waiting.cost_usd or 0.0
    model.tokens += sum((data.get("tokens") or {}).values())
    if took_s := data.get("took_s"):
        model.proposals_s.append(took_s)
    for number in waiting.bundle:
        model.unproven.pop(number, None)
    if waiting.idea in model.ideas:
        model.ideas[waiting.idea].state = "taken"
    if waiting.agent == "retry" and model.retries:
        model.retries.pop(0)
    if waiting.agent == "overrule" and model.overrules:
        decided = model.decisions[model.overrules.pop(0).experiment]
        decided.proposal = waiting.id
    for steer in reversed(model.steers[: int(data.get("heard") or 0)]):
        if steer.read_by is not None:
            break
        steer.read_by, steer.read_ms = waiting.id, int(data.get("briefed") or 0)


def _withdrawn(model: Model, at: int, data: dict[str, Any]) -> None:
    waiting = model.waiting.pop(int(data["proposal"]), None)
    if waiting is not None and "as p" not in data.get("reason", ""):
        model.withdrawn_usd += waiting.cost_usd or 0.0
    if waiting and waiting.idea in model.ideas:
        model.ideas[waiting.idea].state = "open"


def _intent(model: Model, at: int, data: dict[str, Any]) -> None:
    number = int(data["experiment"])
    known = model.open if model.open is not None and model.open.number == number else model.parked.pop(number, None)
    if known is not None:
        model.open = known
        known.attempt = int(data.get("attempt", 1))
        known.clean = known.died = False
        if known.parent != data["parent"]:
            known.begin_anew(data["parent"], data["sha"])
            known.terms = data.get("terms") or known.terms
        return
    proposal = data["proposal"]
    model.last_number = max(model.last_number, number)
    model.open = Open(
        number=number,
        proposal=proposal,
        parent=data["parent"],
        sha=data["sha"],
        attempt=int(data.get("attempt", 1)),
        at=at,
        version=int(data.get("version", 1)),
        flags=tuple(data.get("flags") or ()),
        noise=Spread(**noise) if (noise := data.get("noise")) else None,
        terms=data.get("terms") or {},
        waiting=model.waiting.pop(proposal, None) if proposal is not None else None,
    )
    keep = {model.incumbent.sha if model.incumbent else "", *(parked.sha for parked in model.parked.values())}
    model.sampled = {sha: count for sha, count in model.sampled.items() if sha in keep}


def _park(model: Model, at: int, data: dict[str, Any]) -> None:
    opened = model.open
    if opened is None or opened.number != int(data["experiment"]):
        raise ValueError(f"experiment {data['experiment']} is not being measured")
    verdict = data.get("verdict") or {}
    if verdict.get("d") is not None or not opened.verdict:
        opened.verdict = verdict  # one that begins anew is as promising as it was
    _looked(model, opened, verdict)
    model.parked[opened.number] = opened
    model.open = None


def _looked(model: Model, opened: Open, verdict: dict[str, Any]) -> None:
    """Note what a candidate seemed at first; a bundle is no candidate like others."""
    look = finite(verdict.get("look"))
    if look is not None and not opened.looked and not (opened.waiting and opened.waiting.bundle):
        model.repeats.looks.append(look)
        opened.looked = True


def _sample(model: Model, at: int, data: dict[str, Any]) -> None:
    get, k = data.get, int(data["k"])
    metrics = get("metrics") or {}
    sample = SampleRow(
        data["sha"], data["arm"], k, int(get("seed", k)), finite(get("metric")), metrics, get("cause"),
        get("detail", ""), get("duration_s") or 0.0, at, get("block"), get("place"), get("basis") or {},
    )  # fmt: skip
    model.measured_s += sample.duration_s
    printed = metrics.get("cost_usd")
    if printed is not None and not model.self_scored:  # where code in scope prints it, it counts for nothing
        model.cost_usd += min(max(0.0, finite(printed) or 0.0), _PRINTED_USD)
        model.runs_cost = model.runs_cost or printed > 0
    if sample.arm == "holdout":
        _held_out(model, sample, get("experiment"))
        return
    model.sampled[sample.sha] = max(model.sampled.get(sample.sha, 0), sample.k)
    if get("again"):
        return
    number, opened = get("experiment"), model.open
    if sample.arm == "incumbent" and number is None:
        model.again = max(0, model.again - 1)
    if opened is not None and number == opened.number:
        opened.samples.append(sample)
    if sample.metric is not None and sample.cause is None:
        if sample.arm == "incumbent" and any(v != sample.metric for v in model.incumbent_values()):
            model.spread.identical = False
        # A candidate's race is selected for being lucky when it wins, so it never counts as the incumbent's.
        counts = sample.arm in ("incumbent", "fresh") or (opened is not None and opened.proposal is None)
        model.recent.append((sample.sha, sample.metric, counts))
        if counts:
            model.repeats.durations.append(sample.duration_s)
        _compare(
            model.repeats, opened if opened is not None and number == opened.number else None, sample, sample.metric
        )


def _compare(repeats: Repeats, opened: Open | None, sample: SampleRow, value: float) -> None:
    """Beside other runs of its commit. Fresh runs and a baseline's are compared once all are there."""
    run, mine = (value, sample.seed), sample.arm == "candidate"
    if sample.block is None or opened is None:
        if sample.arm == "incumbent":
            repeats.best_ran(run)
    elif sample.block > 0:
        block = opened.of_block(sample.block)
        if sample.block == 1 and len(block) == 1 and (odds := finite(opened.terms.get("odds"))):
            repeats.luck += 1 / odds
        repeats.in_block(mine, run)
        if len(block) == BLOCK_SIZE:
            repeats.block([(s.arm == "candidate", (s.metric, s.seed)) for s in block if s.metric is not None])
    elif sample.block == 0:
        earlier = [s for s in opened.of_block(0)[:-1] if s.arm == "candidate" and s.metric is not None]
        if not mine:
            repeats.best_ran(run)
        elif earlier and earlier[-1].metric is not None:
            repeats.again((earlier[-1].metric, earlier[-1].seed), run)
        if mine:
            repeats.other_ran()


def _held_out(model: Model, sample: SampleRow, number: Any) -> None:
    good = sample.cause is None and sample.metric is not None
    model.held_out.setdefault(sample.sha, []).append(good)
    row = model.by_number.get(number) if isinstance(number, int) else None
    if good and sample.metric is not None and row is not None and row.metric is not None:
        model.holdout.append(HeldOut(row.number, sample.metric, row.metric))


def _experiment(model: Model, at: int, data: dict[str, Any]) -> None:
    number = int(data["run"])
    opened = model.open if model.open is not None and model.open.number == number else model.parked.get(number)
    row = _row(model, at, data, opened)
    if model.by_number.get(row.number) is not None:
        raise ValueError(f"experiment {row.number} is there already")
    model.last_number = max(model.last_number, row.number)
    model.imported += opened is None
    model.rows.append(row)
    model.by_number[row.number] = row
    if row.baseline:
        model.baselines += 1
    else:
        model.counts[row.status] += 1
        model.counts["unproven"] += row.cause in UNDECIDED
    if row.flags:
        model.flagged.append(row.number)
    if row.status in ("keep", "discard") and isinstance(row.estimate, (int, float)):
        model.estimates.append(row.estimate)
    if row.cause not in _NOT_MEASURED:
        model.crash_streak = model.crash_streak + 1 if row.status == "crash" else 0
    if row.idea in model.ideas:
        idea = model.ideas[row.idea]
        idea.state = "tried"
        idea.experiments.append(row.number)
    if row.status == "keep":
        _kept(model, row, data, opened)
    else:
        model.since_keep += 1
        if _may_gain(row, data.get("verdict") or {}) and not row.bundle and row.estimate is not None:
            model.unproven[row.number] = (row.estimate, row.runs)
    if opened is not None:
        if len(opened.samples) > 1:
            for arm in ("candidate", "fresh"):
                model.spread.add([s.metric for s in opened.of(arm) if s.metric is not None and s.cause is None])
        _looked(model, opened, data.get("verdict") or {})
        if model.parked.pop(number, None) is None:
            model.open = None


def _may_gain(row: Row, verdict: dict[str, Any]) -> bool:
    """Whether its change is worth trying in a bundle."""
    noisy = row.cause == "too_noisy" and (finite(verdict.get("d")) or 0.0) >= WORTH_A_BUNDLE
    return noisy or row.cause == "unproven"


def _kept(model: Model, row: Row, data: dict[str, Any], opened: Open | None) -> None:
    model.since_keep = 0
    model.again = 0
    samples = (opened.of("fresh") or opened.of("candidate")) if opened else []
    if opened is not None and row.cause != "baseline" and not opened.of("fresh"):
        # `single` mode takes no fresh samples: its one run is all that is known of the new incumbent.
        model.recent.extend((row.sha, s.metric, True) for s in samples if s.metric is not None and s.cause is None)
    if opened is not None:
        raced = [s for s in opened.of("candidate") if s.block] or opened.of("candidate")
        _known_best(model.repeats, row, raced, opened.of("fresh"))
    durations = [sample.duration_s for sample in samples if sample.cause is None]
    model.incumbent = Incumbent(
        number=row.number,
        sha=row.sha,
        metric=row.metric,
        metrics=data.get("metrics") or {},
        duration_s=sum(durations) / len(durations) if durations else 0.0,
    )
    if row.cause == "baseline" or model.baseline is None:
        model.baseline = row
        model.baseline_metrics = model.incumbent.metrics
        model.baseline_duration_s = model.incumbent.duration_s


def _known_best(repeats: Repeats, row: Row, raced: list[SampleRow], fresh: list[SampleRow]) -> None:
    runs, again = (
        [(s.metric, s.seed) for s in some if s.good and s.metric is not None and (s.block or 0) >= 0]
        for some in (raced, fresh)
    )
    if row.cause == "baseline":
        repeats.baseline(runs)
    else:
        repeats.kept(runs, again)


def _row(model: Model, at: int, data: dict[str, Any], opened: Open | None) -> Row:
    proposal = opened.waiting if opened is not None else None
    verdict = data.get("verdict") or {}
    status = data.get("status")
    race = opened.of("candidate") if opened else []
    row = Row()
    row.number = int(data["run"])
    row.proposal = data.get("proposal")
    row.sha = data.get("sha") or data.get("commit", "")
    row.parent = data.get("parent", "")
    row.status = status if status in records.STATUSES else "discard"
    row.cause = data.get("cause", "")
    row.metric = records.value_of(data)
    row.first = next((sample.metric for sample in race if sample.block != -1), row.metric)
    row.estimate = data.get("estimate")
    row.interval = data.get("interval")
    row.log_evidence = verdict.get("log_evidence")
    row.runs = sum(sample.block != -1 for sample in race)
    row.segment = model.segment
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


def _lesson(model: Model, at: int, data: dict[str, Any]) -> None:
    model.lessons[int(data["experiment"])] = (data["lesson"], data.get("retry_if", ""))


def _idea(model: Model, at: int, data: dict[str, Any]) -> None:
    known = model.ideas.get(data["id"])
    if known is not None:
        known.text = data["text"]
        # Moving one that was vetoed a moment before does not put it back.
        if known.state == "vetoed" and not data.get("first") and not data.get("after"):
            known.state, known.reason = "open", ""
    else:
        model.ideas[data["id"]] = IdeaState(
            id=data["id"], text=data["text"], by=data.get("by", ""), timestamp=int(data.get("timestamp") or 0)
        )
    after = data.get("after")
    if data.get("first"):
        model.ideas = {data["id"]: model.ideas.pop(data["id"]), **model.ideas}
    elif after in model.ideas and after != data["id"]:
        moved = model.ideas.pop(data["id"])
        ids = list(model.ideas)
        ids.insert(ids.index(after) + 1, moved.id)
        model.ideas = {id: moved if id == moved.id else model.ideas[id] for id in ids}


def _veto(model: Model, at: int, data: dict[str, Any]) -> None:
    if data["id"] in model.ideas:
        model.ideas[data["id"]].state = "vetoed"
        model.ideas[data["id"]].reason = data.get("reason", "")
    model.dead_ends.pop(data["id"], None)
    model.notes.pop(data["id"], None)


def _dead_end(model: Model, at: int, data: dict[str, Any]) -> None:
    model.dead_ends[data["id"]] = DeadEndState(
        id=data["id"],
        text=data["text"],
        list=where if (where := data.get("list")) in LISTS[1:] else "refuted",
        experiment=data.get("experiment"),
        retry_if=data.get("retry_if", ""),
        by=data.get("by", ""),
        idea=data.get("idea"),
        timestamp=int(data.get("timestamp") or 0),
    )
    if data.get("idea") in model.ideas:
        given_up = model.ideas[data["idea"]]
        given_up.state, given_up.reason = "vetoed", f"given up as {data['id']}"


def _note(model: Model, at: int, data: dict[str, Any]) -> None:
    model.notes[data["id"]] = Text(
        text=data["text"], timestamp=data.get("timestamp", 0), id=data["id"], by=data.get("by", "")
    )


def _steer(model: Model, at: int, data: dict[str, Any]) -> None:
    model.steers.append(Text(text=data["text"], timestamp=data.get("timestamp", 0), by=data.get("by", "")))


def _ended(model: Model, at: int, data: dict[str, Any]) -> None:
    stamp = int(data.get("timestamp") or 0)
    if model.control.state == "running" and model.last_ms:
        model.running_ms += max(0, stamp - model.last_ms)
    model.control = Control(
        state="paused" if data["type"] == "pause" else "stopped",
        reason=data.get("reason", ""),
        limit=data.get("limit", ""),
        fix=data.get("fix", ""),
        since=stamp,
    )
    if model.open is not None:
        model.open.clean = not model.open.failed


def _resume(model: Model, at: int, data: dict[str, Any]) -> None:
    model.control = Control(since=int(data.get("timestamp") or 0))
    model.resumed_ms, model.rows_before = model.control.since, len(model.rows)
    if model.open is not None:
        model.open.died = not model.open.clean
        model.open.clean = model.open.failed = False


def _settings(model: Model, at: int, data: dict[str, Any]) -> None:
    model.settings.update(data["changes"])


def _retry(model: Model, at: int, data: dict[str, Any]) -> None:
    number = int(data["experiment"])
    if model.incumbent is not None and model.incumbent.number == number:
        model.again += 1
    else:
        model.retries.append(number)


def _overrule(model: Model, at: int, data: dict[str, Any]) -> None:
    record = records.from_json(data)
    assert isinstance(record, records.Overrule)
    model.overrules.append(record)
    model.decisions[record.experiment] = Decision(record.action, record.note, record.by, record.timestamp)


def _notice(model: Model, at: int, data: dict[str, Any]) -> None:
    if data["type"] == "warning":
        model.warned.add(data.get("code", ""))
    if data["type"] == "error" and model.open is not None and data.get("experiment") == model.open.number:
        model.open.failed = True
    model.notices.append(
        Text(
            text=data["text"],
            timestamp=data.get("timestamp", 0),
            experiment=data.get("experiment"),
            code=data["type"] if data["type"] == "error" else data.get("code", ""),
            fix=data.get("fix", ""),
        )
    )


def _agent(model: Model, at: int, data: dict[str, Any]) -> None:
    model.cost_usd += data.get("cost_usd") or 0.0
    model.tokens += sum((data.get("tokens") or {}).values())
    if data.get("event") == "began":
        model.agent = (data.get("agent", ""), data.get("text", ""))


FOLDS: dict[str, Callable[[Model, int, dict[str, Any]], None]] = {
    "config": _header,
    "proposal": _proposal,
    "withdrawn": _withdrawn,
    "intent": _intent,
    "park": _park,
    "sample": _sample,
    "experiment": _experiment,
    "lesson": _lesson,
    "idea": _idea,
    "veto": _veto,
    "dead_end": _dead_end,
    "note": _note,
    "steer": _steer,
    "pause": _ended,
    "stop": _ended,
    "resume": _resume,
    "settings": _settings,
    "retry": _retry,
    "overrule": _overrule,
    "warning": _notice,
    "error": _notice,
    "agent": _agent,
}
