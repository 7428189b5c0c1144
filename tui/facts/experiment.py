"""One experiment whole, read from the journal at the offsets the history kept: a few kilobytes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoresearch.engine.files import NotTaken, open_regular
from autoresearch.state.journal import FLAG_WORDS, History, Open, Row, knob_values, read_line, records
from autoresearch.state.session import Session
from autoresearch.state.text import clean_line, numbers
from autoresearch.tui.facts import documents
from autoresearch.tui.facts.evidence import because, rule
from autoresearch.tui.facts.ideas import knob_names

LOGS = ("output.log", "build.log", "evaluate.log", "guard.log", "agent.log", "brief.md")


@dataclass(frozen=True, slots=True)
class Metric:
    """A value beside the one of the best that it started from."""

    name: str
    value: str
    change: str
    """ "−0.0041, better"; for a metric without a direction only the difference."""


@dataclass(frozen=True, slots=True)
class Link:
    """A step in a chain of mends."""

    number: int
    status: str
    """A verdict, or `open`."""
    text: str


@dataclass(frozen=True, slots=True)
class Experiment:
    number: int
    status: str
    """A verdict, or `open`."""
    cause: str
    description: str
    because: str
    """What the verdict means, with the odds; "" where nothing was raced."""
    verdict: str
    """In words, with the evidence."""
    reason: str
    """Of the record; "" where the verdict says it all."""
    decided: str
    """What a person decided about it; "" where nobody did."""
    hypothesis: str = ""
    about: str = ""
    """Who proposed it, its category, what was expected."""
    files: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    lines: tuple[int, int] = (0, 0)
    params: str = ""
    race: tuple[float, ...] = ()
    fresh: tuple[float, ...] = ()
    against: tuple[float, ...] = ()
    """The runs of the best it was compared with, its own and those taken beside the race."""
    against_number: int | None = None
    samples: tuple[records.Sample, ...] = ()
    metrics: tuple[Metric, ...] = ()
    chain: tuple[Link, ...] = ()
    lesson: str = ""
    retry_if: str = ""
    cost: str = ""
    warnings: tuple[str, ...] = ()
    sha: str = ""
    parent: str = ""
    idea: str = ""
    noise: float | None = None
    """The standard deviation of one run of the metric."""
    rule: str = ""
    """What decided, with the noise it reckoned with."""


def known(history: History, number: int) -> Row | Open | None:
    return next((opened for opened in history.unfinished if opened.number == number), history.by_number.get(number))


def numbers_of(history: History) -> list[int]:
    """Every experiment that can be shown, in order."""
    return sorted([*history.by_number, *(opened.number for opened in history.unfinished)])


def read(session: Session, history: History, item: Row | Open) -> Experiment:
    """Raises OSError or MalformedRecord when the journal is no longer what it was."""
    journal = session.journal
    if isinstance(item, Open):
        waiting = item.waiting
        proposed_at, start, end, line = (waiting.at if waiting else -1), item.at, history.offset, None
    else:
        proposed_at, start, end = item.proposal_at, item.intent_at, item.line_at
        found = read_line(journal, item.line_at)
        line = found if isinstance(found, records.Experiment) else None
    proposal = _proposal(journal, proposed_at)
    samples = _samples(journal, start, end, item.number)
    parent = _row_of(item.parent, history)
    lesson, retry_if = history.lessons.get(item.number, ("", ""))
    return Experiment(
        number=item.number,
        status=("parked" if item.number in history.parked else "open") if isinstance(item, Open) else item.status,
        cause="" if isinstance(item, Open) else item.cause,
        description=_description(line, proposal, item),
        because=because("" if isinstance(item, Open) else item.cause, line.verdict if line else {}),
        verdict=_verdict(item, history),
        reason=_reason(line, _verdict(item, history)),
        decided=_decided(item, history),
        hypothesis=clean_line((proposal.hypothesis if proposal else "") or (line.hypothesis if line else "")),
        about=_about(proposal, line),
        files=tuple(map(clean_line, (proposal.files if proposal else line.files if line else ()))),
        dropped=tuple(map(clean_line, proposal.dropped)) if proposal else (),
        lines=proposal.lines if proposal else (0, 0),
        params=_params(proposal, history),
        race=_values(samples, "candidate"),
        fresh=_values(samples, "fresh"),
        against=_against(journal, parent, item, samples),
        against_number=parent.number if parent is not None and parent.number != item.number else None,
        samples=tuple(samples),
        metrics=_metrics(journal, line, parent, item, history),
        chain=_chain(item.number, history),
        lesson=clean_line(lesson),
        retry_if=clean_line(retry_if),
        cost=_cost(line, proposal),
        warnings=_warnings(line, item, history),
        sha=item.sha,
        parent=item.parent,
        idea=clean_line(proposal.idea or "") if proposal else "",
        noise=history.spread.sd,
        rule=clean_line(rule(line.verdict)) if line else "",
    )


def _proposal(journal: Path, at: int) -> records.Proposal | None:
    line = read_line(journal, at) if at >= 0 else None
    return line if isinstance(line, records.Proposal) else None


def _params(proposal: records.Proposal | None, history: History) -> str:
    """ "LR = 0.003  DEPTH = 6"."""
    called = knob_names(history)
    values = knob_values(proposal.params) if proposal is not None else {}
    return "  ".join(f"{called.get(name, name)} = {value}" for name, value in values.items())


def _samples(journal: Path, start: int, end: int, number: int) -> list[records.Sample]:
    """Never those of the holdout: this screen may be copied into a message to an agent."""
    found = map(records.from_json, documents.samples(journal, number, start, end))
    return [sample for sample in found if isinstance(sample, records.Sample)]


def _values(samples: Sequence[records.Sample], arm: str) -> tuple[float, ...]:
    return tuple(s.metric for s in samples if s.arm == arm and s.cause is None and s.metric is not None)


def _row_of(sha: str, history: History) -> Row | None:
    if not sha:
        return None
    return next((row for row in reversed(history.rows) if row.sha == sha and row.status == "keep"), None)


def _against(journal: Path, parent: Row | None, item: Row | Open, samples: list[records.Sample]) -> tuple[float, ...]:
    beside = _values(samples, "incumbent")
    if parent is None or parent.number == item.number or parent.intent_at < 0:
        return beside
    own = _samples(journal, parent.intent_at, parent.line_at, parent.number)
    return (_values(own, "fresh") or _values(own, "candidate")) + beside


def _description(line: records.Experiment | None, proposal: records.Proposal | None, item: Row | Open) -> str:
    said = (line.description if line else "") or (proposal.description if proposal else "")
    return clean_line(said) or ("baseline" if item.proposal is None else "")


def _verdict(item: Row | Open, history: History) -> str:
    if isinstance(item, Open):
        return "No verdict yet."
    value = numbers.metric(item.metric, item.interval or history.spread.sd)
    said = documents.evidence_text(item)
    cause = item.cause.replace("_", " ")
    parts = [said or cause, f"value {value}" if item.metric is not None else "no value"]
    return "; ".join(part for part in parts if part)


def _reason(line: records.Experiment | None, verdict: str) -> str:
    reason = clean_line(line.reason) if line else ""
    return "" if _words(reason) <= _words(verdict) else reason


def _words(text: str) -> set[str]:
    return {word.strip("(),;") for word in text.split()}


def _decided(item: Row | Open, history: History) -> str:
    """A person's decision about this experiment, or the one that this experiment carries out."""
    decided = history.decisions.get(item.number)
    if decided is not None:
        number = next((row.number for row in history.rows if row.proposal == decided.proposal is not None), None)
        where = f", done as #{number}" if number is not None else ", done next"
        word = "keep" if decided.action == "keep" else "undo"
        return f"{clean_line(decided.by) or 'a person'} decided to {word} it{where}: {clean_line(decided.note)}"
    of = next((n for n, each in history.decisions.items() if each.proposal == item.proposal is not None), None)
    if of is not None:
        done = history.decisions[of]
        verb = "re-applies" if done.action == "keep" else "reverts"
        return f"{verb} #{of} as {clean_line(done.by) or 'a person'} decided: {clean_line(done.note)}"
    return ""


