"""A file too long to be shown whole, as an outline: for Python what it defines and where, for others how it begins."""

from __future__ import annotations

import ast
import warnings

from autoresearch.engine.brief.quotes import said

_HEAD_LINES = 40
_HEAD_CHARS = 160
_DEEPEST = 2
"""Classes in classes are shown, and their methods; what is defined inside functions is not."""


def outline(path: str, source: str) -> str:
    """Lines `12-40<tab>def forward(x)`, in the file's order."""
    if path.endswith((".py", ".pyi")):
        tree = _parsed(source)
        if tree is not None:
            return "\n".join(_of(tree.body, source.splitlines(), 0))
    return _head(source)


def _parsed(source: str) -> ast.Module | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an invalid escape in the artifact is not our warning
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _of(body: list[ast.stmt], lines: list[str], depth: int) -> list[str]:
    found: list[str] = []
    for node in body:
        where = f"{node.lineno}-{node.end_lineno}" if node.end_lineno != node.lineno else f"{node.lineno}"
        indent = "  " * depth
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
                returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
                signature = said(f"{word} {node.name}({ast.unparse(node.args)}){returns}", 160)
                found.append(f"{where}\t{indent}{signature}{_summary(node)}")
            case ast.ClassDef():
                bases = f"({', '.join(map(ast.unparse, node.bases))})" if node.bases else ""
                found.append(f"{where}\t{indent}{said(f'class {node.name}{bases}', 120)}{_summary(node)}")
                if depth < _DEEPEST:
                    found += _of(node.body, lines, depth + 1)
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign():
                found.append(f"{where}\t{indent}{said(ast.unparse(node), 120)}")
            case ast.If() | ast.For() | ast.While() | ast.With() | ast.Try() if depth == 0:
                found.append(f"{where}\t{said(lines[node.lineno - 1], 120)} …")
    return found


def _summary(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> str:
    text = (ast.get_docstring(node) or "").strip()
    return f"  # {said(text.splitlines()[0], 120)}" if text else ""


def _head(source: str) -> str:
    lines = source.split("\n")
    shown = [f"{n}\t{line.rstrip()[:_HEAD_CHARS]}" for n, line in enumerate(lines[:_HEAD_LINES], 1)]
    return "\n".join(shown)
