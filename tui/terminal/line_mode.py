"""The line printer of `--headless`: a line per event, and on a terminal one more line that shows what runs.

It sees what the engine writes, as it writes it. A reader that goes away (`| head`, a closed terminal) ends the printing
and never the engine.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from typing import Any, TextIO

from autoresearch.state.journal import History, records
from autoresearch.state.session import Live, Session
from autoresearch.state.text import listed, numbers
from autoresearch.state.text.numbers import plural
from autoresearch.tui.facts import documents
from autoresearch.tui.facts.text import SIGNS, fitted, shorten
from autoresearch.tui.terminal.console import Console
from autoresearch.tui.terminal.session_text import print_summary

_ERASE = "\r\x1b[2K"
_BAR = 8
_PHASES = {
    "starting": "starting",
    "preparing": "preparing the trees",
    "proposing": "waiting for a proposal",
    "building": "building",
    "evaluating": "evaluating",
    "guarding": "checking the guards",
    "judging": "judging",
    "pausing": "pausing",
    "ended": "",
}


class Printer:
    """Give `observe` and `live` to the engine, and call `finish` after it."""

    def __init__(self, stream: TextIO, tty: bool, goal: int | None = None, hint: str = "") -> None:
        """`goal` is how many experiments this call is to write, for the counter beside the bar.

        `hint` is said once, when the agent begins.
        """
        self._console = Console(stream)
        self._console.tty = tty
        self._stream = stream
        self._tty = tty
        self._goal = goal
        self._hint = hint
        self._done = 0
        self._closed = False
        self._live: Live | None = None
        self._drawn = False
        self._words: dict[int, str] = {}
        """What waiting proposals change, by id."""
        self._history: History | None = None

    @property
    def session(self) -> str | None:
        """The name of the session that the engine opened; None before it has written anything."""
        header = self._history.header if self._history is not None else None
        return header.session or None if header is not None else None

    # -- what the engine calls

    def observe(self, record: records.Record, history: History) -> None:
        """One journal line, after the history has taken it in."""
        self._history = history
        if (tell := _TELL.get(type(record))) is not None:
            tell(self, record, history)
        elif (said := _said(record, history)) is not None:
            self._line(record.timestamp, *said)
        self._draw()

    def live(self, live: Live) -> None:
        self._live = live
        self._draw()

    def finish(self, session: Session) -> None:
        """The short summary at the end."""
        self._erase()
        history = session.history()
        document = documents.summary(session, history)
        if self._closed or not history.rows:
            return
        try:
            self._stream.write("\n")
            print_summary(self._console, document, history)
            self._stream.flush()
        except (BrokenPipeError, ValueError):
            self._closed = True

    # -- events

    def _header(self, header: records.Header, history: History) -> None:
        if header.reason:
            self._line(header.timestamp, f"segment {history.segment + 1}: {fitted(header.reason)}", "warn")

    def _resume(self, record: records.Resume, history: History) -> None:
        for waiting in history.waiting.values():
            self._words[waiting.id] = waiting.description
        header = history.header or records.Header()
        parts = [fitted(header.name), f"{fitted(header.metric_name)}, {header.direction} is better"]
        parts.append(f"session {header.session} on {fitted(header.accelerator) or 'this machine'}")
        if history.rows:
            parts.append(f"{plural(len(history.rows), 'experiment')} on record")
        self._line(record.timestamp, " · ".join(filter(None, parts)), "strong")
        if history.open is not None:
            taken = plural(len(history.open.samples), "run")
            self._line(record.timestamp, f"#{history.open.number} goes on after {taken}", "quiet")

    def _proposal(self, record: records.Proposal, history: History) -> None:
        self._words[record.id] = record.description
        if record.dropped:
            paths = listed([fitted(path) for path in record.dropped])
            self._line(record.timestamp, f"not taken, outside the scope: {paths}", "warn")

    def _withdrawn(self, record: records.Withdrawn, history: History) -> None:
        what = fitted(self._words.pop(record.proposal, "") or f"proposal {record.proposal}")
        self._line(record.timestamp, f"put back: {what} ({fitted(record.reason)})", "quiet")

    def _intent(self, record: records.Intent, history: History) -> None:
        if record.attempt > 1:
            self._line(record.timestamp, f"#{record.experiment} is tried again (attempt {record.attempt})", "quiet")
        elif record.proposal is not None:
            what = fitted(self._words.pop(record.proposal, ""))
            self._line(record.timestamp, f"{self._number(record.experiment)} {SIGNS['open']:<11} {what}", "run")

    def _sample(self, record: records.Sample, history: History) -> None:
        if history.open is None or history.open.proposal is not None:
            return
        of = (history.header.verdict.get("baseline_runs") if history.header else None) or "?"
        took = numbers.duration(record.duration_s)
        if record.cause:
            told = f"{record.cause.replace('_', ' ')}: {fitted(record.detail)}"
            self._line(record.timestamp, f"{self._number(history.open.number)} baseline run failed ({told})", "crash")
            return
        good = sum(sample.cause is None for sample in history.open.of("candidate"))
        value = documents.metric_text(record.metric, history)
        self._line(
            record.timestamp, f"{self._number(history.open.number)} baseline run {good} of {of}: {value} ({took})", ""
        )

    def _experiment(self, record: records.Experiment, history: History) -> None:
        self._done += 1
        row = history.by_number.get(record.run)
        value = f" {documents.metric_text(row.metric, history)} →" if row is not None and row.metric is not None else ""
        reason = fitted(record.reason) or record.cause.replace("_", " ")
        head = f"{self._number(record.run)} {SIGNS[record.status]:<11}"
        what = f" · {fitted(record.description)}"
        if record.cause == "baseline":
            value, what = " baseline:", ""
        cause = f"{record.cause.replace('_', ' ')}: " if record.status == "crash" and record.cause else ""
        self._line(record.timestamp, f"{head}{value} {cause}{reason}{what}", record.status)
        for warning in record.warnings:
            self._line(record.timestamp, f"     {fitted(warning)}", "warn")

    def _agent(self, record: records.AgentEvent, history: History) -> None:
        if record.text:
            self._line(record.timestamp, f"agent {fitted(record.agent)}: {fitted(record.text)}", "quiet")
        if record.event == "began" and self._hint:
            self._line(record.timestamp, self._hint, "warn")
            self._hint = ""

    # -- writing

    def _number(self, number: int) -> str:
        return f"{f'#{number}':>4}"

    def _line(self, timestamp: int, text: str, style: str) -> None:
        clock = time.strftime("%H:%M:%S", time.localtime((timestamp or records.now_ms()) / 1000))
        self._erase()
        self._write(f"{self._console.paint(clock, 'quiet')} {self._console.paint(text, style)}\n")

    def _write(self, text: str) -> None:
        if self._closed:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # Whoever read has gone, or the log's disk is full; the journal has it all and the engine goes on.
            self._closed = True

    def _erase(self) -> None:
        if self._drawn:
            self._write(_ERASE)
            self._drawn = False

    def _draw(self) -> None:
        """The one rewritten line of a terminal: what runs, k of n, time against expected, best so far."""
        if not self._tty or self._closed or self._live is None:
            return
        text = self._progress(self._live)
        if not text:
            self._erase()
            return
        width = 80
        with contextlib.suppress(OSError, ValueError):
            width = os.get_terminal_size(self._stream.fileno()).columns
        self._write(_ERASE + self._console.paint(shorten(text, max(10, width - 1)), "run"))
        self._drawn = True

    def _progress(self, live: Live) -> str:
        if live.phase == "ended":
            return ""
        elapsed = max(0.0, (records.now_ms() - live.since) / 1000)
        history = self._history
        best = history.incumbent if history is not None else None
        expected = best.duration_s if best is not None else 0.0
        measuring = live.phase in ("measuring", "baseline")
        parts = [self._what(live)]
        if measuring and expected:
            parts.append(f"{numbers.duration(elapsed)} of ~{numbers.duration(expected)}")
        else:
            parts.append(numbers.duration(elapsed))
        if live.waiting_for:
            waits = fitted(live.waiting_for)
            parts.append(waits if waits.startswith("waiting ") else f"waiting for {waits}")
        if best is not None and history is not None:
            parts.append(f"best {documents.metric_text(best.metric, history)}")
        if self._goal:
            parts.append(f"{self._done}/{self._goal} done")
        if live.pausing:
            parts.append("pauses after this" if live.pausing == "pause" else "stopping")
        if live.description and live.experiment is not None and live.phase != "baseline":
            parts.append(fitted(live.description))  # last: it is what a narrow terminal cuts
        return f"{bar(elapsed / expected if measuring and expected else None)} {' · '.join(parts)}"

    def _what(self, live: Live) -> str:
        number = f"#{live.experiment} " if live.experiment is not None else ""
        if live.phase == "baseline":
            return f"{number}baseline run {live.k} of {live.of}"
        if live.phase == "measuring":
            arm = {"incumbent": "the best again", "fresh": f"fresh run {live.k} of {live.of}"}
            return number + arm.get(live.arm, f"run {live.k} of ≤{live.of}")
        return number + _PHASES.get(live.phase, live.phase)


def bar(part: float | None) -> str:
    """A bar of fixed width; without a known end, an empty one."""
    filled = 0 if part is None else round(min(1.0, max(0.0, part)) * _BAR)
    return "▕" + "█" * filled + "░" * (_BAR - filled) + "▏"


def _said(record: records.Record, history: History) -> tuple[str, str] | None:
    """What a line of the journal says by itself, and its style; None for those that need no telling."""
    match record:
        case records.Lesson():
            again = f" (again if {fitted(record.retry_if)})" if record.retry_if else ""
            return f"     learned from #{record.experiment}: {fitted(record.lesson)}{again}", "quiet"
        case records.Idea():
            return f"idea {record.id}{_by(record.by)}: {fitted(record.text)}", "quiet"
        case records.Veto():
            why = f" ({fitted(record.reason)})" if record.reason else ""
            return f"veto of {fitted(record.id)}{_by(record.by)}{why}", "quiet"
        case records.Steer():
            return f"message to the agent{_by(record.by)}: {fitted(record.text)}", "quiet"
        case records.Settings():
            changes = ", ".join(f"{fitted(key)} = {fitted(value)}" for key, value in record.changes.items())
            return f"settings{_by(record.by)}: {changes}", "quiet"
        case records.Retry():
            return f"#{record.experiment} is to be tried again{_by(record.by)}", "quiet"
        case records.Overrule():
            done = f"#{record.experiment} is overruled to {fitted(record.action)}{_by(record.by)}"
            return f"{done}: {fitted(record.note)}", "warn"
        case records.Warn():
            return f"warning: {fitted(record.text)}", "warn"
        case records.Fault():
            return f"error: {fitted(record.text).rstrip('.')}.{_then(record.fix)}", "crash"
        case records.Pause():
            return f"PAUSED: {fitted(record.reason).rstrip('.')}.{_then(record.fix) or _next_step(record)}", "strong"
        case records.Stop():
            still = " The open experiment goes on at its next sample." if history.open is not None else ""
            reason = fitted(record.reason).rstrip(".") or "stopped"
            return f"STOPPED: {reason}.{still} Go on with `autoresearch resume`.", "strong"
    return None


def _by(who: str) -> str:
    return f" by {fitted(who)}" if who and who != "engine" else ""


def _then(fix: str) -> str:
    """The next step as a sentence of its own."""
    fix = fitted(fix).rstrip(".")
    return f" {fix[:1].upper()}{fix[1:]}." if fix else ""


def _next_step(record: records.Pause) -> str:
    if record.limit:
        return f" Raise it with `autoresearch limit {fitted(record.limit)} VALUE`, or go on with `autoresearch resume`."
    return " Go on with `autoresearch resume`."


_TELL: dict[type[Any], Callable[[Printer, Any, History], None]] = {
    records.Header: Printer._header,
    records.Resume: Printer._resume,
    records.Proposal: Printer._proposal,
    records.Withdrawn: Printer._withdrawn,
    records.Intent: Printer._intent,
    records.Sample: Printer._sample,
    records.Experiment: Printer._experiment,
    records.AgentEvent: Printer._agent,
}
