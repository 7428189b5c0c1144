"""New in-scope files that Python would import in place of what protected code means.

An evaluator that says `import json` gets the `json.py` beside it, if there is one; a package hides a module of the same
name, and a compiled module its source. Where the scope is a wildcard, a proposal could write such a file, and its code
would run in the evaluator. Files that were there before are the person's own choice.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Collection, Iterable
from pathlib import PurePosixPath

_EXTENSIONS = (".py", ".so", ".pyd")


def module_of(path: str) -> tuple[str, str] | None:
    """(folder, name) under which Python would import a file: `a/b.py` is `b` in `a`, and so is `a/b/__init__.py`."""
    pure = PurePosixPath(path)
    if pure.suffix not in _EXTENSIONS:
        return None
    name = pure.name.partition(".")[0]
    folder = pure.parent
    if name == "__init__":
        folder, name = folder.parent, folder.name
    at = "" if folder == PurePosixPath() else str(folder)
    return (at, name) if name.isidentifier() else None


def names_imported(source: bytes) -> set[str]:
    """The first words of what a Python file imports, by absolute name; none when it cannot be read as Python."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError):
        return set()
    found = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    found |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.partition(".")[0] for name in found}


def shadowing(
    new: Iterable[str],
    tracked: Collection[str],
    protected: Callable[[str], bool],
    entries: Collection[str],
    imported_in: Callable[[str], set[str]],
) -> set[str]:
    """Those of the `new` paths that hide a protected module, or one that protected code imports from elsewhere.

    `tracked` is what the commit before holds, `entries` are the folders that Python searches first because a command
    runs in them or names a script there, and `imported_in` gives what the protected scripts of such a folder import.
    """
    known: dict[tuple[str, str], bool] = {}
    for path in tracked:
        module = module_of(path)
        if module is not None:
            known[module] = known.get(module, False) or protected(path)
    found = set()
    for path in new:
        module = module_of(path)
        if module is None:
            continue
        folder, name = module
        if module in known:
            hides = known[module]
        elif any(other.startswith(f"{folder}/{name}/".lstrip("/")) for other in tracked):
            hides = False  # a folder of modules gets its __init__.py
        else:
            hides = folder in entries and (name in sys.stdlib_module_names or name in imported_in(folder))
        if hides:
            found.add(path)
    return found
