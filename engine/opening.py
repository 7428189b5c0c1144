"""Before an engine runs: what the person said, the target's config, the session and its header.

Everything here raises SessionError or ConfigError with one sentence and the fix, before anything was started.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath

import orjson

from autoresearch.engine import arrivals, confine, devices, repository, saved, suspicion, transfer, verdict, workspace
from autoresearch.engine.git import Git
from autoresearch.engine.linked import Inputs, fingerprint
from autoresearch.engine.scope import Scope
from autoresearch.state import config as configs
from autoresearch.state import records, session
from autoresearch.state.config import Config
from autoresearch.state.config_rules import is_empty
from autoresearch.state.journal import Journal
from autoresearch.state.session import NoSession, Place, Session, SessionError


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
    confine.refuse_weak(config)
    opened = open_or_create(place, config, options)
    repository.refuse_held_branch(place, opened)
    return options, config, opened


def resolved(place: Place, options: RunOptions) -> RunOptions:
    """`--replay` as it means where the person stands: an absolute folder, or commits instead of names like HEAD."""
    if not options.replay:
        return options
    from autoresearch.engine.agents.replay import fixed_range

    folder = Path(options.replay).expanduser()
    if folder.is_dir():
        return replace(options, replay=str(folder.resolve()))
    return replace(options, replay=fixed_range(Git(place.git_dir), options.replay))


def read_config(place: Place, options: RunOptions) -> Config:
    """The target's config with what this call says. Raises SessionError without one, ConfigError when it is wrong."""
    if not place.config_file.is_file():
        raise SessionError(
            f"There is no {session.CONFIG_FILE} in {place.folder}; write one with `autoresearch init`, "
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

    A session whose folder or journal was lost is restored from its state ref first.
    """
    repository.check_git()
    if options.new:
        return _create(place, config, options)
    try:
        opened = session.open_session(place, options.session)
        with contextlib.suppress(session.Locked):
            transfer.finish(place, opened)
        return _whole(place, opened)
    except NoSession:
        return _lost(place, options.session) or _create(place, config, options)


def _whole(place: Place, opened: Session) -> Session:
    """`opened`, from its state ref when its journal does not tell any more what it is about."""
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
    listed = Git(place.common_dir)(
        "for-each-ref", "--sort=-committerdate", "--format=%(refname:lstrip=2)", "refs/autoresearch/*/state"
    )
    for known in (line.split("/")[0] for line in listed.splitlines()):
        if name in (None, known) and not Session(place.sessions_dir / known).journal.is_file():
            restored = _restored(place, known)
            if restored is not None and (name is not None or session.target_of(restored) == place.prefix):
                return restored
    return None


def _restored(place: Place, name: str) -> Session | None:
    """The session made again; what is left of its folder is kept beside it. None when no state ref has it."""
    folder = place.sessions_dir / name
    aside = folder.with_name(f".damaged-{name}-{records.now_ms()}")
    if folder.exists():
        folder.rename(aside)
    restored = saved.restore(place, name)
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
    head = repository.head_of(place)
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


def scored_by(place: Place, config: Config, commit: str) -> str:
    """What prints the number: `evaluate`, a protected file of the `run`, or a file in `scope` (`Header.scored`).

    A file in scope prints it when the command names it, or when its text does.
    """
    if not is_empty(config.measure.evaluate):
        return "evaluate"
    scope = Scope(config.scope.edit)
    if any(scope.contains(path) for path in _named_files(config.measure.run)):
        return "scope"
    git = Git(place.common_dir)
    sought = [
        word for name in ("METRIC", config.metric.name, config.measure.metrics_file) if name for word in ("-e", name)
    ]
    specs = Scope(config.scope.edit, place.prefix).pathspecs()
    code, found, _ = git.attempt("grep", "-z", "-l", "-I", "-F", *sought, commit, "--", *specs)
    if code:
        return "run"
    for name in filter(None, found.decode("utf-8", "surrogateescape").split("\0")):
        source = git.raw("cat-file", "blob", name).decode("utf-8", "replace")
        if suspicion.prints_score(source, (config.metric.name,), config.measure.metrics_file):
            return "scope"
    return "run"


def _named_files(command: str | tuple[str, ...]) -> Iterator[str]:
    """Paths that a command may mean, relative to the target's folder: its words, and the modules behind `-m`."""
    words = workspace.words_of(command)
    for before, word in zip(["", *words], words, strict=False):
        if before == "-m":
            module = word.replace(".", "/")
            yield from (f"{module}.py", f"{module}/__main__.py")
        elif word and not word.startswith(("/", "-")):
            yield PurePosixPath(word).as_posix()


def linked_inputs(place: Place, config: Config) -> Inputs:
    return Inputs.of(place.folder, config.scope.link, config.measure.writable)


def header_for(place: Place, opened: Session, config: Config, base: str) -> records.Header:
    scope = Scope(config.scope.edit, place.prefix)
    return records.Header(
        name=config.name,
        metric_name=config.metric.name,
        metric_unit=config.metric.unit,
        direction=config.metric.direction,
        session=opened.name,
        target=place.prefix,
        base=base,
        branch=opened.branch.removeprefix("refs/heads/"),
        scope=config.scope.edit,
        config_sha=configs.sha(config),
        evaluator_sha=repository.tracked_hash(place, base, scope),
        linked_sha=fingerprint(linked_inputs(place, config)),
        host=devices.host_name(),
        accelerator=devices.accelerator(),
        protection=str(confine.level(config.measure.confine, config.measure.network)),
        verdict=verdict.Settings.from_config(config).for_header(),
        constraints=config.constraints,
        scored=scored_by(place, config, base),
    )


def refuse_unseen_files(place: Place, config: Config) -> None:
    """A command that names an untracked file would not find it in a clean checkout: say so before anything runs."""
    _, untracked = repository.uncommitted(place)
    linked = {link.strip("/") for link in config.scope.link}
    for key in ("setup", "build", "run", "evaluate"):
        for word in workspace.words_of(getattr(config.measure, key)):
            path = Path(word).as_posix()
            inside = f"{place.prefix}/{path}" if place.prefix else path
            hit = any(inside == u or (u.endswith("/") and inside.startswith(u)) for u in untracked)
            if hit and path.split("/")[0] not in linked and path not in linked:
                raise SessionError(
                    f"measure.{key} names {path}, which git does not track, so a clean checkout lacks it: "
                    f"`git add {path}` and commit, or list it in scope.link."
                )


def is_time(metric: configs.Metric) -> bool:
    units = {"s", "ms", "us", "µs", "ns", "sec", "seconds", "milliseconds", "min", "minutes"}
    return metric.unit in units or metric.name.rpartition("_")[2] in units
