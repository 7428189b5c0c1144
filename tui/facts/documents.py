"""What the reading commands answer, as plain documents: the JSON that `--json` prints and people's text is made from.

Keys are documented in docs/cli.md. A value that is not known is null, never 0. Times are milliseconds since the epoch.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from autoresearch.engine.limits import in_force, with_values
from autoresearch.engine.verdict import gain_of, keep_if_better
from autoresearch.state import journal
from autoresearch.state.config import Limits
from autoresearch.state.journal import History, Row, list_of, records
from autoresearch.state.session import Heartbeat, Place, Session, target_of
from autoresearch.state.text import numbers
from autoresearch.tui.facts.engine import engine_now
from autoresearch.tui.facts.ideas import families

Document = dict[str, Any]

_OF_ROW = ("number", "status", "cause", "metric", "first", "estimate", "interval", "log_evidence", "runs",
           "description", "category", "agent", "params", "idea", "bundle", "mends", "net_lines", "segment", "proposal",
           "sha", "parent", "duration_s", "cost_usd", "warnings", "flags")  # fmt: skip


def status(session: Session, history: History, now_ms: int, beat: Heartbeat) -> Document:
    """What the session does now and where it stands."""
    engine, live = engine_now(session, history, now_ms, beat)
    header = history.header or records.Header()
    opened = history.open
    return {
        **_standing(session, history),
        "target": header.target,
        "state": engine.state,
        "reason": engine.reason,
        "fix": engine.fix,
        "limit": engine.limit,
        "since": engine.since + engine.behind_ms if engine.since else None,
        "phase": live.phase if live else None,
        "experiment": live.experiment if live else opened.number if opened else None,
        "description": live.description if live else "",
        "k": live.k if live else None,
        "of": live.of if live else None,
        "waiting_for": live.waiting_for if live else "",
        "pausing": live.pausing if live else "",
        "agent": live.agent if live else "",
        "proposing": live.proposing if live else "",
        "since_keep": history.since_keep,
        "spend": spend(history, engine.clock(now_ms) if engine.alive else None),
        "limits": limits(session, history, live.limits if live else {}),
        "engine": {"pid": engine.pid, "host": live.host if live else header.host, "log": str(session.engine_log)},
        "elsewhere": engine.host,
        "notices": [picked(notice, "text", "fix", "code", "timestamp") for notice in list(history.notices)[-5:]],
        "bad_lines": [{"line": line, "problem": problem} for line, problem in history.problems[:20]],
        "folder": str(session.folder),
    }


def _standing(session: Session, history: History) -> Document:
    """What `status` and `summary` both say."""
    header, incumbent = history.header or records.Header(), history.incumbent
    return {
        "session": session.name,
        "name": header.name,
        "metric": {"name": header.metric_name, "unit": header.metric_unit, "direction": header.direction},
        "best": point(history.by_number.get(incumbent.number)) if incumbent else None,
        "baseline": point(history.baseline),
        **gain_of(session, history),
        "counts": counts(history),
        "segment": history.segment,
        "parked": [
            {"number": each.number, "odds": each.odds, "description": each.waiting.description if each.waiting else ""}
            for each in history.parked.values()
        ],
        "flagged": [picked(history.by_number[number], "number", "status", "flags") for number in history.flagged],
        "scored": history.scored,
        "self_scored": history.self_scored,
        **holdout(history),
        "branch": session.branch.removeprefix("refs/heads/"),
    }


def picked(item: object, *keys: str) -> Document:
    """Some attributes of it, by their names."""
    return {key: getattr(item, key) for key in keys}


def for_people() -> bool:
    """Whether a person may be asking: an agent's commands carry the place for its proposal."""
    return "AUTORESEARCH_PROPOSAL" not in os.environ


