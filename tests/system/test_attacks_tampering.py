"""Attacks on the files that measure: every one is found by name, and of no use to the next candidate.

The target runs the candidate's code and the protected evaluator one after the other in one command and tree, so that
nothing but the look at what the command wrote stands between them. The engine is run over all attacks where it mounts
the tree, where the kernel gives no overlays so that it copies it, and where runs are not confined at all; and again
with that look taken away: then each of them gets its score.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from attacks import COPIED, UNCONFINED, Attack, Seen, has_won, make_attacked, measure_all, needs_views, placed
from attacks import HONEST as HONEST_SCORE
from engines import autoresearch, run
from repos import snapshot

from autoresearch.engine.sandbox import protection as level
from autoresearch.state.journal import SCORE_MARKS, SCORE_NOTES

TAMPERED = ("crash", "tampered")
NOT_LOOKED_AT = """
from autoresearch.engine.measure.stacks import Stacks
from autoresearch.engine.sandbox.layers import Copied, Overlaid
Overlaid.replaced = Copied.replaced = lambda maker, stack: ()
Stacks._spoiled = lambda stacks: set()
"""
needs_confinement = pytest.mark.skipif(bool(level.level().missing), reason="this machine confines runs in part")

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
    Attack("puts the evaluator back after its use", PUT_BACK, says="evaluator.py"),
    Attack(
        "replaces a protected folder by a link",
        "import os, shutil; shutil.move('conf', 'mine'); os.symlink('mine', 'conf')\n" + FORGED,
        says="conf/deep/limits.txt",
    ),
    Attack(
        "replaces a protected folder by a new one",
        "import os, shutil; shutil.rmtree('conf'); os.makedirs('conf/deep')\n" + FORGED,
        says="conf/deep/limits.txt",
    ),
    Attack(
        "replaces a protected file by one that had no name",
        "import ctypes, os; f = os.open('.', os.O_TMPFILE | os.O_RDWR, 0o644); os.write(f, b'0')\n"
        "os.remove('penalty.txt')\n"
        "assert ctypes.CDLL(None).linkat(-100, f'/proc/self/fd/{f}'.encode(), -100, b'penalty.txt', 0x400) == 0",
        says="penalty.txt",
    ),
    Attack(
        "marks its folder as one that hides what lies below",
        """
import os, shutil
for name in ('user.overlay.opaque', 'trusted.overlay.opaque', 'user.overlay.whiteout', 'user.overlay.origin'):
    for path in ('.', 'conf', 'penalty.txt'):
        try:
            os.setxattr(path, name, b'y')
        except OSError:
            pass
