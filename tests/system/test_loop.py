"""Whole runs of the real engine: every kind of verdict, request and ending, checked by what is on disk afterwards."""

from __future__ import annotations

import difflib
import subprocess
from collections.abc import Sequence
from pathlib import Path

import orjson
import pytest
from engines import autoresearch, check_agreement, lines, processes_of, run, session, start, until
from repos import BENCH, GATED, TOML, git, make_repo, make_target, shown, write

from autoresearch.engine.verdict import recompute
from autoresearch.state.journal import History, records
from autoresearch.state.session import SessionError

KNOBS = """\
import importlib, random
noise = random.SystemRandom().gauss(0, 0.01)
print(f"METRIC score={sum(importlib.import_module(name).X for name in 'abcdefgh') + noise:.6f}")
"""
EXACT = 'from knob import VALUE\nprint(f"METRIC score={VALUE}")\n'
KNOB = "# the knob\nVALUE = 10.0\n# the end\n"


def target(tmp_path: Path, files: dict[str, str], toml: str = TOML) -> Path:
    return make_repo(tmp_path / "r", {"autoresearch.toml": toml, **files})


def patches(tmp_path: Path, files: dict[str, str], changes: Sequence[dict[str, str]]) -> str:
    """One patch per change, each made against `files`."""
    folder = tmp_path / "patches"
    for n, change in enumerate(changes, 1):
        text = f"Subject: change {n}\n\n---\n"
        for name, new in change.items():
            diff = difflib.unified_diff(
                files[name].splitlines(True), new.splitlines(True), f"a/{name}", f"b/{name}", n=1
            )
            text += f"diff --git a/{name} b/{name}\n" + "".join(diff)
        write(folder, {f"{n:02d}.patch": text})
    return str(folder)


def endings(repo: Path) -> list[tuple[str, str]]:
    return [(row.status, row.cause) for row in session(repo).history().rows]


def try_knobs(tmp_path: Path, values: Sequence[str], toml: str = TOML, bench: str = BENCH, knob: str = KNOB) -> Path:
    """Run once over changes of knob.py's value."""
    files = {"knob.py": knob, "bench.py": bench}
    repo = target(tmp_path, files, toml)
    source = patches(tmp_path, files, [{"knob.py": knob.replace("10.0", value)} for value in values])
    run(repo, "--replay", source, expect=0)
    check_agreement(repo)
    assert all(one.agrees for one in recompute(session(repo).journal)), "a stored race gives the same answers"
    return repo


# -- verdicts


def test_unproven_changes_are_proven_together(tmp_path: Path) -> None:
    """How each of them ends is left to chance, by the order of its runs; most of eight end so."""
    names = "abcdefgh"
    files = {f"{n}.py": "X = 2.5\n" for n in names} | {"bench.py": KNOBS}
    toml = TOML.replace('["knob.py"]', '["[a-h].py"]') + "\n[verdict]\nbundle = 2\n"
    repo = target(tmp_path, files, toml)
    small = [{f"{n}.py": "X = 2.492\n"} for n in names]
    run(repo, "--replay", patches(tmp_path, files, small), expect=0)
    history = check_agreement(repo)
    causes = {row.number: row.cause for row in history.rows}
    bundles = [row for row in history.rows if row.bundle]
    assert bundles or len(history.unproven) < 2, causes
    for row in bundles:
        assert [causes[number] for number in row.bundle] == ["unproven"] * len(row.bundle)
        assert len(row.bundle) >= 2
        assert row.status != "keep" or not set(row.bundle) & set(history.unproven)


def test_a_change_that_only_removes_lines_is_kept_when_it_is_no_worse(tmp_path: Path) -> None:
    knob = KNOB + "x = 1\n" * 5
    files = {"knob.py": knob, "bench.py": BENCH}
    repo = target(tmp_path, files)
    changes = [{"knob.py": KNOB}, {"knob.py": knob + "y = 2\n"}]
    run(repo, "--replay", patches(tmp_path, files, changes), expect=0)
    check_agreement(repo)
    assert endings(repo)[1:] in (
        [("keep", "simpler"), ("discard", "worse")],
        [("keep", "simpler"), ("crash", "conflict")],
    )


