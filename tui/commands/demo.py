"""`autoresearch demo`: a ready target copied into a repository of its own, and run there."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tomllib
from pathlib import Path
from typing import Any

import click

import autoresearch
from autoresearch.state.config import Config, load
from autoresearch.state.session import Place, SessionError, find_place, list_sessions, open_session
from autoresearch.state.text import numbers
from autoresearch.state.text.numbers import plural
from autoresearch.tui.commands.run import AGENTS, start, view
from autoresearch.tui.facts.spelling import did_you_mean
from autoresearch.tui.terminal.console import Console, interactive
from autoresearch.tui.terminal.options import Where, common, on_screen
from autoresearch.tui.terminal.parting_words import short

EXPERIMENTS = 25
"""Of a demo in all, unless --max-experiments says how many more."""
CPU_BUDGET_S = 15.0
_MARK = "autoresearch-demo"
"""A file in the repository's .git that says which target's demo it is."""
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", ".git", ".autoresearch")


@click.command()
@click.argument("target", required=False)
@click.option("--dir", "folder", type=click.Path(path_type=Path), metavar="D",
              help="Where; default: ./autoresearch-demo-TARGET.")  # fmt: skip
@click.option("--headless", is_flag=True, help="Print a line per event instead of showing the screen.")
@click.option("--max-experiments", type=click.IntRange(min=1), metavar="N",
              help=f"Pause after N more experiments; default: {EXPERIMENTS} in all.")  # fmt: skip
@click.option("--budget", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
              help="Training time of a run; default: 15 on a CPU, the target's own on a GPU.")  # fmt: skip
@click.option(
    "--agent", type=click.Choice(AGENTS), default="tuner", show_default=True, help="What makes the proposals."
)
@on_screen
@common
def demo(
    where: Where,
    target: str | None,
    folder: Path | None,
    headless: bool,
    max_experiments: int | None,
    budget: float | None,
    agent: str,
) -> int:
    """Copy a ready target into a fresh repository and run it; called again, it goes on there.

    TARGET is nanogpt (a small GPT; taken when torch is installed) or templates (a template engine, without torch).
    """
    from autoresearch.engine.sessions import RunOptions

    source = _source(target)
    at = (where.start() / (folder or Path(f"autoresearch-demo-{source.name}"))).absolute()
    fresh = _prepare(source, at, budget)
    place = find_place(at)
    if agent == "replay" and not (at / "patches").is_dir():
        raise click.UsageError(f"The target {source.name} has no prepared patches; take another agent")
    session = open_session(place, where.session) if list_sessions(place) else None
    if not headless and interactive() and session is not None and session.engine_pid() is not None:
        return view(where, place, session, demo=True)
    done = len(session.history().rows) if session is not None else 0
    more = max_experiments if max_experiments is not None else EXPERIMENTS - done
    config = load(place.config_file)
    in_toml = tomllib.loads(place.config_file.read_text(encoding="utf-8")).get("measure", {}).get("budget_s")
    planned = budget if budget is not None else in_toml
    Console().prose(_announce(source.name, at, fresh, done, more, config, planned, agent))
    if more <= 0:
        return _over(place, where, headless)
    options = RunOptions(
        session=where.session,
        max_experiments=more,
        agent=agent,
        replay=str(at / "patches") if agent == "replay" else None,
        budget_s=budget if budget != in_toml else None,
        trust=True,
    )
    return start(where, place, options, headless, demo=True)


def _over(place: Place, where: Where, headless: bool) -> int:
    from autoresearch.engine.sessions import RunOptions

    session = open_session(place, where.session)
    if headless or not interactive():
        return 3
    return view(
        where, place, session, RunOptions(session=session.name, max_experiments=EXPERIMENTS, agent="tuner"), demo=True
    )


# -- the folder


def targets() -> list[Path]:
    """The ready targets that are installed with the program."""
    folder = Path(autoresearch.__file__).resolve().parent / "targets"
    return sorted(path for path in folder.iterdir() if (path / "autoresearch.toml").is_file())


def _source(name: str | None) -> Path:
    known = {path.name: path for path in targets()}
    if name is None:
        name = "nanogpt" if importlib.util.find_spec("torch") is not None and "nanogpt" in known else "templates"
    if name not in known:
        raise click.UsageError(f"There is no target {name!r}{did_you_mean(name, known)}; there are {', '.join(known)}")
    if name == "nanogpt" and importlib.util.find_spec("torch") is None:
        raise SessionError(
            "The target nanogpt needs torch; install it with `pip install 'autoresearch-tui[train]'`, "
            "or take `autoresearch demo templates`."
        )
    return known[name]


def _prepare(source: Path, at: Path, budget: float | None) -> bool:
    """The demo's repository at `at`, made if there is none; whether it was made. Raises SessionError."""
    if at.is_dir() and any(at.iterdir()):
        mark = at / ".git" / _MARK
        found = mark.read_text(encoding="utf-8").strip() if mark.is_file() else ""
        if found == source.name:
            return False
        what = f"holds the demo of {found}" if found else "is no demo of ours"
        raise SessionError(f"{at} exists and {what}; choose another folder with --dir.")
    if at.exists() and not at.is_dir():
        raise SessionError(f"{at} is a file; choose a folder with --dir.")
    from autoresearch.tui.actions.repository import make_repository

    at.parent.mkdir(parents=True, exist_ok=True)
    half = at.with_name(f".{at.name}.{os.getpid()}.new")
    try:
        shutil.copytree(source, half, ignore=_LEFT_OUT, copy_function=shutil.copyfile)
        _restore_modes(source, half)
        _set_budget(half / "autoresearch.toml", budget)
        make_repository(half, f"The {source.name} demo", branch="main")
        (half / ".git" / _MARK).write_text(f"{source.name}\n", encoding="utf-8")
        half.rename(at)
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return True


