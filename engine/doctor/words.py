"""What a dry run says: why a run gave no value and what to do about it; the noise; what a night gives.

Reads the run's own words and looks for the files it missed; decides nothing and changes nothing.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from autoresearch.engine.doctor.machine import Check
from autoresearch.engine.doctor.refused import Refused
from autoresearch.engine.doctor.traps import SOURCE_FOLDERS
from autoresearch.engine.measure import examples, file_example, named_values
from autoresearch.engine.sandbox import NoNetwork
from autoresearch.engine.verdict import Noise, Pace, Settings, mean, repeats_of, visible
from autoresearch.state.config import Config
from autoresearch.state.text import clean_line, numbers

SHOWN_LINES = 8
NIGHT_H = 8.0
RUNS_PER_EXPERIMENT = 1.4
"""On average, where runs are dear: most changes have one."""
QUICK_BLOCKS, LONG_BLOCKS = 2, 5
"""Blocks of a race that is soon decided, and of one that must make room for a proposal."""
"""On average over nights: most candidates are discarded after one run, a keep takes six."""
_MANY_NAMES = 5
_COUNTED = 10_000
"""More experiments than that in a night are as good as any number."""

_MISSING_FILE = re.compile(
    r"No such file or directory: '([^'\n]+)'|can't open file '([^'\n]+)'|Cannot find module '([^'\n]+)'|"
    r"(?:^|[\s:'\"])([^\s:'\"]+): No such file or directory|cannot open (?!shared object)(?:file )?[`'\"]?([^\s'\"`]+)",
    re.MULTILINE,
)
_SAID_LAST = 60
"""Lines in which a cause is looked for: what was said long before did not end it."""
_MISSING_MODULE = re.compile(r"No module named '?([\w.]+)'?")
_NOT_ALLOWED = re.compile(
    r"(?:line \d+: )?(?:([^\s:]+): (?:Permission denied|cannot execute)|([^\s:]+): [^\n]*bad interpreter)", re.MULTILINE
)
_MISSING_VARIABLE = re.compile(r"KeyError: '([A-Z][A-Z0-9_]{2,})'|\b([A-Z][A-Z0-9_]{2,}): unbound variable")
_NOT_FOUND = re.compile(
    r"(?:line \d+: )?(?:([^\s:]+): (?:command )?not found|([^\s:]*/[^\s:]*): No such file or directory)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Failure:
    """A measured command that gave no value."""

    key: str
    """setup, build, run or evaluate."""
    command: str
    cause: str
    detail: str
    exit: int | None
    output: str
    """What it wrote, cleaned; the last part of it."""
    offline: NoNetwork | None = None
    """What shows that it lacked the network."""
    refused: Refused | None = None
    """What it was not allowed to touch."""
    held: str = "a clean environment"
    """In which respects it does not run as by hand."""


@dataclass(frozen=True, slots=True)
class Around:
    """Where the command ran, for finding what it missed."""

    user_folder: Path
    tree: Path
    unseen: Callable[[str], tuple[str, str] | None] = lambda name: None
    """Why a file of the person's is not in a clean checkout, and the fix (`workspace.why_unseen`)."""
    empty: Sequence[str] = ()
    """Submodules that are not checked out here."""
    run_tree: Path | None = None
    """Where the run was, when this is another command in a tree of its own."""
    python: str = "python"
    has_venv: bool = False
    """Whether `python` is that of an environment beside the target."""
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    """The person's own environment."""
    given: Mapping[str, str] = field(default_factory=dict)
    """The variables that measured commands have."""


def explain(failure: Failure, config: Config, around: Around) -> Check:
    """One sentence and the fix, with the last lines of the output."""
    text, fix = _why(failure, config, around)
    return Check(failure.key, "fail", text, fix, last_lines(failure.output))


def last_lines(output: str) -> tuple[str, ...]:
    lines = [line for line in output.splitlines() if line.strip() and not re.fullmatch(r"=== .* ===", line)]
    return tuple(clean_line(line, 300) for line in lines[-SHOWN_LINES:])