def test_without_noise_two_agreeing_runs_are_enough_and_a_tie_is_no_keep(tmp_path: Path) -> None:
    repo = try_knobs(tmp_path, ["9.999", "10.0  # the same", "10.5"], bench=EXACT)
    assert endings(repo)[:2] == [("keep", "baseline"), ("keep", "better")]
    history = session(repo).history()
    assert history.rows[1].runs == 2
    assert [row.status for row in history.rows[2:]] != ["keep", "keep"]


@pytest.mark.parametrize(("mode", "fresh"), [("fast", 3), ("single", 0)])
def test_the_other_modes(mode: str, fresh: int, tmp_path: Path) -> None:
    toml = TOML + f'\n[verdict]\nmode = "{mode}"\nbaseline_runs = {1 if mode == "single" else 3}\n'
    repo = try_knobs(tmp_path, ["9.0", "11.0"], toml)
    assert endings(repo)[1:] in (
        [("keep", "better"), ("crash", "conflict")],
        [("keep", "better"), ("discard", "worse")],
    )
    kept = [line for line in lines(repo) if isinstance(line, records.Sample) and line.arm == "fresh"]
    assert len(kept) == fresh
    if mode == "single":
        keep = next(line for line in lines(repo) if isinstance(line, records.Experiment) and line.run == 2)
        assert "unconfirmed" in keep.reason


def test_a_better_metric_that_breaks_a_constraint_is_discarded(tmp_path: Path) -> None:
    bench = BENCH + 'print(f"METRIC memory={100 / VALUE:.3f}")\n'
    repo = try_knobs(tmp_path, ["5.0"], TOML + '\n[constraints]\nmemory = "1.2x"\n', bench)
    assert endings(repo)[1:] == [("discard", "over_constraint")]
    said = next(line for line in lines(repo) if isinstance(line, records.Experiment) and line.run == 2)
    assert "memory" in said.reason


def test_a_guard_before_keeps_a_broken_candidate_from_running_at_all(tmp_path: Path) -> None:
    toml = TOML + '\n[[guard]]\nwhen = "before"\nrun = "python -c \'import knob; assert knob.VALUE > 5\'"\n'
    repo = try_knobs(tmp_path, ["1.0"], toml)
    assert endings(repo)[1:] == [("checks_failed", "guard")]
    assert not [s for s in lines(repo) if isinstance(s, records.Sample) and s.experiment == 2]


def test_training_longer_than_the_budget_does_not_win(tmp_path: Path) -> None:
    """The candidate would score better but takes far longer than the baseline and a fifth of the budget."""
    bench = "import time\nfrom knob import VALUE\ntime.sleep(0.05 if VALUE > 9 else 600)\n" + BENCH
    repo = try_knobs(tmp_path, ["1.0"], TOML.replace("budget_s = 0", "budget_s = 1"), bench)
    assert endings(repo)[1:] == [("crash", "over_budget")]


def test_out_of_scope_and_empty_proposals_are_recorded(tmp_path: Path) -> None:
    files = {"knob.py": KNOB, "bench.py": BENCH, "other.py": "x = 1\n"}
    repo = target(tmp_path, files)
    changes = [
        {"bench.py": "print('METRIC score=0')\n"},
        {"knob.py": KNOB.replace("10.0", "9.0"), "other.py": "x = 2\n"},
        {"knob.py": KNOB.replace("10.0", "9.0")},
    ]
    run(repo, "--replay", patches(tmp_path, files, changes), expect=0)
    history = check_agreement(repo)
    assert endings(repo)[1:] == [("crash", "out_of_scope"), ("keep", "better"), ("crash", "no_change")]
    assert history.rows[2].warnings == 1
    assert git(repo, "diff", "--name-only", "main", session(repo).branch).split() == ["knob.py"]


# -- measuring through the loop


def test_setup_runs_once_and_not_at_every_start(tmp_path: Path) -> None:
    count = tmp_path / "count"
    toml = TOML.replace(
        'run = "python', f'setup = "mkdir data; echo x > data/words; echo x >> {count}"\nconfine = "off"\nrun = "python'
    )
    repo = make_target(tmp_path / "r", toml=toml, bench=BENCH + "open('data/words').read()\n")
    for _ in range(3):
        run(repo, "--replay", str(tmp_path), expect=0)
    assert count.read_text() == "x\n"


