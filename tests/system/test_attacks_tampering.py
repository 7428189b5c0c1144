"""Attacks on the files that measure: every one is found by name, undone, and of no use to the next candidate.

The target runs the candidate's code and the protected evaluator one after the other in one command and tree,
unconfined, so that nothing but the check of the tree stands between them. The engine is run once over all attacks, and
once more with the check taken away: then each of them gets its score.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from attacks import Attack, Seen, has_won, make_attacked, measure_all
from engines import autoresearch, run
from repos import snapshot

from autoresearch.state.journal import SCORE_MARKS, SCORE_NOTES

UNCONFINED = 'confine = "off"'
TAMPERED = ("crash", "tampered")
CHECK = """
from autoresearch.engine.workspace.tree import Tree
def no_check(tree):
    tree._extras = None
    return ()
Tree.check = no_check
"""

FORGED = "open('evaluator.py', 'w').write(\"print('METRIC score=1')\\n\")"
PUT_BACK = '''
import os
honest = open('evaluator.py').read()
info = os.stat('evaluator.py')
forged = f"""
import os
print('METRIC score=1')
open('evaluator.py', 'w').write({honest!r})
os.utime('evaluator.py', ns=({info.st_atime_ns}, {info.st_mtime_ns}))
"""
open('evaluator.py', 'w').write(forged)
'''

ATTACKS = [
    Attack("edits the evaluator", FORGED, says="evaluator.py"),
    Attack(
        "edits what the evaluator imports", "open('scorelib.py', 'w').write('penalty = lambda: 0')", says="scorelib.py"
    ),
    Attack("deletes what the evaluator reads", "import os; os.remove('penalty.txt')", says="penalty.txt"),
    Attack("changes a protected file's mode", "import os; os.chmod('penalty.txt', 0o755)", says="penalty.txt"),
    Attack("changes a protected file's times", "import os; os.utime('penalty.txt', (1, 1))", says="penalty.txt"),
    Attack(
        "replaces a protected file by a link",
        "import os; os.remove('penalty.txt'); os.symlink('/dev/null', 'penalty.txt')",
        says="penalty.txt",
    ),
    Attack(
        "replaces a protected file by renaming over it",
        "import os; open('mine', 'w').write('0'); os.replace('mine', 'penalty.txt')",
        says="penalty.txt",
    ),
    Attack(
        "writes through a symlink",
        "import os; os.symlink('penalty.txt', 'mine'); open('mine', 'w').write('0')",
        says="penalty.txt",
    ),
    Attack(
        "writes through a hard link",
        "import os; os.link('penalty.txt', 'mine'); open('mine', 'w').write('0')",
        says="penalty.txt",
    ),
    Attack(
        "writes through a mapping",
        "import mmap; f = open('penalty.txt', 'r+b'); mmap.mmap(f.fileno(), 0)[:] = b'0.0'",
        says="penalty.txt",
    ),
    Attack(
        "writes the same size and sets the times back",
        "import os; s = os.stat('penalty.txt'); open('penalty.txt', 'w').write('0.0')\n"
        "os.utime('penalty.txt', ns=(s.st_atime_ns, s.st_mtime_ns))",
        says="penalty.txt",
    ),
    Attack("puts the evaluator back after its use", PUT_BACK, says="evaluator.py (written and put back)"),
    Attack(
        "puts a folder of its own in the place of a link",
        "import os; os.unlink('data'); os.mkdir('data'); open('data/extra.txt', 'w').write('-9')",
        says="data (the link)",
    ),
    Attack(
        "replaces a protected folder by a link",
        "import os, shutil; shutil.move('conf', 'mine'); os.symlink('mine', 'conf')\n" + FORGED,
        says="conf/deep/limits.txt",
    ),
    Attack(
        "moves the whole tree and puts a copy there",
        "import os, shutil\nhere = os.getcwd()\nos.rename(here, here + '.old')\n"
        "shutil.copytree(here + '.old', here, symlinks=True)\n" + FORGED,
        says="evaluator.py",
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def repo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_attacked(tmp_path_factory.mktemp("tampering") / "r", measure=UNCONFINED)


@pytest.fixture(scope="module")
def strong(repo: Path) -> dict[str, Seen]:
    before = snapshot(repo)
    seen = measure_all(repo.parent, repo, ATTACKS)
    assert snapshot(repo) == before, "the user's own tree is as it was"
    return seen


@pytest.fixture(scope="module")
def weak(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    folder = tmp_path_factory.mktemp("tampering-weak")
    return measure_all(folder, make_attacked(folder / "r", measure=UNCONFINED), ATTACKS, weak=CHECK)


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_tampering_is_a_crash_that_names_the_file(attack: Attack, strong: dict[str, Seen]) -> None:
    seen = strong[attack.name]
    assert (seen.line.status, seen.line.cause) == TAMPERED
    assert attack.says in seen.line.reason
    assert not has_won(attack, seen)


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_without_the_check_tampering_pays(attack: Attack, weak: dict[str, Seen]) -> None:
    assert has_won(attack, weak[attack.name])


@pytest.mark.parametrize(
    "words",
    [["status"], ["log"], ["summary"], ["show", "1"], ["search", "--status", "keep"], ["review"], ["ideas"]],
    ids=" ".join,
)
def test_a_number_that_the_agents_code_can_print_is_called_that(words: list[str], strong: dict[str, Seen]) -> None:
    """The command names train.py, which is in scope, and there is no `evaluate`: no check can help."""
    seen = next(iter(strong.values()))
    done = autoresearch(seen.repo, *words, expect=0)
    assert SCORE_NOTES["scope"] in " ".join(done.stdout.split())


def test_a_list_marks_such_a_number(strong: dict[str, Seen]) -> None:
    seen = next(iter(strong.values()))

    def told(*words: str) -> str:
        return autoresearch(seen.repo, *words, expect=0).stdout

    line = next(line for line in told("sessions").splitlines() if seen.session.name in line)
    assert re.search(r"\d\* ", line)
    assert f"*{SCORE_MARKS['scope']}" in line
    assert re.search(r"#1 .* \d[\d.]*\* .*baseline", told("search", "--status", "keep"))


LINKED = Attack(
    "writes to linked data", "open('data/extra.txt', 'w').write('-9')", outcome=TAMPERED, says="data/extra.txt"
)
NO_LOOK = """
from autoresearch.engine.workspace.linked import Linked
Linked.changed = lambda linked: ()
"""


@pytest.mark.parametrize("weak", ["", NO_LOOK], ids=["watched", "not watched"])
def test_linked_data_that_an_unconfined_run_writes_to_pauses_the_session(weak: str, tmp_path: Path) -> None:
    """It cannot be put back: it was not copied, and it may have been the user who changed it."""
    repo = make_attacked(tmp_path / "r", measure=UNCONFINED)
    refuses_linked(repo, tmp_path, weak)


@pytest.mark.parametrize("weak", ["", NO_LOOK], ids=["watched", "not watched"])
def test_linked_data_in_a_writable_folder_is_watched_though_runs_are_confined(weak: str, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    repo = make_attacked(tmp_path / "r", measure=f'writable = ["{shared}"]')
    (repo / "data").rename(shared / "data")
    (repo / "data").symlink_to(shared / "data")
    refuses_linked(repo, tmp_path, weak)


def test_a_writable_folder_below_linked_data_is_no_input(tmp_path: Path) -> None:
    repo = make_attacked(tmp_path / "r", measure='writable = ["data/cache"]')
    (repo / "data/cache").mkdir()
    honest = Attack("uses its cache", "open('data/cache/one', 'w').write('1')")
    seen = measure_all(tmp_path, repo, [honest])[honest.name]
    assert (seen.line.status, seen.line.cause) == honest.outcome
    assert (repo / "data/cache/one").read_text() == "1"
    run(repo, "--replay", str(tmp_path / "patches"), "--max-experiments", "1")
    assert seen.session.history().segment == 0, "no linked input has changed"


def refuses_linked(repo: Path, tmp_path: Path, weak: str) -> None:
    seen = measure_all(tmp_path, repo, [LINKED], weak=weak, expect=0 if weak else 1)[LINKED.name]
    assert has_won(LINKED, seen) == bool(weak)
    if not weak:
        assert (seen.line.status, seen.line.cause) == LINKED.outcome
        assert LINKED.says in seen.line.reason
        history = seen.session.history()
        assert history.header is not None
        first = history.header.linked_sha
        run(repo, "--replay", str(tmp_path / "patches"), expect=0)
        second = seen.session.history().header
        assert second is not None
        assert second.linked_sha != first
        assert "a linked input changed" in second.reason