def _why(failure: Failure, config: Config, around: Around) -> tuple[str, str]:
    command = f"`{clean_line(failure.command, 60)}`"
    if failure.cause in ("no_metric", "not_finite"):
        return _or_the_network(failure, *_no_metric(failure, config))
    if failure.cause == "timeout":
        text = f"{command} was not finished in its time ({failure.detail})"
        return _or_the_network(failure, text, remedy(failure.cause))
    if failure.cause != "nonzero_exit":
        return f"{command} gave no value: {failure.detail}", remedy(failure.cause, failure.detail)
    missed = _missed(failure, config, around)
    if missed is not None:
        return missed
    if failure.offline is not None:
        told = clean_line(failure.offline.line, 100)
        text = f"{command} tried to reach the network, and {failure.offline.why} ({told})"
        return text, f'Set network = "{failure.offline.needs}" under [measure], or fetch what it needs beforehand.'
    if failure.refused is not None:
        done = "read" if failure.refused.reading else "write"
        text = f"{command} was not allowed to {done} {failure.refused.path}, which lies outside its checkout"
        return text, failure.refused.fix
    said = failure.detail if failure.exit is None or failure.exit < 0 else f"exit code {failure.exit}"
    fix = f"Its own words say more. If it runs by hand in a fresh clone: here it has {failure.held}."
    if around.empty:
        fix = (
            f"If it needs the submodule {around.empty[0]}, which is empty: {_update(around.empty[0])} fetches it. {fix}"
        )
    return f"{command} failed in a clean checkout: {said}", fix


def _or_the_network(failure: Failure, text: str, fix: str) -> tuple[str, str]:
    """A program may catch the error of a missing network and go on."""
    if failure.offline is None:
        return text, fix
    told = clean_line(failure.offline.line, 100)
    return (
        f"{text}; it missed the network on its way ({told})",
        f'{fix} Or set measure.network = "{failure.offline.needs}".',
    )


def _update(submodule: str) -> str:
    return f"`git submodule update --init --recursive {shlex.quote(submodule)}`"


def remedy(cause: str, detail: str = "") -> str:
    """What helps against a cause that says by itself what is wrong; "" for one that does not."""
    return _GPU_FIX if cause == "contaminated" and "GPU" in detail else _FIXES.get(cause, "")


_GPU_FIX = "Wait until it is done or end it, or choose another GPU with CUDA_VISIBLE_DEVICES."
_NOUNS = {"evaluate": "evaluation"}
_FIXES = {
    "timeout": "Make one run shorter, or set measure.timeout_s to seconds that suffice.",
    "disk_limit": "Make room on that disk.",
    "stalled": "Raise measure.stall_s, or let the command say something from time to time.",
    "output_limit": "Let it print less, or raise measure.output_mb.",
    "out_of_memory": "Let it use less memory, or raise measure.memory_mb.",
    "tampered": "Let it write elsewhere, and name what it writes in .gitignore; protected files must stay as they are.",
    "contaminated": "Let the command end the processes that it starts.",
}


# -- what it missed


def _missed(failure: Failure, config: Config, around: Around) -> tuple[str, str] | None:
    command = f"`{clean_line(failure.command, 60)}`"
    if failure.exit in (126, 127):
        return _not_started(failure, around)
    output = "\n".join(failure.output.splitlines()[-_SAID_LAST:])
    for name in _names(output, around.user_folder):
        if at_home := _at_home(name, around):
            text = f"{failure.key} looks for {at_home} in your home folder, and runs have a home of their own"
            return text, "Name it by its full path, or let what is needed of it be in the repository."
        inside = _below(name, around)
        if not inside or (around.tree / inside).exists():
            continue
        if unseen := around.unseen(inside):
            return f"{failure.key} needs {inside}, {unseen[0]}", unseen[1]
        if around.run_tree is not None and (around.run_tree / inside).exists():
            text = f"{failure.key} misses {inside}: it sees nothing of what the run wrote but measure.artifacts"
            return text, f'Name it under [measure]: artifacts = ["{inside}"].'
    variable = _MISSING_VARIABLE.search(output)
    name = (variable[1] or variable[2]) if variable else ""
    if name in around.environ and name not in around.given:
        text = f"{command} wants the variable {name}, and measured runs get a clean environment"
        return text, f'Name it under [measure]: env = ["{name}"].'
    module = _MISSING_MODULE.search(output)
    return _no_module(module[1], failure, around) if module else None


def _not_started(failure: Failure, around: Around) -> tuple[str, str]:
    found = _NOT_FOUND.search(failure.output) if failure.exit == 127 else _NOT_ALLOWED.search(failure.output)
    program = clean_line(found[1] or found[2], 60) if found else clean_line(failure.command.split(" ")[0], 60)
    inside = _below(program, around)
    if inside and (unseen := around.unseen(inside)):
        return f"{failure.key} needs {inside}, {unseen[0]}", unseen[1]
    file = around.tree / inside if inside else None
    if file is not None and file.is_file() and not os.access(file, os.X_OK):
        text = f"{program} is not executable in the last commit"
        return text, f"`git update-index --chmod=+x {shlex.quote(inside)}` and commit, or name what runs it."
    if file is not None and "/" in program and not file.exists():
        return f"{program} is not in the last commit", "Commit it, or correct the command."
    text = f"{program} is not found or cannot be started where {failure.key} runs"
    return text, "Install it, name it by its full path, or put the environment that has it into scope.link."


