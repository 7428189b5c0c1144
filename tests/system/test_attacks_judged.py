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
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from attacks import APART, COPIED, UNCONFINED, Attack, Seen, has_won, make_attacked, measure_all, needs_views
from engines import processes_of
from repos import git, make_repo, small_disk

from autoresearch.engine.process import MOST_PROCESSES
from autoresearch.engine.sandbox import protection as level

MEASURED = ("discard", "worse")

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

# A place is left, and looked at by the next one, whose artifact then says so.
SHARED = f"autoresearch-test-{os.getpid()}"
FOLDERS = {
    "an ignored build product": "'build'",
    "a file in a protected folder": "'conf/deep'",
    "a file in the folder of a submodule": "'part'",
    "a file in its own git repository": "'.git'",
    "a file at home": "os.environ['HOME']",
    "a file of settings at home": "os.environ['HOME'] + '/.config/best'",
    "a temporary file": "os.environ['TMPDIR']",
    "a file in /tmp": f"'/tmp/{SHARED}'",
    "a file in /var/tmp": f"'/var/tmp/{SHARED}'",
    "a piece of shared memory": f"'/dev/shm/{SHARED}'",
}
"""The last ones are the machine's own where runs are not confined; a confined one has them to itself."""
IN_FILES = {
    name: (f"os.makedirs({at}, exist_ok=True); open({at} + '/best', 'w').close()", f"os.path.exists({at} + '/best')")
    for name, at in FOLDERS.items()
}
ON_FOLDERS = {
    "an attribute of its folder": ("os.setxattr('.', 'user.best', b'1')", "'user.best' in os.listxattr('.')"),
    "an attribute of the folder above": ("os.setxattr('..', 'user.best', b'1')", "'user.best' in os.listxattr('..')"),
    "an attribute of a protected folder": (
        "os.setxattr('conf/deep', 'user.best', b'1')",
        "'user.best' in os.listxattr('conf/deep')",
    ),
    "an attribute of its home": ("os.setxattr(HOME, 'user.best', b'1')", "'user.best' in os.listxattr(HOME)"),
    "a list of who may read what comes into its home": (
        "os.setxattr(HOME, 'system.posix_acl_default', ACL)",
        "'system.posix_acl_default' in os.listxattr(HOME)",
    ),
    "a flag of its folder": ("flags(0x40086602, flags() | 0x40)", "flags() & 0x40"),
}
SEGMENT = "ctypes.CDLL(None).shmget({}, 1, {})"
IN_THE_KERNEL = {
    "a segment of memory without a name": (
        SEGMENT.format(os.getpid(), 0o1600), SEGMENT.format(os.getpid(), 0) + " >= 0"),
}  # fmt: skip
IN_CACHES = {
    "a file in a compile cache": (
        "c = os.environ['NUMBA_CACHE_DIR']; os.makedirs(c, exist_ok=True); open(c + '/best', 'w').close()",
        "os.path.exists(os.environ['NUMBA_CACHE_DIR'] + '/best')",
    ),
    "a file among the user's caches": (
        "c = os.environ['HOME'] + '/.cache/best'; os.makedirs(c, exist_ok=True); open(c + '/best', 'w').close()",
        "os.path.exists(os.environ['HOME'] + '/.cache/best/best')",
    ),
}
"""Without a view the caches are all runs' own."""
WORLD = """
import array, ctypes, fcntl, os, struct
HOME = os.environ['HOME']
ACL = struct.pack('<I' + 'HHI' * 3, 2, 1, 7, 2**32 - 1, 4, 7, 2**32 - 1, 32, 7, 2**32 - 1)
def flags(ask=0x80086601, given=0):
    held = array.array('l', [given])
    fcntl.ioctl(os.open('.', 0), ask, held)
    return held[0]
"""


def left(places: dict[str, tuple[str, str]]) -> list[Attack]:
    """For each place one that leaves something there, and one that finds it."""
    return [
        attack
        for name, (leave, is_there) in places.items()
        for attack in (
            Attack(f"leaves {name} for the next candidate",
                   f"{WORLD}try:\n    {leave}\n    print('left')\nexcept OSError as error:\n    print(error)",
                   won=lambda seen: False),
            Attack(f"finds {name} of an earlier candidate",
                   f"{WORLD}try:\n    found = {is_there}\nexcept OSError:\n    found = False\n"
                   "if found: open('model.txt', 'w').write('-8')"),
        )
    ]  # fmt: skip


