"""Before an engine runs: what the person said, the target's config, the session and its header.

Everything here raises SessionError or ConfigError with one sentence and the fix, before anything was started.
"""

from __future__ import annotations

import contextlib
import shlex
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from autoresearch.engine import devices, verdict, workspace
from autoresearch.engine.git import Git
from autoresearch.engine.scope import Scope
from autoresearch.state import config as configs
from autoresearch.state import records, session
from autoresearch.state.config import Config
from autoresearch.state.session import Place, Session, SessionError


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


def open_or_create(place: Place, config: Config, options: RunOptions) -> Session:
    """The session to run: the named one, else the target's latest, else a new one named by the date."""
    workspace.check_git()
    if options.session is not None and not options.new:
        with contextlib.suppress(SessionError):
            return session.open_session(place, options.session)
        restored = workspace.restore(place, options.session)
        if restored is not None:
            return restored
    elif not options.new:
        with contextlib.suppress(SessionError):
            return session.open_session(place)
    return _create(place, config, options)


def _create(place: Place, config: Config, options: RunOptions) -> Session:
    head = workspace.head_of(place)
    _refuse_unseen_files(place, config)
    branches = Git(place.common_dir)("for-each-ref", "--format=%(refname:lstrip=3)", "refs/heads/autoresearch/")
    name = options.session or session.free_name(place, datetime.now(), set(branches.split()))
    if name in branches.split():
        raise SessionError(f"The branch autoresearch/{name} exists; choose another name with --session.")
    header = header_for(place, Session(place.sessions_dir / name), config, head)
    return session.create_session(place, name, header, configs.dumps(config))


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
        evaluator_sha=workspace.tracked_hash(place, base, scope),
        host=devices.host_name(),
        accelerator=devices.accelerator(),
        protection="worktrees and checksums",
        verdict=verdict.Settings.from_config(config).for_header(),
        constraints=config.constraints,
    )


def _refuse_unseen_files(place: Place, config: Config) -> None:
    """A command that names an untracked file would not find it in a clean checkout: say so before anything runs."""
    _, untracked = workspace.uncommitted(place)
    linked = {link.strip("/") for link in config.scope.link}
    for key in ("setup", "build", "run", "evaluate"):
        for word in words_of(getattr(config.measure, key)):
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


def words_of(command: str | tuple[str, ...]) -> list[str]:
    if isinstance(command, tuple):
        return list(command)
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()
