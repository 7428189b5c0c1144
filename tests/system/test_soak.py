"""A long session under everything that can befall a machine at night; afterwards everything agrees, nothing is lost.

300 experiments; the engine is ended by SIGKILL at random times at least a hundred times, and in between the disk is
full, the journal's writes fail, the clock jumps, a second engine is started, and git packs and prunes. A viewer is
attached all along. The dice are seeded: AUTORESEARCH_SOAK_SEED plays another night.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections import Counter
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
from engines import TIMEOUT_S, check_agreement, lines, session, until
from lives import Trouble, begin
from repos import git, make_repo, snapshot, write
from terminals import ESCAPE, Terminal

from autoresearch.state.journal import records
from autoresearch.state.session import SessionError

SEED = int(os.environ.get("AUTORESEARCH_SOAK_SEED", "20261121"))
TROUBLES = ("full", "short", "write-eio", "sync-eio", "clock")

EXPERIMENT_BYTES = 1500
"""Less than an experiment's lines take, so that the kills are spread over the whole night."""

# Every proposal adds a file of its own, so none conflicts, and what each is worth does not depend on the others.
TOML = """\
name = "sum"
objective = "The lowest score."

[metric]
name = "score"

[scope]
edit = ["ideas/**"]

[measure]
run = "sh sum.sh"
budget_s = 0
timeout_s = 60

[verdict]
baseline_runs = 3

[agent]
kind = "replay"
"""
SUM = """\
total=1000
for file in ideas/*; do
  while read -r gain; do total=$((total - gain)) || exit 1; done < "$file"
done
echo "METRIC score=$total"
"""
# The same with all the parts that a measurement can have.
RICH = TOML.replace(
    'run = "sh sum.sh"',
    """\
setup = "echo prepared > prepared"
build = "cat prepared && cat ideas/* > built"
run = "test -s built && sh sum.sh > out.txt"
evaluate = "cat prepared out.txt"
artifacts = ["out.txt"]
""",
).replace("[verdict]", "[[guard]]\nrun = \"! grep -q '^4$' ideas/*\"\n\n[verdict]")
WORTH = {"better": "2", "same": "0", "worse": "-3", "crash": "1 / 0", "refused": "4"}
ENDS = {
    "better": ("keep", "better"),
    "same": ("discard", "worse"),
    "worse": ("discard", "worse"),
    "crash": ("crash", "nonzero_exit"),
    "refused": ("checks_failed", "guard"),
}


def make_night(folder: Path, toml: str, experiments: int, dice: random.Random) -> tuple[Path, Path, dict[str, str]]:
    repo = make_repo(folder / "r", {"autoresearch.toml": toml, "sum.sh": SUM, "ideas/000": "0\n", "README": "mine\n"})
    plan = {}
    patches = {}
    kinds = [kind for kind in WORTH if kind != "refused" or "[[guard]]" in toml]
    for number in range(1, experiments + 1):
        kind = dice.choice(kinds)
        plan[f"idea {number:03} {kind}"] = kind
        patches[f"{number:03}.patch"] = (
            f"Subject: [PATCH] idea {number:03} {kind}\n\nit may help\n---\n"
            f"diff --git a/ideas/{number:03} b/ideas/{number:03}\nnew file mode 100644\n--- /dev/null\n"
            f"+++ b/ideas/{number:03}\n@@ -0,0 +1 @@\n+{WORTH[kind]}\n"
        )
    write(folder / "patches", patches)
    return repo, folder / "patches", plan


