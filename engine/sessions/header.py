"""The header of a session: what is measured, by whom, on what."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from pathlib import PurePosixPath

from autoresearch.engine import measure, sandbox, verdict, workspace
from autoresearch.engine.git import Git
from autoresearch.engine.verdict import prints_score
from autoresearch.engine.workspace import Inputs, Scope, fingerprint, tracked_hash
from autoresearch.state import config as configs
from autoresearch.state.config import Config, is_empty
from autoresearch.state.journal import records
from autoresearch.state.session import Place, Session


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
        word
        for name in (*measure.MARKS, config.metric.name, config.measure.metrics_file)
        if name
        for word in ("-e", name)
    ]
    specs = Scope(config.scope.edit, place.prefix).pathspecs()
    code, found, _ = git.attempt("grep", "-z", "-l", "-I", "-F", *sought, commit, "--", *specs)
    if code:
        return "run"
    score = measure.writing((config.metric.name,), config.measure.metrics_file)
    assert score is not None
    for name in filter(None, found.decode("utf-8", "surrogateescape").split("\0")):
        source = git.raw("cat-file", "blob", name).decode("utf-8", "replace")
        if prints_score(source, score):
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
        evaluator_sha=tracked_hash(place, base, scope),
        linked_sha=fingerprint(linked_inputs(place, config)),
        host=socket.gethostname(),
        accelerator=measure.accelerator(),
        protection=str(sandbox.level(config.measure.confine, config.measure.network)),
        verdict=verdict.Settings.from_config(config, secrets.token_hex(16)).for_header(),
        constraints=config.constraints,
        scored=scored_by(place, config, base),
    )


def is_time(metric: configs.Metric) -> bool:
    units = {"s", "ms", "us", "µs", "ns", "sec", "seconds", "milliseconds", "min", "minutes"}
    return metric.unit in units or metric.name.rpartition("_")[2] in units
