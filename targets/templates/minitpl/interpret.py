"""Renders by walking the nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .filters import text_of
from .nodes import Attr, Binary, Const, Expr, Filter, For, If, Include, Name, Node, Output, Set, Text, Unary
from .operations import Loop, call, compute, fetch, items_of, negate
from .scope import Scope

if TYPE_CHECKING:
    from .environment import Environment

Write = Callable[[str], object]


def build(nodes: tuple[Node, ...], env: Environment) -> Callable[[Scope, Write], None]:
    return lambda scope, write: _render(nodes, scope, write, env)


def _render(nodes: tuple[Node, ...], scope: Scope, write: Write, env: Environment) -> None:
    for node in nodes:
        if isinstance(node, For):
            _render_for(node, scope, write, env)
        elif isinstance(node, If):
            for test, body in node.branches:
                if _evaluate(test, scope, env):
                    _render(body, scope, write, env)
                    break
            else:
                _render(node.orelse, scope, write, env)
        elif isinstance(node, Set):
            scope.set(node.name, _evaluate(node.expr, scope, env))
        elif isinstance(node, Include):
            env.include(node.name, scope, write)
        elif isinstance(node, Output):
            write(text_of(_evaluate(node.expr, scope, env)))
        elif isinstance(node, Text):
            write(node.text)


def _render_for(node: For, scope: Scope, write: Write, env: Environment) -> None:
    items = items_of(_evaluate(node.source, scope, env))
    if not items:
        _render(node.empty, scope, write, env)
        return
    length = len(items)
    scope.enter(node.names)
    for index, item in enumerate(items):
        scope.begin()
        scope.set(node.target, item)
        if node.needs_loop:
            scope.set("loop", Loop(index + 1, index, index == 0, index == length - 1, length))
        _render(node.body, scope, write, env)
    scope.leave()


def _evaluate(expr: Expr, scope: Scope, env: Environment) -> object:
    if isinstance(expr, Filter):
        args = [_evaluate(arg, scope, env) for arg in expr.args]
        function = expr.function or env.filters[expr.name]
        return call(expr.name, function, _evaluate(expr.target, scope, env), *args)
    if isinstance(expr, Binary):
        left = _evaluate(expr.left, scope, env)
        if expr.op == "and":
            return left and _evaluate(expr.right, scope, env)
        if expr.op == "or":
            return left or _evaluate(expr.right, scope, env)
        return compute(expr.op, left, _evaluate(expr.right, scope, env))
    if isinstance(expr, Unary):
        value = _evaluate(expr.operand, scope, env)
        return not value if expr.op == "not" else negate(value)
    if isinstance(expr, Attr):
        return fetch(_evaluate(expr.target, scope, env), expr.key)
    if isinstance(expr, Name):
        return scope.get(expr.name)
    assert isinstance(expr, Const)
    return expr.value