def _no_module(module: str, failure: Failure, around: Around) -> tuple[str, str]:
    command = f"`{clean_line(failure.command, 60)}`"
    package, _, below = module.partition(".")
    for source in (".", *SOURCE_FOLDERS) if not below else ():  # it found the package of a module that it did not find
        if any((around.tree / source / name).exists() for name in (f"{package}/__init__.py", f"{package}.py")):
            text = f"{command} imports {package}, which is in the checkout but not where python looks for it"
            return text, f'Put it there: {failure.key} = "PYTHONPATH={source} {clean_line(failure.command, 60)}".'
    text = f"{command} imports {module}, which {around.python} does not have"
    if around.empty:
        fix = f"If it is one of its modules: {_update(around.empty[0])} fetches them."
        return f"{text}; the submodule {around.empty[0]} is empty", fix
    if around.has_venv:
        return text, "Install it there."
    return text, "Put the environment that has it beside autoresearch.toml as .venv and into scope.link."


def _names(output: str, user_folder: Path) -> list[str]:
    """Files and modules that the output says are missing, the last one first; compiled ones as the person has them."""
    found = []
    for match in _MISSING_FILE.finditer(output):
        name = next(filter(None, match.groups()))
        found += [name, f"node_modules/{name}"] if match[3] else [name]
    for match in _MISSING_MODULE.finditer(output):
        path = match[1].replace(".", "/")
        compiled = [file for folder in (".", *SOURCE_FOLDERS) for file in user_folder.glob(f"{folder}/{path}.*.so")]
        found += [path, f"{path}.py", f"src/{path}", *(str(file.relative_to(user_folder)) for file in compiled)]
    return found[::-1]


def _at_home(name: str, around: Around) -> str:
    """What the person has at home and a run misses in the home that it is given; "" for anything else."""
    users, own = around.environ.get("HOME", ""), around.given.get("HOME", "")
    if not (users and own) or users == own or not Path(name).is_relative_to(own):
        return ""
    inside = Path(name).relative_to(own)
    return f"~/{inside}" if (Path(users) / inside).exists() else ""


def _below(name: str, around: Around) -> str:
    """A name relative to the target's folder; "" when it lies elsewhere."""
    path = Path(name)
    if path.is_absolute():
        return path.relative_to(around.tree).as_posix() if path.is_relative_to(around.tree) else ""
    return "" if ".." in path.parts else path.as_posix()


# -- the metric


def _no_metric(failure: Failure, config: Config) -> tuple[str, str]:
    name = config.metric.name
    if failure.cause == "not_finite" or "last reported as" in failure.detail:
        return f"{failure.detail}, so the run has no value", f"Let {failure.key} print a finite number for {name}."
    if config.measure.metrics_file:
        file = config.measure.metrics_file
        return failure.detail, f"Let {failure.key} write {file} as {file_example(name)}, or take metrics_file away."
    if "artifact" in failure.detail:
        return failure.detail, "Let run write it there, or correct measure.artifacts."
    if "constraint metric" in failure.detail:
        return failure.detail, f"Let the command print it as `{examples('name')[-1]}`, or take it out of [constraints]."
    printed = f"`{examples(name)[-1]}`"
    seen = candidates(failure.output, name)
    text = f"the {_NOUNS.get(failure.key, failure.key)} came to its end, but printed no {name}"
    if not seen:
        return f"{text} and nothing else that looks like a metric", f"Let it print a line {printed}."
    shown = ", ".join(f"`{line}`" for _, line in seen[:_MANY_NAMES])
    nearest = seen[0][0]
    if nearest == name:
        return (
            f"{text} in a form that is read; there is {shown}",
            f"Print it on a line of its own: {printed}.",
        )
    fix = f'If {nearest} is meant, set name = "{nearest}" under [metric]; else print {printed}.'
    return f"{text}; there is {shown}", fix


