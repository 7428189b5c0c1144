"""Which paths an experiment may change: anchored globs in the meaning of git's `:(glob)` pathspecs.

`Scope` answers the question in two ways that agree: `contains` for one path without a process, `pathspecs` for git
commands run at the repository's top. Patterns are relative to the target's folder (`prefix`). A pattern without
wildcards names a file or a folder with all that lies below; `*`, `?` and `[…]` stop at a slash; `**/`, `/**` and `/**/`
cross it; a pattern that begins with `!` takes away and always wins. As in git, matching is by bytes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

_SPECIAL = re.compile(rb"[*?\[\\]")
_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "\\x21-\\x7e",
    "lower": "a-z",
    "print": "\\x20-\\x7e",
    "punct": "\\x21-\\x2f\\x3a-\\x40\\x5b-\\x60\\x7b-\\x7e",
    "space": " \\t-\\r",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}

FIXED = (".gitattributes", ".gitmodules", "autoresearch.toml")
"""Never in scope: what git makes of every other file at a checkout, where it fetches from, and what is measured."""
LOADED_UNASKED = (
    "conftest.py", "pytest.toml", ".pytest.toml", "pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg",
    "sitecustomize.py", "usercustomize.py",
)  # fmt: skip
"""In scope only when a pattern without wildcards names such a file: programs that score a candidate read them, also
those that were there before. Of further new ones the programs themselves are asked (`new_files`)."""
_COMPILED = ("**/__pycache__/**", "**/*.pyc", "**/*.pyo")
"""Never in scope: Python runs a compiled file in place of its source, a protected one too."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The globs of `scope.edit` for a target in the folder `prefix` of its repository ("" for the top)."""

    edit: tuple[str, ...]
    prefix: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError for a pattern that leaves the target's folder, and when nothing is ever in scope."""
        for pattern in self.edit:
            if pattern.startswith(("/", "!/")) or ".." in pattern.removeprefix("!").split("/"):
                raise ValueError(
                    f"scope.edit: {pattern!r} leaves the target's folder; write it relative to that folder"
                )
            if pattern in ("", "!"):
                raise ValueError("scope.edit: a pattern is empty; name a file or a glob, such as 'src/**'")
        if not any(not pattern.startswith("!") for pattern in self.edit):
            raise ValueError("scope.edit names nothing to edit; add a file or a glob, such as 'train.py'")

    def contains(self, path: str) -> bool:
        """Whether a file, named relative to the target's folder with slashes, is in scope."""
        folder, _, file = path.rpartition("/")
        if file in _never(self.edit) or file.endswith((".pyc", ".pyo")) or "__pycache__" in folder.split("/"):
            return False
        return Globs(self.edit, self.prefix).hold(f"{self.prefix}/{path}" if self.prefix else path)

    def holds(self, path: str) -> bool:
        """`contains` for a file as the repository names it."""
        below = f"{self.prefix}/" if self.prefix else ""
        return path.startswith(below) and self.contains(path.removeprefix(below))

    def pathspecs(self) -> list[str]:
        """The same as arguments for a git command run at the repository's top (after `--`)."""
        never = (*_COMPILED, *(f"**/{name}" for name in _never(self.edit)))
        return [f":(top,exclude,glob){text}" for text in never] + Globs(self.edit, self.prefix).pathspecs()


@dataclass(frozen=True, slots=True)
class Globs:
    """Patterns in the language of the scope, relative to the folder `prefix`; paths from the repository's top."""

    patterns: tuple[str, ...]
    prefix: str = ""

    def hold(self, path: str) -> bool:
        included, excluded = _matchers(self.patterns, self.prefix)
        name = os.fsencode(path)
        return any(matches(name) for matches in included) and not any(matches(name) for matches in excluded)

    def pathspecs(self) -> list[str]:
        """The same as arguments for git."""
        return [
            f":({'top,exclude' if exclude else 'top'},{'literal' if literal else 'glob'}){text}"
            for pattern, exclude in _split(self.patterns)
            for literal, text in _forms(pattern, self.prefix)
        ]


@lru_cache(maxsize=64)
def _never(edit: tuple[str, ...]) -> tuple[str, ...]:
    """Names of files that are not in scope wherever they lie."""
    named = {pattern.rpartition("/")[2] for pattern in edit if not pattern.startswith("!")}
    return (*FIXED, *(name for name in LOADED_UNASKED if name not in named))


def _split(edit: tuple[str, ...]) -> Iterator[tuple[str, bool]]:
    """(pattern as git normalises it, whether it excludes)."""
    for pattern in edit:
        exclude = pattern.startswith("!")
        parts = pattern.removeprefix("!").split("/")
        kept = [part for part in parts if part not in ("", ".")]
        folder = "/" if kept and parts[-1] in ("", ".") else ""
        yield "/".join(kept) + folder, exclude


