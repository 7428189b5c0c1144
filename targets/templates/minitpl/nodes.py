"""What a parsed template is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Const:
    value: object


@dataclass(frozen=True, slots=True)
class Name:
    name: str


@dataclass(frozen=True, slots=True)
class Attr:
    target: Expr
    key: str


@dataclass(frozen=True, slots=True)
class Unary:
    op: str
    """'not' or '-'"""
    operand: Expr


@dataclass(frozen=True, slots=True)
class Binary:
    op: str
    """'and', 'or', or a key of `operations.BINARY`"""
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Filter:
    name: str
    function: Callable[..., object] | None
    """None: looked up by name at each use"""
    target: Expr
    args: tuple[Expr, ...]


Expr = Const | Name | Attr | Unary | Binary | Filter


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Output:
    expr: Expr


@dataclass(frozen=True, slots=True)
class For:
    target: str
    source: Expr
    body: tuple[Node, ...]
    empty: tuple[Node, ...]
    names: tuple[str, ...]
    """what the body binds: the target, `loop`, then what it sets itself"""
    needs_loop: bool
    """whether `loop` has to be there"""


@dataclass(frozen=True, slots=True)
class If:
    branches: tuple[tuple[Expr, tuple[Node, ...]], ...]
    orelse: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Set:
    name: str
    expr: Expr


@dataclass(frozen=True, slots=True)
class Include:
    name: str


Node = Text | Output | For | If | Set | Include