def holdout(history: History) -> Document:
    """The held-out values and the gap between their gain and the metric's, for people; nothing of it for agents."""
    if not for_people():
        return {"holdout": [], "gap": None}
    gap = history.gap
    return {
        "holdout": [asdict(value) for value in history.holdout],
        "gap": None if gap is None else asdict(gap),
    }


def experiment(row: Row, history: History) -> Document:
    """One finished experiment, as `log` lists it."""
    lesson, retry_if = history.lessons.get(row.number, ("", ""))
    return {
        **picked(row, *_OF_ROW),
        "params": row.params or {},
        "lesson": lesson,
        "retry_if": retry_if,
        "timestamp": row.timestamp,
    }


def samples(journal_file: Path, number: int, start: int, end: int, holdout: bool = False) -> list[Document]:
    """An experiment's samples between two offsets: those of the race, or the holdout's, which are for people alone."""
    if start < 0:
        return []
    return [
        data
        for _, data in journal.read_objects(journal_file, start, end)
        if data.get("type") == "sample"
        and data.get("experiment") == number
        and (data.get("arm") == "holdout") is holdout
    ]


def chain(number: int, history: History) -> list[Document]:
    """The experiments that mend one another, the first failure first; empty where nothing was mended."""
    opened, proposal = history.open, history.opened_proposal
    mending = proposal.mends if opened is not None and opened.number == number and proposal is not None else None
    row = history.by_number.get(number if mending is None else mending)
    if row is None:
        return []
    # A mend takes a later number than what it mends, and is itself mended at most once.
    found = [row, *history.mended(row)][-1:]
    for later in history.rows:
        if later.mends is not None and later.mends == found[-1].number:
            found.append(later)
    document: list[Document] = [{"number": link.number, "status": link.status} for link in found]
    if opened is not None and proposal is not None and proposal.mends == found[-1].number:
        document.append({"number": opened.number, "status": "open"})
    return document if len(document) > 1 else []


def mending_text(mends: int | None, description: str) -> str:
    """A description as a list shows it: a mend points at what it mends."""
    return f"↳ #{mends} {description}" if mends is not None else description


def summary(session: Session, history: History) -> Document:
    """What was tried, kept and gained in the present segment, and what keep-if-better would have claimed."""
    # Imported keeps (never intended here) are on no branch of ours.
    kept = [row for row in reversed(journal.worked(history)) if row.intent_at >= 0]
    standing = _standing(session, history)
    return {
        **standing,
        "segments": history.segment + 1 if history.header else 0,
        "kept": [picked(row, "number", "description", "estimate", "interval") for row in kept],
        "keep_if_better": keep_if_better(history),
        "lessons": best_lessons(history),
        "spend": spend(history),
        "merge": f"git merge {standing['branch']}" if kept else None,
        **picked(history.control, "state", "reason", "fix"),
    }


def best_lessons(history: History) -> list[Document]:
    """The lessons of the experiments that said most: keeps by their gain first, then the rest, newest first."""

    def rank(number: int) -> tuple[int, float, int]:
        row = history.by_number.get(number)
        kept = row is not None and row.status == "keep"
        return (0 if kept else 1, -(row.estimate or 0.0) if kept and row else 0.0, -number)

    chosen = sorted(history.lessons, key=rank)[:3]
    return [{"experiment": n, "lesson": history.lessons[n][0], "retry_if": history.lessons[n][1]} for n in chosen]


def ideas(history: History) -> Document:
    return {
        "ideas": [asdict(idea) for idea in history.ideas.values()],
        "dead_ends": dead_ends(history),
        "families": [asdict(family) for family in families(history)],
        "notes": [picked(note, "id", "text", "by", "timestamp") for note in history.notes.values()],
    }


