"""Attacks from inside the measured process on the number, on the next candidate, and on the machine's patience.

`measure.evaluate` is what stops the first kind: the candidate's code is over when the evaluator begins, elsewhere.
Where a target has none, the same attacks succeed, and the session says so for as long as it lives.
"""

from __future__ import annotations

import ctypes
import importlib.util
import marshal
import os
import shutil
import signal
from pathlib import Path

import pytest
from attacks import APART, Attack, Seen, has_won, make_attacked, measure_all
from engines import processes_of
from repos import small_disk

from autoresearch.engine.process import MOST_PROCESSES
from autoresearch.engine.sandbox import kernel
from autoresearch.engine.sandbox import protection as level

MEASURED = ("discard", "worse")
UNCONFINED = f'{APART}\nconfine = "off"'

# -- the number

INSIDE = "import train\nimport evaluator\n"
"""A harness that imports the candidate and then scores it, all in one process."""
PYC = (
    importlib.util.MAGIC_NUMBER
    + (0b01).to_bytes(4, "little")
    + bytes(8)
    + marshal.dumps(compile("def penalty(): return 0.0\n", "scorelib.py", "exec"))
)
PYC_NAME = importlib.util.cache_from_source("scorelib.py")

IN_PROCESS = [
    Attack(
        "prints metrics before and after",
        "import atexit; print('METRIC score=1'); atexit.register(print, 'METRIC score=1')",
    ),
    Attack(
        "prints the metric and ends without a word",
        "import os; print('METRIC score=1', flush=True); os._exit(0)",
    ),
    Attack(
        "replaces the evaluator's module in memory",
        "import sys, types; sys.modules['scorelib'] = types.SimpleNamespace(penalty=lambda: 0.0)",
    ),
    Attack(
        "fakes the clock",
        "import time; time.time = lambda: 0.0",
    ),
    Attack(
        "fakes the seed and the budget",
        "import os; os.environ.update(AUTORESEARCH_SEED='999', AUTORESEARCH_BUDGET_S='9999')",
        won=lambda seen: seen.samples[0].metrics.get("seed") == 999,
    ),
    Attack(
        "plants a module beside the evaluator while it runs",
        "open('json.py', 'w').write(\"print('METRIC score=1'); import os; os._exit(0)\")",
    ),
    Attack(
        "plants a compiled module beside the evaluator while it runs",
        f"import os; os.makedirs('__pycache__', exist_ok=True); open({PYC_NAME!r}, 'wb').write({PYC!r})",
    ),
]  # fmt: skip


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    folder = tmp_path_factory.mktemp("judged")
    return measure_all(folder, make_attacked(folder / "r", run="python train.py", measure=APART), IN_PROCESS)


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    folder = tmp_path_factory.mktemp("inside")
    repo = make_attacked(folder / "r", run="python inside.py", more={"inside.py": INSIDE})
    return measure_all(folder, repo, IN_PROCESS)


@pytest.mark.parametrize("attack", IN_PROCESS, ids=str)
def test_an_evaluator_apart_is_out_of_reach(attack: Attack, apart: dict[str, Seen]) -> None:
    seen = apart[attack.name]
    assert (seen.line.status, seen.line.cause) == MEASURED
    assert not has_won(attack, seen)


@pytest.mark.parametrize("attack", IN_PROCESS, ids=str)
def test_an_evaluator_in_the_same_process_is_not(attack: Attack, inside: dict[str, Seen]) -> None:
    assert has_won(attack, inside[attack.name])


# -- the next candidate