def _forms(pattern: str, prefix: str) -> Iterator[tuple[bool, str]]:
    """How one pattern is put to git: (literal, text from the top of the repository).

    A literal one matches a folder with all below. Git tries that for a glob too, by comparing the text as written, so
    that `app/[id]` finds a folder of that name; an escaped prefix would spoil the comparison, hence the second form.
    """
    whole = "/".join(part for part in (prefix, pattern) if part)
    if not _SPECIAL.search(os.fsencode(pattern)):
        yield True, whole
        return
    escaped = re.sub(r"([*?\[\\])", r"\\\1", prefix)
    yield False, f"{escaped}/{pattern}" if prefix else pattern
    if escaped != prefix:
        yield True, whole


class _Matcher:
    """One form of one pattern, matched as git does."""

    __slots__ = ("_folder", "_glob", "_text")

    def __init__(self, literal: bool, text: str) -> None:
        self._text = os.fsencode(text)
        self._folder = self._text if self._text.endswith(b"/") or not self._text else self._text + b"/"
        self._glob = None if literal else _compile(self._text)

    def __call__(self, name: bytes) -> bool:
        if name == self._text or name.startswith(self._folder):
            return True
        return self._glob is not None and self._glob.fullmatch(name) is not None


@lru_cache(maxsize=64)
def _matchers(edit: tuple[str, ...], prefix: str) -> tuple[tuple[_Matcher, ...], tuple[_Matcher, ...]]:
    sides: tuple[list[_Matcher], list[_Matcher]] = ([], [])
    for pattern, exclude in _split(edit):
        sides[exclude].extend(_Matcher(literal, text) for literal, text in _forms(pattern, prefix))
    return tuple(sides[0]), tuple(sides[1])


def _compile(pattern: bytes) -> re.Pattern[bytes] | None:
    """A glob as a regular expression over bytes; None when it can match nothing (an open bracket, a lone backslash)."""
    first = _SPECIAL.search(pattern)
    start = first.start() if first else len(pattern)
    out = [re.escape(pattern[:start])]
    at = start
    while at < len(pattern):
        char = pattern[at : at + 1]
        if char == b"*":
            end = at
            while pattern[end : end + 1] == b"*":
                end += 1
            # Git compares the part before the first wildcard as text and matches the rest by itself, so a `**` there
            # stands at a beginning even in `foo**/bar`.
            bounded = at == start or pattern[at - 1 : at] == b"/"
            if end - at > 1 and bounded and (end == len(pattern) or pattern[end : end + 1] == b"/"):
                if end == len(pattern):
                    out.append(b".*")
                else:
                    out.append(b"(?:.*/)?")
                    end += 1
            elif end - at > 1 and bounded and pattern[end : end + 2] == b"\\/":
                out.append(b".*")
            else:
                out.append(b"[^/]*")
            at = end
        elif char == b"?":
            out.append(b"[^/]")
            at += 1
        elif char == b"[":
            bracket = _bracket(pattern, at)
            if bracket is None:
                return None
            expression, at = bracket
            out.append(expression)
        elif char == b"\\":
            if at + 1 == len(pattern):
                return None
            out.append(re.escape(pattern[at + 1 : at + 2]))
            at += 2
        else:
            out.append(re.escape(char))
            at += 1
    return re.compile(b"".join(out), re.DOTALL)


def _bracket(pattern: bytes, at: int) -> tuple[bytes, int] | None:
    """The set that begins at `pattern[at]` as (regular expression, where it ends)."""
    at += 1
    negated = pattern[at : at + 1] in (b"!", b"^")
    at += negated
    members: set[int] = set()
    previous: int | None = None
    opening = True
    while True:
        if at >= len(pattern):
            return None
        char = pattern[at]
        if char == ord("]") and not opening:
            break
        opening = False
        if pattern.startswith(b"[:", at):
            end = pattern.find(b"]", at + 2)
            if end < 0:
                return None
            if pattern[end - 1 : end] == b":" and end - 1 >= at + 2:
                expression = _CLASSES.get(pattern[at + 2 : end - 1].decode("ascii", "replace"))
                if expression is None:
                    return None
                members.update(byte for byte in range(128) if re.match(f"[{expression}]", chr(byte)))
                at, previous = end + 1, None
                continue
        if char == ord("-") and previous is not None and pattern[at + 1 : at + 2] not in (b"]", b""):
            at += 1
            if pattern[at] == ord("\\"):
                at += 1
                if at >= len(pattern):
                    return None
            members.update(range(previous, pattern[at] + 1))
            at, previous = at + 1, None
            continue
        if char == ord("\\"):
            at += 1
            if at >= len(pattern):
                return None
            char = pattern[at]
        members.add(char)
        at, previous = at + 1, char
    allowed = {byte for byte in range(256) if (byte in members) != negated and byte != ord("/")}
    if not allowed:
        return b"(?!)", at + 1
    return b"[" + b"".join(b"\\x%02x" % byte for byte in sorted(allowed)) + b"]", at + 1
