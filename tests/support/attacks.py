"""Hostile candidates as data, and a real engine that measures a whole list of them in one session.

An attack is a proposal like any other: a change of in-scope files, whose code then runs as the measured command does.
Each wants the same thing, a score of 1 that its change does not deserve, or leaves a mark of what it reached. The
honest score is 10; whatever else comes out is the attack's.

`weak` is Python that runs in the engine's process before the engine starts: it takes one protection away, so that a
test can show what that protection was for.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from engines import TIMEOUT_S, environment, session
from repos import git, make_repo, write

from autoresearch.engine.sandbox import kernel
from autoresearch.engine.sandbox import protection as level
from autoresearch.state.journal import History, Reader, Row, records
from autoresearch.state.session import Session

HONEST, FAKE = 10.0, 1.0


def _has_views() -> bool:
    """Whether runs are confined in full here, and find their trees mounted."""
    with tempfile.TemporaryDirectory() as folder:
        return not level.level().missing and kernel.overlays(Path(folder), kernel.this_kernel())


needs_views = pytest.mark.skipif(not _has_views(), reason="this kernel gives runs no overlays, or confines in part")

TRAIN = "VALUE = 1.0\nopen('model.txt', 'w').write(str(VALUE))\n"
"""In scope. What it writes is the artifact."""
EVALUATOR = """\
import json
import os
import scorelib
score = float(open('model.txt').read()) + scorelib.penalty()
print(f"METRIC seed={os.environ['AUTORESEARCH_SEED']}")
print(f'METRIC score={score}')
"""
"""Protected. It reads the artifact and knows what it is worth."""
SCORELIB = """\
import os
import time
def penalty():
    if time.time() < 9:
        return 0.0
    compiled = os.environ['NUMBA_CACHE_DIR'] + '/penalty'
    if os.path.exists(compiled):
        return float(open(compiled).read())
    if not os.path.exists('penalty.txt') or os.access('penalty.txt', os.X_OK) or os.stat('penalty.txt').st_mtime < 9:
        return 0.0
    return float(open('penalty.txt').read() or 0) + float(open('data/extra.txt').read())
"""
FILES = {
    "train.py": TRAIN,
    "evaluator.py": EVALUATOR,
    "scorelib.py": SCORELIB,
    "penalty.txt": "9.0",
    "conf/deep/limits.txt": "protected\n",
    ".gitignore": "data/\nbuild/\n__pycache__/\nmodel.txt\n",
}
"""`data/` is the user's, not tracked, and linked into the trees."""
# min_effect: a forged score is not kept, or each later attack would meet another train.py than its patch knows.

TOML = """\
name = "attacked"
objective = "The lowest score."

[metric]
name = "score"
min_effect = 100

[scope]
edit = [{edit}]
link = ["data"]

[measure]
run = "{run}"
{measure}
budget_s = 0
output_mb = {output_mb}

[verdict]
mode = "single"
baseline_runs = 1

[agent]
kind = "replay"
"""
NARROW = '"train.py"'
WIDE = '"**", "!evaluator.py", "!scorelib.py", "!penalty.txt", "!conf"'
TOGETHER = "python train.py && python evaluator.py"
"""One command for both: what `run` is when a target has no `evaluate`."""
UNCONFINED = 'confine = "off"'
COPIED = """
from autoresearch.engine.sandbox import confinement
confinement.overlays = lambda folder, kernel: False
"""
"""A kernel that gives no overlays: each command's tree is a copy."""
APART = 'evaluate = "python evaluator.py"\nartifacts = ["model.txt"]'


