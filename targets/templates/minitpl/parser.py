"""Tokens -> nodes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from .errors import TemplateError
from .expressions import Filters, is_name, parse_expression
from .filters import text_of
from .lexer import Token, tokenize
from .nodes import Const, Expr, For, If, Include, Name, Node, Output, Set, Text

# Whether constants and neighbouring texts become one text when parsing.
FOLD_TEXT = False

# Whether `loop` is left out where nothing can see it.
SKIP_UNUSED_LOOP = False


def parse(source: str, filters: Filters) -> tuple[Node, ...]:
    parser = _Parser(tokenize(source), filters)
    nodes, _ = parser.block(frozenset())
    return nodes


def names_set_by(nodes: tuple[Node, ...]) -> tuple[str, ...]:
    """The names that `{% set %}` binds in this block itself, not in its loops."""
    names: dict[str, None] = {}
    for node in nodes:
        if isinstance(node, Set):
            names[node.name] = None
        elif isinstance(node, If):
            for block in (*(body for _, body in node.branches), node.orelse):
                names.update(dict.fromkeys(names_set_by(block)))
        elif isinstance(node, For):
            names.update(dict.fromkeys(names_set_by(node.empty)))
    return tuple(names)


class _Parser:
    def __init__(self, tokens: list[Token], filters: Filters) -> None:
        self._tokens = iter(tokens)
        self._filters = filters
        self._line = 1

    def block(self, ends: frozenset[str]) -> tuple[tuple[Node, ...], str]:
        """Nodes up to a statement that begins with one of `ends`, and that statement."""
        nodes: list[Node] = []
        for kind, text, line in self._tokens:
            self._line = line
            if kind == "text":
                nodes.append(Text(text))
            elif kind == "output":
                nodes.append(Output(self._expression(text)))
            elif text.split(" ")[0] in ends:
                return _folded(nodes), text
            else:
                nodes.append(self._statement(text))
        if ends:
            raise TemplateError(f"line {self._line}: expected {' or '.join(sorted(ends))}, found the end")
        return _folded(nodes), ""

    def _expression(self, text: str) -> Expr:
        try:
            return parse_expression(text, self._filters)
        except TemplateError as error:
            raise TemplateError(f"line {self._line}: {error}") from None

    def _statement(self, text: str) -> Node:
        word, _, rest = text.partition(" ")
        rest = rest.strip()
        if word == "if":
            return self._if(rest)
        if word == "for":
            return self._for(rest)
        if word == "set":
            name, equals, value = rest.partition("=")
            if equals and is_name(name.strip()):
                return Set(name.strip(), self._expression(value))
        elif word == "include":
            if len(rest) > 2 and rest[0] in "\"'" and rest[-1] == rest[0]:
                return Include(rest[1:-1])
        raise TemplateError(f"line {self._line}: cannot read the statement '{text}'")

    def _if(self, condition: str) -> If:
        branches: list[tuple[Expr, tuple[Node, ...]]] = []
        orelse: tuple[Node, ...] = ()
        tail = f"if {condition}"
        while tail != "else" and tail != "endif":
            test = self._expression(tail.partition(" ")[2])
            body, tail = self.block(frozenset({"elif", "else", "endif"}))
            branches.append((test, body))
        if tail == "else":
            orelse, _ = self.block(frozenset({"endif"}))
        return If(tuple(branches), orelse)

    def _for(self, clause: str) -> For:
        target, _, source = clause.partition(" in ")
        if not is_name(target.strip()) or not source:
            raise TemplateError(f"line {self._line}: 'for' needs 'name in expression'")
        items = self._expression(source)
        empty: tuple[Node, ...] = ()
        body, tail = self.block(frozenset({"else", "endfor"}))
        if tail == "else":
            empty, _ = self.block(frozenset({"endfor"}))
        needs_loop = not SKIP_UNUSED_LOOP or _sees_loop(body)
        names = (target.strip(), "loop", *names_set_by(body))
        return For(target.strip(), items, body, empty, names, needs_loop)


def _sees_loop(nodes: tuple[Node, ...]) -> bool:
    return any((isinstance(part, Name) and part.name == "loop") or isinstance(part, Include) for part in _parts(nodes))


def _parts(value: object) -> Iterator[object]:
    """Every node and expression in a tree."""
    if isinstance(value, tuple):
        for item in value:
            yield from _parts(item)
    elif is_dataclass(value):
        yield value
        for field in fields(value):
            yield from _parts(getattr(value, field.name))


def _folded(nodes: list[Node]) -> tuple[Node, ...]:
    if not FOLD_TEXT:
        return tuple(nodes)
    folded: list[Node] = []
    for node in nodes:
        if isinstance(node, Output) and isinstance(node.expr, Const):
            node = Text(text_of(node.expr.value))
        if isinstance(node, Text) and folded and isinstance(folded[-1], Text):
            folded[-1] = Text(folded[-1].text + node.text)
        else:
            folded.append(node)
    return tuple(folded)
