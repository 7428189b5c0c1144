"""Renders through functions built once for each node, each holding the functions of its parts."""

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
Render = Callable[[Scope, Write], object]
Evaluate = Callable[[Scope], object]


def build(nodes: tuple[Node, ...], env: Environment) -> Render:
    steps = tuple(_step(node, env) for node in nodes)

    def render(scope: Scope, write: Write) -> None:
        for step in steps:
            step(scope, write)

    return render


def _step(node: Node, env: Environment) -> Render:
    if isinstance(node, Text):
        text = node.text
        return lambda scope, write: write(text)
    if isinstance(node, Output):
        value = _value(node.expr, env)
        return lambda scope, write: write(text_of(value(scope)))
    if isinstance(node, Set):
        name, assigned = node.name, _value(node.expr, env)
        return lambda scope, write: scope.set(name, assigned(scope))
    if isinstance(node, Include):
        included = node.name
        return lambda scope, write: env.include(included, scope, write)
    if isinstance(node, If):
        return _if(node, env)
    return _for(node, env)


def _if(node: If, env: Environment) -> Render:
    branches = [(_value(test, env), build(body, env)) for test, body in node.branches]
    orelse = build(node.orelse, env)

    def render(scope: Scope, write: Write) -> None:
        for test, body in branches:
            if test(scope):
                body(scope, write)
                return
        orelse(scope, write)

    return render


def _for(node: For, env: Environment) -> Render:
    source, body, empty = _value(node.source, env), build(node.body, env), build(node.empty, env)
    target, names, needs_loop = node.target, node.names, node.needs_loop

    def render(scope: Scope, write: Write) -> None:
        items = items_of(source(scope))
        if not items:
            empty(scope, write)
            return
        length = len(items)
        scope.enter(names)
        for index, item in enumerate(items):
            scope.begin()
            scope.set(target, item)
            if needs_loop:
                scope.set("loop", Loop(index + 1, index, index == 0, index == length - 1, length))
            body(scope, write)
        scope.leave()

    return render


def _value(expr: Expr, env: Environment) -> Evaluate:
    if isinstance(expr, Const):
        constant = expr.value
        return lambda scope: constant
    if isinstance(expr, Name):
        name = expr.name
        return lambda scope: scope.get(name)
    if isinstance(expr, Attr):
        target, key = _value(expr.target, env), expr.key
        return lambda scope: fetch(target(scope), key)
    if isinstance(expr, Filter):
        return _filter(expr, env)
    if isinstance(expr, Unary):
        operand = _value(expr.operand, env)
        return (lambda scope: not operand(scope)) if expr.op == "not" else (lambda scope: negate(operand(scope)))
    op, left, right = expr.op, _value(expr.left, env), _value(expr.right, env)
    if op == "and":
        return lambda scope: left(scope) and right(scope)
    if op == "or":
        return lambda scope: left(scope) or right(scope)
    return lambda scope: compute(op, left(scope), right(scope))


def _filter(expr: Filter, env: Environment) -> Evaluate:
    name, bound, filters = expr.name, expr.function, env.filters
    target, args = _value(expr.target, env), [_value(arg, env) for arg in expr.args]

    def evaluate(scope: Scope) -> object:
        values = [arg(scope) for arg in args]
        return call(name, bound or filters[name], target(scope), *values)

    return evaluate
