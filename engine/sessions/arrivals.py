"""Which of a target's commands arrived with a clone or a pull, so that a person confirms them before their first run.

A command is the user's own when it is only in their working tree, or when a commit made in this very repository wrote
it: the reflog of HEAD tells, and nothing that a remote sends can write there (names and addresses in commits can be
anybody's). Everything else that a remote-tracking branch, or a HEAD that was cloned or pulled, has in its toml arrived.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from autoresearch.engine.git import Git
from autoresearch.state.session import (
    CONFIG_FILE,
    Command,
    Place,
    SessionError,
    commands_in,
    commands_of,
    confirm_commands,
    confirmed_commands,
    open_session,
    pulled_commands,
)
from autoresearch.state.text import clean_line

_MADE_HERE = re.compile(r"commit(?: \((?:initial|amend|merge)\))?: ")
_BROUGHT = re.compile(r"(?:clone|pull|am|merge)\b")
_NEWEST = 2000
"""Entries of a reflog that are looked at."""
_SHOWN_CHARS = 400


def pending(place: Place, session: str | None = None, new: bool = False) -> tuple[Command, ...]:
    """What a person has to confirm before an engine may start on this target; () for nothing.

    `session` is the one to run, None for the target's latest; `new` for none that exists. One that was pulled brings
    commits of somebody else, so that all the commands that would run them are asked for.
    """
    try:
        commands = commands_in(place.config_file.read_bytes())
    except OSError:
        return ()  # without a config nothing runs, and whoever wants to run is told so
    if not new and pulled_from(place, session) is not None:
        return tuple(dict.fromkeys((*commands, *_limits_set(place, session))))
    unknown = set(commands) - confirmed_commands(place.common_dir)
    asked = arrived(place, unknown) if unknown else frozenset()
    return tuple(command for command in commands if command in asked)


def _limits_set(place: Place, session: str | None) -> tuple[Command, ...]:
    """Limits that people set in a session rather than in the toml: whoever pulls it has not."""
    try:
        settings = open_session(place, session).history().settings
    except SessionError:
        return ()
    return commands_of({"limits": {key.removeprefix("limits."): value for key, value in settings.items()}})


def pulled_from(place: Place, session: str | None) -> str | None:
    """Where the session (None: the target's latest) was pulled from, while nobody has confirmed it since."""
    waiting = pulled_commands(place.common_dir)
    if not waiting or session is not None:
        return waiting.get(session or "")
    try:
        return waiting.get(open_session(place).name)
    except SessionError:
        return next(iter(waiting.values()))  # its folder is lost: a run restores it


def accept(place: Place, session: str | None = None, new: bool = False) -> None:
    """A person trusts what the target runs now. Where that cannot be noted they are asked again next time."""
    with contextlib.suppress(OSError):
        if session is None and not new and pulled_commands(place.common_dir):
            with contextlib.suppress(SessionError):
                session = open_session(place).name
        commands = set(commands_in(place.config_file.read_bytes()))
        if commands - confirmed_commands(place.common_dir) or session in pulled_commands(place.common_dir):
            confirm_commands(place.common_dir, commands, session)


def refusal(commands: Iterable[Command]) -> SessionError:
    shown = "; ".join(f"{command.key} = `{clean_line(command.text, _SHOWN_CHARS)}`" for command in commands)
    return SessionError(
        f"This target's commands came from elsewhere and nobody has confirmed them here ({shown}); "
        "look at them and the code they run, then say `autoresearch run --trust` or `autoresearch resume --trust`."
    )


# -- what arrived


def arrived(place: Place, commands: Iterable[Command]) -> frozenset[Command]:
    """Those of the commands that came with a clone or a pull."""
    git = Git(place.git_dir)
    remote = git("for-each-ref", "--format=%(objectname)", "refs/remotes").split()
    moves = _moves(place)
    if not remote and not any(_BROUGHT.match(move.said) for move in moves):
        return frozenset()
    versions = _Versions(git, f"{place.below}{CONFIG_FILE}")
    elsewhere = versions.at(["HEAD", "FETCH_HEAD", *remote])
    asked = {command for command in commands if command in set().union(*elsewhere)}
    return frozenset(asked - _written_here(moves, versions) if asked else ())


@dataclass(frozen=True, slots=True)
class _Move:
    """One entry of a HEAD's reflog."""

    old: str
    new: str
    said: str


def _moves(place: Place) -> list[_Move]:
    """Of every worktree's HEAD: whatever was committed in this repository was committed at one of them."""
    found = []
    for log in {place.git_dir / "logs" / "HEAD", *place.common_dir.glob("worktrees/*/logs/HEAD"),
                place.common_dir / "logs" / "HEAD"}:  # fmt: skip
        with contextlib.suppress(OSError):
            for line in log.read_text("utf-8", "replace").splitlines()[-_NEWEST:]:
                facts, _, said = line.partition("\t")
                old, new, *_ = [*facts.split(" "), "", ""]
                found.append(_Move(old, new, said))
    return found


def _written_here(moves: list[_Move], versions: _Versions) -> set[Command]:
    """What commits made in this repository brought: in the new version, in none that it was made from."""
    made = [move for move in moves if _MADE_HERE.match(move.said)]
    names = [name for move in made for name in (move.new, move.old, f"{move.new}^1", f"{move.new}^2")]
    held = iter(versions.at(names))
    own: set[Command] = set()
    for new, *before in zip(held, held, held, held, strict=True):
        own |= new - set().union(*before)
    return own


@dataclass(slots=True)
class _Versions:
    """The commands in the toml of many commits, each blob read once."""

    git: Git
    path: str
    known: dict[str, frozenset[Command]] = field(default_factory=dict)

    def at(self, names: list[str]) -> list[frozenset[Command]]:
        if not names:
            return []
        asked = "".join(f"{name}:{self.path}\n" for name in names)
        answers = self.git("cat-file", "--batch-check=%(objectname) %(objecttype)", stdin=asked).splitlines()
        return [self._read(answer) for answer in answers]

    def _read(self, answer: str) -> frozenset[Command]:
        name, _, kind = answer.partition(" ")
        if kind != "blob":
            return frozenset()
        if name not in self.known:
            self.known[name] = frozenset(commands_in(self.git.raw("cat-file", "blob", name)))
        return self.known[name]
