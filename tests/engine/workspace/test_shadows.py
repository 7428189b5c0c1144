from __future__ import annotations

import pytest

from autoresearch.engine.workspace.shadows import module_of, names_imported, shadowing

TRACKED = {
    "evaluator.py", "train.py", "helpers/a.py", "lib/protected.py", "pkg/__init__.py", "tools/score/run.py",
    "own/__init__.py",
}  # fmt: skip
PROTECTED = {"evaluator.py", "lib/protected.py", "tools/score/run.py", "pkg/__init__.py"}
IMPORTED = {"": {"numpy", "helpers", "pkg"}, "tools/score": {"torch"}}


@pytest.mark.parametrize(
    ("path", "hides"),
    [
        ("json.py", True),
        ("json/__init__.py", True),
        ("json/tool.py", False),  # without an __init__ Python's own comes first
        ("enum.cpython-311-x86_64-linux-gnu.so", True),
        ("numpy.py", True),
        ("numpy/__init__.py", True),
        ("scipy.py", False),  # nobody imports it
        ("lib/json.py", False),  # nothing looks for modules there
        ("tools/score/json.py", True),  # the script's own folder comes first
        ("tools/score/torch.py", True),
        ("torch.py", False),
        ("evaluator/__init__.py", True),
        ("evaluator.abi3.so", True),
        ("lib/protected/__init__.py", True),
        ("pkg.so", True),
        ("pkg/more.py", False),
        ("helpers/__init__.py", False),  # a folder of the candidate's own
        ("own.py", False),
        ("train/__init__.py", False),  # hides only what is in scope
        ("notes.md", False),
        ("json", False),
    ],
)
def test_what_hides_protected_code_is_told_from_what_does_not(path: str, hides: bool) -> None:
    found = shadowing([path], TRACKED, PROTECTED.__contains__, {"", "tools/score"}, lambda d: IMPORTED.get(d, set()))
    assert (path in found) == hides


def test_names_imported_are_read_as_python_would() -> None:
    source = (
        b"import os, sys\nfrom a.b import c\nif 1:\n    import later\n#import no\nfrom . import near\nimported = 1\n"
    )
    assert names_imported(source) == {"os", "sys", "a", "later"}
    assert names_imported(b"print 'two'\n") == set()


@pytest.mark.parametrize(
    ("path", "module"),
    [("a.py", ("", "a")), ("x/y/b.py", ("x/y", "b")), ("x/.hid/b.py", ("x/.hid", "b")), ("x/__init__.py", ("", "x")),
     ("a-b.py", None), ("a.txt", None), ("__init__.py", None)],
)  # fmt: skip
def test_a_files_module(path: str, module: tuple[str, str] | None) -> None:
    assert module_of(path) == module
