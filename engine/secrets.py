"""Values that must not be quoted: gathered where this machine keeps them, struck out of texts.

What a run prints may hold a key: of a variable that it was given, of a file that it read. Logs stay in the session's
folder; what is taken from them into journal, notebook, brief or notice goes through `Secrets.scrub` first, and so does
what agents say and are told. This guards against accidents: a run that wants to smuggle a key out can disguise it.
"""

from __future__ import annotations

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from urllib.parse import quote, unquote

from autoresearch.engine.sandbox import SECRET, hidden_paths, holds_keys, key_places
from autoresearch.state.config import Config
from autoresearch.state.session import Place

REDACTED = "[redacted]"

_SHORTEST = 8
"""Characters. Shorter values are too likely to stand in an ordinary text, which would then be spoilt."""
_PIECE = 12
"""A value is known by any so many of its characters: quotations are cut, and wrapped."""
_LEAST_DIFFERENT = 5
"""Characters of a piece. `------------` and `AAAAAAAAAAAA` tell nothing."""
_LARGEST = 64 * 1024
"""Bytes of a file of keys."""
_SETTINGS = (
    ".gitconfig .config/git .profile .bash_profile .bashrc .zprofile .zshenv .zshrc .config/fish/config.fish .condarc "
    ".pip/pip.conf .config/pip/pip.conf"
).split()
"""Files below HOME in which keys stand among other things."""
_MOST_FILES = 100
_PUBLIC = (".pub", "known_hosts", "authorized_keys")
"""Names of files that lie among keys and hold none."""
_MOST_ENTRIES = 2000

_NAME = rf"(?!tokeni[sz])(?:{SECRET.pattern}|auth(?:orization)?(?![\w.-])|pass(?:phrase)?(?![\w.-])|cookie|webhook)"
_KEYLIKE = re.compile(_NAME, re.IGNORECASE)
_NAMED = re.compile(
    rf"(?<![\w.-])[\w.-]{{0,64}}?{_NAME}[\w.-]{{0,64}}[\"']?[ \t]*[:=][ \t]*"
    r"(?:\"([^\"\n]+)\"|'([^'\n]+)'|([^\s\"',;]+))"
    r"|(?<![\w.-])(?:passw(?:or)?d|basic|bearer|token)[ \t]+([^\s\"',;]+)",
    re.IGNORECASE,
)
"""`API_KEY=…`, `"refresh_token": "…"`; `password …`, `Authorization: basic …`."""
_IN_ADDRESS = re.compile(r"://([^\s/:@\"']*)(?::([^\s/@\"']*))?@")
_IN_PGPASS = re.compile(r"^[^\s:#]+:(?:\d+|\*):[^:\n]+:[^:\n]+:(.+)$", re.MULTILINE)
_IN_HEADERS = re.compile(r"^[^:\n]+:[ \t]*(.+)$", re.MULTILINE)
_WORD = re.compile(r"[\w.+/~-]+=*")
_TOKEN = re.compile(r"[\w+=.~-]{16,}")
_RANDOM = re.compile(r"(?=[A-Za-z]{0,15}\d)(?=\d{0,15}[A-Za-z])[A-Za-z0-9]{16}")
"""What nobody writes by hand: no word, no date, no version has such a run of letters and digits."""


