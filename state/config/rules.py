"""What a config value may be beyond its type, by dotted key, and which values contradict each other."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from autoresearch.state.config.constraint import bound
from autoresearch.state.config.validate import Rule, Unfit, show

THINKING = ("auto", "low", "medium", "high", "xhigh", "max")

_NAME = re.compile(r"[^\s=:]+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_TIME = re.compile(r"([01]?\d|2[0-3]):[0-5]\d", re.ASCII)

_METRIC_NAME = "a name without spaces, = and :"
_INSIDE = "a path relative to the folder of autoresearch.toml, without .."


def at_least(least: float, meaning: str = "") -> Rule:
    return lambda value: None if value is None or value >= least else f"{least:g} or more{meaning}"


def above(bottom: float) -> Rule:
    return lambda value: None if value > bottom else f"a number above {bottom:g}"


def or_auto(rule: Rule) -> Rule:
    return lambda value: None if value == "auto" else rule(value)


def _one_line(value: str) -> str | None:
    return None if value.strip() and value.isprintable() else "one line of text, not empty"


def _metric_name(value: str) -> str | None:
    return None if _NAME.fullmatch(value) else f'{_METRIC_NAME}, as the command prints it, e.g. "val_bpb"'


def is_empty(command: str | tuple[str, ...]) -> bool:
    return not command.strip() if isinstance(command, str) else not command


def _optional_command(value: str | tuple[str, ...]) -> str | None:
    if isinstance(value, tuple) and value and not value[0].strip():
        return "a list that begins with a program"
    return None


def _command(value: str | tuple[str, ...]) -> str | None:
    return 'a command, e.g. "python train.py"' if is_empty(value) else _optional_command(value)


def _outside(path: str) -> bool:
    """Whether a path or glob is none that stays inside a folder."""
    return not path.strip() or path.startswith(("/", "~")) or ".." in PurePosixPath(path).parts


def _inside(value: tuple[str, ...]) -> str | None:
    for path in value:
        if _outside(path):
            raise Unfit(_INSIDE, show(path))
    return None


def _globs(value: tuple[str, ...]) -> str | None:
    for glob in value:
        pattern = glob.removeprefix("!")
        if _outside(pattern) or pattern.startswith("!") or "\n" in pattern:
            raise Unfit(f'{_INSIDE}, e.g. "train.py", "src/**", "!src/eval.py"', show(glob))
        if PurePosixPath(pattern).parts[:1] == (".git",):
            raise Unfit("files of the project, never .git", show(glob))
    return None if any(not glob.startswith("!") for glob in value) else 'at least one glob, e.g. ["train.py"]'


def _file(value: str) -> str | None:
    """One file that a run writes: the engine, which nothing confines, removes and copies it."""
    return _INSIDE if value and (_outside(value) or not PurePosixPath(value).parts) else None


def _not_empty(value: tuple[str, ...]) -> str | None:
    return None if all(path.strip() for path in value) else "paths, none of them empty"


def _variables(value: tuple[str, ...]) -> str | None:
    for name in value:
        if not _VARIABLE.fullmatch(name):
            raise Unfit("names of environment variables alone, without values", show(name))
    return None


def _progress(value: dict[str, str]) -> str | None:
    for name, pattern in value.items():
        if not _NAME.fullmatch(name):
            raise Unfit(_METRIC_NAME, f"the name {show(name)}")
        try:
            groups = re.compile(pattern).groups
        except (re.error, OverflowError, RecursionError) as error:
            raise Unfit(f"a regular expression ({error})", show(pattern), name) from error
        if not groups:
            raise Unfit("a regular expression with a group around the number, e.g. 'loss: ([0-9.]+)'", "", name)
    return None


def _constraints(value: dict[str, float | str]) -> str | None:
    for name, text in value.items():
        if not _NAME.fullmatch(name):
            raise Unfit(_METRIC_NAME, f"the name {show(name)}")
        try:
            bound(text)
        except ValueError:
            expected = 'an upper limit (20000, "1.2x" of the baseline) or a lower one (">= 30", ">= 0.9x")'
            raise Unfit(expected, show(text), name) from None
    return None


def _until(value: str) -> str | None:
    return None if not value or _TIME.fullmatch(value) else 'a time of day, e.g. "07:30", or ""'


def _thinking(value: int | str) -> str | None:
    fits = value == 0 or value >= 1024 if isinstance(value, int) else value in THINKING
    return None if fits else f"one of {', '.join(show(word) for word in THINKING)}, 0 for off, or 1024 tokens or more"


RULES: dict[str, Rule] = {
    "name": _one_line,
    "metric.name": _metric_name,
    "metric.unit": lambda value: None if value.isprintable() else "one line of text",
    "metric.min_effect": at_least(0),
    "scope.edit": _globs,
    "scope.link": _inside,
    "measure.run": _command,
    "measure.setup": _optional_command,
    "measure.build": _optional_command,
    "measure.evaluate": _optional_command,
    "measure.artifacts": _inside,
    "measure.metrics_file": _file,
    "measure.progress": _progress,
    "measure.feedback": _file,
    "measure.budget_s": at_least(0, " (0: no budget)"),
    "measure.timeout_s": at_least(0, " (0: three times the baseline's time)"),
    "measure.stall_s": at_least(0, " (0: off)"),
    "measure.memory_mb": at_least(0, " (0: off)"),
    "measure.output_mb": above(0),
    "measure.env": _variables,
    "measure.evaluate_env": _variables,
    "measure.cache": _inside,
    "measure.keep": _inside,
    "measure.writable": _not_empty,
    "measure.hidden": _not_empty,
    "guard.run": _command,
    "guard.timeout_s": above(0),
    "constraints": _constraints,
    "holdout.run": _optional_command,
    "verdict.odds": or_auto(above(1)),
    "verdict.baseline_runs": or_auto(at_least(1)),
    "verdict.max_runs": or_auto(at_least(2)),
    "verdict.bundle": lambda value: None if value == 0 or value >= 2 else "2 or more, or 0 for never",
    "agent.model": _one_line,
    "agent.ahead": lambda value: None if value in (None, 0, 1) else "0 or 1",
    "agent.debug": at_least(0),
    "agent.rework": at_least(0),
    "agent.tuner_every": at_least(0, " (0: never)"),
    "agent.brief_chars": at_least(1000),
    "agent.timeout_s": above(0),
    "agent.patience_s": at_least(0),
    "agent.command": lambda value: None if value.strip() else 'an agent\'s name, e.g. "claude-code", or a command',
    "agent.thinking": _thinking,
    "agent.context_tokens": at_least(8000),
    "limits.experiments": at_least(0, " (0: no limit)"),
    "limits.hours": at_least(0, " (0: no limit)"),
    "limits.until": _until,
    "limits.dollars": at_least(0, " (0: no limit)"),
    "limits.tokens": at_least(0, " (0: no limit)"),
    "limits.no_keep": at_least(0, " (0: no limit)"),
    "limits.stagnation_after": at_least(0, " (0: never)"),
    "notify.command": _optional_command,
}


def contradictions(values: Mapping[str, Any]) -> list[str]:
    """Values that are each possible but not together; `values` holds only good ones, by dotted key."""
    found: list[str] = []
    runs, mode = values.get("verdict.baseline_runs", "auto"), values.get("verdict.mode", "blocks")
    if runs != "auto" and runs < 3 and mode != "single":
        found.append(f'verdict.baseline_runs: found {runs}, expected 3 or more (1 is enough with mode = "single")')
    if "measure.evaluate" in values and is_empty(values["measure.evaluate"]):
        for key in ("artifacts", "evaluate_env"):
            if values.get(f"measure.{key}"):
                told = show(values[f"measure.{key}"])
                found.append(
                    f"measure.{key}: found {told}, expected none while measure.evaluate is empty: set evaluate"
                )
    inputs = {PurePosixPath(path): path for path in values.get("scope.link", ())}
    for path in values.get("measure.writable", ()):
        if PurePosixPath(path) in inputs:
            found.append(
                f"measure.writable: found {show(path)}, which scope.link names too, expected another path: "
                "what a run may write is no input; name a folder below it, or take it out of one of them"
            )
    name = values.get("metric.name")
    if name is not None and name in values.get("constraints", {}):
        found.append(f"constraints.{name}: found the primary metric, expected another metric; metric.goal is for this")
    return found
