"""Tunable literals in Python source: find them by parsing, replace them without touching another byte.

A knob is an assignment of a literal to one name, at module level or in a class body (dataclass fields too):

    LEARNING_RATE = 3e-4           # range: 1e-5 .. 1e-2
    depth: int = 8
    BETAS = (0.9, 0.95)
    OPTIMIZER = "adamw"            # one of: adamw, muon
    TOTAL_BATCH = 2**14            # expressions of numbers alone are one literal
    CONTEXT = 1024                 # fixed

Numbers, booleans and tuples of up to four numbers are taken; strings only with `one of:`. `fixed` or `not tunable` in
the trailing comment excludes, and so do a name that is assigned twice or declared `global` (that is state, not a
setting), enumerations, the sentinels None and -1, and the names of `names.is_setting` (unless a range or choices are
given). Spans are byte offsets into the file.
"""

from __future__ import annotations

import ast
import io
import math
import operator
import re
import tokenize
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from autoresearch.engine.agents.tuner import names as naming

Scalar = bool | int | float | str
Value = Scalar | tuple[int | float, ...]

_MOST_ELEMENTS = 4
_LARGEST = 2**53
"""Whole numbers beyond this do not survive JSON readers that know only doubles."""
_SMALLEST = 1e-30
"""Numbers smaller than this, or larger than its inverse, stand for zero or infinity."""
_NEWLINE = re.compile(rb"\r\n|\r|\n")
_NUMBER = r"[-+]?(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"\brange:\s*({_NUMBER})\s*\.\.\s*({_NUMBER})")
_ONE_OF = re.compile(r"\bone of:\s*([^;()#]+)")
_CHOICE = re.compile(r"""(['"]?)([\w.+/-]+(?: [\w.+/-]+)*)\1""")
_EXCLUDED = re.compile(r"\b(?:fixed|not tunable)\b", re.IGNORECASE)
_STRING = re.compile(r"""([uU]?)('''|\"\"\"|'|")""")
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Pow: operator.pow, ast.LShift: operator.lshift,
}  # fmt: skip
_ENUMS = frozenset({"Enum", "IntEnum", "StrEnum", "Flag", "IntFlag"})


class Unreadable(Exception):
    """The file cannot be searched; says why."""


@dataclass(frozen=True, slots=True)
class Knob:
    name: str
    """`file:NAME` or `file:Class.NAME`; an element of a tuple has its index appended, `file:NAME[0]`."""
    file: str
    """Relative to the target's folder."""
    span: tuple[int, int]
    """Byte offsets of the literal in the file."""
    value: Value
    text: str
    """The literal as it is written."""
    low: float | None = None
    """From `range:`; None: unbounded."""
    high: float | None = None
    choices: tuple[Scalar, ...] = ()
    """From `one of:`; always holds the value."""
    parts: tuple[Knob, ...] = ()
    """The elements of a tuple."""

    @property
    def label(self) -> str:
        """The name without its file."""
        return self.name.partition(":")[2]


def find(source: bytes, file: str) -> list[Knob]:
    """The knobs of one file, in its order. Raises Unreadable when it is not UTF-8 or does not parse."""
    bom = len(b"\xef\xbb\xbf") if source.startswith(b"\xef\xbb\xbf") else 0
    text = source[bom:]
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(text).readline)
    except SyntaxError as error:
        raise Unreadable(f"its encoding is unknown ({error})") from error
    if encoding != "utf-8":
        raise Unreadable(f"it is written in {encoding}, not UTF-8")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Unreadable(f"it does not parse ({error})") from error
    return list(_Search(text, bom, file).body(tree, ""))


def replace(source: bytes, changes: Iterable[tuple[Knob, Value]]) -> bytes:
    """The file with the knobs' literals replaced, each in the style of the one it replaces. The rest is untouched."""
    edits: list[tuple[int, int, str]] = []
    for knob, value in changes:
        if isinstance(value, tuple):
            pairs = zip(knob.parts, value, strict=True)
            edits += [(*part.span, render(part, element)) for part, element in pairs]
        else:
            edits.append((*knob.span, render(knob, value)))
    for start, end, text in sorted(edits, reverse=True):
        source = source[:start] + text.encode() + source[end:]
    return source


def render(knob: Knob, value: Scalar) -> str:
    """A value as source text in the style of the knob's literal; it evaluates to exactly `value`."""
    if value == knob.value and type(value) is type(knob.value):
        return knob.text
    if isinstance(value, str):
        style = _STRING.match(knob.text)
        assert style is not None
        return f"{style[1]}{style[2]}{value}{style[2]}"
    if isinstance(value, bool):
        return str(value)
    for text in _styled(knob.text, value):
        if evaluate(text) == value:
            return text
    return repr(value)