FIND = "if os.path.exists({place}): open('model.txt', 'w').write('-8')"
SHARED = f"/dev/shm/autoresearch-test-{os.getpid()}"
"""The machine's own, where runs are not confined; a confined one has shared memory to itself."""
PLACES = {
    "an ignored build product": "'build/best'",
    "a file in a protected folder": "'conf/deep/best'",
    "a file at home": "os.environ['HOME'] + '/.best'",
    "a temporary file": "os.environ['TMPDIR'] + '/best'",
    "a piece of shared memory": f"'{SHARED}/best'",
}
LEFT = [
    attack
    for name, place in PLACES.items()
    for attack in (
        Attack(
            f"leaves {name} for the next candidate",
            f"import os; p = {place}; os.makedirs(os.path.dirname(p), exist_ok=True); open(p, 'w').close()",
            won=lambda seen: False,
        ),
        Attack(f"finds {name} of an earlier candidate", "import os\n" + FIND.format(place=place)),
    )
]
SEGMENT = "ctypes.CDLL(None).shmget({}, 1, {})"
LEFT += [
    Attack(
        "leaves a segment of memory without a name for the next candidate",
        f"import ctypes; {SEGMENT.format(os.getpid(), 0o1600)}",
        won=lambda seen: False,
    ),
    Attack(
        "finds a segment of memory without a name of an earlier candidate",
        f"import ctypes\nif {SEGMENT.format(os.getpid(), 0)} >= 0: open('model.txt', 'w').write('-8')",
    ),
]
FINDS = [attack for attack in LEFT if attack.name.startswith("finds")]
DAEMON = """
import glob, os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.environ.clear()
        end = time.time() + 60
        while time.time() < end:
            for path in glob.glob('../*-evaluate/model.txt'):
                try:
                    open(path + '.mine', 'w').write('-8')
                    os.replace(path + '.mine', path)
                except OSError:
                    pass
            time.sleep(0.0005)
    os._exit(0)
"""
BACKGROUND = Attack("leaves a daemon that rewrites the artifact before the evaluator reads it", DAEMON)
STARTED = Attack(
    "leaves a crowd of processes behind",
    """
import os, time
for _ in range(200):
    if os.fork() == 0:
        os.setsid()
        time.sleep(20)
        os._exit(0)
""",
    won=lambda seen: processes_of(seen.repo),
)
CACHE = Attack(
    "poisons a compile cache for the evaluator",
    "import os; cache = os.environ['NUMBA_CACHE_DIR']; os.makedirs(cache, exist_ok=True)\n"
    "open(cache + '/penalty', 'w').write('0')",
)
CLOSES = Attack("closes its folder to the next candidate", "import os; os.chmod('.', 0o555)", won=lambda seen: False)
NEXT = Attack("comes after one that closed its folder", "", won=lambda seen: seen.line.status == "crash")
AFTERWARDS = [*LEFT, BACKGROUND, STARTED, CACHE, CLOSES, NEXT]
LEFT_CLOSED = """
from autoresearch.engine.workspace import look
look.open_to_us = lambda folder: None
"""
ONE_CACHE = """
from autoresearch.engine.sandbox.scratch import Scratch
Scratch.for_evaluators = lambda scratch: scratch
"""
CLEAN = """
from autoresearch.engine.sandbox.scratch import Scratch
from autoresearch.engine.workspace import tree
tree.remove_below = lambda root, path: None
made = set()
make_empty = Scratch.make_empty
def once(scratch, *rest):
    if scratch.root not in made:
        made.add(scratch.root)
        make_empty(scratch, *rest)
Scratch.make_empty = once
"""
END = """
from autoresearch.engine.process import runner
runner._Run._end_family = lambda run: (set(), set())
runner.descendants.nothing_inherited = lambda: True
"""


