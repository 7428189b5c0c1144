"""What expressions do to values; shared by all the ways to render."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from .errors import TemplateError

BINARY: dict[str, Callable[[object, object], object]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
    "in": lambda a, b: a in b,
}


@dataclass(frozen=True, slots=True)
class Loop:
    """The `loop` of a `for`."""

    index: int
    index0: int
    first: bool
    last: bool
    length: int


def fetch(target: object, key: str) -> object:
    """`target.key`: an entry of a mapping, an item of a sequence, or a public attribute."""
    if isinstance(target, Mapping):
        if key in target:
            return target[key]
    elif key.isdigit():
        if isinstance(target, Sequence) and int(key) < len(target):
            return target[int(key)]
    elif not key.startswith("_") and hasattr(target, key):
        return getattr(target, key)
    raise TemplateError(f"'{key}' is not in the {type(target).__name__}")


def compute(op: str, left: object, right: object) -> object:
    try:
        return BINARY[op](left, right)
    except (TypeError, ZeroDivisionError) as error:
        raise TemplateError(f"'{op}': {error}") from error


def negate(value: object) -> object:
    try:
        return -value  # type: ignore[operator]
    except TypeError as error:
        raise TemplateError(f"'-': {error}") from error


def call(name: str, function: Callable[..., object], *args: object) -> object:
    try:
        return function(*args)
    except (TypeError, ValueError, IndexError, AttributeError) as error:
        raise TemplateError(f"filter '{name}': {error}") from error


def items_of(value: object) -> Sequence[object]:
    if isinstance(value, (list, tuple)):
        return value
    if isinstance(value, Iterable):
        return list(value)
    raise TemplateError(f"a {type(value).__name__} cannot be looped over")