def _restore_modes(source: Path, copy: Path) -> None:
    """Only the executable bits: an installed package may be read-only, its copy is there to be changed."""
    for path in copy.rglob("*"):
        if path.is_file():
            path.chmod(0o755 if (source / path.relative_to(copy)).stat().st_mode & 0o100 else 0o644)


def _set_budget(toml: Path, budget: float | None) -> None:
    """Into the copied toml, so that every later call measures alike: a changed budget opens a new segment."""
    import tomlkit

    from autoresearch.engine.measure import accelerator  # what the driver shows: torch is not imported

    document = tomlkit.parse(toml.read_text(encoding="utf-8"))
    measure: Any = document["measure"]
    if budget is None and ("budget_s" not in measure or not accelerator().startswith(("cpu", "mps"))):
        return
    measure["budget_s"] = CPU_BUDGET_S if budget is None else budget
    toml.write_text(tomlkit.dumps(document), encoding="utf-8")


# -- what is about to happen


def _announce(
    name: str, at: Path, fresh: bool, done: int, more: int, config: Config, budget: float | None, agent: str
) -> str:
    """What is about to happen, and how long it takes."""
    shown = short(at)
    shown = shown if shown.startswith("/") else f"./{shown}"
    if more <= 0:
        return (
            f"The {name} demo in {shown} has had its {plural(done, 'experiment')}; "
            f"`autoresearch demo {name} --max-experiments 10` goes on, "
            f"and `autoresearch summary -C {shown}` tells what came of it."
        )
    begin = f"Demo {name}, {'in a fresh repository' if fresh else 'going on'} at {shown}."
    who = "prepared patches are tried" if agent == "replay" else f"the {agent} changes {', '.join(config.scope.edit)}"
    baseline = 0 if done else 1
    steps = ["first a baseline"] if baseline else []
    if more > baseline:
        steps.append(f"{'then ' if baseline else ''}up to {plural(more - baseline, 'experiment')}")
    what = f"Here {who}: {', '.join(steps)}; a change is kept only if it is proven better."
    # About 1.7 runs an experiment; a run takes its budget and some seconds around it.
    runs = (more - baseline) * 1.7 + baseline * 4
    took = "A run takes about a second, all of it a minute or two."
    if budget is not None:
        whole = numbers.duration(runs * (budget + 8))
        took = f"A run trains for {numbers.duration(budget)}; all of it takes about {whole}."
    return f"{begin}\n{what}\n{took} Stop at any time; the same command goes on."
