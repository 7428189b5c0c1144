"""Which of a target's commands a person has confirmed: one small file of the user's, outside every repository.

Everything a toml lets a program do is a `Command` here: what it runs, and what its runs and agents get beyond the
usual: files, variables, the network, a shell, an account of the user's, money. The file is the user's own,
`$XDG_STATE_HOME/autoresearch/trusted.json`; one that another user could have written counts as empty.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import stat
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from autoresearch.state.config import Limits
from autoresearch.state.files import write_atomic

_COMMANDS = (
    "measure.setup", "measure.build", "measure.run", "measure.evaluate", "guard.run", "holdout.run",
    "agent.command", "notify.command",
)  # fmt: skip
_RIGHTS = ("measure.env", "measure.evaluate_env", "measure.writable")
"""Lists that give a run more than it has by default."""
_WIDENED: Mapping[str, Callable[[Any], bool]] = {
    "measure.network": lambda value: value == "on",
    "measure.confine": lambda value: value == "off",
    "program": lambda value: True,
    "agent.kind": lambda value: value in ("claude", "command"),
    "agent.shell": lambda value: value is True,
    "limits.dollars": lambda value: isinstance(value, (int, float)) and not 0 < value <= Limits().dollars,
}
"""What lets a run or an agent do, read or spend more than it does by default, from which value on."""
_NOTHING: dict[str, Any] = {"commands": [], "pulled": {}}


@dataclass(frozen=True, slots=True, order=True)
class Command:
    """A key of autoresearch.toml that makes a program run, or gives it a right, and its value as text."""

    key: str
    text: str


def commands_in(data: bytes) -> tuple[Command, ...]:
    """What a toml makes run, in the order of the config. Nothing of it is checked: it may be of any version."""
    try:
        table = tomllib.loads(data.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError):
        return ()
    return commands_of(table)


def commands_of(table: Mapping[str, Any]) -> tuple[Command, ...]:
    """The same of a toml's tables, or of some of them."""
    found = []
    for key in (*_COMMANDS, *_RIGHTS, *_WIDENED):
        for value in _values(table, key):
            text = _as_text(value)
            if text.strip() and (key not in _WIDENED or _WIDENED[key](value)):
                found.append(Command(key, text))
    return tuple(dict.fromkeys(found))


def _values(table: Mapping[str, Any], key: str) -> list[Any]:
    name, _, leaf = key.partition(".")
    held = table.get(name)
    if not leaf:
        return [held] if held is not None else []
    rows = held if isinstance(held, list) else [held]
    return [row[leaf] for row in rows if isinstance(row, dict) and leaf in row]


def _as_text(value: Any) -> str:
    if isinstance(value, list):
        return shlex.join(str(word) for word in value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


# -- the file


def store() -> Path:
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "autoresearch" / "trusted.json"


def confirmed_commands(repository: Path) -> frozenset[Command]:
    """The commands of this repository (its common git directory) that were confirmed or were the user's own."""
    held = _of(_load(), repository)
    return frozenset(Command(*pair) for pair in held["commands"] if _is_pair(pair))


def pulled_commands(repository: Path) -> dict[str, str]:
    """Sessions that `autoresearch pull` brought and that nobody has confirmed since, each with where it came from."""
    return {str(name): str(source) for name, source in _of(_load(), repository)["pulled"].items()}


def confirm_commands(repository: Path, commands: Iterable[Command], session: str | None = None) -> None:
    """From now on these commands run there without a question, and so does the pulled `session`.

    Raises OSError when it cannot be noted.
    """
    with _changing() as data:
        held = _of(data, repository)
        known = {Command(*pair) for pair in held["commands"] if _is_pair(pair)} | set(commands)
        waiting = {name: source for name, source in held["pulled"].items() if name != session}
        data[str(repository)] = {"commands": sorted([c.key, c.text] for c in known), "pulled": waiting}


def note_pulled(repository: Path, session: str, source: str) -> None:
    """The session came from elsewhere: its next start asks. Raises OSError."""
    with _changing() as data:
        held = _of(data, repository)
        data[str(repository)] = {**held, "pulled": {**held["pulled"], session: source}}


def forget_commands(repository: Path, session: str) -> None:
    """A deleted session is nobody's question any more. Raises OSError."""
    if session in pulled_commands(repository):
        confirm_commands(repository, (), session)


def _load() -> dict[str, Any]:
    try:
        fd = os.open(store(), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return {}
    with os.fdopen(fd, "rb") as file:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode) or info.st_uid not in (os.geteuid(), 0) or info.st_mode & 0o022:
            return {}
        try:
            data = orjson.loads(file.read())
        except orjson.JSONDecodeError:
            return {}
    return data if isinstance(data, dict) else {}


@contextlib.contextmanager
def _changing() -> Iterator[dict[str, Any]]:
    """The file's content, written back when it was changed; one process at a time."""
    path = store()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        data = _load()
        before = orjson.dumps(data)
        yield data
        after = orjson.dumps(data, option=orjson.OPT_INDENT_2)
        if orjson.dumps(data) != before:
            write_atomic(path, after)
    finally:
        os.close(lock)


def _of(data: Mapping[str, Any], repository: Path) -> dict[str, Any]:
    held = data.get(str(repository))
    whole = isinstance(held, dict) and isinstance(held.get("commands"), list) and isinstance(held.get("pulled"), dict)
    return held if whole and isinstance(held, dict) else _NOTHING


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value)
