"""Before an engine runs: what the person said, the target's config, the session and its header.

Everything here raises SessionError or ConfigError with one sentence and the fix, before anything was started.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import orjson

from autoresearch.engine import sandbox, workspace
from autoresearch.engine.git import Git, fixed_range
from autoresearch.engine.sessions import arrivals, transfer
from autoresearch.engine.sessions.header import header_for
from autoresearch.engine.workspace import (
    check_git,
    head_of,
    refuse_held_branch,
    restore_state,
    saved_sessions,
    take_over_states,
    uncommitted,
)
from autoresearch.state import config as configs
from autoresearch.state import session
from autoresearch.state.config import Config
from autoresearch.state.journal import Journal, records
from autoresearch.state.session import CONFIG_FILE, Locked, NoSession, Place, Session, SessionError


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a person says for one call of `run`."""

    session: str | None = None
    new: bool = False
    max_experiments: int | None = None
    agent: str | None = None
    replay: str | None = None
    budget_s: float | None = None
    trust: bool = False
    """A person or script said that this target's commands may run, wherever they came from."""


def opened_for(place: Place, options: RunOptions) -> tuple[RunOptions, Config, Session]:
    """All that has to be right before an engine may start: what was said, the config, and the session, made if new."""
    options = resolved(place, options)
    config = read_config(place, options)
    refuse_untrusted(place, options)
    sandbox.refuse_weak(config)
    check_git()
    workspace.fetch_promised(place, head_of(place))
    opened = open_or_create(place, config, options)
    if best := Git(place.common_dir).resolve(opened.branch):
        workspace.fetch_promised(place, best)  # one that was pulled
    refuse_held_branch(place, opened)
    return options, config, opened


def resolved(place: Place, options: RunOptions) -> RunOptions:
    """`--replay` as it means where the person stands: an absolute folder, or commits instead of names like HEAD."""
    if not options.replay:
        return options
    folder = Path(options.replay).expanduser()
    if folder.is_dir():
        return replace(options, replay=str(folder.resolve()))
    return replace(options, replay=fixed_range(Git(place.git_dir), options.replay))


def read_config(place: Place, options: RunOptions) -> Config:
    """The target's config with what this call says. Raises SessionError without one, ConfigError when it is wrong."""
    if not place.config_file.is_file():
        raise SessionError(
            f"There is no {CONFIG_FILE} in {place.folder}; write one with `autoresearch init`, "
            "or look at an example with `autoresearch demo`."
        )
    config = configs.load(place.config_file)
    if options.budget_s is not None:
        config = configs.with_change(config, "measure.budget_s", options.budget_s, "--budget")
    return config


def refuse_untrusted(place: Place, options: RunOptions) -> None:
    """Raises SessionError while commands wait for a person's yes; otherwise notes that what is run now is trusted.

    So the user's own commands ask nothing later either, when they have been pushed and fetched.
    """
    if not options.trust and (commands := arrivals.pending(place, options.session, options.new)):
        raise arrivals.refusal(commands)
    arrivals.accept(place, options.session, options.new)


def open_or_create(place: Place, config: Config, options: RunOptions) -> Session:
    """The session to run: the named one, else the target's latest, else a new one named by the date.

    A session whose folder or journal was lost is restored first from what is saved of it.
    """
    take_over_states(place)
    if options.new:
        return _create(place, config, options)
    try:
        opened = session.open_session(place, options.session)
        with contextlib.suppress(Locked):
            transfer.finish_pull(place, opened)
        return _whole(place, opened)
    except NoSession:
        return _lost(place, options.session) or _create(place, config, options)


def _whole(place: Place, opened: Session) -> Session:
    """`opened`, from what is saved of it when its journal does not tell any more what it is about."""
    if _has_header(opened) or opened.engine_pid() is not None:
        return opened
    restored = _restored(place, opened.name)
    if restored is not None:
        return restored
    raise SessionError(
        f"The journal {opened.journal} is damaged: it does not begin with a session's header. "
        "Put a copy in its place, or start another session with `autoresearch run --new`."
    )


def _has_header(opened: Session) -> bool:
    with opened.journal.open("rb") as file, contextlib.suppress(orjson.JSONDecodeError):
        first = orjson.loads(file.readline())
        if isinstance(first, dict) and first.get("type") == "config":
            return True
    return opened.history().header is not None


def _lost(place: Place, name: str | None) -> Session | None:
    """The target's session whose folder is gone, restored; the one saved last when nobody says which."""
    for known in saved_sessions(place):
        if name in (None, known) and not Session(place.sessions_dir / known).journal.is_file():
            restored = _restored(place, known)
            if restored is not None and (name is not None or session.target_of(restored) == place.prefix):
                return restored
    return None


def _restored(place: Place, name: str) -> Session | None:
    """The session made again; what is left of its folder is kept beside it. None when nothing is saved of it."""
    folder = place.sessions_dir / name
    aside = folder.with_name(f".damaged-{name}-{records.now_ms()}")
    if folder.exists():
        folder.rename(aside)
    restored = restore_state(place, name)
    if restored is None:
        if aside.exists():
            aside.rename(folder)
        return None
    left = f" What was left of it is in {aside}." if aside.exists() else ""
    journal = Journal(restored.journal)
    text = f"The session's folder was lost or damaged; it is as it was at the last keep or pause.{left}"
    journal.append(records.Warn(text=text, code="restored"))
    journal.close()
    return restored


def _create(place: Place, config: Config, options: RunOptions) -> Session:
    head = head_of(place)
    refuse_unseen_files(place, config)
    branches = Git(place.common_dir)("for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/autoresearch").split()
    if "autoresearch" in branches:
        raise SessionError(
            "Sessions have branches named autoresearch/NAME, and your branch autoresearch leaves git no room for them; "
            "rename it with `git branch -m autoresearch OTHER`."
        )
    taken = {branch.partition("/")[2] for branch in branches}
    name = options.session or session.free_name(place, datetime.now(), taken)
    if session.half_deleted(place, name).exists():
        raise SessionError(f"Session {name!r} is half deleted; `autoresearch delete {name}` finishes that.")
    if name in taken:
        raise SessionError(f"The branch autoresearch/{name} exists; choose another name with --session.")
    header = header_for(place, Session(place.sessions_dir / name), config, head)
    return session.create_session(place, name, header, configs.dumps(config))


def refuse_unseen_files(place: Place, config: Config) -> None:
    """A command that names an untracked file would not find it in a clean checkout: say so before anything runs."""
    _, untracked = uncommitted(place)
    linked = {link.strip("/") for link in config.scope.link}
    for key in ("setup", "build", "run", "evaluate"):
        for word in workspace.words_of(getattr(config.measure, key)):
            path = Path(word).as_posix()
            inside = f"{place.below}{path}"
            hit = any(inside == u or (u.endswith("/") and inside.startswith(u)) for u in untracked)
            if not hit or path.split("/")[0] in linked or path in linked:
                continue
            if unseen := workspace.why_unseen(place, path):
                clause, fix = unseen
                raise SessionError(f"measure.{key} names {path}, {clause}; {fix[:1].lower()}{fix[1:]}")