@pytest.mark.timeout(900)
@pytest.mark.parametrize(("toml", "experiments", "kills"), [(TOML, 300, 100), (RICH, 60, 40)], ids=["bare", "rich"])
def test_a_night_of_kills_full_disks_and_jumping_clocks(
    toml: str, experiments: int, kills: int, tmp_path: Path
) -> None:
    dice = random.Random(SEED)
    repo, patches, plan = make_night(tmp_path, toml, experiments, dice)
    write(repo, {"notes.txt": "untracked", "README": "edited, not committed\n"})
    before = snapshot(repo)
    night = Night(repo, patches, kills, experiments * EXPERIMENT_BYTES // kills, dice, tmp_path / "engine.out")
    night.first_life()
    viewer = Terminal(["env", "-C", str(repo), sys.executable, "-P", "-m", "autoresearch", "attach"])
    try:
        while not night.over:
            night.live()
            viewer.read(0)
            assert not viewer.ended(), "the viewer never notices"
        assert night.ends["killed"] >= kills, night.ends
        check_night(repo, plan, before)
        viewer.press(ESCAPE)  # from the page that a viewer opens with when no engine runs
        viewer.until(lambda: f"{experiments + 1}".encode() in viewer.written)
    finally:
        viewer.kill()


class Night:
    """One life after the other, until one ends because every patch was tried."""

    def __init__(self, repo: Path, patches: Path, kills: int, share: int, dice: random.Random, log: Path) -> None:
        """`share`: how many bytes of journal a life writes on average before it is ended."""
        self.repo = repo
        self.kills = kills
        self.share = share
        self.dice = dice
        self.log = log
        self.args = ["run", "--headless", "--replay", str(patches)]
        self.ends: Counter[str] = Counter()
        self.over = False
        self._recorded = b""

    def first_life(self) -> None:
        life = begin(self.repo, self.args, self.log)
        until(lambda: has_experiments(self.repo), "the first experiment")
        life.kill()
        life.join()
        self.ends["killed"] += 1

    def live(self) -> None:
        trouble = self._trouble()
        life = begin(self.repo, self.args, self.log, trouble)
        rival = begin(self.repo, self.args, self.log) if self.dice.random() < 0.08 else None
        left_alone = self.ends["killed"] >= self.kills and not trouble.kind
        if left_alone:
            life.join()
        else:
            self._let_live(life)
        lives = [life] if rival is None else [life, rival]
        if rival is not None and life.exitcode is None:
            until(lambda: any(each.exitcode is not None for each in lives), "one of two engines gives way")
            self.ends["gave way"] += 1
        for each in lives:
            if each.exitcode is None:
                each.kill()
                self.ends["killed"] += 1
            each.join()
            assert each.exitcode in (-signal.SIGKILL, 0, 1, 4), self.log.read_text()[-3000:]
            if each.exitcode == 1:
                assert trouble.kind, self.log.read_text()[-3000:]
            self.ends[f"exit {each.exitcode} {trouble.kind}".strip()] += 1
        self.over = any(each.exitcode == 0 for each in lives)
        self._nothing_recorded_is_gone()
        if self.dice.random() < 0.1:
            git(self.repo, "gc", "-q", "--prune=now")

    def _let_live(self, life: ForkServerProcess) -> None:
        """Until it has recorded some part of the night; every fourth only for some time, perhaps too short to start.

        By time alone a slow machine would get nowhere, and two deaths in one experiment give that up.
        """
        journal = session(self.repo).journal
        seconds = self.dice.expovariate(6) if self.dice.random() < 0.25 else TIMEOUT_S
        end = time.monotonic() + seconds
        enough = journal.stat().st_size + self.dice.uniform(0, 2 * self.share)
        while time.monotonic() < end and journal.stat().st_size < enough and life.exitcode is None:
            life.join(0.002)
        life.join(self.dice.uniform(0, 0.02))

    def _trouble(self) -> Trouble:
        if self.dice.random() < 0.75:
            return Trouble()
        return Trouble(self.dice.choice(TROUBLES), self.dice.randint(1, 12), self.dice.getrandbits(32))

    def _nothing_recorded_is_gone(self) -> None:
        now = whole_lines(self.repo)
        assert now.startswith(self._recorded), "what was recorded once stays"
        self._recorded = now


def check_night(repo: Path, plan: dict[str, str], before: dict[str, str]) -> None:
    history = check_agreement(repo)
    assert snapshot(repo) == before
    ends: dict[str, list[tuple[str, str]]] = {}
    for line in lines(repo):
        if isinstance(line, records.Experiment):
            ends.setdefault(line.description, []).append((line.status, line.cause))
    assert set(ends) == {"baseline", *plan}, "every patch was tried"
    interrupted = 0
    for subject, kind in plan.items():
        assert len(ends[subject]) == 1, f"{subject} was tried once"
        if ends[subject] == [("crash", "interrupted")]:
            interrupted += 1
        else:
            assert ends[subject] == [ENDS[kind]], subject
    assert interrupted < len(plan) / 5
    assert history.open is None
    assert history.waiting == {}
    kept = sum(2 for row in history.rows if (row.status, row.cause) == ("keep", "better"))
    tree = git(repo, "ls-tree", "-r", "--name-only", session(repo).branch, "ideas/").split()
    assert 2 * (len(tree) - 1) == kept, "the branch holds exactly what was kept"
    assert f"{1000 - kept}" in session(repo).notebook.read_text(), "the notebook knows the best"


def whole_lines(repo: Path) -> bytes:
    data = session(repo).journal.read_bytes()
    return data[: data.rfind(b"\n") + 1]


def has_experiments(repo: Path) -> bool:
    try:
        return b'"run":1,' in session(repo).journal.read_bytes()
    except (SessionError, FileNotFoundError):
        return False
