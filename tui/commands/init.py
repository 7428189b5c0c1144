"""`autoresearch init`: a short autoresearch.toml for this folder, by flags, by what is found in it, or by questions."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from autoresearch.engine.git import Git
from autoresearch.state import files
from autoresearch.state.config import Config
from autoresearch.state.session import CONFIG_FILE, NoRepository, SessionError, find_place, list_sessions, target_of
from autoresearch.state.text.numbers import plural
from autoresearch.tui.actions import target_layout
from autoresearch.tui.actions.target_draft import (
    QUESTIONS,
    Values,
    config_of,
    files_in,
    has_commit,
    names_in,
    text_of,
    value_of,
)
from autoresearch.tui.actions.target_layout import Found
from autoresearch.tui.facts.text import fitted
from autoresearch.tui.terminal.console import Console, echo, is_terminal
from autoresearch.tui.terminal.options import Where, common, dash_c

REQUIRED = {"measure.run": "--run", "metric.name": "--metric", "scope.edit": "--edit"}
FIRST_COMMIT = "The state autoresearch starts from"


@click.command()
@common
@click.option("--metric", metavar="NAME", help="The metric the run prints, e.g. val_bpb.")
@click.option("--direction", metavar="lower|higher", help="Which way is better.")
@click.option("--unit", metavar="U", help="Shown beside the value.")
@click.option("--run", "run_command", metavar="CMD", help="The measured command.")
@click.option("--evaluate", metavar="CMD", help="A protected command that prints the metric instead of the run.")
@click.option("--edit", metavar="GLOB", multiple=True, help="What experiments may change; may be repeated.")
@click.option("--guard", metavar="CMD", multiple=True, help="Must pass before a gain counts; may be repeated.")
@click.option("--budget", metavar="S", type=float, help="Seconds that one run has.")
@click.option("--agent", metavar="KIND", help="auto, claude, command, tuner or replay.")
@click.option("--name", metavar="N", help="What the target is called; without it, the folder's name.")
@click.option("--git-init", is_flag=True, help="Make a git repository where there is none, and its first commit.")
@click.option("--force", is_flag=True, help="Write over an autoresearch.toml.")
@click.option("--dry-run/--no-dry-run", default=None, help="Prove the target by a dry run, or do not ask for one.")
@click.option("--yes", "-y", is_flag=True, help="Ask nothing: what was found here stands for what is not said.")
def init(
    where: Where,
    metric: str | None,
    direction: str | None,
    unit: str | None,
    run_command: str | None,
    evaluate: str | None,
    edit: tuple[str, ...],
    guard: tuple[str, ...],
    budget: float | None,
    agent: str | None,
    name: str | None,
    git_init: bool,
    force: bool,
    dry_run: bool | None,
    yes: bool,
) -> int:
    """Write autoresearch.toml for this folder: what is optimised, how it is measured, what may change."""
    folder = where.start().resolve()
    path = folder / CONFIG_FILE
    if path.exists() and not force:
        raise SessionError(f"There is an {path.name} already; edit it, or write it anew with --force.")
    said = _said({
        "metric.name": metric, "metric.direction": direction, "metric.unit": unit, "measure.run": run_command,
        "measure.evaluate": evaluate, "scope.edit": list(edit), "guard": [{"run": command} for command in guard],
        "measure.budget_s": budget, "agent.kind": agent, "name": name,
    })  # fmt: skip
    asking = not yes and is_terminal(sys.stdin) and is_terminal(sys.stdout)
    has_repository = _in_repository(folder)
    if not has_repository and not git_init and not (asking and _ask_for_repository(folder)):
        raise SessionError(f"{folder} is not in a git repository; say --git-init to make one there.")
    tracked = names_in(folder) if has_repository else _to_be_tracked(folder)
    found = target_layout.detect(folder, tracked)
    console = Console()
    for sentence in found.sentences:
        console.prose(fitted(sentence))
    config = config_of(folder, _values(found, said, asking, yes))
    files.write_atomic(path, text_of(config).encode(), mode=0o644)
    settled = yes or (asking and any(key not in {**found.sure, **said} for key in REQUIRED))
    console.prose(_summary(path, config, found, said, settled))
    if not has_repository:
        _make_repository(folder)
    elif asking and not has_commit(folder):
        _offer_first_commit(where.place().top)
    if found.history is not None:
        _import(where, found.history)
    if not has_commit(folder):
        _say_first_commit(folder)
        return 0
    good = _prove(where, config, folder, dry_run, asking)
    echo(f"Next: autoresearch{dash_c(folder)} {'run' if good else 'doctor'}")
    return 0 if good else 1


def _said(flags: Values) -> Values:
    return {key: value for key, value in flags.items() if value not in (None, [])}


# -- the config


def _values(found: Found, said: Values, asking: bool, yes: bool) -> Values:
    """Flags first, then what is known for sure, then answers (guesses with --yes). Raises when something is missing."""
    values = {**found.sure, **said}
    if said.get("metric.name", found.sure.get("metric.name")) != found.sure.get("metric.name"):
        # What is known about the found metric is not known about another one.
        for key in ("metric.direction", "metric.unit"):
            if key not in said:
                values.pop(key, None)
    missing = [key for key in REQUIRED if key not in values]
    if yes:
        values = {key: value for key, value in found.guesses.items() if key in (*missing, "guard")} | values
        missing = [key for key in REQUIRED if key not in values]
    if missing and asking:
        _ask(values, found.guesses, missing)
    elif missing:
        flags = [REQUIRED[key] for key in missing]
        listed = " and ".join(filter(None, (", ".join(flags[:-1]), flags[-1])))
        raise SessionError(f"init needs {listed} here, or a terminal to ask on.")
    if "metric.direction" not in values and target_layout.better_higher(str(values["metric.name"])):
        values["metric.direction"] = "higher"
    return values


def _ask(values: Values, guesses: Values, missing: Sequence[str]) -> None:
    """Plain questions for what is missing; an impossible answer is asked again."""
    for key in ("measure.run", "metric.name", "metric.direction", "scope.edit"):
        if key in missing or (key == "metric.direction" and key not in values):
            guess = guesses.get(key)
            if key == "metric.direction":
                guess = "higher" if target_layout.better_higher(str(values["metric.name"])) else "lower"
            default = " ".join(guess) if isinstance(guess, list) else guess
            values[key] = click.prompt(QUESTIONS[key], default=default, value_proc=_reader(key))
    if "guard" in guesses and "guard" not in values:
        command = guesses["guard"][0]["run"]
        if click.confirm(f"Tests found: must `{command}` pass before a gain counts?", default=True):
            values["guard"] = guesses["guard"]


def _reader(key: str) -> Callable[[str], Any]:
    def read(answer: str) -> Any:
        try:
            return value_of(key, answer)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    return read


def _summary(path: Path, config: Config, found: Found, said: Values, settled: bool) -> str:
    """What was written, and what was not asked. `settled`: a person answered questions, or said yes to all of them."""
    run = config.measure.run if isinstance(config.measure.run, str) else shlex.join(config.measure.run)
    edit = ", ".join(config.scope.edit)
    lines = [f"Wrote {path.name}: a {config.metric.direction} {config.metric.name} from `{run}`, by changes to {edit}."]
    if "metric.direction" not in {**found.sure, **said} and config.metric.direction == "higher" and not settled:
        lines.append(f"Higher was taken as better, by the metric's name; if not, set direction in {path.name}.")
    if config.measure.evaluate and not config.measure.artifacts:
        lines.append("evaluate sees nothing of what the run writes until measure.artifacts names the files.")
    if not config.guard and "guard" in found.guesses and not settled:
        command = found.guesses["guard"][0]["run"]
        lines.append(f"There are tests here: with --guard {shlex.quote(command)} they must pass before a gain counts.")
    return "\n".join(fitted(line) for line in lines)


# -- git


def _in_repository(folder: Path) -> bool:
    """Raises SessionError where none can be made either: in a bare repository, or one of somebody else."""
    try:
        find_place(folder)
    except NoRepository:
        return False
    return True


def _ask_for_repository(folder: Path) -> bool:
    echo(f"{folder} is not in a git repository, and experiments are commits on a branch of their own.")
    return click.confirm("Make a repository here (git init) and commit what is in it?", default=True)


def _to_be_tracked(folder: Path) -> set[str]:
    """The same for a folder that becomes a repository. Raises SessionError when that would commit an environment."""
    with tempfile.TemporaryDirectory() as empty:
        git = Git(Path(empty), folder)
        git("init", "--quiet", "--template=")
        names = names_in(folder, git)
    for name in target_layout.ENVIRONMENTS:
        if name in names:
            raise SessionError(f"{name} would be committed: put a line `{name}` into .gitignore and call this again.")
    return names


def _make_repository(folder: Path) -> None:
    from autoresearch.tui.actions.repository import make_repository

    try:
        make_repository(folder, FIRST_COMMIT)
    except SessionError as error:
        # The config is written and good, so what is left to do is said instead of failing.
        echo(fitted(f"Not committed: {error}"))
    else:
        echo(f"Made a git repository in {folder} and committed what is in it.")


def _offer_first_commit(top: Path) -> None:
    from autoresearch.tui.actions.repository import commit_all

    count = plural(len(files_in(top)), "file")
    if (top / ".git").is_dir() and click.confirm(f"Make the first commit, of {count}?", default=False):
        commit_all(top, FIRST_COMMIT)
        echo("Made the first commit.")


# -- afterwards


def _import(where: Where, history: Path) -> None:
    from autoresearch.tui.terminal.import_history import import_history

    if not has_commit(where.start()):
        echo(f"{history.name} holds earlier experiments: after the first commit, import it as below.")
        return
    place = where.place()
    if any(target_of(session) == place.prefix for session in list_sessions(place)):
        echo(f"{history.name} is not imported: this target has a session (`autoresearch import {history.name}`).")
        return
    try:
        sentences = import_history(place, history, None)
    except SessionError as error:
        # The config is written and good; a history that cannot be read is no reason to call that a failure.
        sentences = [f"{history.name} was not imported: {error}"]
    for sentence in sentences:
        echo(fitted(sentence))


def _prove(where: Where, config: Config, folder: Path, wanted: bool | None, asking: bool) -> bool:
    """A dry run where it is wanted; whether nothing failed in it."""
    if wanted is None and asking:
        Console().prose(
            "A dry run runs the command some times, and shows what a night gives. Its runs count as those of the "
            "baseline."
        )
        wanted = click.confirm("Prove now that this measures what it claims?", default=True)
    if not wanted:
        if wanted is None:
            echo(f"Whether it measures what it claims: autoresearch{dash_c(folder)} doctor")
        return True
    from autoresearch.tui.terminal.dry_run import prove

    report = prove(where.place(), config, Console())
    if not report.good:
        echo("What is marked × has to be mended before a session is worth its night.")
    return report.good


def _say_first_commit(folder: Path) -> None:
    git = f"git{dash_c(folder)}"
    echo(f"Next: `{git} add -A && {git} commit -m start`, for experiments start from a commit; then")
    echo(f"  autoresearch{dash_c(folder)} doctor   and   autoresearch{dash_c(folder)} run")
