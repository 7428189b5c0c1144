"""The text of an expression -> its tree.

Weakest to strongest: or, and, not, comparisons and `in`, + -, * / %, unary minus, then filters and attributes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from .errors import TemplateError
from .nodes import Attr, Binary, Const, Expr, Filter, Name, Unary

# Whether a filter's function is looked up once, when parsing, or by name at each use.
PREBIND_FILTERS = False

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>\d+(?:\.\d+)?)
      | (?P<name>[^\W\d]\w*)
      | (?P<string>"[^"]*"|'[^']*')
      | (?P<op>==|!=|<=|>=|[-+*/%<>|().,])
    )""",
    re.VERBOSE,
)
_LITERALS: dict[str, object] = {"true": True, "false": False, "none": None}
_RESERVED = frozenset({"and", "or", "not", "in"})
_COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">=", "in"})
_SUMS = frozenset({"+", "-"})
_PRODUCTS = frozenset({"*", "/", "%"})

Filters = Mapping[str, Callable[..., object]]


def parse_expression(text: str, filters: Filters) -> Expr:
    parser = _Parser(text, filters)
    expr = parser.disjunction()
    parser.finish()
    return expr


def is_name(text: str) -> bool:
    return text.isidentifier() and text not in _RESERVED and text not in _LITERALS


class _Parser:
    def __init__(self, text: str, filters: Filters) -> None:
        self._text = text
        self._filters = filters
        self._tokens = self._scan()
        self._at = 0

    def _scan(self) -> list[tuple[str, str]]:
        tokens: list[tuple[str, str]] = []
        text = self._text.rstrip()
        at = 0
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None or match.lastgroup is None:
                raise TemplateError(f"cannot read '{text[at:]}'")
            value = match[match.lastgroup]
            tokens.append(("op" if value in _RESERVED else match.lastgroup, value))
            at = match.end()
        return tokens

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _take_op(self, *ops: str) -> str | None:
        kind, value = self._peek()
        if kind == "op" and value in ops:
            self._at += 1
            return value
        return None

    def _expect(self, op: str) -> None:
        if self._take_op(op) is None:
            raise TemplateError(f"expected '{op}' in '{self._text}'")

    def finish(self) -> None:
        if self._at < len(self._tokens):
            raise TemplateError(f"unexpected '{self._peek()[1]}' in '{self._text}'")

    def _chain(self, operand: Callable[[], Expr], ops: frozenset[str]) -> Expr:
        left = operand()
        while op := self._take_op(*ops):
            left = Binary(op, left, operand())
        return left

    def disjunction(self) -> Expr:
        return self._chain(self._conjunction, frozenset({"or"}))

    def _conjunction(self) -> Expr:
        return self._chain(self._inversion, frozenset({"and"}))

    def _inversion(self) -> Expr:
        if self._take_op("not"):
            return Unary("not", self._inversion())
        return self._comparison()

    def _comparison(self) -> Expr:
        return self._chain(self._sum, _COMPARISONS)

    def _sum(self) -> Expr:
        return self._chain(self._product, _SUMS)

    def _product(self) -> Expr:
        return self._chain(self._negation, _PRODUCTS)

    def _negation(self) -> Expr:
        if self._take_op("-"):
            return Unary("-", self._negation())
        return self._postfix(self._atom())

    def _postfix(self, expr: Expr) -> Expr:
        while op := self._take_op(".", "|"):
            kind, value = self._peek()
            if kind != "name" and not (op == "." and kind == "number"):
                raise TemplateError(f"expected a name after '{op}' in '{self._text}'")
            self._at += 1
            if op == "|":
                expr = self._filter(value, expr)
                continue
            for key in value.split("."):
                expr = Attr(expr, key)
        return expr

    def _filter(self, name: str, target: Expr) -> Expr:
        if name not in self._filters:
            raise TemplateError(f"there is no filter '{name}'")
        args: list[Expr] = []
        if self._take_op("(") and not self._take_op(")"):
            args.append(self.disjunction())
            while self._take_op(","):
                args.append(self.disjunction())
            self._expect(")")
        return Filter(name, self._filters[name] if PREBIND_FILTERS else None, target, tuple(args))

    def _atom(self) -> Expr:
        if self._take_op("("):
            inner = self.disjunction()
            self._expect(")")
            return inner
        kind, value = self._peek()
        self._at += 1
        if kind == "number":
            return Const(float(value) if "." in value else int(value))
        if kind == "string":
            return Const(value[1:-1])
        if kind == "name":
            return Const(_LITERALS[value]) if value in _LITERALS else Name(value)
        raise TemplateError(f"expected a value in '{self._text}'")
