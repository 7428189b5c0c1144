"""Measures a target for a dry run: as a session would, in trees and logs that go with it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from autoresearch.engine import agents, process, sandbox
from autoresearch.engine.doctor.machine import Check
from autoresearch.engine.doctor.refused import Refused, refused_path
from autoresearch.engine.doctor.words import Failure, command_text
from autoresearch.engine.files import remove
from autoresearch.engine.measure import SPOILED, Job, LocalSlot, stacks_of, tail
from autoresearch.engine.sandbox import Role, Scratch
from autoresearch.engine.workspace import Workspace, machine_name, trees_folder
from autoresearch.state.config import Config
from autoresearch.state.journal.records import Sample
from autoresearch.state.session import Place, Session
from autoresearch.state.text import listed

_LOG_CHARS = 40_000
_PREFIX = ".dryrun-"


class Bench:
    def __init__(
        self, place: Place, config: Config, workspace: Workspace, head: str, say: Callable[[str], None]
    ) -> None:
        """`say` gets a sentence when something beside the commit spoiled a sample, so that it is measured again."""
        self._place = place
        self._config = config
        self._workspace = workspace
        self._head = head
        self._say = say
        self._logs = workspace.folder / "logs"
        self._confinements: dict[str, sandbox.Confinement] = {}
        self._stacks = stacks_of(workspace, config, self._confined(config), head)
        self.slot = self.slot_for(config)
        self.took_s = 0.0
        """The last measurement, from its start to its end."""

    def slot_for(self, config: Config) -> LocalSlot:
        return LocalSlot(
            config,
            machine_name(self._place, self._workspace.session.name),
            self._stacks,
            prefix=self._place.prefix,
            confinement=self._confined(config),
            keeps_last=True,
        )

    def _confined(self, config: Config) -> sandbox.Confinement:
        if config.measure.network not in self._confinements:
            ws = self._workspace
            ground = sandbox.Ground(self._place, ws.folder, ws.folder.parent, agents.login_files(os.environ))
            self._confinements[config.measure.network] = sandbox.Confinement(config, ground)
        return self._confinements[config.measure.network]

    def check_out(self) -> None:
        """The commit, for all commands. Raises SessionError when it cannot be had."""
        self._stacks.ready(self._head)

    @property
    def copies(self) -> str:
        """What to say where commands get copies of the tree; else ""."""
        return self._confined(self._config).copies

    def accelerator(self) -> Check | None:
        """Whether a run opens what the machine has; None where it has none."""
        if closed := self._stacks.closed_accelerator(self._head):
            return Check("accelerator", "fail", closed, 'Run unconfined with measure.confine = "off".')
        opened = sandbox.open_accelerator(self._workspace.folder)
        return Check("accelerator", "ok", f"a run's {opened}") if opened is not None and opened.devices else None

    def close(self) -> None:
        self._stacks.close()
        for confinement in self._confinements.values():
            confinement.close()

    async def measured(self, job: Job, slot: LocalSlot | None = None) -> Sample:
        """A sample; again where something beside the commit spoiled it, as often as a session would."""
        for _ in range(SPOILED):
            began = time.monotonic()
            sample = await (slot or self.slot).sample(job)
            self.took_s = time.monotonic() - began
            if not sample.again:
                break
            self._say(f"it is measured again: {sample.detail}")
        return sample

    def job(self, seed: int, name: str, sha: str = "", expected_s: float | None = None) -> Job:
        return Job(
            experiment=None, sha=sha or self._head, arm="candidate", k=seed, seed=seed, folder=self.folder(name),
            metric=self._config.metric.name, constraints=tuple(self._config.constraints), expected_s=expected_s,
        )  # fmt: skip

    def folder(self, name: str) -> Path:
        folder = self._logs / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def environ(self) -> dict[str, str]:
        """Of a run of the target."""
        base = self._stacks.ready(self._head)
        stack = self._stacks.stack(base, "run")
        self._stacks.drop(stack)
        return self._confined(self._config).environment("run", stack, "")

    def failure_of(self, sample: Sample, name: str) -> Failure:
        key = "evaluate" if self._config.measure.evaluate and sample.cause in ("no_metric", "not_finite") else "run"
        if "artifact" in sample.detail and sample.cause == "no_metric":
            key = "run"
        for stage, words in (("build", "the build"), ("evaluate", "the evaluation"), ("setup", "setup failed")):
            if sample.detail.startswith(words):
                key = stage
        return self.failure(key, sample.cause or "", sample.detail, sample.exit, name)

    def failure(self, key: str, cause: str, detail: str, code: int | None, name: str) -> Failure:
        command = command_text(getattr(self._config.measure, key))
        output = self.output(key, name)
        held = self._confined(self._config)
        role: Role = "setup" if key == "setup" else "evaluate" if key == "evaluate" else "run"
        closed = held.network(role) != "on" and held.level.holds("network")
        offline = sandbox.no_network(output, held.network(role), closed)
        apart = ["no variables of your shell but those in measure.env"]
        apart += ["no network but localhost"] if closed else []
        alone = "its checkout, HOME and /tmp" if held.has_views else "its checkout and $TMPDIR"
        apart += [f"{alone} alone to write in"] if role != "setup" and held.level.holds("writing") else []
        return Failure(key, command, cause, detail, code, output, offline, self.refused(output), listed(apart))

    def refused(self, output: str) -> Refused | None:
        """The path that a run was not allowed to touch, by its output."""
        held = self._confined(self._config)
        if not held.level.holds("writing"):
            return None
        hidden = sandbox.hidden_paths(self._config, self._place.folder)
        ours = [self._place.common_dir.resolve(), self._workspace.folder.resolve()]

        def may_write(path: Path) -> bool:
            """What cannot be given counts as given: naming it would not help."""
            return held.writes(path) or any(path.resolve().is_relative_to(place) for place in ours)

        return refused_path(output, may_write, [*sandbox.key_places(os.environ), *hidden])

    def output(self, key: str, name: str) -> str:
        """The last part of what a command wrote, with paths relative to its tree."""
        said = tail(self._logs / name / ("output.log" if key == "run" else f"{key}.log"), lines=2000, chars=_LOG_CHARS)
        return said.replace(f"{self.folder_seen}/", "").replace(f"{self._place.folder}/", "")

    @property
    def folder_seen(self) -> Path:
        """The target's folder as commands find it."""
        return self._stacks.root / self._place.prefix

    @property
    def checkout(self) -> Path:
        """The target's folder at its last commit, as a run finds it below what it writes."""
        return self._stacks.ready(self._head).checkout.folder / self._place.prefix


@contextlib.contextmanager
def own_trees(place: Place) -> Iterator[Session]:
    """A name for trees that nobody else has, held by a lock for as long as they are used; then they are removed.

    Those of a dry run that was killed are removed first, with what still runs in them.
    """
    for folder in trees_folder(place, _PREFIX).parent.glob(f"{_PREFIX}*"):
        if Session(folder).engine_pid() is None:
            _remove(place, folder)
    session = Session(place.sessions_dir / f"{_PREFIX}{os.getpid()}")
    folder = trees_folder(place, session.name)
    folder.mkdir(parents=True, mode=0o700)
    try:
        with Session(folder).lock():
            yield session
    finally:
        _remove(place, folder)


def _remove(place: Place, folder: Path) -> None:
    process.end_leftovers(machine_name(place, folder.name), [folder], sorted(folder.glob("logs/*/pid")))
    for admin in (place.common_dir / "worktrees").glob(f"autoresearch-{folder.name}-*"):
        remove(admin)
    scratch = Scratch(folder / "scratch")
    for path in (scratch.tmp, folder):
        remove(path)
    with contextlib.suppress(OSError):
        (place.common_dir / "worktrees").rmdir()  # git does the same when the last one goes