open('penalty.txt', 'w').write('0')
""",
        says="penalty.txt",
    ),
    Attack(
        "writes a protected file in a folder that stays",
        "open('cached/mine', 'w').close(); open('cached/protected.txt', 'w').write('0')\n" + FORGED,
        says="cached/protected.txt",
    ),
    Attack(
        "removes a protected file from a folder that stays",
        "import os; os.remove('cached/protected.txt')\n" + FORGED,
        says="cached/protected.txt",
    ),
    Attack(
        "closes its folder to whoever looks for what it wrote",
        "import os; open('conf/deep/limits.txt', 'w').close(); os.chmod('conf/deep', 0); os.chmod('conf', 0)\n"
        + FORGED + "\nos.chmod('.', 0o555)",
        says="conf/deep/limits.txt",
    ),
]  # fmt: skip


IN_A_VIEW = Attack(
    "writes by the path of the user's checkout", "open('@repo@/penalty.txt', 'w').write('0')", says="penalty.txt"
)
UNHELD = [
    Attack(
        "puts a folder of its own in the place of a link",
        "import os; os.unlink('data'); os.mkdir('data'); open('data/extra.txt', 'w').write('-9')",
        says="data",
    ),
    Attack(
        "moves the whole tree and puts a copy there",
        "import os, shutil\nhere = os.getcwd()\nos.rename(here, here + '.old')\n"
        "shutil.copytree(here + '.old', here, symlinks=True)\n" + FORGED,
        says="conf/deep/limits.txt",
    ),
    Attack(
        "writes to what its tree was copied from",
        "import glob\nfor path in glob.glob('../checkout-*/scorelib.py'): open(path, 'w').write('1')\n" + FORGED,
        says="scorelib.py",
    ),
]
"""What only a run that is not confined can do."""
HONEST = Attack(
    "comes after all of them",
    "import os; assert {'mine', 'protected.txt'} == set(os.listdir('cached'))\n"
    "assert open('cached/protected.txt').read() == '9.0'",
    outcome=("discard", "worse"),
)
WAYS = {
    "mounted": ("", "", [*ATTACKS, IN_A_VIEW]),
    "copied": ("", COPIED, ATTACKS),
    "unconfined": (UNCONFINED, "", [*ATTACKS, *UNHELD]),
}
NEEDS: dict[str, Any] = {"mounted": needs_views, "copied": needs_confinement, "unconfined": ()}
EACH = [
    pytest.param(way, attack, id=f"{way}-{attack}", marks=NEEDS[way])
    for way, (_, _, attacks) in WAYS.items()
    for attack in attacks
]
Session = Callable[..., dict[str, Seen]]


@pytest.fixture(scope="module")
def session_of(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """What came of the attacks of a way, measured once, with the look at what was written or without."""

    @cache
    def measured(way: str, weak: str = "") -> dict[str, Seen]:
        folder = tmp_path_factory.mktemp(way)
        measure, kernel, attacks = WAYS[way]
        more = {"cached/protected.txt": "9.0"}
        repo = make_attacked(folder / "r", measure=f'cache = ["cached"]\n{measure}', more=more)
        before = snapshot(repo)
        seen = measure_all(folder, repo, [placed(attack, repo=repo) for attack in (*attacks, HONEST)], kernel + weak)
        assert snapshot(repo) == before, "the user's own tree is as it was"
        return seen

    return measured


@pytest.mark.parametrize(("way", "attack"), EACH)
def test_tampering_is_a_crash_that_names_the_file(way: str, attack: Attack, session_of: Session) -> None:
    seen = session_of(way)[attack.name]
    assert (seen.line.status, seen.line.cause) == TAMPERED, seen.line.reason
    assert attack.says in seen.line.reason
    assert not has_won(attack, seen)


@pytest.mark.parametrize(("way", "attack"), [each for each in EACH if each.values[0] != "copied"])
def test_without_the_look_tampering_pays(way: str, attack: Attack, session_of: Session) -> None:
    assert has_won(attack, session_of(way, NOT_LOOKED_AT)[attack.name])


@pytest.mark.parametrize("way", [pytest.param(way, marks=NEEDS[way]) for way in WAYS])
def test_the_next_candidate_is_measured_for_what_it_is(way: str, session_of: Session) -> None:
    seen = session_of(way)[HONEST.name]
    assert (seen.line.status, seen.line.cause, seen.score) == (*HONEST.outcome, HONEST_SCORE)


@pytest.mark.parametrize(
    "words",
    [["status"], ["log"], ["summary"], ["show", "1"], ["search", "--status", "keep"], ["review"], ["ideas"]],
    ids=" ".join,
)
def test_a_number_that_the_agents_code_can_print_is_called_that(words: list[str], session_of: Session) -> None:
    """The command names train.py, which is in scope, and there is no `evaluate`: no check can help."""
    seen = session_of("unconfined")[HONEST.name]
    done = autoresearch(seen.repo, *words, expect=0)
    assert SCORE_NOTES["scope"] in " ".join(done.stdout.split())


def test_a_list_marks_such_a_number(session_of: Session) -> None:
    seen = session_of("unconfined")[HONEST.name]

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
    refuses_linked(repo, tmp_path, weak, code=f"open('{shared}/data/extra.txt', 'w').write('-9')")


def test_a_writable_folder_below_linked_data_is_no_input(tmp_path: Path) -> None:
    repo = make_attacked(tmp_path / "r", measure='writable = ["data/cache"]')
    (repo / "data/cache").mkdir()
    honest = Attack("uses its cache", "open('data/cache/one', 'w').write('1')")
    seen = measure_all(tmp_path, repo, [honest])[honest.name]
    assert (seen.line.status, seen.line.cause) == honest.outcome
    assert (repo / "data/cache/one").read_text() == "1"
    run(repo, "--replay", str(tmp_path / "patches"), "--max-experiments", "1")
    assert seen.session.history().segment == 0, "no linked input has changed"


def refuses_linked(repo: Path, tmp_path: Path, weak: str, code: str = LINKED.code) -> None:
    seen = measure_all(tmp_path, repo, [replace(LINKED, code=code)], weak=weak, expect=0 if weak else 1)[LINKED.name]
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