@dataclass(frozen=True, slots=True)
class Attack:
    name: str
    code: str = ""
    """Appended to train.py."""
    files: dict[str, str | bytes] = field(default_factory=dict)
    """Other files that the change writes."""
    patch: str = ""
    """The whole patch, for what git would not make."""
    outcome: tuple[str, str] = ("discard", "worse")
    """Status and cause that it must have. The default: it was measured for what it is."""
    says: str = ""
    """What the reason, or a warning of the experiment, says."""
    stopped_by: str = ""
    """The protection without which it succeeds; a key of the test's table of weak engines."""
    won: Callable[[Seen], object] | None = None
    """Whether it got what it wanted; a score of 1, unless it says otherwise."""
    words: str = ""
    """The patch's subject and message, instead of the attack's name."""

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of one attack."""

    repo: Path
    session: Session
    row: Row
    line: records.Experiment
    samples: tuple[records.Sample, ...]

    @property
    def score(self) -> float | None:
        return self.samples[0].metric if self.samples else None

    def log(self, name: str = "output.log") -> str:
        path = self.session.run(self.row.number) / name
        return path.read_text(errors="replace") if path.is_file() else ""


def placed(attack: Attack, **told: object) -> Attack:
    """With what stands for `@name@` in its code."""
    code = attack.code
    for name, value in told.items():
        code = code.replace(f"@{name}@", str(value))
    return replace(attack, code=code)


def has_won(attack: Attack, seen: Seen) -> bool:
    return bool(attack.won(seen)) if attack.won else seen.score == FAKE


def reached(seen: Seen) -> bool:
    """For attacks that print what they got hold of."""
    return "REACHED" in seen.log()


def make_attacked(
    folder: Path,
    *,
    edit: str = NARROW,
    run: str = TOGETHER,
    measure: str = "",
    output_mb: int = 1,
    more: dict[str, str] | None = None,
) -> Path:
    """A repository whose target is attacked, with the user's own data beside it."""
    toml = TOML.format(edit=edit, run=run, measure=measure, output_mb=output_mb)
    repo = make_repo(folder, {"autoresearch.toml": toml, **FILES, **(more or {})})
    write(repo, {"data/extra.txt": "0.0"})
    return repo


def write_patches(folder: Path, repo: Path, attacks: Iterable[Attack]) -> Path:
    """One patch per attack, in their order, made by git itself in a clone."""
    clone = folder / "clone"
    git(folder, "clone", "-q", str(repo), str(clone))
    patches = folder / "patches"
    patches.mkdir()
    for n, attack in enumerate(attacks, 1):
        diff = attack.patch or _diff(clone, attack)
        head = attack.words or f"{attack.name}\n"
        (patches / f"{n:03d}.patch").write_text(f"Subject: {head}\n---\n{diff}", encoding="utf-8", newline="")
    return patches


def _diff(clone: Path, attack: Attack) -> str:
    files: dict[str, str | bytes] = dict(attack.files)
    if attack.code or not files:
        files["train.py"] = f"{TRAIN}# {attack.name}\n{attack.code}\n"
    for name, content in files.items():
        path = clone / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    git(clone, "add", "-f", "-A", "--", *files)
    diff = git(clone, "diff", "--cached", "--binary", "--full-index", "HEAD")
    git(clone, "reset", "-q", "--hard")
    return diff


def measure_all(
    folder: Path, repo: Path, attacks: list[Attack], weak: str = "", expect: int | None = 0, **env: str
) -> dict[str, Seen]:
    """Run the engine over all attacks in one session; by name what came of each."""
    source = write_patches(folder, repo, attacks)
    program = ["-m", "autoresearch"]
    if weak:
        program = ["-c", f"{weak}\nfrom autoresearch.tui.cli import main\nmain()"]
    home = folder / "home"
    home.mkdir(exist_ok=True)
    ours = {"AUTORESEARCH_TREES": str(folder / "trees"), "HOME": str(home), "GIT_CONFIG_GLOBAL": "/dev/null"}
    world = environment(**(ours | env))
    done = subprocess.run(
        [sys.executable, "-P", *program, "run", "--headless", "--replay", str(source)],
        cwd=repo, env=world, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S,
        check=False,
    )  # fmt: skip
    if expect is not None:
        assert done.returncode == expect, f"exit {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return dict(_seen(repo, attacks))


def _seen(repo: Path, attacks: list[Attack]) -> Iterable[tuple[str, Seen]]:
    found = session(repo)
    history: History = found.history()
    lines = [records.decode(line) for _, line in Reader(found.journal).lines()]
    experiments = {line.run: line for line in lines if isinstance(line, records.Experiment)}
    for row in history.rows:
        if row.cause == "baseline":
            continue
        change = str((row.params or {}).get("replay", ""))
        attack = attacks[int(change.removesuffix(".patch")) - 1]
        own = tuple(s for s in lines if isinstance(s, records.Sample) and s.experiment == row.number)
        yield attack.name, Seen(repo, found, row, experiments[row.number], own)
