"""SIGKILL at every step boundary, and in recovery itself: the next start ends in a state a person would call right."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from engines import check_agreement, lines, processes_of, run, save_as_earlier, saved, session, start, until
from repos import TOML, git, make_repo, make_target, patch, snapshot, write

from autoresearch.engine import sandbox
from autoresearch.state.journal import records
from autoresearch.state.session import SessionError

# A story with every kind of ending: kept, worse, crashed, guarded, unmergeable, kept again.
STORY = [
    ("01-better", "VALUE = 10.0", "VALUE = 9.0"),
    ("02-worse", "VALUE = 9.0", "VALUE = 9.5"),
    ("03-crash", "VALUE = 9.0", "VALUE = 1 / 0"),
    ("04-guarded", "VALUE = 9.0", "VALUE = -1.0"),
    ("05-conflict", "VALUE = 5.0", "VALUE = 4.0"),
    ("06-better", "VALUE = 9.0", "VALUE = 8.0"),
]
GUARDED = TOML + "\n[[guard]]\nrun = \"python -c 'import knob; assert knob.VALUE > 0'\"\n"
ENDINGS = [
    ("keep", "baseline"),
    ("keep", "better"),
    ("discard", "worse"),
    ("crash", "nonzero_exit"),
    ("checks_failed", "guard"),
    ("crash", "conflict"),
    ("keep", "better"),
]

PLACES = [
    "after:resume",
    "after:propose",
    "after:commit",
    "after:ref-p",
    "after:proposal",
    "after:proposal#4",
    "after:intent",
    "after:intent#2",
    "after:intent#5",
    "after:ref-n",
    "after:ref-n#3",
    "after:measure",
    "after:measure#6",
    "after:sample",
    "after:sample#4",
    "after:sample#6",
    "after:sample#8",
    "after:experiment",
    "after:experiment#2",
    "after:experiment#3",
    "after:experiment#5",
    "after:branch",
    "after:branch#2",
    "after:notebook#2",
    "after:state",
    "after:pause",
]


def make_story(tmp_path: Path) -> tuple[Path, Path]:
    repo = make_target(tmp_path / "r", toml=GUARDED)
    patches = tmp_path / "patches"
    write(patches, {f"{name}.patch": patch(name, old, new) for name, old, new in STORY})
    return repo, patches


def endings(folder: Path) -> list[tuple[str, str]]:
    return [(row.status, row.cause) for row in session(folder).history().rows]


def samples(folder: Path) -> list[tuple[int, int, int]]:
    """Every recorded sample by its place; whose it is, and its seed, differ from session to session."""
    taken = [s for s in lines(folder) if isinstance(s, records.Sample)]
    return [(s.experiment or 0, -2 if s.block is None else s.block, s.place or 0) for s in taken]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, int, int]]:
    repo, patches = make_story(tmp_path_factory.mktemp("undisturbed"))
    run(repo, "--replay", str(patches), expect=0)
    assert endings(repo) == ENDINGS
    return samples(repo)


@pytest.mark.parametrize("place", PLACES)
def test_killed_anywhere_it_goes_on_and_nothing_is_lost(
    place: str, tmp_path: Path, undisturbed: list[tuple[int, int, int]]
) -> None:
    repo, patches = make_story(tmp_path)
    write(repo, {"notes.txt": "untracked work", "README.md": "edited, not committed\n"})
    git(repo, "add", "README.md")
    before = snapshot(repo)
    killed = run(repo, "--replay", str(patches), fault=place)
    assert killed.returncode == -signal.SIGKILL, f"{place} was never reached\n{killed.stdout}\n{killed.stderr}"
    run(repo, "--replay", str(patches), expect=0)
    check_agreement(repo)
    assert endings(repo) == ENDINGS
    assert samples(repo) == undisturbed, "finished samples are used, and none is measured twice"
    assert snapshot(repo) == before


@pytest.mark.parametrize("place", ["after:ref-p", "after:intent#2", "after:experiment#2"])
def test_killed_in_recovery_itself_it_still_goes_on(
    place: str, tmp_path: Path, undisturbed: list[tuple[int, int, int]]
) -> None:
    repo, patches = make_story(tmp_path)
    assert run(repo, "--replay", str(patches), fault=place).returncode == -signal.SIGKILL
    again = run(repo, "--replay", str(patches), fault="recovery:step")
    assert again.returncode == -signal.SIGKILL, f"there was nothing to recover after {place}"
    run(repo, "--replay", str(patches), expect=0)
    check_agreement(repo)
    assert endings(repo) == ENDINGS
    assert samples(repo) == undisturbed


def test_what_an_earlier_version_saved_is_taken_over_with_its_history(tmp_path: Path) -> None:
    repo, patches = make_story(tmp_path)
    run(repo, "--replay", str(patches), "--max-experiments", "2", expect=3)
    earlier = git(saved(repo).folder, "rev-list", saved(repo).ref)
    ref = save_as_earlier(repo)
    assert run(repo, "--replay", str(patches), fault="after:take-over").returncode == -signal.SIGKILL
    assert ref in git(repo, "for-each-ref")
    run(repo, "--replay", str(patches), expect=0)
    check_agreement(repo)
    assert endings(repo) == ENDINGS
    assert ref not in git(repo, "for-each-ref")
    assert git(saved(repo).folder, "rev-list", ref).endswith(earlier)


def test_an_experiment_in_which_the_engine_died_twice_is_a_crash(tmp_path: Path) -> None:
    repo, patches = make_story(tmp_path)
    assert run(repo, "--replay", str(patches), fault="after:measure#5").returncode == -signal.SIGKILL
    assert run(repo, "--replay", str(patches), fault="after:measure").returncode == -signal.SIGKILL
    run(repo, "--replay", str(patches), expect=0)
    history = check_agreement(repo)
    assert (history.rows[1].status, history.rows[1].cause) == ("crash", "interrupted")


SLOW = """\
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("started", flush=True)
if os.environ["AUTORESEARCH_SEED"] == "2":
    time.sleep(600)
