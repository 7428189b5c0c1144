"""Which new files a command would take by their names, from what it opened."""

from __future__ import annotations

import pytest

from autoresearch.engine.workspace.new_files import NewFiles, twin_of

EDITABLE = frozenset({"train.py", "tests/test_speed.py", "pkg/core.py", "notes.md", "go/fast.go"})


@pytest.mark.parametrize(
    ("path", "opened", "taken"),
    [
        ("helper.py", {"judge.py", "test_it.py"}, False),  # nobody looks at it
        ("click.py", {"judge.py", "click.py"}, True),
        ("click.py", {"judge.py", "click.py", "train.py"}, True),  # as data, or the candidate's code
        ("click/__init__.py", {"judge.py", "click/__init__.py"}, True),
        ("GNUmakefile", {"GNUmakefile"}, True),
        ("setup.cfg", {"setup.cfg", "test_it.py", "train.py"}, True),
        ("helper.py", {"helper.py", "zz.py", "train.py", "judge.py"}, False),  # a linter
        ("rules/new.py", {"rules/new.py", "rules/zz.py", "rules/old.py"}, True),  # whatever lies there
        ("go/more.go", {"go/more.go", "go/zz.go", "go/fast.go"}, False),
        ("tests/test_size.py", {"tests/test_size.py", "tests/test_speed.py"}, False),  # a test among tests in scope
        ("tests/conftest.py", {"tests/conftest.py", "tests/test_speed.py"}, True),
        ("test_size.py", {"test_size.py", "test_it.py"}, True),  # a test among protected ones
        ("pkg/speedups.py", {"pkg/speedups.py", "pkg/core.py"}, True),
        ("vendor", {"vendor/x/index.js"}, True),  # a link to a folder
        ("ruff.toml", {"ruff.toml", "train.py"}, True),
    ],
)  # fmt: skip
def test_who_opens_a_file_and_not_its_twin_was_led_by_the_name(path: str, opened: set[str], taken: bool) -> None:
    new = NewFiles({path: twin_of(path, "zz")}, EDITABLE)
    assert new.taken(opened) == ([path] if taken else [])


@pytest.mark.parametrize(
    ("path", "twin"),
    [("a/b.py", "a/zz.py"), ("GNUmakefile", "zz"), (".coveragerc", "zz"), ("x/a.test.js", "x/zz.js"),
     ("d/.x.yml", "d/zz.yml")],
)  # fmt: skip
def test_a_twin_lies_beside_it_and_shares_its_kind_alone(path: str, twin: str) -> None:
    assert twin_of(path, "zz") == twin