def _about(proposal: records.Proposal | None, line: records.Experiment | None) -> str:
    if proposal is None:
        return clean_line(line.category) if line else ""
    by = " ".join(part for part in (proposal.agent, proposal.model) if part)
    parts = [f"by {by}" if by else "", proposal.category,
             f"expected: {proposal.expected_effect}" if proposal.expected_effect else "",
             f"mends #{proposal.mends}" if proposal.mends is not None else "",
             "bundle of " + ", ".join(f"#{n}" for n in proposal.bundle) if proposal.bundle else ""]  # fmt: skip
    return clean_line("; ".join(part for part in parts if part))


def _metrics(
    journal: Path, line: records.Experiment | None, parent: Row | None, item: Row | Open, history: History
) -> tuple[Metric, ...]:
    if line is None:
        return ()
    before: dict[str, float] = {}
    if parent is not None and parent.number != item.number:
        found = read_line(journal, parent.line_at)
        before = found.metrics if isinstance(found, records.Experiment) else {}
    header = history.header or records.Header()
    lower = {header.metric_name: header.direction == "lower"}
    lower |= {name: not str(limit).strip().startswith(">") for name, limit in header.constraints.items()}
    step = history.spread.sd
    return tuple(
        Metric(
            clean_line(name),
            numbers.metric(value, step if name == header.metric_name else None),
            _change(value, before.get(name), lower.get(name), step if name == header.metric_name else None),
        )
        for name, value in line.metrics.items()
    )


