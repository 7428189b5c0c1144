"""Renders through a Python function written for the template and compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .filters import text_of
from .nodes import Attr, Const, Expr, Filter, For, If, Include, Name, Node, Output, Set, Text, Unary
from .operations import Loop, call, compute, fetch, items_of, negate
from .scope import Scope

if TYPE_CHECKING:
    from .environment import Environment

Write = Callable[[str], object]


def build(nodes: tuple[Node, ...], env: Environment) -> Callable[[Scope, Write], None]:
    writer = _Writer()
    writer.lines.append("def render(scope, write):")
    writer.lines.append(" get = scope.get")
    writer.block(nodes, 1)
    namespace: dict[str, object] = {
        "call": call,
        "compute": compute,
        "env": env,
        "fetch": fetch,
        "filters": env.filters,
        "items_of": items_of,
        "Loop": Loop,
        "negate": negate,
        "text_of": text_of,
        **writer.constants,
    }
    exec(compile("\n".join(writer.lines), "<template>", "exec"), namespace)
    render: Callable[[Scope, Write], None] = namespace["render"]  # type: ignore[assignment]
    return render


class _Writer:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.constants: dict[str, object] = {}
        self._loops = 0

    def _constant(self, value: object) -> str:
        name = f"c{len(self.constants)}"
        self.constants[name] = value
        return name

    def block(self, nodes: tuple[Node, ...], indent: int) -> None:
        for node in nodes:
            self._statement(node, indent)
        if not nodes:
            self._line(indent, "pass")

    def _line(self, indent: int, text: str) -> None:
        self.lines.append(" " * indent + text)

    def _statement(self, node: Node, indent: int) -> None:
        if isinstance(node, Text):
            self._line(indent, f"write({node.text!r})")
        elif isinstance(node, Output):
            self._line(indent, f"write(text_of({self._value(node.expr)}))")
        elif isinstance(node, Set):
            self._line(indent, f"scope.set({node.name!r}, {self._value(node.expr)})")
        elif isinstance(node, Include):
            self._line(indent, f"env.include({node.name!r}, scope, write)")
        elif isinstance(node, If):
            word = "if"
            for test, body in node.branches:
                self._line(indent, f"{word} {self._value(test)}:")
                self.block(body, indent + 1)
                word = "elif"
            self._line(indent, "else:")
            self.block(node.orelse, indent + 1)
        else:
            self._for(node, indent)

    def _for(self, node: For, indent: int) -> None:
        self._loops += 1
        k = self._loops
        self._line(indent, f"items{k} = items_of({self._value(node.source)})")
        self._line(indent, f"if items{k}:")
        self._line(indent + 1, f"length{k} = len(items{k})")
        self._line(indent + 1, f"scope.enter({node.names!r})")
        self._line(indent + 1, f"for i{k}, item{k} in enumerate(items{k}):")
        self._line(indent + 2, "scope.begin()")
        self._line(indent + 2, f"scope.set({node.target!r}, item{k})")
        if node.needs_loop:
            loop = f"Loop(i{k} + 1, i{k}, i{k} == 0, i{k} == length{k} - 1, length{k})"
            self._line(indent + 2, f"scope.set('loop', {loop})")
        self.block(node.body, indent + 2)
        self._line(indent + 1, "scope.leave()")
        self._line(indent, "else:")
        self.block(node.empty, indent + 1)

    def _value(self, expr: Expr) -> str:
        if isinstance(expr, Const):
            return repr(expr.value)
        if isinstance(expr, Name):
            return f"get({expr.name!r})"
        if isinstance(expr, Attr):
            return f"fetch({self._value(expr.target)}, {expr.key!r})"
        if isinstance(expr, Unary):
            operand = self._value(expr.operand)
            return f"(not {operand})" if expr.op == "not" else f"negate({operand})"
        if isinstance(expr, Filter):
            bound = expr.function
            function = f"filters[{expr.name!r}]" if bound is None else self._constant(bound)
            values = ", ".join([self._value(expr.target), *map(self._value, expr.args)])
            return f"call({expr.name!r}, {function}, {values})"
        left, right = self._value(expr.left), self._value(expr.right)
        if expr.op in ("and", "or"):
            return f"({left} {expr.op} {right})"
        return f"compute({expr.op!r}, {left}, {right})"