LEFT = left(IN_FILES | ON_FOLDERS | IN_THE_KERNEL)
LEFT_IN_CACHES = left(IN_CACHES)
DAEMON = """
import os, time
own = os.stat('model.txt').st_ino
path = os.path.abspath('model.txt')
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.environ.clear()
        end = time.time() + 60
        while time.time() < end:
            try:
                if os.stat(path).st_ino != own:  # the evaluator's
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
ALL = {"mounted": [*AFTERWARDS, *LEFT_IN_CACHES], "copied": AFTERWARDS}
WAYS = {"mounted": "", "copied": COPIED}
EACH = [
    pytest.param(way, attack, id=f"{way}-{attack}", marks=needs_views if way == "mounted" else ())
    for way, attacks in ALL.items()
    for attack in attacks
]
ONE_LAYER = """
from autoresearch.engine.measure.stacks import Stacks
stack, layers = Stacks.stack, []
def same(stacks, base, role, layer=None):
    if role != "run":
        return stack(stacks, base, role, layer)
    made = stack(stacks, base, role, *layers)
    layers[:] = [made.layer]
    return made
Stacks.stack = same
Stacks.drop = lambda stacks, stack: None
"""
"""Every run is given the layer of the first."""
ONE_CACHE = """
from autoresearch.engine.measure.stacks import Stacks
stack, caches = Stacks.stack, []
def same(stacks, base, role, layer=None):
    if role != "run":
        return stack(stacks, base, role, layer)
    base.caches = caches[0] if caches and caches[0].folder.is_dir() else None
    made = stack(stacks, base, role, layer)
    caches[:] = [base.caches]
    return made
Stacks.stack = same
Stacks._forget = lambda stacks, base: None
"""
"""A candidate is given the caches of the one before."""
EVALUATORS_TOO = """
from autoresearch.engine.sandbox.caches import Caches
place = Caches.place
Caches.place = lambda caches, judges: place(caches, False)
"""
LEFT_CLOSED = """
from autoresearch.engine.sandbox.layers import Copied
def leaving(act):
    def leave(copied, stack):
        mode = stack.root.stat().st_mode
        done = act(copied, stack)
        stack.root.chmod(mode)
        return done
    return leave
Copied.lay, Copied.end = leaving(Copied.lay), leaving(Copied.end)
"""
CLEAN = """
import subprocess
from autoresearch.engine.sandbox import layers
from autoresearch.engine.sandbox.scratch import Scratch
def keep(copied, stack):
    subprocess.run(["cp", "-a", f"{stack.root}/.", str(stack.layer.tree)], check=True)
layers.Copied.end = keep
layers.Copied.replaced = lambda copied, stack: ()
remove = layers.remove
layers.remove = lambda path: remove(path) if path.is_symlink() else None
layers.strip = lambda folder: None
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


def a_repository(folder: Path, measure: str = APART) -> Path:
    """With a submodule."""
    repo = make_attacked(folder / "r", run="python train.py", measure=measure)
    part = make_repo(folder / "part", {"part.txt": "a part\n"})
    git(repo, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(part), "part")
    git(repo, "commit", "-qm", "part")
    return repo


Measured = Callable[[str], dict[str, Seen]]