class Secrets:
    """Knows what must not be quoted, and takes it out of texts."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values = frozenset(value for value in values if _is_secret(value))
        forms = {form for value in self._values for form in _forms(value)}
        self._pieces = frozenset(form[at : at + _PIECE] for form in forms for at in range(len(form) - _PIECE + 1))
        # The longest first: a secret may contain another.
        ordered = sorted(self._values, key=len, reverse=True)
        self._whole = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def __repr__(self) -> str:
        return f"Secrets({REDACTED})"

    def including(self, values: Iterable[str]) -> Secrets:
        return Secrets((*self._values, *values))

    def scrub(self, text: str) -> str:
        if self._whole is None or len(text) < _SHORTEST:
            return text
        spans = [found.span() for found in self._whole.finditer(text)]
        pieces = self._pieces
        for at in range(len(text) - _PIECE + 1):
            if (piece := text[at : at + _PIECE]) in pieces and _tells(piece):
                spans.append((at, at + _PIECE))
        said: list[str] = []
        done = 0
        for start, end in sorted(spans):
            if start > done or not said:
                said += [text[done:start], REDACTED]
            done = max(done, end)
        return "".join((*said, text[done:]))


NONE = Secrets()


def known_secrets(place: Place, config: Config, environ: Mapping[str, str], logins: Iterable[Path]) -> Secrets:
    """Those of this machine that a run of this target may come across; `logins` are where agents keep theirs."""
    found = list(in_environment(environ))
    for path in (*key_places(environ), *logins):
        for file in _files(path)[:_MOST_FILES]:
            if not file.name.endswith(_PUBLIC):
                found += _in_text(_read(file), sure=not file.name.endswith("history"))
    for folder in dict.fromkeys((place.top, place.folder)):
        for file in filter(_holds_keys, _files(folder)):
            found += _in_text(_read(file), sure=True)
    home = Path(environ.get("HOME") or Path.home())
    of_git = [
        place.common_dir / "config",
        place.git_dir / "config.worktree",
        *place.common_dir.glob("modules/*/config"),
    ]
    for path in (*of_git, *(home / name for name in _SETTINGS), *hidden_paths(config, place.folder)):
        for file in _files(path)[:_MOST_FILES]:
            found += _in_text(_read(file), sure=_holds_keys(file))
    return Secrets(found)


def in_environment(environ: Mapping[str, str]) -> Iterator[str]:
    """Values of variables that are called like a key, and what other variables hold of the kind."""
    for name, value in environ.items():
        keylike = _KEYLIKE.search(name) is not None
        yield from _in_text(value, sure=keylike)
        if keylike and "\n" not in value and not value.lstrip().startswith("{"):
            yield value
        if name.endswith("_HEADERS"):
            yield from _IN_HEADERS.findall(value)


def _in_text(text: str, *, sure: bool) -> Iterator[str]:
    """What looks like a key in a text; where it is `sure` that the text holds keys, also what has no name there."""
    for found in _NAMED.finditer(text):
        yield next(filter(None, found.groups()))
    for user, password in _IN_ADDRESS.findall(text):
        yield from (password, unquote(password))
        if _RANDOM.search(user):
            yield user
    if sure:
        yield from (token for token in _TOKEN.findall(text) if _RANDOM.search(token))
        yield from _IN_PGPASS.findall(text)
        if _WORD.fullmatch(text.strip()):
            yield text.strip()


def _is_secret(value: str) -> bool:
    word = value.rstrip(".,;:!?")
    ordinary = value.isdigit() or value.startswith(("/", "~", "$")) or "://" in value
    return len(value) >= _SHORTEST and not ordinary and not (word.isalpha() and word.islower())


def _tells(piece: str) -> bool:
    return len(set(piece)) >= _LEAST_DIFFERENT and not re.search(r"\s", piece)


def _forms(value: str) -> set[str]:
    """How a value may stand in a text: as it is, quoted for an address, encoded."""
    raw = value.encode("utf-8", "surrogateescape")
    encoded = {code(bytes(shift) + raw).decode() for code in (b64encode, urlsafe_b64encode) for shift in range(3)}
    return {value, quote(raw, safe=""), raw.hex(), *encoded}


# -- where they lie


def _files(place: Path) -> list[Path]:
    """What a folder and those right below it hold; else the place itself."""
    if not _is_folder(place):
        return [place]
    inside = _entries(place)
    return [*inside, *(path for folder in inside if _is_folder(folder) for path in _entries(folder))]


def _holds_keys(path: Path) -> bool:
    return holds_keys(path.name)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(islice(folder.iterdir(), _MOST_ENTRIES))
    except OSError:
        return []


def _read(path: Path) -> str:
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return ""
        data = path.read_bytes()
    except OSError:
        return ""
    return "" if b"\0" in data else data.decode("utf-8", "replace")
