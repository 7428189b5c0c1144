"""The dry run: does a target measure what it claims? Told before a night is spent on it.

The target's last commit is measured by the parts that measure experiments, in trees of its own: nothing of the person's
tree is touched, and no session is made. Then each in-scope file is broken, one at a time: a run that does not notice
does not measure that file. Last come the repeats that show the noise; all good samples of the commit are kept for the
session that starts soon after (`kept`).

`dry_run` tells findings and progress as they come. Cancelling it ends every process and removes the trees.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from autoresearch.engine import sessions
from autoresearch.engine.doctor import traps
from autoresearch.engine.doctor import words as dryrun_words
from autoresearch.engine.doctor.bench import Bench, own_trees
from autoresearch.engine.doctor.checks import (
    agent_checks,
    confinement_checks,
    git_checks,
    protected_file,
    refusal,
    running_checks,
    scope_files,
)
from autoresearch.engine.doctor.kept import forget, keep
from autoresearch.engine.doctor.machine import Check
from autoresearch.engine.doctor.words import Around, Failure, Outlook
from autoresearch.engine.sessions import header_for
from autoresearch.engine.verdict import Settings
from autoresearch.engine.workspace import Workspace, fetch_promised, head_of, submodules_of, why_unseen
from autoresearch.state.config import Config
from autoresearch.state.journal.records import Sample
from autoresearch.state.session import Command, Place, SessionError
from autoresearch.state.text import clean_line, listed, numbers

Finding = Check
"""`name`, `state` (ok, note, warn, fail), `text`, `fix` and `lines`, as of a check of the machine."""

LEAST_RUNS, USUAL_RUNS = 3, 4
"""Fewer repeats tell nothing of the noise."""
MOST_CANARIES = 8
QUICK_S = 20.0
"""More files than that are broken as long as all of it took no longer than this."""
MOST_LONG_CANARIES = 3
LONG_S = 60.0
"""A canary that the run does not notice costs a whole run: of such long ones only a few are tried."""
OF_A_BREAK = ("nonzero_exit", "no_metric", "not_finite", "timeout", "over_budget", "stalled", "output_limit")
"""How a run may end because a file of it cannot be parsed; with another cause (a full disk, somebody else on the GPU)
the machine may be to blame, and the run proves nothing."""
CANARY = "}{)( broken on purpose by a dry run of autoresearch\n"
"""No Python, no JSON, YAML or TOML, no shell, no C: whatever parses a file that begins so fails."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What happens now. It may be shown and forgotten."""

    text: str
    about_s: float | None = None
    """How long this step probably takes."""


On = Callable[[Finding | Progress], None]


@dataclass(frozen=True, slots=True)
class Report:
    findings: tuple[Finding, ...]
    samples: tuple[Sample, ...] = ()
    """Good samples of the target's commit."""
    outlook: Outlook | None = None
    kept: bool = False
    """A session started soon takes the samples as its baseline's."""

    @property
    def good(self) -> bool:
        return all(finding.state != "fail" for finding in self.findings)


class _Over(Exception):
    """What follows would say nothing."""


def look(place: Place, config: Config) -> list[Finding]:
    """All that can be told without a run."""
    checks = git_checks(place, config)
    checks += [*running_checks(place), *confinement_checks(config)]
    return [*checks, *agent_checks(config)]


async def dry_run(
    place: Place,
    config: Config,
    *,
    on: On,
    canaries: bool = True,
    runs: int | None = None,
    network: bool = False,
    trust: bool = False,
) -> Report:
    """Measure the target's last commit and say what that shows.

    `runs` samples are taken of it (default: as many as a baseline needs), `canaries` breaks the in-scope files, and
    `network` allows one more run with the network on where a run seems to need it. Commands that came with a clone or a
    pull and that nobody has confirmed are a finding, and nothing is run, unless `trust` says so.
    """
    found: list[Finding] = []

    def tell(item: Finding | Progress) -> None:
        if isinstance(item, Finding):
            found.append(item)
        on(item)

    for check in look(place, config):
        tell(check)
    if any(check.state == "fail" and check.name in ("git", "scope", "confinement") for check in found):
        return Report(tuple(found))
    arrived = () if trust else sessions.pending(place, new=True)
    if arrived:
        tell(_unconfirmed(arrived))
        return Report(tuple(found))
    try:
        fetch_promised(place, head_of(place))
    except SessionError as no:
        tell(refusal("git", no))
        return Report(tuple(found))
    disturbed = any(check.name == "session" for check in found)
    with own_trees(place) as session:
        workspace = Workspace(place, session, config, warn=lambda text: tell(Finding("tree", "warn", text)))
        try:
            dry = _DryRun(place, config, workspace, tell)
            with contextlib.closing(dry), contextlib.suppress(_Over):
                await dry.run(canaries, runs or _wanted_runs(config), network)
            good = not any(check.state == "fail" and check.name != "agent" for check in found)
            kept = good and bool(dry.samples) and not disturbed
            if kept:
                keep(place, dry.header, dry.samples)
            else:
                forget(place)
            return Report(tuple(found), tuple(dry.samples), dry.outlook, kept)
        finally:
            workspace.close()


