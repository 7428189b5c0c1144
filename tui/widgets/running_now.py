"""The running experiment in words: what is tried, why, its runs so far; then what waits and what went wrong lately."""

from __future__ import annotations

from autoresearch.state.journal import History, Open
from autoresearch.state.session import Live
from autoresearch.state.text import numbers, safe_line
from autoresearch.tui.facts import words
from autoresearch.tui.facts.text import GLYPHS
from autoresearch.tui.facts.watched import Watched
from autoresearch.tui.look.palette import Palette
from autoresearch.tui.widgets.text_list import Item


def now_items(watched: Watched, palette: Palette, *, can_start: bool) -> list[Item]:
    engine, live, history, running = watched.engine, watched.live, watched.history, watched.running
    items: list[Item] = []
    if engine is not None and engine.state not in ("running", "starting"):
        said = words.doing(engine, live, history, can_start=can_start)
        items.append(("", palette.title, words.badge(engine, live).capitalize(), palette.title))
        items.append(("!", palette.crash, f"{said[:1].upper()}{said[1:]}{words.more(engine)}", palette.text))
    if history.open is not None:
        items += _opened(history.open, "Running" if running else "Open", live, history, palette)
    if live is not None and running and (live.proposing or history.waiting):
        items.append(("", palette.title, "Next", palette.title))
        for waiting in list(history.waiting.values())[:3]:
            items.append(("›", palette.quiet, safe_line(waiting.description or waiting.hypothesis), palette.text))
        if live.proposing:
            items.append(("·", palette.quiet, f"{safe_line(live.proposing)} prepares a proposal", palette.quiet))
            if live.waiting_for:
                items.append(("!", palette.checks, words.waiting(live), palette.text))
    return items + _notices(history, palette) + _best(history, palette)


def _opened(opened: Open, verb: str, live: Live | None, history: History, palette: Palette) -> list[Item]:
    """What is tried, why, its runs so far and those of the best."""
    step = history.spread.sd
    baseline = opened.proposal is None
    proposal = history.opened_proposal
    what = "the baseline" if baseline else safe_line(proposal.description) if proposal else ""
    if live is not None and live.experiment == opened.number and live.description:
        what = safe_line(live.description)
    items: list[Item] = [("", palette.title, f"{verb} #{opened.number}", palette.title)]
    if what:
        items.append((">", palette.run, what, palette.strong))
    hypothesis = safe_line(proposal.hypothesis) if proposal else ""
    if hypothesis and hypothesis != what:
        items.append(("?", palette.quiet, hypothesis, palette.quiet))
    for arm, name in (("candidate", "runs"), ("fresh", "fresh runs")):
        values = [numbers.metric(s.metric, step) if s.cause is None else str(s.cause) for s in opened.of(arm)]
        if values:
            items.append(("·", palette.quiet, f"{name} {', '.join(values)}", palette.text))
    against = [] if baseline else history.incumbent_values()[-6:]
    if against:
        text = f"best {', '.join(numbers.metric(value, step) for value in against)}"
        items.append(("·", palette.quiet, text, palette.best))
    return items


def _best(history: History, palette: Palette) -> list[Item]:
    """What the best changed, and what was learned from it."""
    best = history.incumbent
    row = history.by_number.get(best.number) if best is not None else None
    if row is None or row.cause == "baseline":
        return []
    items: list[Item] = [("", palette.title, f"Best #{row.number}", palette.title)]
    items.append((GLYPHS["keep"], palette.keep, safe_line(row.description), palette.text))
    lesson, _ = history.lessons.get(row.number, ("", ""))
    if lesson:
        items.append(("·", palette.quiet, safe_line(lesson), palette.quiet))
    return items


def _notices(history: History, palette: Palette) -> list[Item]:
    """The last three warnings and errors of different kinds, newest first."""
    shown: list[Item] = []
    seen: set[str] = set()
    for notice in reversed(history.notices):
        kind = notice.code or notice.text
        if kind in seen:
            continue
        seen.add(kind)
        text = safe_line(notice.text) + (f" {safe_line(notice.fix)}" if notice.fix else "")
        shown.append(("!", palette.crash if notice.code == "error" else palette.checks, text, palette.text))
        if len(shown) == 3:
            break
    if history.problems:
        line, what = history.problems[-1]
        shown.append(("!", palette.checks, f"Journal line {line} was skipped: {safe_line(what)}", palette.text))
    return [("", palette.title, "Notices", palette.title), *shown] if shown else []