def shown(knob: Knob, value: Value) -> str:
    """A value for people, as it would stand in the source."""
    if isinstance(value, tuple):
        return f"({', '.join(render(part, element) for part, element in zip(knob.parts, value, strict=True))})"
    return render(knob, value)


def evaluate(text: str) -> Value | None:
    """The value of a literal's text, None when it is not one of ours."""
    try:
        # In brackets, as the text may span lines there.
        return _value(ast.parse(f"({text}\n)", mode="eval").body)
    except (SyntaxError, ValueError):
        return None


# -- rendering


def _styled(text: str, value: int | float) -> Iterator[str]:
    """Ways to write `value` like `text`, the closest first; the caller checks them."""
    if isinstance(value, float):
        yield _float(text, value)
        return
    power = re.fullmatch(r"(2\s*\*\*\s*|1\s*<<\s*)\d+", text)
    if power and value > 0 and value & (value - 1) == 0:
        yield f"{power[1]}{value.bit_length() - 1}"
    product = re.fullmatch(r"\d[\d_]*(\s*\*\s*([\d_]+|2\s*\*\*\s*\d+))", text)
    factor = evaluate(product[2]) if product else None
    if product and isinstance(factor, int) and factor and value and value % factor == 0:
        yield f"{value // factor}{product[1]}"
    if re.match(r"[-+]?\s*0[xX]", text):
        yield f"{'-' if value < 0 else ''}0{text.lstrip('+- ')[1]}{abs(value):x}"
    if "_" in text:
        yield f"{value:_}"


def _float(text: str, value: float) -> str:
    """Scientific where the source is (or a plain number would be long), else a plain decimal."""
    plain = not re.search(r"[eE]", text) if math.isclose(value, 0) or 1e-5 <= abs(value) < 1e7 else False
    digits = repr(value)
    if plain:
        if "e" not in digits:
            return digits
        mantissa, _, exponent = digits.partition("e")
        places = len(mantissa.replace("-", "").partition(".")[2].rstrip("0")) - int(exponent)
        return f"{value:.{max(1, places)}f}"
    if value == 0:
        return "0.0"
    places = next(n for n in range(17) if float(f"{value:.{n}e}") == value)
    mantissa, _, exponent = f"{value:.{places}e}".partition("e")
    letter = "E" if "E" in text else "e"
    return f"{mantissa}{letter}{int(exponent)}"


# -- finding


class _Search:
    def __init__(self, text: bytes, shift: int, file: str) -> None:
        self._text = text
        self._shift = shift
        self._file = file
        self._lines = [0, *(match.end() for match in _NEWLINE.finditer(text))]

    def body(self, owner: ast.Module | ast.ClassDef, prefix: str) -> Iterator[Knob]:
        """The knobs of a module or class body and of the classes in it."""
        stored = _stored(owner)
        for statement in owner.body:
            if isinstance(statement, ast.ClassDef):
                if not any(_last_name(base) in _ENUMS for base in statement.bases):
                    yield from self.body(statement, f"{prefix}{statement.name}.")
            elif isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is not None:
                targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
                target = targets[0]
                if len(targets) == 1 and isinstance(target, ast.Name) and stored[target.id] == 1:
                    knob = self._knob(f"{prefix}{target.id}", statement, statement.value)
                    if knob is not None:
                        yield knob

    def _knob(self, name: str, statement: ast.stmt, node: ast.expr) -> Knob | None:
        value = _value(node)
        if value is None or naming.is_special(name):
            return None
        comment = self._comment(statement)
        if comment is None or _EXCLUDED.search(comment):
            return None
        low, high = _bounds(comment)
        choices = _choices(comment, value)
        if not (naming.is_setting(name) or low is not None or choices):
            return None
        if isinstance(value, str) and (not choices or not _STRING.match(self._source(node))):
            return None
        if value == -1 and not isinstance(value, tuple) and low is None and not choices:
            return None
        return self._made(f"{self._file}:{name}", node, value, low, high, choices)

    def _made(
        self,
        name: str,
        node: ast.expr,
        value: Value,
        low: float | None,
        high: float | None,
        choices: tuple[Scalar, ...],
    ) -> Knob | None:
        text = self._source(node)
        if evaluate(text) != value:  # the text is not where we think it is: better no knob than a broken file
            return None
        start, end = self._span(node)
        span = (start + self._shift, end + self._shift)
        if isinstance(value, tuple):
            assert isinstance(node, ast.Tuple)
            pairs = zip(node.elts, value, strict=True)
            parts = [
                self._made(f"{name}[{index}]", element, number, low, high, ())
                for index, (element, number) in enumerate(pairs)
            ]
            whole = tuple(part for part in parts if part is not None)
            return Knob(name, self._file, span, value, text, parts=whole) if len(whole) == len(parts) else None
        if isinstance(value, float) and value and not _SMALLEST <= abs(value) <= 1 / _SMALLEST:
            return None
        return Knob(name, self._file, span, value, text, low, high, choices)

    def _span(self, node: ast.AST) -> tuple[int, int]:
        assert isinstance(node, (ast.expr, ast.stmt))
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return (
            self._lines[node.lineno - 1] + node.col_offset,
            self._lines[node.end_lineno - 1] + node.end_col_offset,
        )

    def _source(self, node: ast.expr) -> str:
        start, end = self._span(node)
        return self._text[start:end].decode("utf-8", "replace")

    def _comment(self, statement: ast.stmt) -> str | None:
        """What follows the statement on its last line; None when that is another statement."""
        rest = _NEWLINE.split(self._text[self._span(statement)[1] :], maxsplit=1)[0].decode("utf-8", "replace").strip()
        if not rest or rest == "\\":
            return ""
        return rest[1:] if rest.startswith("#") else None


