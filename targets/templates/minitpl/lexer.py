"""Template source -> tokens (kind, text, line); kinds are "text", "output" and "statement". Comments leave no token."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .errors import TemplateError

# How the tags are found in the source.
TOKENIZER = "chars"  # one of: chars, find, regex

Token = tuple[str, str, int]

_CLOSERS = {"{{": "}}", "{%": "%}", "{#": "#}"}
_KINDS = {"{{": "output", "{%": "statement"}
_TAG = re.compile(r"(\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\})", re.DOTALL)
_OPENER = re.compile(r"\{[{%#]")


def tokenize(source: str) -> list[Token]:
    """Raises TemplateError when a tag is not closed."""
    pieces = {"chars": _split_by_chars, "find": _split_by_find, "regex": _split_by_regex}[TOKENIZER](source)
    tokens: list[Token] = []
    line = 1
    swallow_newline = False
    for piece, is_tag in pieces:
        opener = piece[:2]
        if is_tag:
            if opener in _KINDS:
                tokens.append((_KINDS[opener], piece[2:-2].strip(), line))
            swallow_newline = opener != "{{"
        else:
            text = piece[1:] if swallow_newline and piece.startswith("\n") else piece
            if text:
                tokens.append(("text", text, line))
            swallow_newline = False
        line += piece.count("\n")
    return tokens


def _unclosed(source: str, at: int) -> TemplateError:
    line = source.count("\n", 0, at) + 1
    return TemplateError(f"line {line}: '{source[at : at + 2]}' is never closed")


def _split_by_chars(source: str) -> Iterator[tuple[str, bool]]:
    text = ""
    i = 0
    while i < len(source):
        if source[i : i + 2] in _CLOSERS:
            if text:
                yield text, False
                text = ""
            closer = _CLOSERS[source[i : i + 2]]
            start = i
            tag = source[i : i + 2]
            i += 2
            while source[i : i + 2] != closer:
                if i >= len(source):
                    raise _unclosed(source, start)
                tag += source[i]
                i += 1
            yield tag + closer, True
            i += 2
        else:
            text += source[i]
            i += 1
    if text:
        yield text, False


def _split_by_find(source: str) -> Iterator[tuple[str, bool]]:
    done = 0
    brace = source.find("{")
    while brace != -1:
        closer = _CLOSERS.get(source[brace : brace + 2])
        if closer is None:
            brace = source.find("{", brace + 1)
            continue
        if brace > done:
            yield source[done:brace], False
        end = source.find(closer, brace + 2)
        if end == -1:
            raise _unclosed(source, brace)
        done = end + 2
        yield source[brace:done], True
        brace = source.find("{", done)
    if done < len(source):
        yield source[done:], False


def _split_by_regex(source: str) -> Iterator[tuple[str, bool]]:
    done = 0
    for k, piece in enumerate(_TAG.split(source)):
        if k % 2 == 0 and (opener := _OPENER.search(piece)):
            raise _unclosed(source, done + opener.start())
        if piece:
            yield piece, k % 2 == 1
        done += len(piece)
