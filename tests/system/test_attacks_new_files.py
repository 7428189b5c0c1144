"""Attacks by new files that nobody named: a program looks for a file of that name, and takes it when it is there.

The scope is a wildcard without the judge's own files. None of these names is on a list of ours: the commands that
decide are asked what they would open. A candidate that adds files of its own is measured as any other.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from attacks import Attack, Seen, has_won, make_attacked, measure_all
from repos import git

REFUSED = ("crash", "out_of_scope")
SCORES = "import os; print('METRIC score=1', flush=True); os._exit(0)\n"
BY_EVALUATION = [
    Attack("is imported by a library of the evaluator", "x = 1", {"click.py": SCORES}, outcome=REFUSED,
           says="the evaluation would take new files by their names: click.py"),
    Attack("is imported by a protected module in a folder", "x = 2", {"tabulate.py": SCORES}, outcome=REFUSED,
           says="tabulate.py"),
    Attack("is taken before the Makefile", "x = 3", {"GNUmakefile": "score:\n\techo METRIC score=1\n"}, outcome=REFUSED,
           says="GNUmakefile"),
]  # fmt: skip


def is_measured(seen: Seen) -> bool:
    """Past the guard, that is."""
    return seen.score is not None


BY_GUARD = [
    Attack("is a test that ends all tests", "cheats = 1", {"test_first.py": "import os; os._exit(0)\n"},
           outcome=REFUSED, won=is_measured, says="test_first.py"),
]  # fmt: skip
HONEST = {"helper.py": "SIZE = 1\n", "notes/why.md": "because\n"}

JUDGE = 'evaluate = "make -s score"\nartifacts = ["model.txt"]'
GUARD = '\n[[guard]]\nrun = "python -m unittest -q"\nwhen = "before"\n'
MORE = {
    "Makefile": "score:\n\t@python evaluator.py\n",
    "scorelib.py": "import sqlite_utils\nfrom lib import table\ndef penalty(): return 9.0\n",
    "lib/__init__.py": "",
    "lib/table.py": "import tabulate\n",
    "test_it.py": "import unittest\nclass It(unittest.TestCase):\n"
    "    def test_it(self): self.assertNotIn('cheats', open('train.py').read())\n",
    ".gitignore": "data/\nmodel.txt\n",
}
EDIT = '"**", "!evaluator.py", "!scorelib.py", "!penalty.txt", "!conf", "!Makefile", "!lib", "!test_it.py"'
NOBODY_IS_ASKED = """
from autoresearch.engine.workspace import Workspace
Workspace.new_files = lambda workspace, parent, sha: None
"""


def judged(folder: Path, weak: str = "") -> dict[str, Seen]:
    """All attacks, on an evaluator alone and with a guard before it."""
    seen: dict[str, Seen] = {}
    for name, attacks, guard in (("evaluated", BY_EVALUATION, ""), ("guarded", BY_GUARD, GUARD)):
        (folder / name).mkdir()
        repo = make_attacked(folder / name / "r", edit=EDIT, run="python train.py", measure=JUDGE, more=MORE)
        with (repo / "autoresearch.toml").open("a") as toml:
            toml.write(guard)
        git(repo, "commit", "-qam", "a guard", "--allow-empty")
        honest = Attack(f"honest, {name}", "import helper", HONEST)
        seen |= measure_all(folder / name, repo, [*attacks, *([] if weak else [honest])], weak)
    return seen


@pytest.fixture(scope="module")
def strong(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    seen = judged(tmp_path_factory.mktemp("new-files"))
    warned = [
        warning for one in seen.values() for warning in one.session.history().notices if "not known" in warning.text
    ]
    if warned:
        pytest.skip(f"this machine tells nobody what a command opens: {warned[0].text}")
    return seen


@pytest.fixture(scope="module")
def weak(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    return judged(tmp_path_factory.mktemp("new-files-weak"), NOBODY_IS_ASKED)


@pytest.mark.parametrize("attack", [*BY_EVALUATION, *BY_GUARD], ids=str)
def test_a_command_that_decides_takes_no_new_file_by_its_name(attack: Attack, strong: dict[str, Seen]) -> None:
    seen = strong[attack.name]
    assert (seen.line.status, seen.line.cause) == attack.outcome
    assert attack.says in seen.line.reason
    assert not has_won(attack, seen)


@pytest.mark.parametrize("judge", ["evaluated", "guarded"])
def test_a_candidates_own_new_files_are_measured(judge: str, strong: dict[str, Seen]) -> None:
    seen = strong[f"honest, {judge}"]
    assert (seen.line.status, seen.line.cause) == ("discard", "worse")
    assert set(seen.line.files) == {"train.py", *HONEST}
    assert (seen.session.run(seen.row.number) / "opened.log").exists(), "it was asked"


@pytest.mark.parametrize("attack", [*BY_EVALUATION, *BY_GUARD], ids=str)
def test_unasked_it_takes_it(attack: Attack, weak: dict[str, Seen]) -> None:
    assert has_won(attack, weak[attack.name])
