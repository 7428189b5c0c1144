"""Obey what people asked for through the inbox: each request becomes a journal line that repeats its id.

The engine drains the inbox while it runs; when none runs, whoever made the request drains it under the session's lock.
A request whose id the journal already holds has acted and is only removed, so a kill between the line and the removal
does no harm.
"""

from __future__ import annotations

import contextlib
import getpass
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from autoresearch.state import config as configs
from autoresearch.state.config import ConfigError
from autoresearch.state.journal import LISTS, NOTHING_TAKEN, History, Journal, records
from autoresearch.state.session import Request, Session, refusal

CONTROL = frozenset({"pause", "stop", "unpause"})
"""Requests to a running engine; they mean nothing to one that starts later."""

_ANY_CONFIG = configs.Config(
    name="any", metric=configs.Metric("any"), scope=configs.Scope(("any",)), measure=configs.Measure("any")
)
"""Something valid to try a new value of a limit on."""


_Line = (
    records.Idea | records.Veto | records.Note | records.DeadEnd | records.Steer | records.Settings | records.Retry
    | records.Overrule
)  # fmt: skip


class Refused(Exception):
    """A request that cannot be obeyed; the sentence says why."""


def line_for(request: Request, history: History, by: str) -> records.Record:
    """The journal line a request becomes. Raises Refused."""
    make = _LINES.get(request.kind)
    if make is None:
        raise Refused(f"the inbox does not know the request {request.kind!r}")
    try:
        return replace(make(request.args, history), by=by, request=request.id)
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(f"the {request.kind} request is not whole: {error}") from error


def _idea(args: dict[str, Any], history: History) -> _Line:
    id = str(args.get("id") or history.free_id("i", history.ideas))
    known = history.ideas.get(id)
    text = str(args.get("text") or (known.text if known else "")).strip()
    if not text:
        raise Refused("an idea needs a text" if "id" not in args else f"there is no idea {id!r}")
    after = args.get("after")
    if after is not None and after not in history.ideas:
        raise Refused(f"there is no idea {after!r}")
    return records.Idea(id=id, text=text, first=bool(args.get("first")), after=after)


def _veto(args: dict[str, Any], history: History) -> _Line:
    id = str(args["id"])
    if id not in history.ideas and id not in history.dead_ends and id not in history.notes:
        raise Refused(f"there is no idea {id!r}")
    return records.Veto(id=id, reason=str(args.get("reason") or ""))


def _note(args: dict[str, Any], history: History) -> _Line:
    id = str(args.get("id") or history.free_id("n", history.notes))
    return records.Note(id=id, text=str(args["text"]).strip())


def _dead_end(args: dict[str, Any], history: History) -> _Line:
    idea = args.get("idea")
    if idea is not None and idea not in history.ideas:
        raise Refused(f"there is no idea {idea!r}")
    where = str(args.get("list") or "refuted")
    if where not in LISTS[1:]:
        raise Refused(f"there is no list {where!r} of dead ends; there are {', '.join(LISTS[1:])}")
    return records.DeadEnd(
        id=str(args.get("id") or history.free_id("d", history.dead_ends)),
        text=str(args["text"]).strip(),
        list=where,
        experiment=args.get("experiment"),
        idea=idea,
        retry_if=str(args.get("retry_if") or ""),
    )


def _steer(args: dict[str, Any], history: History) -> _Line:
    return records.Steer(text=str(args["text"]).strip())


def _limit(args: dict[str, Any], history: History) -> _Line:
    key = f"limits.{args['name']}"
    value = configs.value_of(key, str(args["value"]))
    try:
        configs.with_change(_ANY_CONFIG, key, value)
    except ConfigError as error:
        raise Refused("; ".join(error.problems)) from error
    return records.Settings(changes={key: value})


def _retry(args: dict[str, Any], history: History) -> _Line:
    return records.Retry(experiment=_experiment(args, history))


def _overrule(args: dict[str, Any], history: History) -> _Line:
    action, note = str(args["action"]), str(args.get("note") or "").strip()
    if action not in ("keep", "discard"):
        raise Refused("an experiment is overruled to keep or to discard")
    if not note:
        raise Refused("overruling needs a note that says why")
    return records.Overrule(experiment=_experiment(args, history), action=action, note=note)


def _experiment(args: dict[str, Any], history: History) -> int:
    number = int(args["experiment"])
    row = history.by_number.get(number)
    if row is None:
        raise Refused(f"there is no finished experiment {number}")
    if row.cause == "baseline":
        raise Refused(f"experiment {number} is a baseline")
    if row.cause in NOTHING_TAKEN:
        raise Refused(f"experiment {number} changed nothing")
    return number


_LINES: dict[str, Callable[[dict[str, Any], History], _Line]] = {
    "idea": _idea,
    "veto": _veto,
    "note": _note,
    "dead_end": _dead_end,
    "steer": _steer,
    "limit": _limit,
    "retry": _retry,
    "overrule": _overrule,
}


def ending_for(request: Request) -> records.Pause | records.Stop:
    """The line of a pause or stop that somebody asked for."""
    who = by_name()
    if request.kind == "stop":
        return records.Stop(reason=f"stopped by {who}", by=who, request=request.id)
    return records.Pause(reason=f"paused by {who}", by=who, request=request.id)


def obey(
    session: Session,
    history: History,
    write: Callable[[records.Record], None],
    control: Callable[[Request], None],
) -> list[str]:
    """Act on every waiting request once and remove it; returns a sentence for each that was refused.

    `control` gets pause, stop and unpause.
    """
    refused = []
    for path, request in session.requests():
        by = _owner(path)
        if request is None:
            refused += _set_aside(path, write)
            continue
        if request.id not in history.requests:
            if request.kind in CONTROL:
                control(request)
            else:
                try:
                    write(line_for(request, history, by))
                except Refused as no:
                    refused.append(f"{no} (asked by {by})")
        path.unlink(missing_ok=True)
    return refused


def _set_aside(path: Path, write: Callable[[records.Record], None]) -> list[str]:
    """A file that is no request, as a sentence; one of somebody who may not ask goes on record, once."""
    with contextlib.suppress(FileNotFoundError):
        why = refusal(path.lstat(), path.parent.stat().st_uid)
        try:
            path.rename(path.with_suffix(".bad"))
        except OSError:  # that name is taken by a folder
            path.rename(path.with_suffix(f".{records.now_ms()}.bad"))
        if not why:
            return [f"{path.name} in the inbox is not a request; it was set aside"]
        write(records.Warn(text=f"{path.name} in the inbox {why}; it was refused and set aside.", code="inbox"))
    return []


def drain(session: Session) -> list[str]:
    """Without an engine: obey the inbox under the session's lock. Raises Locked when an engine holds it after all.

    Returns the sentences of what was refused.
    """
    with session.lock():
        journal = Journal(session.journal)
        history = session.history()

        def write(record: records.Record) -> None:
            for at, line in journal.append(record):
                history.feed(at, line[:-1])

        def control(request: Request) -> None:
            """Nothing runs: what a pause would change is only what the journal says of an engine that died."""
            if request.kind == "unpause" or history.control.state != "running":
                return
            write(ending_for(request))

        try:
            if session.refused_lock:
                write(records.Warn(text=session.refused_lock, code="lock"))
            return obey(session, history, write, control)
        finally:
            journal.close()


def by_name() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


def _owner(path: Path) -> str:
    with contextlib.suppress(OSError, KeyError):
        return path.owner()
    return by_name()