def test_setup_build_evaluate_artifacts_and_progress(tmp_path: Path) -> None:
    files = {
        "knob.py": KNOB,
        "train.py": (
            "import os, pathlib, knob\nprint('METRIC score=-99')\n"
            "assert pathlib.Path('data/corpus').read_text() == 'words'\n"
            "assert pathlib.Path('built').exists()\n"
            "for step in range(3): print(f'step {step} loss: {3 - step}.5', flush=True)\n"
            "pathlib.Path('model').write_text(str(knob.VALUE))\npathlib.Path('secret').write_text('x')\n"
        ),
        "evaluator.py": (
            "import os, pathlib\nassert pathlib.Path('data/corpus').exists()\n"
            "assert not pathlib.Path('secret').exists()\n"
            "print('METRIC score=' + pathlib.Path('model').read_text())\n"
        ),
        ".gitignore": "data/\n",
    }
    toml = TOML.replace(
        'run = "python bench.py"',
        'setup = "mkdir data && printf words > data/corpus"\nbuild = "touch built"\nrun = "python train.py"\n'
        'evaluate = "python evaluator.py"\nartifacts = ["model"]\nprogress = { loss = "loss: ([0-9.]+)" }',
    )
    repo = target(tmp_path, files, toml)
    run(repo, "--replay", patches(tmp_path, files, [{"knob.py": KNOB.replace("10.0", "9.0")}]), expect=0)
    history = check_agreement(repo)
    assert [(row.status, row.metric) for row in history.rows] == [("keep", 10.0), ("keep", 9.0)]
    progress = [orjson.loads(x) for x in (session(repo).run(2) / "progress.jsonl").read_text().splitlines()]
    assert {1.5} <= {p["value"] for p in progress} <= {3.5, 2.5, 1.5}
    assert {p["name"] for p in progress} == {"loss"}


def test_linked_data_and_uncommitted_work(tmp_path: Path) -> None:
    files = {"knob.py": KNOB, "bench.py": "open('data/x').read()\n" + BENCH, ".gitignore": "data\n"}
    repo = target(tmp_path, files, TOML.replace('edit = ["knob.py"]', 'edit = ["knob.py"]\nlink = ["data"]'))
    write(repo, {"data/x": "1", "knob.py": KNOB.replace("10.0", "-5.0")})
    run(repo, "--replay", patches(tmp_path, files, [{"knob.py": KNOB.replace("10.0", "9.0")}]), expect=0)
    history = check_agreement(repo)
    assert history.rows[0].metric == pytest.approx(10, abs=0.1), "uncommitted changes are not in the session"
    assert any("knob.py" in notice.text for notice in history.notices), "and they are listed"


def test_a_broken_baseline_pauses_with_the_reason(tmp_path: Path) -> None:
    files = {"knob.py": KNOB, "bench.py": "raise SystemExit('no data here')\n"}
    repo = target(tmp_path, files)
    source = patches(tmp_path, files, [{"knob.py": KNOB.replace("10.0", "9.0")}])
    done = run(repo, "--replay", source, expect=1)
    assert "no data here" in done.stdout + done.stderr
    write(repo, {"bench.py": BENCH})
    git(repo, "commit", "-qam", "mended")
    run(repo, "--replay", source, expect=0)
    assert [row.status for row in check_agreement(repo).rows] == ["crash", "keep", "keep"]


def test_five_crashes_in_a_row_measure_the_incumbent(tmp_path: Path) -> None:
    """All candidates crash; the incumbent runs, so the session goes on."""
    repo = try_knobs(tmp_path, [f"{n} / 0" for n in range(1, 8)])
    assert endings(repo)[1:] == [("crash", "nonzero_exit")] * 7
    checks = [s for s in lines(repo) if isinstance(s, records.Sample) and s.experiment is None]
    assert [(s.arm, s.cause) for s in checks] == [("incumbent", None)]