def dead_ends(history: History) -> list[Document]:
    """What an agent or a person wrote down, then the failed experiments that nobody wrote about, newest first.

    Those have no id: nothing can be vetoed about them. Of each list the newest are given, as in the notebook.
    """
    entries = [asdict(entry) for entry in history.dead_ends.values()]
    shown, _ = journal.newest(history, journal.unwritten(journal.dead_ends_in(history)))
    for row in shown:
        lesson, retry_if = history.lessons.get(row.number, ("", ""))
        text = row.description + (f": {lesson}" if lesson else "")
        entries.append(
            {
                "id": None,
                "text": text,
                "list": list_of(row),
                "experiment": row.number,
                "retry_if": retry_if,
                "by": row.agent,
                "idea": row.idea,
                "timestamp": row.timestamp,
            }
        )
    return entries


def point(row: Row | None) -> Document | None:
    """An experiment as a place on the curve."""
    return None if row is None else picked(row, "number", "sha", "metric", "description")


def counts(history: History) -> Document:
    """Whole session. Baselines are `experiments` and nothing else; `unproven` is a part of `discard`."""
    return {
        "experiments": history.tried,
        "tried": history.tried - history.baselines,
        "kept": history.counts["keep"],
        "parked": len(history.parked),
        **{kind: history.counts[kind] for kind in ("discard", "unproven", "crash", "checks_failed")},
    }


def spend(history: History, now_ms: int | None = None) -> Document:
    """`running_s` goes on counting to `now_ms` while an engine lives. What a keep cost is all that was spent for it."""
    since = max(0, now_ms - history.last_ms) if now_ms is not None and history.last_ms else 0
    count = counts(history)
    return {
        "usd": round(history.cost_usd, 6),
        "tokens": history.tokens,
        "running_s": round((history.running_ms + since) / 1000, 3),
        "measured_s": round(history.measured_s, 3),
        "unused_usd": round(history.withdrawn_usd, 6),
        "usd_per_experiment": _each(history.cost_usd, count["tried"]),
        "usd_per_keep": _each(history.cost_usd, count["kept"]),
    }


def _each(usd: float, count: int) -> float | None:
    """None where nothing was spent, or where the agent's cost is not known."""
    return round(usd / count, 6) if usd and count else None


def limits(session: Session, history: History, of_call: Document) -> Document:
    """Limits in force: the session's config, later settings, and those of the running call (`call`). 0 or "": none."""
    return {**asdict(in_force(_own_limits(session.config) or Limits(), history)), "call": of_call}


def next_limits(place: Place, session: Session, history: History, of_call: Document) -> Document:
    """Those of an engine that is started now: it reads the target's file anew, which may say something else by now."""
    own = _own_limits(place.config_file) if target_of(session) == place.prefix else None
    return {**asdict(in_force(own, history)), "call": of_call} if own else limits(session, history, of_call)


def _own_limits(config: Path) -> Limits | None:
    """`[limits]` as far as it can be used; None when the file cannot be read: it may be at somebody's editor."""
    try:
        table = tomllib.loads(config.read_text(encoding="utf-8")).get("limits", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return None
    return with_values(Limits(), table) if isinstance(table, dict) else None


def metric_text(value: float | None, history: History) -> str:
    return numbers.metric(value, history.spread.sd)


def gain_text(estimate: float | None, interval: float | None) -> str:
    """ "better by 0.0041 ±0.0012"; empty without an estimate."""
    if estimate is None:
        return ""
    if estimate == 0:
        return "no difference"
    word = "better" if estimate > 0 else "worse"
    return f"{word} by {numbers.metric(abs(estimate), interval)} {numbers.plus_minus(interval)}".rstrip()


def evidence_text(row: Row) -> str:
    """ "better by 0.0041 ±0.0012 (34 to 1, 3 runs)" as far as it is known."""
    runs = f"{row.runs} {'run' if row.runs == 1 else 'runs'}" if row.runs else ""
    odds = numbers.odds(row.log_evidence) if row.log_evidence is not None else ""
    behind = ", ".join(filter(None, (odds, runs)))
    text = gain_text(row.estimate, row.interval)
    return f"{text} ({behind})" if text and behind else text