def _value(node: ast.expr) -> Value | None:
    if isinstance(node, ast.Tuple):
        if not 1 <= len(node.elts) <= _MOST_ELEMENTS:
            return None
        numbers = [_number(element) for element in node.elts]
        return tuple(number for number in numbers if number is not None) if None not in numbers else None
    if isinstance(node, ast.Constant) and isinstance(node.value, (bool, str)):
        return node.value
    return _number(node)


def _number(node: ast.expr) -> int | float | None:
    """The value of an expression of numbers and operators alone; None when it is another, or out of bounds."""
    try:
        value = _computed(node)
    except (ArithmeticError, ValueError, TypeError, KeyError, RecursionError):  # also: 1.5 << 2, another operator
        return None
    if value is None or not math.isfinite(value) or (isinstance(value, int) and abs(value) > _LARGEST):
        return None
    return value


def _computed(node: ast.expr) -> int | float | None:
    if isinstance(node, ast.Constant):
        number = node.value
        return number if isinstance(number, (int, float)) and not isinstance(number, bool) else None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        operand = _computed(node.operand)
        return None if operand is None else -operand if isinstance(node.op, ast.USub) else operand
    if not isinstance(node, ast.BinOp):
        return None
    left, right = _computed(node.left), _computed(node.right)
    if left is None or right is None or max(abs(left), abs(right)) > 1e18:
        return None
    if isinstance(node.op, (ast.Pow, ast.LShift)) and abs(right) > 64:
        return None
    value = _OPERATORS[type(node.op)](left, right)
    return value if isinstance(value, (int, float)) else None  # a power may be complex


def _bounds(comment: str) -> tuple[float | None, float | None]:
    found = _RANGE.search(comment)
    if not found:
        return None, None
    low, high = float(found[1]), float(found[2])
    return (low, high) if low < high else (None, None)


def _choices(comment: str, value: Value) -> tuple[Scalar, ...]:
    """The values of `one of:`, the present one among them; empty when there are none of its kind."""
    found = _ONE_OF.search(comment)
    if not found or isinstance(value, tuple):
        return ()
    words = [match[2] for item in found[1].split(",") if (match := _CHOICE.fullmatch(item.strip()))]
    values: list[Scalar] = []
    for word in words:
        choice: Value | None = word if isinstance(value, str) else evaluate(word)
        if isinstance(value, float) and isinstance(choice, int) and not isinstance(choice, bool):
            choice = float(choice)
        if choice is not None and not isinstance(choice, tuple) and type(choice) is type(value):
            values.append(choice)
    values += [] if value in values else [value]
    return tuple(dict.fromkeys(values)) if len(set(values)) > 1 else ()


def _stored(owner: ast.Module | ast.ClassDef) -> Mapping[str, int]:
    """How often each name is bound in this body, not counting inner scopes, but counting `global` in them."""
    counts: Counter[str] = Counter()
    pending: list[ast.AST] = list(owner.body)
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            counts[node.name] += 1
            for inner in ast.walk(node):
                if isinstance(inner, ast.Global) and isinstance(owner, ast.Module):
                    counts.update(inner.names)
            continue
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del)):
            counts[node.id] += 1
        pending.extend(ast.iter_child_nodes(node))
    return counts


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
