"""Races that leave the slot undecided: they go on later, on another best too, and no kill loses one."""

from __future__ import annotations

import signal
from pathlib import Path

from engines import check_agreement, lines, refs, run, session
from repos import TOML, make_repo, write

from autoresearch.engine.verdict import recompute
from autoresearch.state.journal import History, records

BENCH = """\
import os
from a import A
from b import B
noise = int.from_bytes(os.urandom(4), "big") / 2**31 - 1
print(f"METRIC score={A + B + noise:.6f}")
"""
# Prepared ahead, so that each has to make room after 30 runs; the odds need 36.
AHEAD = (
    TOML.replace('["knob.py"]', '["[ab].py"]').replace("patience_s = 0", "patience_s = 1e6\nahead = 1")
    + "\n[verdict]\nodds = 3e7\nbaseline_runs = 4\n"
)
CHANGES = [("a", "A = 10.0", "A = 7.5"), ("b", "B = 10.0", "B = 7.5"), ("a", "A = 10.0", "A = 7.4")]
"""#2 and #4 change the same line: once one is kept, the other does not merge any more."""


def story(tmp_path: Path) -> tuple[Path, str]:
    files = {"a.py": "#\nA = 10.0\n#\n", "b.py": "#\nB = 10.0\n#\n", "bench.py": BENCH, "autoresearch.toml": AHEAD}
    repo = make_repo(tmp_path / "r", files)
    for number, (name, old, new) in enumerate(CHANGES, 1):
        text = (
            f"Subject: [PATCH] {name} {new}\n\n---\ndiff --git a/{name}.py b/{name}.py\n--- a/{name}.py\n"
            f"+++ b/{name}.py\n@@ -1,3 +1,3 @@\n #\n-{old}\n+{new}\n #\n"
        )
        write(tmp_path / "patches", {f"{number}.patch": text})
    return repo, str(tmp_path / "patches")


def check_story(repo: Path) -> History:
    history = check_agreement(repo)
    ends = {row.number: (row.status, row.cause) for row in history.rows}
    assert ends[3] == ("keep", "better")
    assert sorted((ends[2], ends[4])) == [("discard", "unproven"), ("keep", "better")]
    assert not history.parked
    assert all(one.agrees for one in recompute(session(repo).journal)), list(recompute(session(repo).journal))
    taken = [(s.experiment, s.sha, s.block, s.place) for s in lines(repo) if isinstance(s, records.Sample) and s.block]
    assert len(taken) == len(set(taken)), "none is measured twice"
    for row in history.rows:
        assert refs(repo)[str(row.number)] == row.sha
    return history


def test_what_is_parked_goes_on_when_nobody_waits_and_begins_anew_on_another_best(tmp_path: Path) -> None:
    repo, patches = story(tmp_path)
    run(repo, "--replay", patches, "--max-experiments", "4", expect=3)
    left = session(repo).history()
    assert left.parked, "a limit leaves them where they are, but for a tenth of the time"
    assert left.tried == 4
    run(repo, "--replay", patches, expect=0)
    history = check_story(repo)
    first, second = (row for row in history.rows if row.status == "keep" and not row.baseline)
    assert second.parent == first.sha, "the second keep was raced against the first"
    assert 3 / 3e7 < history.repeats.luck < 5 / 3e7


def test_killed_while_races_are_parked_and_go_on_nothing_is_lost(tmp_path: Path) -> None:
    repo, patches = story(tmp_path)
    for fault in ("after:park", "after:park#2", "after:go-on#2"):
        killed = run(repo, "--replay", patches, fault=fault)
        assert killed.returncode == -signal.SIGKILL, f"{fault} was never reached\n{killed.stdout}\n{killed.stderr}"
    run(repo, "--replay", patches, expect=0)
    check_story(repo)
