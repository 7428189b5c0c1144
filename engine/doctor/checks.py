"""What can be told of a target without running it: its repository, its scope, the agent. Only reads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from autoresearch.engine import sandbox, sessions, workspace
from autoresearch.engine.agents import Unavailable, find_key, misnamed, preset_of
from autoresearch.engine.doctor import machine
from autoresearch.engine.doctor.machine import Check
from autoresearch.engine.git import Git
from autoresearch.engine.workspace import FIXED, Scope, check_git, head_of, uncommitted
from autoresearch.state.config import Config
from autoresearch.state.session import CONFIG_FILE, Place, SessionError, list_sessions
from autoresearch.state.text import listed, numbers


def scope_files(place: Place, config: Config, commit: str) -> list[str]:
    """The in-scope files of a commit, relative to the target's folder: those the command names first, then Python."""
    scope, named = Scope(config.scope.edit), _named(config)
    found = filter(scope.contains, _files_of(place, commit))
    return sorted(found, key=lambda name: (name not in named, not name.endswith(".py"), name.count("/"), name))


def protected_file(place: Place, config: Config, commit: str) -> str | None:
    """A tracked file that no experiment may change, relative to the target's folder: best one that the commands name.

    None when everything but the fixed files (the toml) is in scope.
    """
    scope, named = Scope(config.scope.edit), _named(config)
    links = [link.strip("/") for link in config.scope.link]
    found = [
        name
        for name in _files_of(place, commit)
        if not scope.contains(name)
        and name.rpartition("/")[2] not in FIXED
        and not any(name == link or name.startswith(f"{link}/") for link in links)
    ]
    return min(found, key=lambda name: (name not in named, name), default=None)


def _files_of(place: Place, commit: str) -> Iterator[str]:
    """The regular files of a commit in the target's folder, relative to it."""
    for facts, path in Git(place.common_dir).files_of(commit):
        if path.startswith(place.below) and facts.startswith("100"):
            yield path.removeprefix(place.below)


def _named(config: Config) -> set[str]:
    """What the commands name."""
    commands = (config.measure.run, config.measure.build, config.measure.evaluate)
    return {Path(word).as_posix() for command in commands for word in workspace.words_of(command)}


def git_checks(place: Place, config: Config) -> list[Check]:
    """A `fail` among them: nothing can be measured."""
    try:
        check_git()
        head = head_of(place)
        sessions.refuse_unseen_files(place, config)
        for submodule in workspace.submodules_of(place, head):
            if submodule.lack and submodule.is_used:
                raise SessionError(submodule.lack)
    except SessionError as no:
        return [refusal("git", no)]
    found = [Check("git", "ok", f"experiments start at {head[:7]}")]
    if (place.common_dir / "shallow").is_file():
        text = "a shallow clone: experiments work, but its older history is not there"
        found.append(Check("git", "note", text, "`git fetch --unshallow` fetches it."))
    if missing := workspace.promised(place, head):
        text = f"a partial clone: {numbers.plural(len(missing), 'object')} of this commit are not here"
        found.append(Check("git", "note", text, "Its remote is asked for them before the first run."))
    changed, untracked = uncommitted(place)
    if changed := [path for path in changed if Path(path).name != CONFIG_FILE]:
        text = f"not committed, and so not measured: {listed(changed)}"
        found.append(Check("git", "warn", text, "Commit what experiments should start from."))
    found += _scope(place, config, head, untracked)
    scored = sessions.scored_by(place, config, head)
    if scored in _SCORED:
        found.append(Check("score", "note", _SCORED[scored], "measure.evaluate closes that (docs/own-target.md)."))
    return found


def refusal(name: str, no: SessionError) -> Check:
    """A sentence with its fix, as a check."""
    text, _, fix = str(no).rstrip(".").partition("; ")
    if not fix:
        text, _, fix = text.partition(": `")
        fix = f"`{fix}" if fix else ""
    return Check(name, "fail", text, f"{fix[:1].upper()}{fix[1:]}." if fix else "")


_SCORED = {
    "scope": "code in scope prints the score itself, so an edit could print a better one than it reached",
    "run": "the score comes out of the run that the edited code takes part in, which could print one of its own",
}


