"""What a person wants to check before a restart: why it stopped, what was in flight and what becomes of it, what came
since the last start, what is left. A fold over the history, fast with 10,000 experiments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from autoresearch.engine import record
from autoresearch.engine.git import Git, GitError
from autoresearch.state.journal import History, Open, Row, Text, Waiting, worked
from autoresearch.state.session import Place, Session
from autoresearch.state.text import clean_line
from autoresearch.state.text.numbers import plural
from autoresearch.tui.facts import ideas, limits, words
from autoresearch.tui.facts.documents import picked
from autoresearch.tui.facts.engine import Engine
from autoresearch.tui.facts.ideas import Entry
from autoresearch.tui.facts.pending import Pending

_DIED_TWICE = 2
"""After so many deaths in it, an experiment is given up (the loop's rule)."""


@dataclass(frozen=True, slots=True)
class Returning:
    state: str
    """ "PAUSED" and the like."""
    since: int
    why: str
    fix: str
    limit: str
    """The limit that stopped it, if one did."""
    used_up: str
    """The limit that would pause an engine at once, ..."""
    held: str
    """... and how it says so; "" where all leave room."""
    in_flight: tuple[str, ...]
    """What had begun, and what will become of it, a sentence each."""
    started_ms: int
    """The last start."""
    finished: int
    """Experiments since then."""
    keeps: tuple[Row, ...]
    """Since then, the newest first."""
    dead: dict[str, list[Entry]]
    """Dead ends since then, by list."""
    ideas: tuple[Entry, ...]
    """Open, in their order."""
    warnings: tuple[Text, ...]
    """Since then, the newest first."""
    left: tuple[str, ...]
    """Of the limits."""
    asked: tuple[Pending, ...]
    """Requests that wait in the inbox."""


def returning(
    history: History, engine: Engine | None, bounds: dict[str, Any], asked: Sequence[Pending] = (),
    steps: Sequence[str] = (),
) -> Returning:  # fmt: skip
    """`bounds` are the limits in force; `steps` what recovery will do, in words."""
    why, fix = why_stopped(history, engine)
    limit = engine.limit if engine is not None else ""
    used_up = limits.used_up(history, bounds)
    if used_up is None and limit in limits.KINDS and limit != "until":
        fix = "The limits leave room now: `autoresearch resume` goes on."
    return Returning(
        state=words.badge(engine, None),
        since=engine.since if engine is not None else history.control.since,
        why=why,
        fix=fix,
        limit=limit,
        used_up=used_up.limit if used_up is not None else "",
        held=used_up.reason if used_up is not None else "",
        in_flight=(*in_flight(history, bounds), *steps),
        started_ms=history.resumed_ms,
        finished=len(history.rows) - history.rows_before,
        keeps=tuple(worked(history, history.rows_before)),
        dead=ideas.dead_ends(history, since=history.rows_before) if history.rows_before < len(history.rows) else {},
        ideas=tuple(ideas.ideas(history, asked)["open"]),
        warnings=tuple(
            notice for notice in reversed(history.notices) if notice.timestamp >= history.resumed_ms and notice.text
        ),
        left=tuple(limits.left(history, bounds)),
        asked=tuple(asked),
    )


def why_stopped(history: History, engine: Engine | None) -> tuple[str, str]:
    """(reason, fix) as sentences."""
    state = engine.state if engine is not None else history.control.state
    reason = clean_line(engine.reason if engine is not None else history.control.reason)
    fix = clean_line(engine.fix if engine is not None else history.control.fix)
    if state == "new":
        return "No engine has run on it yet.", ""
    if engine is not None and engine.alive:
        return "An engine is running.", ""
    if state == "lost" and not (engine is not None and engine.host):
        reason, fix = "The engine ended without a word: killed, or the machine went down.", fix
    reason = reason or ("It was stopped." if state == "stopped" else "It was paused.")
    return _sentence(reason), _sentence(fix) if fix else ""


def _sentence(text: str) -> str:
    text = f"{text[:1].upper()}{text[1:]}"
    return text if text.endswith((".", "!", "?")) else f"{text}."


# -- in flight


def in_flight(history: History, bounds: dict[str, Any]) -> list[str]:
    """What had begun or waits, in the order in which it will be done."""
    said = []
    if history.open is not None:
        said.append(_open(history.open, history))
    if history.again:
        said.append(f"The best is measured {'once more' if history.again == 1 else f'{history.again} times more'}.")
    said += [f"#{number} is tried again, as you asked." for number in history.retries]
    said += [
        f"#{wish.experiment} is {'re-applied' if wish.action == 'keep' else 'reverted'}, as you decided."
        for wish in history.overrules
    ]
    said += [
        f"#{each.number} is parked at {each.odds}; its race goes on when nobody waits."
        for each in history.parked.values()
    ]
    said += [_waiting(waiting) for waiting in history.waiting.values()]
    return said


def _open(opened: Open, history: History) -> str:
    proposal = history.opened_proposal
    what = clean_line(proposal.description, 90) if proposal is not None else ""
    name = f"Experiment {opened.number}" + (f" ({what})" if what else "")
    if opened.proposal is not None and proposal is None:
        return f"{name} is closed as a crash: its proposal cannot be read."
    died = opened.attempt + (0 if opened.clean else 1)
    if died > _DIED_TWICE and proposal is not None:
        return f"{name} is closed as interrupted: the engine died twice in it."
    fresh, race = opened.of("fresh"), opened.of("candidate")
    wanted = int((history.header.verdict if history.header else {}).get("baseline_runs") or 0)
    if opened.proposal is None:
        done = sum(sample.cause is None for sample in race)
        runs = f"{done} of {plural(wanted, 'run')}" if wanted else plural(done, "run")
        return f"The baseline (#{opened.number}) had {runs}; it goes on at run {done + 1}."
    if fresh or (proposal is not None and proposal.agent == "overrule"):
        return f"{name} is a keep and had {len(fresh)} of 3 fresh runs; it goes on at fresh run {len(fresh) + 1}."
    if not race:
        return f"{name} had no run yet; it begins with its first."
    if opened.terms:
        return f"{name} had {plural(len(opened.samples), 'run')}, the best's included; it goes on at the next."
    most = (history.header.verdict if history.header else {}).get("max_runs")
    of = f" of at most {most}" if most else ""
    runs = f"{len(race)}{of} {'run' if len(race) == 1 and not most else 'runs'}"
    return f"{name} had {runs}; it goes on at run {len(race) + 1}."


def _waiting(waiting: Waiting) -> str:
    what = clean_line(waiting.description, 120) or f"p{waiting.id}"
    if waiting.problem:
        return f"A proposal is recorded as {waiting.problem.replace('_', ' ')}: {what}."
    head = f"A mend of #{waiting.mends}" if waiting.mends is not None else "A proposal"
    return f"{head} waits and is measured next: {what}."


def steps_in_words(steps: Sequence[object]) -> list[str]:
    """What recovery will do first, as sentences; steps that change nothing a person sees are left out."""
    said = []
    for step in steps:
        match step:
            case record.Adopt():
                said.append("A proposal that was being written down when the engine died is taken up.")
            case record.MoveBranch(sha):
                said.append(f"The branch moves to the last keep, {sha[:12]}.")
            case record.SetAside(number, sha):
                said.append(
                    f"The journal knows nothing of #{number} ({sha[:12]}): its commit is kept under another name."
                )
            case record.Diverged(branch, found, wanted):
                name = branch.removeprefix("refs/heads/")
                said.append(
                    f"Somebody moved the branch {name} to {found[:12]}; the best is {wanted[:12]}. "
                    f"Move it back with `git branch -f {name} {wanted[:12]}`, or it pauses again."
                )
    return said


def planned(place: Place, session: Session, history: History) -> list[str]:
    """What recovery will do, in words; asks git for the session's refs."""
    try:
        found = Git(place.common_dir).refs(session.refs, session.branch)
    except (GitError, OSError):
        return []  # whoever starts the engine is told
    refs = {name.removeprefix(session.refs): sha for name, sha in found.items() if name.startswith(session.refs)}
    return steps_in_words(record.plan(history, refs, found.get(session.branch), session.branch))


def as_document(facts: Returning) -> dict[str, Any]:
    return {
        "state": facts.state.lower(),
        "since": facts.since or None,
        "reason": facts.why,
        "fix": facts.fix,
        "limit": facts.limit,
        "in_flight": list(facts.in_flight),
        "started": facts.started_ms or None,
        "finished": facts.finished,
        "keeps": [picked(row, "number", "description", "estimate", "interval") for row in facts.keeps],
        "dead_ends": [asdict(entry) for entries in facts.dead.values() for entry in entries],
        "ideas": [asdict(entry) for entry in facts.ideas],
        "warnings": [picked(each, "text", "fix", "experiment", "timestamp") for each in facts.warnings],
        "left": list(facts.left),
        "inbox": [picked(each, "id", "kind", "words") for each in facts.asked],
    }
