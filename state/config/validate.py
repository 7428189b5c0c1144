"""Reads TOML tables into dataclasses and says everything that is wrong with them at once.

It knows types, not keys: what a value may be beyond its type is given as rules, by dotted key. A problem reads
`key: found X, expected Y`. A value is taken as its field's annotation says; a bool is never a number, a whole number
is taken for a float, nothing else is converted.
"""

from __future__ import annotations

import difflib
import json
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

Rule = Callable[[Any], str | None]
"""Takes a value of the right type; what was expected instead when the value is impossible, else None."""

MAX_NUMBER = 1e15
"""Beyond this whole numbers are no longer exact in every reader of our JSON."""


class Unfit(Exception):
    """A value is not what its key needs; the text says what would be, `found` what was there if not the value."""

    def __init__(self, expected: str, found: str = "", key: str = "") -> None:
        super().__init__(expected)
        self.expected, self.found, self.key = expected, found, key


class Reading:
    """One pass over a file: `problems` in the file's order of keys, `values` by dotted key as far as they are good."""

    def __init__(self, rules: Mapping[str, Rule], known: tuple[str, ...]) -> None:
        self.rules = rules
        self.known = known
        self.problems: list[str] = []
        self.values: dict[str, Any] = {}

    def complain(self, key: str, found: str, expected: str) -> None:
        self.problems.append(f"{key}: found {found}, expected {expected}")

    def table(self, cls: type[Any], data: Mapping[str, Any], prefix: str = "") -> Any:
        """An instance of `cls`, or None when something that it needs is missing or wrong."""
        hints, taken, whole = hints_of(cls), {}, True
        for unknown in (key for key in data if key not in hints):
            self._unknown(prefix + str(unknown), [prefix + key for key in hints])
        for item in fields(cls):
            key = prefix + item.name
            if item.name in data:
                before = len(self.problems)
                taken[item.name] = self._value(hints[item.name], data[item.name], key)
                whole = whole and len(self.problems) == before
            elif required(item):
                whole = False
                self._missing(item, hints[item.name], key)
            else:
                self.values[key] = default_of(item)
        return cls(**taken) if whole else None

    def _value(self, hint: Any, value: Any, key: str) -> Any:
        if is_dataclass(hint):
            assert isinstance(hint, type)
            if isinstance(value, Mapping):
                return self.table(hint, value, f"{key}.")
            return self.complain(key, show(value), f"a table: [{key}]")
        if (row := rows_of(hint)) is not None:
            return self._rows(row, value, key)
        try:
            good = convert(hint, value)
            if (rule := self.rules.get(key)) and (expected := rule(good)):
                raise Unfit(expected)
        except Unfit as unfit:
            self.complain(f"{key}.{unfit.key}" if unfit.key else key, unfit.found or show(value), unfit.expected)
            return None
        self.values[key] = good
        return good

    def _rows(self, row: type[Any], value: Any, key: str) -> Any:
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, Mapping) for item in value):
            return self.complain(key, show(value), f"any number of tables: [[{key}]]")
        rules = self.rules
        # Rules name `guard.run`, problems name `guard[2].run`.
        self.rules = {f"{key}[{n}].{name.removeprefix(f'{key}.')}": rules[name]
                      for n in range(1, len(value) + 1) for name in rules if name.startswith(f"{key}.")}  # fmt: skip
        try:
            return tuple(self.table(row, item, f"{key}[{n}].") for n, item in enumerate(value, 1))
        finally:
            self.rules = rules

    def _unknown(self, key: str, near: list[str]) -> None:
        leaf = key.rpartition(".")[2]
        elsewhere = [known for known in self.known if known.rpartition(".")[2] == leaf]
        close = elsewhere or difflib.get_close_matches(key, near, 1, 0.6) or difflib.get_close_matches(key, self.known)
        hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(near)}"
        self.problems.append(f"{key}: unknown key, {hint}")

    def _missing(self, item: Field[Any], hint: Any, key: str) -> None:
        if is_dataclass(hint):
            assert isinstance(hint, type)
            self.table(hint, {}, f"{key}.")
        else:
            rule = self.rules.get(key)
            expected = rule(() if get_origin(hint) is tuple else "") if rule else None
            self.problems.append(f"{key}: missing, expected {expected or expectation(hint)}")