def _scope(place: Place, config: Config, head: str, untracked: list[str]) -> list[Check]:
    files = scope_files(place, config, head)
    edit = ", ".join(config.scope.edit)
    if files:
        return [Check("scope", "ok", f"{numbers.plural(len(files), 'file')} may be changed: {listed(files)}")]
    scope = Scope(config.scope.edit, place.prefix)
    new = [path.removeprefix(place.below) for path in untracked if scope.holds(path.rstrip("/"))]
    if new:
        text = f"scope.edit ({edit}) matches no file of the last commit; {listed(new)} is not in git yet"
        return [Check("scope", "fail", text, f"`git add {new[0]}` and commit.")]
    return [Check("scope", "fail", f"scope.edit ({edit}) matches no file of the last commit", "Correct scope.edit.")]


def running_checks(place: Place) -> list[Check]:
    """A warning where another engine measures at the same time: both sides' numbers would suffer."""
    busy = [session.name for session in list_sessions(place) if session.engine_pid() is not None]
    if not busy:
        return []
    text = f"session {' and '.join(busy)} is being measured at this moment, which disturbs both"
    return [Check("session", "warn", text, "Pause it first: `autoresearch pause`.")]


def confinement_checks(config: Config) -> list[Check]:
    """How well this target's runs are confined here; nothing where that is as the machine's own check says."""
    try:
        sandbox.refuse_weak(config)
    except SessionError as no:
        return [refusal("confinement", no)]
    held = sandbox.level(config.measure.confine, config.measure.network)
    state: machine.State = "ok" if held.name == "full" else "note" if held.name == "partial" else "warn"
    network = {"off": "no network", "loopback": "loopback only", "on": "the network is on"}[config.measure.network]
    return [Check("confinement", state, f"{held.name}: {held.sentence}; {network}")]


def agent_checks(config: Config, environ: Mapping[str, str] = os.environ) -> list[Check]:
    """Who will make the proposals, and whether it can."""
    kind = config.agent.kind
    if kind == "replay":
        return [Check("agent", "ok", "replay: prepared patches, given with --replay; no cost")]
    if kind == "tuner":
        return [Check("agent", "ok", "tuner: varies the numbers in the code; no model, no cost")]
    if kind == "claude":
        return [_claude(config, environ)]
    if kind == "command":
        return [_command(config, environ)]
    offers = [check for check in (_claude(config, environ), _command(config, environ)) if check.state == "ok"]
    if not offers:
        text = 'auto: no key and no logged-in agent CLI, so the tuner (kind = "tuner") varies the numbers in the code'
        return [Check("agent", "note", text, "Set ANTHROPIC_API_KEY, or log in with an agent CLI, for real ideas.")]
    names = " or ".join(check.text for check in offers)
    text = f"auto: `autoresearch run` asks once; the tuner, or {names}"
    return [Check("agent", "ok", text)]


def _claude(config: Config, environ: Mapping[str, str]) -> Check:
    try:
        find_key(environ)
    except Unavailable as no:
        return Check("agent", "fail", f"claude: {str(no).rstrip('.')}", "The tuner needs no key: --agent tuner.")
    return Check("agent", "ok", f"claude: {config.agent.model}, a key was found; {_cost(config)}")


def _command(config: Config, environ: Mapping[str, str]) -> Check:
    known = preset_of(config.agent.command)
    if known is None:
        if wrong := misnamed(config.agent.command, environ.get("PATH", os.defpath)):
            return Check("agent", "fail", wrong.rstrip("."), "Name a preset or a template there.")
        return Check("agent", "ok", f"command: your own `{config.agent.command}`; {_cost(config)}")
    cli = machine.agent_cli(known[0], environ)
    if cli.path is None:
        return Check("agent", "fail", f"command: {cli.program} is not installed", f"Install it: {cli.fix}.")
    if cli.logged_in is False:
        return Check("agent", "fail", f"command: {cli.name} is not logged in", f"Log in: {cli.fix}.")
    seen = f"logged in ({cli.by})" if cli.logged_in else f"no login seen ({cli.fix})"
    state: machine.State = "ok" if cli.logged_in else "warn"
    return Check("agent", state, f"command: {cli.name} at {cli.path}, {seen}; {_cost(config)}")


def _cost(config: Config) -> str:
    limit = config.limits.dollars
    return f"pauses at ${limit:g} (limits.dollars)" if limit else "no limit in dollars (limits.dollars = 0)"