def _change(value: float, before: float | None, lower: bool | None, step: float | None) -> str:
    if before is None:
        return ""
    by = value - before
    if by == 0:
        return "same"
    said = numbers.signed(by, step) if step else numbers.signed(float(f"{by:.3g}"))
    if not any(digit in said for digit in "123456789"):
        return f"{said}, as good as the same"
    if before:
        said += f" ({100 * by / abs(before):+.1f}%)".replace("-", "−")
    return said if lower is None else f"{said}, {'better' if (by < 0) == lower else 'worse'}"


def _chain(number: int, history: History) -> tuple[Link, ...]:
    links = []
    for link in documents.chain(number, history):
        row = history.by_number.get(link["number"])
        what = "being measured" if row is None else clean_line(row.description)
        cause = f" ({row.cause.replace('_', ' ')})" if row is not None and row.status != "keep" else ""
        links.append(Link(link["number"], link["status"], what + cause))
    return tuple(links)


def _cost(line: records.Experiment | None, proposal: records.Proposal | None) -> str:
    usd = (line.cost_usd if line else None) or (proposal.cost_usd if proposal else None)
    tokens = sum(proposal.tokens.values()) if proposal else 0
    parts = [f"${usd:.2f}" if usd else "", f"{tokens:,} tokens" if tokens else "",
             f"{numbers.duration(line.duration_s)} measured" if line and line.duration_s else ""]  # fmt: skip
    return ", ".join(part for part in parts if part)


def _warnings(line: records.Experiment | None, item: Row | Open, history: History) -> tuple[str, ...]:
    said = list(map(clean_line, line.warnings)) if line else []
    said += [FLAG_WORDS.get(code, clean_line(code)) for code in getattr(item, "flags", ())]
    said += [clean_line(notice.text) for notice in history.notices if notice.experiment == item.number]
    said += [history.score_note] if history.score_note else []
    return tuple(dict.fromkeys(said))


# -- files of its run


def logs_of(session: Session, number: int) -> dict[str, Path]:
    folder = session.run(number)
    return {name: folder / name for name in LOGS if (folder / name).is_file()}


@dataclass(frozen=True, slots=True)
class Kept:
    """An output of the run, and the same one of the best."""

    name: str
    mine: str | None
    """Its beginning; None for what is no text."""
    size: int
    best: str | None
    best_size: int | None


_TEXT_BYTES = 64 * 1024
_MOST_FILES = 50


def kept(session: Session, number: int, best: int | None) -> list[Kept]:
    """The files in `kept/`, never through a link."""
    folder = session.run(number) / "kept"
    other = session.run(best) / "kept" if best is not None and best != number else None
    found = []
    names = (
        sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    )
    for name in names[:_MOST_FILES]:
        mine = _beginning(folder, name)
        if mine is None:
            continue
        beside = _beginning(other, name) if other is not None else None
        found.append(Kept(clean_line(name), mine[0], mine[1], *(beside or (None, None))))
    return found


def _beginning(folder: Path, name: str) -> tuple[str | None, int] | None:
    try:
        with os.fdopen(open_regular(folder, name), "rb") as file:
            data = file.read(_TEXT_BYTES)
            size = os.fstat(file.fileno()).st_size
    except (NotTaken, OSError):
        return None
    return (None if b"\0" in data else data.decode("utf-8", "replace")), size