@pytest.fixture(scope="module")
def afterwards(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    @cache
    def measured(way: str) -> dict[str, Seen]:
        folder = tmp_path_factory.mktemp(way)
        return measure_all(folder, a_repository(folder), ALL[way], weak=WAYS[way])

    return measured


@pytest.fixture(scope="module")
def not_cleaned(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Seen]:
    folder = tmp_path_factory.mktemp("not-cleaned")
    try:
        return measure_all(folder, a_repository(folder, f"{APART}\n{UNCONFINED}"), LEFT, weak=CLEAN)
    finally:
        for place in ("/tmp", "/var/tmp", "/dev/shm"):
            shutil.rmtree(f"{place}/{SHARED}", ignore_errors=True)
        libc = ctypes.CDLL(None)
        libc.shmctl(libc.shmget(os.getpid(), 0, 0), 0, None)


@pytest.mark.parametrize(("way", "attack"), EACH)
def test_nothing_of_a_candidate_outlives_it(way: str, attack: Attack, afterwards: Measured) -> None:
    seen = afterwards(way)[attack.name]
    assert (seen.line.status, seen.line.cause) == MEASURED, seen.line.reason
    assert not has_won(attack, seen)


def finds(attacks: list[Attack]) -> list[Attack]:
    return [attack for attack in attacks if attack.name.startswith("finds")]


@pytest.mark.parametrize("attack", finds(LEFT), ids=str)
def test_without_cleaning_the_next_candidate_finds_it(attack: Attack, not_cleaned: dict[str, Seen]) -> None:
    assert has_won(attack, not_cleaned[attack.name])


@needs_views
def test_without_a_layer_of_its_own_the_next_candidate_finds_it(tmp_path: Path) -> None:
    kept = left({name: IN_FILES[name] for name in ("an ignored build product", "a file at home", "a file in /tmp")})
    seen = measure_all(tmp_path, a_repository(tmp_path), kept, weak=ONE_LAYER)
    assert [attack.name for attack in finds(kept) if not has_won(attack, seen[attack.name])] == []


@needs_views
def test_without_caches_of_its_own_the_next_candidate_finds_those_of_another(tmp_path: Path) -> None:
    seen = measure_all(tmp_path, a_repository(tmp_path), LEFT_IN_CACHES, weak=ONE_CACHE)
    assert [attack.name for attack in finds(LEFT_IN_CACHES) if not has_won(attack, seen[attack.name])] == []


def test_without_an_end_of_all_processes_a_daemon_makes_the_number(tmp_path: Path) -> None:
    repo = make_attacked(tmp_path / "r", run="python train.py", measure=f"{APART}\n{UNCONFINED}")
    try:
        seen = measure_all(tmp_path, repo, [BACKGROUND], weak=END)[BACKGROUND.name]
    finally:
        for pid in processes_of(repo):
            os.kill(pid, signal.SIGKILL)
    assert has_won(BACKGROUND, seen)


def test_without_opening_it_the_next_candidate_finds_its_folder_closed(tmp_path: Path) -> None:
    if level.level().missing and os.geteuid() == 0:
        pytest.skip("root passes over it where it is not confined")
    repo = make_attacked(tmp_path / "r", run="python train.py", measure=APART)
    assert has_won(NEXT, measure_all(tmp_path, repo, [CLOSES, NEXT], weak=COPIED + LEFT_CLOSED)[NEXT.name])


PLANTS = Attack(
    "plants a module in what the evaluator's tree is copied from, while unconfined",
    "import glob; open(glob.glob('../checkout-*/evaluator.py')[0].replace('evaluator', 'json'), 'w').write("
    "\"print('METRIC score=1'); import os; os._exit(0)\")",
    outcome=("crash", "tampered"),
)
NOT_LOOKED_AT = """
from autoresearch.engine.measure.stacks import Stacks
Stacks._spoiled = lambda stacks: set()
"""


@pytest.mark.parametrize("weak", ["", NOT_LOOKED_AT], ids=["looked at", "not looked at"])
def test_what_the_evaluators_tree_is_copied_from_is_looked_at_before_it_scores(weak: str, tmp_path: Path) -> None:
    repo = make_attacked(tmp_path / "r", run="python train.py", measure=f"{APART}\n{UNCONFINED}")
    # Of the two checkouts the candidate's is one: it plants in both, one by one.
    both = [replace(PLANTS, code=PLANTS.code.replace("[0]", f"[{n}]"), name=f"{PLANTS.name} {n}") for n in (0, -1)]
    seen = measure_all(tmp_path, repo, both, weak=weak)
    assert any(has_won(attack, seen[attack.name]) for attack in both) == bool(weak)
    if not weak:
        assert [(one.line.status, one.line.cause) for one in seen.values()] == [PLANTS.outcome] * 2


def test_without_caches_of_its_own_the_evaluator_takes_the_poison(tmp_path: Path) -> None:
    repo = make_attacked(tmp_path / "r", run="python train.py", measure=APART)
    assert has_won(CACHE, measure_all(tmp_path, repo, [CACHE], weak=COPIED + EVALUATORS_TOO)[CACHE.name])


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