@pytest.fixture(scope="module")
def afterwards(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    folder = tmp_path_factory.mktemp("afterwards")
    return measure_all(folder, make_attacked(folder / "r", run="python train.py", measure=APART), AFTERWARDS)


@pytest.fixture(scope="module")
def not_cleaned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    folder = tmp_path_factory.mktemp("not-cleaned")
    repo = make_attacked(folder / "r", run="python train.py", measure=UNCONFINED)
    try:
        return measure_all(folder, repo, LEFT, weak=CLEAN)
    finally:
        shutil.rmtree(SHARED)
        libc = ctypes.CDLL(None)
        libc.shmctl(libc.shmget(os.getpid(), 0, 0), 0, None)


@pytest.mark.parametrize("attack", AFTERWARDS, ids=str)
def test_nothing_of_a_candidate_outlives_it(attack: Attack, afterwards: dict[str, Seen]) -> None:
    seen = afterwards[attack.name]
    assert (seen.line.status, seen.line.cause) == MEASURED
    assert not has_won(attack, seen)


@pytest.mark.parametrize("attack", FINDS, ids=str)
def test_without_cleaning_the_next_candidate_finds_it(attack: Attack, not_cleaned: dict[str, Seen]) -> None:
    assert has_won(attack, not_cleaned[attack.name])


def test_without_an_end_of_all_processes_a_daemon_makes_the_number(tmp_path: Path) -> None:
    repo = make_attacked(tmp_path / "r", run="python train.py", measure=UNCONFINED)
    try:
        seen = measure_all(tmp_path, repo, [BACKGROUND], weak=END)[BACKGROUND.name]
    finally:
        for pid in processes_of(repo):
            os.kill(pid, signal.SIGKILL)
    assert has_won(BACKGROUND, seen)


def test_without_opening_it_the_next_candidate_finds_its_folder_closed(tmp_path: Path) -> None:
    if kernel.this_kernel().landlock == 0 and os.geteuid() == 0:
        pytest.skip("root passes over it where it is not confined")
    repo = make_attacked(tmp_path / "r", run="python train.py", measure=APART)
    assert has_won(NEXT, measure_all(tmp_path, repo, [CLOSES, NEXT], weak=LEFT_CLOSED)[NEXT.name])


PLANTS = Attack(
    "plants a module in the evaluator's tree while unconfined",
    "import glob; open(glob.glob('../*-evaluate')[0] + '/json.py', 'w').write("
    "\"print('METRIC score=1'); import os; os._exit(0)\")",
)
NOT_LOOKED_AT = """
from autoresearch.engine.workspace.tree import Tree
Tree.distrust = lambda tree: None
"""


@pytest.mark.parametrize("weak", ["", NOT_LOOKED_AT], ids=["looked at", "not looked at"])
def test_the_evaluators_tree_is_looked_at_anew_before_it_scores(weak: str, tmp_path: Path) -> None:
    repo = make_attacked(tmp_path / "r", run="python train.py", measure=UNCONFINED)
    seen = measure_all(tmp_path, repo, [PLANTS], weak=weak)[PLANTS.name]
    assert seen.line.status == "discard"
    assert has_won(PLANTS, seen) == bool(weak)


def test_without_caches_of_its_own_the_evaluator_takes_the_poison(tmp_path: Path) -> None:
    repo = make_attacked(tmp_path / "r", run="python train.py", measure=APART)
    assert has_won(CACHE, measure_all(tmp_path, repo, [CACHE], weak=ONE_CACHE)[CACHE.name])


# -- the machine

FLOOD = Attack("floods the log", "for _ in range(3000): print('x' * 1000)", outcome=("crash", "output_limit"),
               won=lambda seen: len(seen.log()) > 2_000_000)  # fmt: skip
BOMB = Attack("takes all memory", "import time; held = bytearray(400 * 2**20); time.sleep(3)",
              outcome=("crash", "out_of_memory"), won=lambda seen: seen.line.status == "discard")  # fmt: skip
MEMFD = Attack("takes all memory in a file without a name", """
import os, time
file = os.memfd_create('held')
for _ in range(400):
    os.write(file, bytes(2**20))
time.sleep(3)
""", outcome=("crash", "out_of_memory"), won=lambda seen: seen.line.status == "discard")  # fmt: skip
SHM = Attack("takes all memory in a file of shared memory", """
import os, time
with open('/dev/shm/held', 'wb', buffering=0) as file:
    os.unlink('/dev/shm/held')
    for _ in range(400):
        try:
            file.write(bytes(2**20))
        except OSError:
            break
    time.sleep(3)
""", outcome=("crash", "out_of_memory"), won=lambda seen: seen.line.status == "discard")  # fmt: skip
CROWD = Attack("multiplies without end", f"""
import os, time
for _ in range({MOST_PROCESSES + 188}):
    if os.fork() == 0:
        time.sleep(60)
        os._exit(0)
time.sleep(3)
""", outcome=("crash", "process_limit"), won=lambda seen: seen.line.status == "discard")  # fmt: skip
HOLE = Attack("hands over an artifact of terabytes", "import os; os.truncate('model.txt', 8 << 40)",
              outcome=("crash", "no_metric"), says="room")  # fmt: skip
GREEDY = [FLOOD, BOMB, MEMFD, SHM, CROWD]
UNCOUNTED = """
import functools
from autoresearch.engine.measure import commands
commands.Command = functools.partial(commands.Command, processes=0)
"""


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    folder = tmp_path_factory.mktemp("limited")
    repo = make_attacked(folder / "r", run="python train.py", measure=f"{APART}\nmemory_mb = 200")
    return measure_all(folder, repo, GREEDY)


@pytest.fixture(scope="module")
def unlimited(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    folder = tmp_path_factory.mktemp("unlimited")
    repo = make_attacked(folder / "r", run="python train.py", measure=APART, output_mb=100)
    return measure_all(folder, repo, GREEDY, weak=UNCOUNTED)


@pytest.mark.parametrize("attack", GREEDY, ids=str)
def test_a_limit_ends_it(attack: Attack, limited: dict[str, Seen]) -> None:
    if attack is SHM and not level.level().holds("shared memory"):
        pytest.skip("named: /dev/shm is the machine's own")
    seen = limited[attack.name]
    assert (seen.line.status, seen.line.cause) == attack.outcome
    assert not has_won(attack, seen)


def test_an_artifact_that_has_no_room_is_not_copied(tmp_path: Path) -> None:
    repo = make_attacked(tmp_path / "r", run="python train.py", measure=APART)
    seen = measure_all(tmp_path, repo, [HOLE])[HOLE.name]
    assert (seen.line.status, seen.line.cause) == HOLE.outcome
    assert HOLE.says in seen.line.reason


@pytest.mark.parametrize("attack", GREEDY, ids=str)
def test_without_the_limit_it_takes_what_it_wants(attack: Attack, unlimited: dict[str, Seen]) -> None:
    assert has_won(attack, unlimited[attack.name])


FILLS = Attack("fills the disk", """
import time
with open('big', 'wb', buffering=0) as file:
    for _ in range(30):
        file.write(bytes(1 << 20))
    time.sleep(3)
""", outcome=("crash", "disk_limit"), won=lambda seen: seen.line.status == "discard")  # fmt: skip


@pytest.mark.parametrize("least_mb", [20, 0], ids=["watched", "not watched"])
def test_a_full_disk_ends_the_run_and_not_the_session(least_mb: int, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small") as trees:
        repo = make_attacked(tmp_path / "r", run="python train.py", measure=APART)
        variables = {"AUTORESEARCH_TREES": str(trees), "AUTORESEARCH_MIN_FREE_MB": str(least_mb)}
        seen = measure_all(tmp_path, repo, [FILLS], **variables)[FILLS.name]
    if least_mb:
        assert (seen.line.status, seen.line.cause) == FILLS.outcome
    assert has_won(FILLS, seen) == (not least_mb)


MULTITUDE = Attack("fills the disk with empty files", """
import time
for n in range(2990):
    try:
        open(f'empty{n}', 'w').close()
    except OSError:
        break
time.sleep(3)
""", outcome=("crash", "disk_limit"), says="more files")  # fmt: skip


def test_a_disk_full_of_files_ends_the_run_and_not_the_session(tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", "size=40m,nr_inodes=3000") as trees:
        repo = make_attacked(tmp_path / "r", run="python train.py", measure=APART)
        seen = measure_all(tmp_path, repo, [MULTITUDE, IN_PROCESS[0]], AUTORESEARCH_TREES=str(trees))
    assert (seen[MULTITUDE.name].line.status, seen[MULTITUDE.name].line.cause) == MULTITUDE.outcome
    assert MULTITUDE.says in seen[MULTITUDE.name].line.reason
    assert (seen[IN_PROCESS[0].name].line.status, seen[IN_PROCESS[0].name].line.cause) == MEASURED