def candidates(output: str, wanted: str) -> list[tuple[str, str]]:
    """(name, how it stood) of numbers with a name in the output, those most like `wanted` first."""
    found = {name: clean_line(stood, 60) for name, stood in named_values(output).items()}

    def likeness(name: str) -> float:
        a, b = name.lower(), wanted.lower()
        return difflib.SequenceMatcher(None, a, b).ratio() + (a in b or b in a)

    order = {name: at for at, name in enumerate(found)}
    return sorted(found.items(), key=lambda item: (-round(likeness(item[0]), 2), -order[item[0]]))


# -- noise, and what a night gives


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the samples of a dry run tell about the experiments to come."""

    mean: float
    sd: float
    """Of one run; 0 when all agreed."""
    delta: float
    """A gain of this size is mostly proven in a dozen runs."""
    least: float
    """The same of the runs that a candidate can get."""
    run_s: float
    experiment_s: float
    night: int
    """Experiments in `NIGHT_H` hours."""


def outlook(values: list[float], run_s: float, settings: Settings) -> Outlook:
    """`run_s` is the time from one sample's start to the next's."""
    noise, pace = Noise.pool([values]), Pace(run_s)
    s = repeats_of(values).s("linear", settings.direction)
    odds, raced = settings.odds or pace.odds, settings.mode == "blocks"
    experiment_s = run_s * (1.0 if settings.mode == "single" else RUNS_PER_EXPERIMENT)
    if raced and pace.cheap:
        experiment_s = pace.proposal_s  # races go on while the agent thinks
    longest = settings.max_runs // 6 if pace.cheap else LONG_BLOCKS
    return Outlook(
        mean=mean(values),
        sd=noise.sd if math.isfinite(noise.sd) else 0.0,
        delta=max(settings.min_effect, visible(odds, QUICK_BLOCKS) * s),
        least=max(settings.min_effect, visible(odds, longest) * s) if raced else settings.min_effect,
        run_s=run_s,
        experiment_s=experiment_s,
        night=int(NIGHT_H * 3600 / max(experiment_s, 0.001)),
    )


def noise_check(values: list[float], seen: Outlook, config: Config) -> Check:
    metric, runs = config.metric, len(values)
    unit = f" {clean_line(metric.unit, 20)}" if metric.unit else ""
    if runs < 3:
        return Check("noise", "note", "not known from so few runs", "At least 3 runs tell the noise.")
    if seen.sd == 0:
        least = f" of {numbers.metric(metric.min_effect)}{unit} or more" if metric.min_effect else ""
        text = f"{runs} runs gave the same {metric.name}, so any difference{least} is told apart"
        return Check("noise", "ok", text)
    relative = seen.delta / abs(seen.mean) if seen.mean else 0.0
    share = ""
    if relative:
        share = f" ({100 * relative:.2g}%)" if relative < 1 else f" ({relative:.2g} of its value)"
    value, sd = numbers.metric(seen.mean, seen.sd), numbers.metric(seen.sd, seen.sd)
    delta, least = numbers.metric(seen.delta, seen.delta), numbers.metric(seen.least, seen.least)
    text = (
        f"{metric.name} is {value}{unit} and differs by {sd} (one sd) from run to run; an improvement of "
        f"{delta}{unit}{share if relative else ''} or more is mostly proven in a dozen runs"
    )
    if config.verdict.mode in ("blocks", "race"):
        text += f", hardly any below {least}{unit} by itself"
    if relative > 0.2:
        return Check("noise", "warn", text, "Longer runs make it finer.")
    return Check("noise", "ok", text)


def night_check(seen: Outlook, config: Config) -> Check:
    average = "" if config.verdict.mode == "single" else f" ({RUNS_PER_EXPERIMENT:g} runs on average)"
    if seen.experiment_s > RUNS_PER_EXPERIMENT * seen.run_s:
        average = ", as long as the agent thinks,"
    told = round(seen.night, 2 - len(str(seen.night)))  # two digits: more would be pretended
    count = numbers.plural(min(told, _COUNTED), "experiment")
    count = f"about {count}" if seen.night <= _COUNTED else f"more than {count}"
    run, experiment = numbers.duration(seen.run_s), numbers.duration(seen.experiment_s)
    text = f"a run takes {run}, an experiment about {experiment}{average}: {count} in a night of {NIGHT_H:g} hours"
    if seen.night < 10:
        return Check("night", "warn", text, "Shorter runs (a smaller budget, less data) try more ideas.")
    return Check("night", "ok", f"{text}, if the agent keeps up")


def command_text(command: str | tuple[str, ...]) -> str:
    return command if isinstance(command, str) else shlex.join(command)