def _unconfirmed(commands: Iterable[Command]) -> Finding:
    shown = "; ".join(f"{command.key} = `{clean_line(command.text, 100)}`" for command in commands)
    text = f"commands of this target came with a clone or a pull and nobody has confirmed them: {shown}"
    return Finding("trust", "fail", text, "Look at them and the code they run, then say `autoresearch doctor --trust`.")


def _wanted_runs(config: Config) -> int:
    """Of the unbroken target."""
    wanted = config.verdict.baseline_runs
    return USUAL_RUNS if wanted == "auto" else max(LEAST_RUNS, wanted)


class _DryRun:
    def __init__(self, place: Place, config: Config, workspace: Workspace, tell: On) -> None:
        self._place = place
        self._config = config
        self._workspace = workspace
        self._tell = tell
        self._head = head_of(place)
        self._bench = Bench(place, config, workspace, self._head, lambda text: tell(Progress(text)))
        self.close = self._bench.close
        self.header = header_for(place, workspace.session, config, self._head)
        self.samples: list[Sample] = []
        self.outlook: Outlook | None = None
        self._spent_s: list[float] = []
        """Of each good sample, from its start to its end."""
        self._noticed = False
        """The run came to no good end with one of the in-scope files broken; perhaps because of the machine."""

    async def run(self, canaries: bool, runs: int, network: bool) -> None:
        await self._prepare()
        if copies := self._bench.copies:
            text, _, fix = copies.rstrip(").").partition(" (")
            self._tell(Finding("views", "note", text, f"{fix}."))
        if accelerator := self._bench.accelerator():
            self._tell(accelerator)
            if accelerator.state == "fail":
                return
        await self._first(network)
        await self._guards()
        await self._holdout()
        unnoticed: dict[str, float] = {}
        if canaries:
            unnoticed = await self._canaries()
            await self._tampering()
        await self._repeats(runs)
        self._judge_unnoticed(unnoticed)
        self._look_ahead()

    # -- does it run, and say its metric

    async def _prepare(self) -> None:
        """`setup`, as a session does it."""
        try:
            self._bench.check_out()
        except SessionError as no:
            self._tell(refusal("tree", no))
            raise _Over from None
        if not self._config.measure.setup:
            return
        self._tell(Progress("setup"))
        exited = await self._bench.slot.prepare("dry run", self._head, self._bench.folder("setup"))
        assert exited is not None
        if exited.cause is not None:
            self._fail(self._bench.failure("setup", exited.cause, exited.detail, exited.code, "setup"))
        self._tell(Finding("setup", "ok", f"done in {numbers.duration(exited.duration_s)}"))

    async def _first(self, network: bool) -> None:
        command = dryrun_words.command_text(self._config.measure.run)
        self._tell(Progress(f"the first run of `{command}`"))
        sample = await self._sample(1)
        if sample.cause is not None:
            failure = self._bench.failure_of(sample, "sample-1")
            if network and failure.offline is not None and failure.offline.needs == "on":
                await self._prove_network(failure)
            self._fail(failure)
        if (refused := self._bench.refused(self._bench.output("run", "sample-1"))) is not None:
            done = "read" if refused.reading else "write"
            text = f"`{command}` gave its metric, but was not allowed to {done} {refused.path}"
            self._tell(Finding("run", "warn", text, refused.fix))
        took = numbers.duration(self._spent_s[0])
        self._tell(Finding("run", "ok", f"`{command}` runs in a clean checkout of {self._head[:7]}, in {took}"))
        metric = self._config.metric
        unit = f" {metric.unit}" if metric.unit else ""
        where = self._config.measure.metrics_file or "the output"
        text = f"{metric.name} = {numbers.metric(sample.metric)}{unit}, read from {where}; {metric.direction} is better"
        self._tell(Finding("metric", "ok", text))

    async def _prove_network(self, failure: Failure) -> None:
        """One run with the network on says whether that was it. Raises _Over when it was."""
        self._tell(Progress("the same run with the network on"))
        slot = self._bench.slot_for(replace(self._config, measure=replace(self._config.measure, network="on")))
        sample = await self._bench.measured(self._bench.job(1, "network"), slot)
        if sample.cause is None:
            text = f"`{failure.command}` needs the network: without it the run fails, with it on it gives its metric"
            fix = 'Set network = "on" under [measure], or fetch what it needs beforehand.'
            self._tell(Finding("network", "fail", text, fix, dryrun_words.last_lines(failure.output)))
            raise _Over
        self._tell(Finding("network", "note", f"it fails with the network on too: {sample.detail}"))

    async def _guards(self) -> None:
        for guard in self._config.guard:
            command = dryrun_words.command_text(guard.run)
            self._tell(Progress(f"the guard `{command}`"))
            result = await self._bench.slot.guard(self._bench.job(0, "guard"), guard)
            if result.passed:
                self._tell(Finding("guard", "ok", f"`{command}` passes in {numbers.duration(result.duration_s)}"))
                continue
            said = dryrun_words.last_lines(self._bench.output("guard", "guard"))
            text = f"{result.detail}; so nothing could ever be kept"
            fix = "Make it pass at the last commit, or take this [[guard]] away."
            self._tell(Finding("guard", "fail", text, fix, said))

    async def _holdout(self) -> None:
        """Its value is nobody's business now; that it has one is."""
        if not self._config.holdout.run:
            return
        self._tell(Progress("the holdout", self._spent_s[0]))
        sample = await self._bench.measured(replace(self._bench.job(1, "holdout"), arm="holdout", constraints=()))
        if sample.cause is None:
            self._tell(Finding("holdout", "ok", "its command gives the metric too"))
            return
        key = "evaluate" if self._config.measure.evaluate else "run"
        said = dryrun_words.last_lines(self._bench.output(key, "holdout"))
        fix = "Make its command print the metric as the run does, or take [holdout] away."
        self._tell(Finding("holdout", "fail", f"the holdout gives no value: {sample.detail}", fix, said))

    async def _repeats(self, runs: int) -> None:
        for k in range(2, runs + 1):
            self._tell(Progress(f"run {k} of {runs}, for the noise", self._spent_s[0]))
            sample = await self._sample(k)
            if sample.cause is not None:
                failure = self._bench.failure_of(sample, f"sample-{k}")
                text = f"run {k} failed where earlier ones did not: {sample.detail}"
                seed = f"A baseline has to run every time; seed {k} may be what it cannot take (AUTORESEARCH_SEED)."
                fix = dryrun_words.remedy(sample.cause, sample.detail) or seed
                self._tell(Finding("run", "fail", text, fix, dryrun_words.last_lines(failure.output)))
                raise _Over

    def _look_ahead(self) -> None:
        values = [sample.metric for sample in self.samples if sample.metric is not None]
        self.outlook = dryrun_words.outlook(values, sorted(self._spent_s)[len(self._spent_s) // 2],
                                            Settings.from_config(self._config))  # fmt: skip
        self._tell(dryrun_words.noise_check(values, self.outlook, self._config))
        self._tell(dryrun_words.night_check(self.outlook, self._config))

    # -- is it the in-scope files that are measured, and do the others stay as they are

    async def _canaries(self) -> dict[str, float]:
        """Break the files one by one; those with which the run came to its end all the same, and its metric then."""
        files = scope_files(self._place, self._config, self._head)
        noticed: list[str] = []
        unnoticed: dict[str, float] = {}
        undecided: list[tuple[str, Sample]] = []
        tried, began = 0, time.monotonic()
        for file in files:
            if tried >= MOST_CANARIES and time.monotonic() - began > QUICK_S:
                break
            if len(unnoticed) + len(undecided) >= MOST_LONG_CANARIES and self._spent_s[0] > LONG_S:
                break
            self._tell(Progress(f"does a broken {file} break the run? ({tried + 1} of {len(files)})", self._spent_s[0]))
            sample = await self._bench.measured(
                self._bench.job(1, f"canary-{tried}", self._broken(file), self._spent_s[0])
            )
            tried += 1
            if sample.cause is None and sample.metric is not None:
                unnoticed[file] = sample.metric
            elif sample.cause in OF_A_BREAK:
                noticed.append(file)
            else:
                undecided.append((file, sample))
        if noticed:
            self._tell(Finding("measured", "ok", f"a break in {listed(noticed)} is noticed by the run"))
        for file, sample in undecided:
            text = f"whether a break in {file} is noticed could not be told: {sample.detail}"
            self._tell(Finding("measured", "warn", text, dryrun_words.remedy(sample.cause or "", sample.detail)))
        if files[tried:]:
            self._tell(Finding("measured", "note", f"not tried by breaking them: {listed(files[tried:])}"))
        self._noticed = bool(noticed or undecided)
        return unnoticed

    def _broken(self, file: str) -> str:
        """A commit like the target's, in which this file cannot be parsed; made as a proposal's commit is."""
        tree = self._workspace.propose
        tree.at(self._head)
        path = tree.folder / file
        content = path.read_bytes()
        path.write_bytes(CANARY.encode() + (b"" if b"\0" in content[:8000] else content))
        taken = self._workspace.take(self._head)
        return self._workspace.commit(taken.tree, self._head, f"dry run: {file} is broken", {})

    def _judge_unnoticed(self, unnoticed: dict[str, float]) -> None:
        """A file that does not count while others do is a remark; where none counts, something else is measured."""
        values = [sample.metric for sample in self.samples if sample.metric is not None]
        changing = [file for file, metric in unnoticed.items() if self._changed(metric, values)]
        unused = [file for file in unnoticed if file not in changing]
        if changing:
            self._tell(Finding("measured", "ok", f"breaking {listed(changing)} changes the result"))
        if not unused:
            return
        shown = listed(unused)
        why, fix = traps.reason(self._place, self._config, unused, self._bench.environ(), self._bench.checkout)
        if not changing and not self._noticed:
            text = (
                f"the run gives its metric although {shown} is broken: what experiments change is not measured. {why}"
            )
            self._tell(Finding("measured", "fail", text.rstrip("."), fix))
        else:
            text = f"the run does not use {shown}: an edit there changes nothing"
            self._tell(Finding("measured", "note", text, "Leave it out of scope.edit, unless that is meant."))

    def _changed(self, metric: float, values: list[float]) -> bool:
        """Whether a metric lies outside what the unbroken target gives; with the same seed it may be the very same."""
        if metric in values:
            return False
        outlook = dryrun_words.outlook(values, 1.0, Settings.from_config(self._config))
        return outlook.sd == 0 or abs(metric - outlook.mean) > 4 * outlook.sd

    async def _tampering(self) -> None:
        """The engine's own check, proven once: a run that changes a protected file is found out."""
        file = protected_file(self._place, self._config, self._head)
        if file is None:
            text = "every tracked file is in scope, so experiments may change how they are measured"
            self._tell(Finding("protection", "warn", text, 'Keep what measures out of scope.edit, e.g. "!bench.py".'))
            return
        self._tell(Progress(f"is a change to {file} during a run caught?"))
        writes = ("sh", "-c", 'printf "# changed by a dry run\\n" >> "$1"', "sh", file)
        measure = replace(self._config.measure, run=writes, build="", evaluate="", metrics_file="", artifacts=())
        slot = self._bench.slot_for(replace(self._config, measure=measure))
        sample = await self._bench.measured(self._bench.job(1, "tampering"), slot)
        if sample.cause == "tampered":
            self._tell(Finding("protection", "ok", f"a run that changes {file} is caught"))
        elif sample.cause == "nonzero_exit":
            self._tell(Finding("protection", "ok", f"a run cannot change {file}"))
        elif sample.cause not in (None, "no_metric"):
            text = f"whether a change to {file} is caught could not be told: {sample.detail}"
            self._tell(Finding("protection", "warn", text, dryrun_words.remedy(sample.cause, sample.detail)))
        else:
            text = f"a run changed {file}, which is protected, and was not caught"
            self._tell(Finding("protection", "fail", text, "This is a defect of ours; please report it."))

    # -- measuring

    async def _sample(self, k: int) -> Sample:
        """One of the target's commit, as the baseline would take it."""
        sample = await self._bench.measured(self._bench.job(k, f"sample-{k}"))
        if sample.cause is None:
            self.samples.append(sample)
            self._spent_s.append(self._bench.took_s)
        return sample

    # -- failing

    def _fail(self, failure: Failure) -> None:
        given = self._bench.environ()
        python = shutil.which("python", path=given["PATH"]) or "python"
        around = Around(
            self._place.folder,
            self._bench.checkout,
            functools.partial(why_unseen, self._place),
            [each.path for each in submodules_of(self._place, self._head) if each.lack],
            self._bench.slot.run_tree if failure.key == "evaluate" else None,
            python,
            has_venv=Path(python).is_relative_to(self._place.folder),
            given=given,
        )
        self._tell(dryrun_words.explain(failure, self._config, around))
        raise _Over