def convert(hint: Any, value: Any) -> Any:
    """The value as the annotation wants it. Raises Unfit."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        if value in args and isinstance(value, str):
            return value
        close = difflib.get_close_matches(value, args, 1) if isinstance(value, str) else []
        raise Unfit(expectation(hint) + (f": did you mean {show(close[0])}?" if close else ""))
    if origin in (Union, types.UnionType):
        return _first_fitting(hint, args, value)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise Unfit(expectation(hint), "" if not isinstance(value, str) else f"the text {show(value)}")
        return tuple(convert(args[0], item) for item in value)
    if origin is dict:
        return _entries(hint, args[1], value)
    if hint is bool and isinstance(value, bool):
        return value
    if hint is str and isinstance(value, str):
        if "\0" in value:
            raise Unfit("text without NUL characters")
        return value
    number = isinstance(value, int) or (hint is float and isinstance(value, float))
    if hint not in (int, float) or not number or isinstance(value, bool):
        raise Unfit(expectation(hint))
    if abs(value) > MAX_NUMBER or not math.isfinite(value):
        raise Unfit(f"a number between -{MAX_NUMBER:g} and {MAX_NUMBER:g}")
    return hint(value)


def _first_fitting(hint: Any, choices: tuple[Any, ...], value: Any) -> Any:
    if value is None and type(None) in choices:
        return None
    for choice in (choice for choice in choices if choice is not type(None)):
        try:
            return convert(choice, value)
        except Unfit as unfit:
            if "NUL" in unfit.expected:
                raise
    raise Unfit(expectation(hint))


def _entries(hint: Any, of: Any, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise Unfit(expectation(hint))
    taken = {}
    for name, item in value.items():
        if isinstance(item, Mapping):
            raise Unfit(f"{expectation(of)} (a name with a dot is written in quotes)", "a table", name)
        try:
            taken[name] = convert(of, item)
        except Unfit as unfit:
            raise Unfit(unfit.expected, show(item), name) from None
    return taken


def expectation(hint: Any) -> str:
    """The annotation in words."""
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return ("one of " if len(args) > 1 else "") + ", ".join(map(show, args))
    if origin in (Union, types.UnionType):
        return " or ".join(expectation(choice) for choice in args if choice is not type(None))
    if origin is tuple:
        return 'a list of text: ["…"]'
    if origin is dict:
        return f"a table of {expectation(args[1])} by name"
    return {str: 'text in quotes: "…"', bool: "true or false", int: "a whole number", float: "a number"}[hint]


def show(value: Any) -> str:
    """A found value as a person would have typed it, shortened."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, (str, bool)):
        text = json.dumps(value, ensure_ascii=False)
    elif isinstance(value, (list, tuple)):
        text = "[" + ", ".join(show(item) for item in value[:5]) + (", …]" if len(value) > 5 else "]")
    elif isinstance(value, int) and abs(value) > MAX_NUMBER:
        text = "a very large number"  # str() of an int beyond 4,300 digits raises
    else:
        text = str(value)
    return text if len(text) <= 80 else text[:79] + "…"


def hints_of(cls: type[Any]) -> dict[str, Any]:
    """The annotations as types, by field."""
    if cls not in _hints:
        _hints[cls] = get_type_hints(cls)
    return _hints[cls]


_hints: dict[type[Any], dict[str, Any]] = {}


def rows_of(hint: Any) -> type[Any] | None:
    """The dataclass of an array of tables, None for any other annotation."""
    args = get_args(hint)
    row = args[0] if get_origin(hint) is tuple else None
    return row if isinstance(row, type) and is_dataclass(row) else None


def required(item: Field[Any]) -> bool:
    return item.default is MISSING and item.default_factory is MISSING


def default_of(item: Field[Any]) -> Any:
    """The default of a field that has one; None for a field that has none."""
    if item.default_factory is not MISSING:
        return item.default_factory()
    return None if item.default is MISSING else item.default