def test_a_broken_environment_pauses(tmp_path: Path) -> None:
    outside = tmp_path / "service"
    outside.write_text("up")
    bench = f"import sys\nsys.exit(0 if open({str(outside)!r}).read() == 'up' else 'service is down')\n"
    bench = bench.replace("sys.exit(0 if", "None if").replace(
        "else 'service is down')", "else sys.exit('service is down')"
    )
    breaking = f"import pathlib\npathlib.Path({str(outside)!r}).write_text('down')\nVALUE = 1 / 0\n"
    files = {"knob.py": KNOB, "bench.py": bench + BENCH}
    repo = target(tmp_path, files, TOML.replace("budget_s = 0", f'budget_s = 0\nwritable = ["{outside}"]'))
    changes = [{"knob.py": KNOB + breaking + f"# {n}\n"} for n in range(6)]
    # The first candidate breaks what all of them need; from then on the incumbent crashes too.
    files["bench.py"] = bench
    done = run(repo, "--replay", patches(tmp_path, files, changes), expect=1)
    assert "incumbent" in done.stdout
    assert session(repo).history().control.state == "paused"
    assert endings(repo)[1:] == [("crash", "nonzero_exit")] * 5


# -- people


@pytest.fixture
def gated(tmp_path: Path) -> tuple[Path, Path, str]:
    """A target whose runs wait for a file, the file, and patches."""
    gate = tmp_path / "gates" / "gate"
    files = {"knob.py": KNOB, "bench.py": GATED.format(gate=str(gate)) + BENCH}
    repo = target(tmp_path, files, shown(TOML, gate.parent))
    source = patches(tmp_path, files, [{"knob.py": KNOB.replace("10.0", value)} for value in ("9.0", "11.0")])
    return repo, gate, source