"""
"""A run that leaves a process behind, and whose second sample hangs."""


@pytest.mark.parametrize("confine", ["auto", "off"])
def test_a_run_of_a_killed_engine_ends_with_it_or_with_the_next_one(confine: str, tmp_path: Path) -> None:
    repo = make_target(tmp_path / "r", TOML.replace("[measure]", f'[measure]\nconfine = "{confine}"'))
    bench = (repo / "bench.py").read_text()
    write(repo, {"bench.py": SLOW + bench})
    git(repo, "commit", "-qam", "slow on seed 2")
    patches = tmp_path / "patches"
    write(patches, {"1.patch": patch("x", "VALUE = 10.0", "VALUE = 9.0")})
    engine = start(repo, "--replay", str(patches))
    until(lambda: _started(repo) >= 2, "the second baseline run started")
    engine.kill()
    engine.wait()
    if confine == "auto" and sandbox.this_kernel().processes:
        until(lambda: not processes_of(repo), "the run ends with the engine")
    else:
        assert processes_of(repo), "the run outlives a killed engine"
    write(repo, {"bench.py": bench})
    git(repo, "commit", "-qam", "quick")
    run(repo, "--replay", str(patches), expect=0)
    assert processes_of(repo) == []
    check_agreement(repo)


def _started(repo: Path) -> int:
    try:
        return (session(repo).run(1) / "output.log").read_text().count("started")
    except (OSError, SessionError):
        return 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_with_the_experiment_open_and_no_process_left(number: signal.Signals, tmp_path: Path) -> None:
    repo = make_target(tmp_path / "r", bench=SLOW + "print('METRIC score=1')\n")
    patches = tmp_path / "patches"
    write(patches, {"1.patch": patch("x", "VALUE = 10.0", "VALUE = 9.0")})
    engine = start(repo, "--replay", str(patches))
    until(lambda: _started(repo) >= 2, "the second baseline run started")
    engine.send_signal(number)
    out, _ = engine.communicate(timeout=60)
    assert engine.returncode == 130, out
    assert processes_of(repo) == []
    history = session(repo).history()
    assert history.control.state == "stopped"
    assert history.open
    assert history.open.clean
    assert len(history.open.samples) == 1


def test_sighup_is_ignored(tmp_path: Path) -> None:
    repo = make_target(tmp_path / "r", bench=SLOW + "print('METRIC score=1')\n")
    write(tmp_path / "p", {"1.patch": patch("x", "VALUE = 10.0", "VALUE = 9.0")})
    engine = start(repo, "--replay", str(tmp_path / "p"))
    until(lambda: _started(repo) >= 1, "a run started")
    engine.send_signal(signal.SIGHUP)
    until(lambda: _started(repo) >= 2, "the engine went on")
    engine.send_signal(signal.SIGTERM)
    engine.communicate(timeout=60)
    assert engine.returncode == 130


AHEAD = TOML.replace('["knob.py"]', '["[abc].py"]').replace('kind = "replay"', 'kind = "replay"\nahead = 1')
SUM = """\
import os, random
from a import A
from b import B
from c import C
noise = random.Random(os.environ["AUTORESEARCH_SEED"]).gauss(0, 0.01)
print(f"METRIC score={A + B + C + noise:.6f}")
"""


@pytest.mark.parametrize(
    "place",
    [
        "",
        "after:proposal#2",
        "after:intent#3",
        "after:experiment#2",
        "after:branch#2",
        "after:withdrawn",
        "after:ref-p#3",
    ],
)
def test_a_proposal_made_ahead_is_put_onto_the_new_incumbent_once(place: str, tmp_path: Path) -> None:
    """While one is measured the next is made on the old incumbent; a keep moves it over, a kill loses none of it."""
    files = {f"{n}.py": f"{n.upper()} = 2.5\n" for n in "abc"}
    repo = make_repo(tmp_path / "r", {"autoresearch.toml": AHEAD, "bench.py": SUM, **files})
    for n, (name, value) in enumerate((("a", "2.0"), ("b", "2.0"), ("c", "3.0")), 1):
        diff = f"--- a/{name}.py\n+++ b/{name}.py\n@@ -1 +1 @@\n-{name.upper()} = 2.5\n+{name.upper()} = {value}\n"
        write(tmp_path / "p", {f"{n}.patch": f"Subject: {name}\n\n---\ndiff --git a/{name}.py b/{name}.py\n{diff}"})
    if place:
        assert run(repo, "--replay", str(tmp_path / "p"), fault=place).returncode == -signal.SIGKILL
    run(repo, "--replay", str(tmp_path / "p"), expect=0)
    history = check_agreement(repo)
    told = [(row.description, row.status) for row in history.rows]
    assert told == [("baseline", "keep"), ("a", "keep"), ("b", "keep"), ("c", "discard")]
    assert git(repo, "diff", "--name-only", "main", session(repo).branch).split() == ["a.py", "b.py"]


def test_every_measurement_has_the_next_proposal_made_beside_it(tmp_path: Path) -> None:
    files = {f"{n}.py": f"{n.upper()} = 2.5\n" for n in "abc"}
    repo = make_repo(tmp_path / "r", {"autoresearch.toml": AHEAD, "bench.py": SUM, **files})
    for name in "abc":
        diff = f"--- a/{name}.py\n+++ b/{name}.py\n@@ -1 +1 @@\n-{name.upper()} = 2.5\n+{name.upper()} = 3.0\n"
        write(tmp_path / "p", {f"{name}.patch": f"Subject: {name}\n\n---\ndiff --git a/{name}.py b/{name}.py\n{diff}"})
    run(repo, "--replay", str(tmp_path / "p"), expect=0)
    order = [
        f"proposal {line.id}" if isinstance(line, records.Proposal) else f"verdict {line.run}"
        for line in lines(repo)
        if isinstance(line, (records.Proposal, records.Experiment))
    ]
    assert order == ["proposal 1", "verdict 1", "proposal 2", "verdict 2", "proposal 3", "verdict 3", "verdict 4"]


def test_a_tree_whose_head_is_empty_is_mended(tmp_path: Path) -> None:
    """What a kill in the middle of a write, or a power cut after it, leaves behind."""
    repo, patches = make_story(tmp_path)
    assert run(repo, "--replay", str(patches), fault="after:intent#2").returncode == -signal.SIGKILL
    heads = list((repo / ".git" / "worktrees").glob("autoresearch-*/HEAD"))
    assert heads
    for head in heads:
        head.write_bytes(b"")
    run(repo, "--replay", str(patches), expect=0)
    check_agreement(repo)
    assert endings(repo) == ENDINGS
