"""Everything about one experiment, read from the journal at the offsets the history kept."""

from __future__ import annotations

from pathlib import Path

from autoresearch.state import numbers, records
from autoresearch.state.history import History, Open, Row
from autoresearch.state.journal import read_line, read_objects
from autoresearch.tui import answers
from autoresearch.tui.follow import clean
from autoresearch.tui.palette import Palette
from autoresearch.tui.widgets.lists import Item
from autoresearch.tui.widgets.table import WORDS

_ARMS = {"candidate": "run", "incumbent": "best again", "fresh": "fresh run", "holdout": "holdout"}


def detail_of(journal: Path, history: History, item: Row | Open, palette: Palette) -> list[Item]:
    """Reads a few kilobytes. Raises OSError or MalformedRecord when the journal is no longer what it was."""
    if isinstance(item, Open):
        proposal = history.opened_proposal
        proposal_at, start, end = (proposal.at if proposal else -1), item.at, history.offset
        what = proposal.description if proposal else "the baseline" if item.proposal is None else ""
        items: list[Item] = [(">", palette.run, clean(what), palette.strong)] if what else []
        items.append(("·", palette.quiet, "No verdict yet.", palette.quiet))
    else:
        proposal_at, start, end = item.proposal_at, item.intent_at, item.line_at
        items = _verdict(journal, item, palette)
    items += _chain(history, item, palette)
    items += _proposal(journal, proposal_at, palette)
    items += _samples(journal, start, end, item.number, palette)
    lesson, retry_if = history.lessons.get(item.number, ("", ""))
    if lesson:
        items.append(("", palette.title, "Lesson", palette.title))
        items.append(("·", palette.quiet, clean(lesson), palette.text))
        if retry_if:
            items.append(("·", palette.quiet, f"Retry if {clean(retry_if)}", palette.quiet))
    return items


def _chain(history: History, item: Row | Open, palette: Palette) -> list[Item]:
    """Each link with its own words: a failure and the mends of it are one story."""
    links = answers.chain(item.number, history)
    if not links:
        return []
    items: list[Item] = [("", palette.title, "Mends", palette.title)]
    for link in links:
        row = history.by_number.get(link["number"])
        here = link["number"] == item.number
        what = "being measured" if row is None else clean(row.description)
        cause = f" ({row.cause.replace('_', ' ')})" if row is not None and row.status != "keep" else ""
        mark, style = (">", palette.run) if row is None else (WORDS[row.status][-1], palette.status(row.status))
        text = f"#{link['number']} {what}{cause}"
        items.append((mark, style, text, palette.strong if here else palette.quiet))
    return items


def title_of(item: Row | Open) -> str:
    return f"#{item.number}" if isinstance(item, Open) else f"#{item.number}  {WORDS[item.status]}"


def _verdict(journal: Path, row: Row, palette: Palette) -> list[Item]:
    line = read_line(journal, row.line_at)
    assert isinstance(line, records.Experiment)
    style = palette.status(row.status, row.cause)
    items: list[Item] = [(WORDS[row.status][-1], style, clean(line.description) or row.cause, palette.strong)]
    if line.reason:
        items.append(("·", palette.quiet, clean(line.reason), palette.text))
    items.append(("", palette.title, "Verdict", palette.title))
    value = numbers.metric(row.metric, row.interval)
    items.append(("·", palette.quiet, f"{line.status}, {line.cause.replace('_', ' ')}; value {value}", palette.text))
    if line.estimate is not None:
        text = f"better by {numbers.signed(line.estimate, line.interval)} {numbers.plus_minus(line.interval)}"
        if row.log_evidence is not None:
            text += f" ({numbers.odds(row.log_evidence)}, {row.runs} {'run' if row.runs == 1 else 'runs'})"
        items.append(("·", palette.quiet, text, palette.text))
    known = {key: value for key, value in line.verdict.items() if value is not None and key != "log_evidence"}
    if known:
        text = "  ".join(f"{key} {numbers.metric(v) if isinstance(v, float) else v}" for key, v in known.items())
        items.append(("·", palette.quiet, clean(text), palette.quiet))
    if line.metrics:
        text = "  ".join(f"{name} {numbers.metric(value)}" for name, value in line.metrics.items())
        items.append(("·", palette.quiet, clean(text), palette.quiet))
    cost = f", ${line.cost_usd:.2f}" if line.cost_usd else ""
    where = f"took {numbers.duration(line.duration_s)}{cost}; commit {row.sha[:12]} on {row.parent[:12]}"
    items.append(("·", palette.quiet, where, palette.quiet))
    items += [("!", palette.checks, clean(warning), palette.text) for warning in line.warnings]
    return items


def _proposal(journal: Path, at: int, palette: Palette) -> list[Item]:
    if at < 0:
        return []
    line = read_line(journal, at)
    assert isinstance(line, records.Proposal)
    items: list[Item] = [("", palette.title, "Hypothesis", palette.title)]
    text = clean(line.hypothesis or line.description)
    items.append(("?", palette.quiet, text, palette.text))
    by = " ".join(part for part in (line.agent, line.model) if part)
    about = [part for part in (f"by {by}" if by else "", line.category, line.expected_effect) if part]
    if line.mends is not None:
        about.append(f"mends #{line.mends}")
    if line.bundle:
        about.append("bundle of " + ", ".join(f"#{number}" for number in line.bundle))
    if about:
        items.append(("·", palette.quiet, clean("; ".join(about)), palette.quiet))
    if line.params:
        text = "  ".join(f"{name} = {value}" for name, value in line.params.items())
        items.append(("·", palette.quiet, clean(text), palette.text))
    if line.files:
        plus, minus = line.lines
        items.append(("", palette.title, f"Files (+{plus} −{minus} lines)", palette.title))
        items += [("·", palette.quiet, clean(name), palette.text) for name in line.files[:40]]
    items += [("!", palette.checks, f"not taken, out of scope: {clean(name)}", palette.text) for name in line.dropped]
    return items


def _samples(journal: Path, start: int, end: int, number: int, palette: Palette) -> list[Item]:
    if start < 0:
        return []
    items: list[Item] = []
    for _, data in read_objects(journal, start, end):
        if data.get("type") != "sample" or data.get("experiment") != number:
            continue
        sample = records.from_json(data)
        assert isinstance(sample, records.Sample)
        text = f"{_ARMS.get(sample.arm, sample.arm)}, seed {sample.seed}: "
        text += numbers.metric(sample.metric) if sample.cause is None else sample.cause.replace("_", " ")
        text += f"  in {numbers.duration(sample.duration_s)}"
        if sample.peak_vram_mb:
            text += f", {sample.peak_vram_mb:,.0f} MB of GPU memory"
        elif sample.peak_rss_mb:
            text += f", {sample.peak_rss_mb:,.0f} MB"
        if sample.detail:
            text += f". {clean(sample.detail)}"
        style = palette.text if sample.arm == "candidate" else palette.quiet
        items.append(("·" if sample.cause is None else "!", palette.quiet, text, style))
    return [("", palette.title, "Samples", palette.title), *items] if items else []
