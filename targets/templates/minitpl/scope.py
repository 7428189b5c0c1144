"""The variables that a template sees.

`enter(names)` opens a block that may bind `names`, `begin()` starts it afresh (once for each turn of a loop), and
`leave()` forgets what it bound.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping
from typing import Protocol

from .errors import TemplateError

# How blocks keep their variables apart: a chain of mappings, a copy of all variables each time a block begins, or one
# mapping and a note of what to restore.
SCOPE = "chain"  # one of: chain, copy, restore

_MISSING = object()


class Scope(Protocol):
    depth: int
    """of includes"""

    def get(self, name: str) -> object: ...
    def set(self, name: str, value: object) -> None: ...
    def enter(self, names: tuple[str, ...]) -> None: ...
    def begin(self) -> None: ...
    def leave(self) -> None: ...


def open_scope(data: Mapping[str, object]) -> Scope:
    return {"chain": ChainScope, "copy": CopyScope, "restore": RestoreScope}[SCOPE](data)


def _undefined(name: str) -> TemplateError:
    return TemplateError(f"'{name}' is undefined")


class ChainScope:
    def __init__(self, data: Mapping[str, object]) -> None:
        self.depth = 0
        self._variables: ChainMap[str, object] = ChainMap({}, dict(data))

    def get(self, name: str) -> object:
        if name not in self._variables:
            raise _undefined(name)
        return self._variables[name]

    def set(self, name: str, value: object) -> None:
        self._variables[name] = value

    def enter(self, names: tuple[str, ...]) -> None:
        self._variables = self._variables.new_child()

    def begin(self) -> None:
        self._variables = self._variables.parents.new_child()

    def leave(self) -> None:
        self._variables = self._variables.parents


class CopyScope:
    def __init__(self, data: Mapping[str, object]) -> None:
        self.depth = 0
        self._variables = dict(data)
        self._outer: list[dict[str, object]] = []

    def get(self, name: str) -> object:
        try:
            return self._variables[name]
        except KeyError:
            raise _undefined(name) from None

    def set(self, name: str, value: object) -> None:
        self._variables[name] = value

    def enter(self, names: tuple[str, ...]) -> None:
        self._outer.append(self._variables)

    def begin(self) -> None:
        self._variables = self._outer[-1].copy()

    def leave(self) -> None:
        self._variables = self._outer.pop()


class RestoreScope:
    def __init__(self, data: Mapping[str, object]) -> None:
        self.depth = 0
        self._variables = dict(data)
        self._saved: list[list[tuple[str, object]]] = []

    def get(self, name: str) -> object:
        try:
            return self._variables[name]
        except KeyError:
            raise _undefined(name) from None

    def set(self, name: str, value: object) -> None:
        self._variables[name] = value

    def enter(self, names: tuple[str, ...]) -> None:
        self._saved.append([(name, self._variables.get(name, _MISSING)) for name in names])

    def begin(self) -> None:
        for name, value in self._saved[-1]:
            if value is _MISSING:
                self._variables.pop(name, None)
            else:
                self._variables[name] = value

    def leave(self) -> None:
        self.begin()
        self._saved.pop()