def ask(repo: Path, *args: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
    return autoresearch(repo, *args, expect=expect)


def running(repo: Path, number: int) -> bool:
    try:
        return (session(repo).run(number) / "output.log").read_text().count("started") > 0
    except (OSError, SessionError):
        return False


def test_pause_finishes_the_experiment_and_resume_goes_on(gated: tuple[Path, Path, str]) -> None:
    repo, gate, source = gated
    engine = start(repo, "--replay", source)
    until(lambda: running(repo, 1), "the baseline started")
    assert ask(repo, "run", "--headless", expect=4).stderr
    ask(repo, "pause")
    gate.write_text("")
    out, _ = engine.communicate(timeout=60)
    assert engine.returncode == 0, out
    history = session(repo).history()
    assert history.control.state == "paused"
    assert history.open is None
    assert len(history.rows) == 1
    ask(repo, "resume", "--headless")
    assert len(check_agreement(repo).rows) == 3


def test_a_pause_can_be_taken_back(gated: tuple[Path, Path, str]) -> None:
    repo, gate, source = gated
    engine = start(repo, "--replay", source)
    until(lambda: running(repo, 1), "the baseline started")
    session(repo).ask("pause", now=False)
    until(lambda: (live := session(repo).read_live()) and live.pausing == "pause", "the pause was seen")
    session(repo).ask("unpause")
    until(lambda: (live := session(repo).read_live()) and not live.pausing, "it was taken back")
    gate.write_text("")
    engine.communicate(timeout=60)
    assert len(check_agreement(repo).rows) == 3


@pytest.mark.parametrize("how", [["pause", "--now"], ["stop"]])
def test_pause_now_and_stop_leave_the_experiment_open(how: list[str], gated: tuple[Path, Path, str]) -> None:
    repo, gate, source = gated
    gate.write_text("")
    run(repo, "--replay", source, "--max-experiments", "1", expect=3)
    gate.unlink()
    engine = start(repo, "--replay", source)
    until(lambda: running(repo, 2), "an experiment started")
    ask(repo, *how)
    engine.communicate(timeout=60)
    assert engine.returncode == 0
    assert processes_of(repo) == []
    history = session(repo).history()
    assert history.control.state == ("paused" if how[0] == "pause" else "stopped")
    assert history.open
    assert history.open.clean
    gate.write_text("")
    run(repo, "--replay", source, expect=0)
    assert [row.status for row in check_agreement(repo).rows] == ["keep", "keep", "crash"]
    assert [i.attempt for i in lines(repo) if isinstance(i, records.Intent)] == [1, 1, 1], "nobody died"


def test_requests_without_an_engine_are_in_the_journal_at_once(gated: tuple[Path, Path, str]) -> None:
    repo, gate, source = gated
    gate.write_text("")
    run(repo, "--replay", source, expect=0)
    ask(repo, "idea", "try something else")
    ask(repo, "steer", "be bold")
    ask(repo, "limit", "dollars", "20")
    ask(repo, "veto", "i1", "--reason", "no")
    ask(repo, "veto", "i99", expect=2)
    history = session(repo).history()
    assert history.ideas["i1"].state == "vetoed"
    assert history.steers[-1].text == "be bold"
    assert history.settings == {"limits.dollars": 20}
    assert list(session(repo).inbox.iterdir()) == []


def test_retry_and_overrule_make_new_experiments(gated: tuple[Path, Path, str]) -> None:
    repo, gate, source = gated
    gate.write_text("")
    run(repo, "--replay", source, expect=0)
    assert endings(repo)[1:] == [("keep", "better"), ("crash", "conflict")]
    ask(repo, "overrule", "2", "discard", "--note", "it breaks something I know of")
    run(repo, "--replay", source, expect=0)
    history = check_agreement(repo)
    assert (history.rows[-1].status, history.rows[-1].cause) == ("keep", "overruled")
    assert "VALUE = 10.0" in git(repo, "show", f"{session(repo).branch}:knob.py")
    ask(repo, "retry", "2")
    run(repo, "--replay", source, expect=0)
    history = check_agreement(repo)
    assert (history.rows[-1].status, history.rows[-1].cause) == ("keep", "better")
    assert "VALUE = 9.0" in git(repo, "show", f"{session(repo).branch}:knob.py")


def test_a_retry_of_the_best_measures_it_once_more(gated: tuple[Path, Path, str]) -> None:
    repo, gate, source = gated
    gate.write_text("")
    run(repo, "--replay", source, expect=0)
    before = len(check_agreement(repo).rows)
    ask(repo, "retry", "2")
    run(repo, "--replay", source, expect=0)
    history = check_agreement(repo)
    assert (len(history.rows), history.again) == (before, 0), "it is no experiment"
    samples = [line for line in lines(repo) if isinstance(line, records.Sample) and line.experiment is None]
    assert history.incumbent is not None
    assert [(line.arm, line.sha) for line in samples] == [("incumbent", history.incumbent.sha)]


def test_what_people_write_into_the_notebook_reaches_the_journal(gated: tuple[Path, Path, str]) -> None:
    repo, gate, source = gated
    gate.write_text("")
    run(repo, "--replay", source, "--max-experiments", "1", expect=3)
    notebook = session(repo).notebook
    text = notebook.read_text().replace("\n## Notes\n", "\n- [ ] try a lower value\n\nA thought of mine.\n\n## Notes\n")
    notebook.write_text(text)
    run(repo, "--replay", source, expect=0)
    history = session(repo).history()
    assert [(idea.text, idea.by) for idea in history.ideas.values()] == [("try a lower value", "notebook")]
    assert "A thought of mine." in notebook.read_text()
    assert "- [ ] try a lower value <!-- i1 -->" in notebook.read_text()


# -- segments, limits


def test_a_changed_measurement_opens_a_new_segment_and_a_changed_limit_does_not(tmp_path: Path) -> None:
    repo = try_knobs(tmp_path, ["9.0"])
    source = str(tmp_path / "patches")
    write(repo, {"autoresearch.toml": TOML + "\n[limits]\ndollars = 3\n"})
    run(repo, "--replay", source, expect=0)
    assert session(repo).history().segment == 0
    assert session(repo).history().settings == {"limits.dollars": 3.0}
    write(repo, {"autoresearch.toml": TOML.replace("[metric]", "[metric]\nmin_effect = 0.5")})
    run(repo, "--replay", source, expect=0)
    history = check_agreement(repo)
    assert history.segment == 1
    assert [(row.cause, row.segment) for row in history.rows] == [("baseline", 0), ("better", 0), ("baseline", 1)]
    assert history.header
    assert "measuring config" in history.header.reason
    assert history.rows[2].metric == pytest.approx(9, abs=0.1), "it goes on from the incumbent"


def test_a_protected_file_changed_at_head_is_taken_over_with_the_keeps(tmp_path: Path) -> None:
    repo = try_knobs(tmp_path, ["9.0"])
    write(repo, {"bench.py": BENCH.replace("{VALUE + noise:.6f}", "{VALUE + 100 + noise:.6f}")})
    git(repo, "commit", "-qam", "a better benchmark")
    run(repo, "--replay", str(tmp_path / "patches"), expect=0)
    history = check_agreement(repo)
    assert (history.segment, history.rows[-1].cause) == (1, "baseline")
    assert history.rows[-1].metric == pytest.approx(109, abs=0.1)


def test_the_experiment_limit_names_itself_and_a_second_call_goes_on(tmp_path: Path) -> None:
    files = {"knob.py": KNOB, "bench.py": BENCH}
    repo = target(tmp_path, files)
    source = patches(tmp_path, files, [{"knob.py": KNOB.replace("10.0", v)} for v in ("11.0", "12.0", "13.0")])
    first = run(repo, "--replay", source, "--max-experiments", "2", expect=3)
    assert "experiment limit" in first.stdout
    assert len(session(repo).history().rows) == 2
    run(repo, "--max-experiments", "1", expect=3)
    assert len(session(repo).history().rows) == 3, "the agent of the last call goes on"
    run(repo, expect=0)
    history = check_agreement(repo)
    assert [row.description for row in history.rows] == ["baseline", "change 1", "change 2", "change 3"]


def test_an_agent_with_nothing_to_propose_ends_before_the_whole_baseline_is_measured(tmp_path: Path) -> None:
    repo = target(tmp_path, {"knob.py": KNOB, "bench.py": BENCH})
    (tmp_path / "empty").mkdir()
    done = run(repo, "--replay", str(tmp_path / "empty"), expect=0)
    assert "no change to try" in done.stdout
    assert len([line for line in lines(repo) if isinstance(line, records.Sample)]) == 1


def test_reaching_the_goal_pauses(tmp_path: Path) -> None:
    files = {"knob.py": KNOB, "bench.py": BENCH}
    repo = target(tmp_path, files, TOML.replace("[metric]", "[metric]\ngoal = 9.5"))
    source = patches(tmp_path, files, [{"knob.py": KNOB.replace("10.0", v)} for v in ("9.0", "8.0")])
    run(repo, "--replay", source, expect=3)
    assert len(check_agreement(repo).rows) == 2


def test_a_bad_config_is_one_message_with_every_problem(tmp_path: Path) -> None:
    repo = target(
        tmp_path, {"knob.py": KNOB, "bench.py": BENCH}, TOML.replace("[verdict]", "") + "[verdict]\nodds = 0\nodd = 1\n"
    )
    done = run(repo, expect=2)
    assert "odds" in done.stderr
    assert "odd" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_git_range_is_judged_commit_by_commit(tmp_path: Path) -> None:
    files = {"knob.py": KNOB, "bench.py": BENCH}
    repo = target(tmp_path, files)
    git(repo, "switch", "-qc", "theirs")
    for value in ("9.0", "9.5", "8.0"):
        write(repo, {"knob.py": KNOB.replace("10.0", value)})
        git(repo, "commit", "-qam", f"value {value}")
    git(repo, "switch", "-q", "main")
    run(repo, "--replay", "main..theirs", expect=0)
    history = check_agreement(repo)
    assert [row.description for row in history.rows[1:]] == ["value 9.0", "value 9.5", "value 8.0"]
    assert history.rows[1].status == "keep"


def test_the_same_story_gives_the_same_history_in_another_process(tmp_path: Path) -> None:
    """A second reader, with no memory, folds the same state from the files alone."""
    repo = try_knobs(tmp_path, ["9.0", "11.0"])
    once, again = session(repo).history(), History().load(session(repo).journal)
    assert once.incumbent == again.incumbent
    assert [row.sha for row in once.rows] == [row.sha for row in again.rows]


def test_a_pause_meant_for_a_dead_engine_does_not_stop_the_next_one(gated: tuple[Path, Path, str]) -> None:
    repo, gate, source = gated
    engine = start(repo, "--replay", source)
    until(lambda: running(repo, 1), "the baseline started")
    engine.kill()
    engine.wait()
    session(repo).ask("pause", now=False)
    gate.write_text("")
    run(repo, "--replay", source, expect=0)
    assert len(check_agreement(repo).rows) == 3
    assert list(session(repo).inbox.iterdir()) == []
