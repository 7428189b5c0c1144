"""The built-in filters, and how a value becomes text in the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache

# How special characters are replaced.
ESCAPE = "loop"  # one of: loop, replace, translate

# How many escaped texts are remembered; 0: none.
ESCAPE_CACHE = 0  # range: 0 .. 4096

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;"}
_TABLE = str.maketrans(_ENTITIES)


class Safe(str):
    """Text that is HTML already."""

    __slots__ = ()


def _escape_loop(text: str) -> str:
    escaped = ""
    for character in text:
        if character in _ENTITIES:
            escaped += _ENTITIES[character]
        else:
            escaped += character
    return escaped


def _escape_replace(text: str) -> str:
    # '&' comes first in the table: the other entities contain one.
    for character, entity in _ENTITIES.items():
        if character in text:
            text = text.replace(character, entity)
    return text


def _escape_translate(text: str) -> str:
    return text.translate(_TABLE)


escape: Callable[[str], str] = {
    "loop": _escape_loop,
    "replace": _escape_replace,
    "translate": _escape_translate,
}[ESCAPE]

if ESCAPE_CACHE:
    escape = lru_cache(maxsize=ESCAPE_CACHE)(escape)


def text_of(value: object) -> str:
    """What `{{ value }}` prints."""
    if value is None:
        return ""
    if isinstance(value, Safe):
        return value
    return escape(str(value))


def _money(value: float) -> str:
    return f"{value:,.2f}"


def _truncate(value: object, length: int) -> str:
    text = str(value)
    return text if len(text) <= length else text[: max(length - 1, 0)] + "…"


def _default(value: object, other: object) -> object:
    return other if value is None or value == "" else value


def _join(values: Iterable[object], separator: str = "") -> str:
    return separator.join(str(value) for value in values)


BUILTIN: dict[str, Callable[..., object]] = {
    "default": _default,
    "escape": lambda value: Safe(text_of(value)),
    "first": lambda values: values[0],
    "join": _join,
    "last": lambda values: values[-1],
    "length": len,
    "lower": lambda value: str(value).lower(),
    "money": _money,
    "replace": lambda value, old, new: str(value).replace(old, new),
    "round": round,
    "safe": lambda value: Safe(value),
    "sort": sorted,
    "title": lambda value: str(value).title(),
    "trim": lambda value: str(value).strip(),
    "truncate": _truncate,
    "upper": lambda value: str(value).upper(),
}
