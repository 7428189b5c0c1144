"""Flags through the real engine: on the line, in the read model, in more runs, and in what people are told."""

from __future__ import annotations

import difflib
from pathlib import Path

import orjson
import pytest
from engines import autoresearch, check_agreement, lines, run, session
from repos import TOML, make_repo, write

from autoresearch.engine.verdict import recompute
from autoresearch.state.journal import records

BENCH = """\
import os, random
from knob import VALUE, OFFSET
noise = random.Random(int(os.environ["AUTORESEARCH_SEED"]) + OFFSET).gauss(0, 0.01)
print(f"METRIC score={VALUE + noise:.6f}")
"""
EXACT = 'from knob import VALUE\nprint(f"METRIC score={VALUE}")\n'
KNOB = "# the knob\nVALUE = 10.0\n# between\n#\n#\n#\nOFFSET = 0\n"


def change(subject: str, old: str, new: str, before: str = KNOB) -> str:
    after = before.replace(old, new)
    body = difflib.unified_diff(before.splitlines(True), after.splitlines(True), "a/knob.py", "b/knob.py", n=1)
    return f"Subject: {subject}\n\n---\ndiff --git a/knob.py b/knob.py\n" + "".join(body)


def said(repo: Path, *args: str) -> str:
    return autoresearch(repo, *args, expect=0).stdout


def conclusions(repo: Path) -> list[records.Experiment]:
    return [line for line in lines(repo) if isinstance(line, records.Experiment)]


@pytest.mark.parametrize(
    ("mode", "bench", "least"), [("blocks", BENCH, 7), ("fast", BENCH, 4), ("single", BENCH, 4), ("blocks", EXACT, 4)]
)
def test_a_flagged_gain_is_confirmed_by_more_runs_in_every_mode(
    mode: str, bench: str, least: int, tmp_path: Path
) -> None:
    runs = 1 if mode == "single" else 3
    toml = TOML + f'\n[verdict]\nmode = "{mode}"\nbaseline_runs = {runs}\n'
    repo = make_repo(tmp_path / "r", {"autoresearch.toml": toml, "bench.py": bench, "knob.py": KNOB})
    better = change("better", "VALUE = 10.0", "VALUE = 9.0")
    seeded = change("luckier", "VALUE = 9.0", "VALUE = 8.0; seed = 3", KNOB.replace("10.0", "9.0"))
    write(tmp_path / "patches", {"1.patch": better, "2.patch": seeded})
    run(repo, "--replay", str(tmp_path / "patches"), expect=0)
    history = check_agreement(repo)
    assert [row.status for row in history.rows] == ["keep", "keep", "keep"]
    plain, flagged = history.rows[1:]
    assert not plain.flags
    assert flagged.flags == ("seed",)
    assert history.flagged == [3]
    assert flagged.runs >= least
    assert plain.runs < flagged.runs
    line = conclusions(repo)[-1]
    assert line.verdict["flags"] == ["seed"]
    assert any("touches the seed" in warning for warning in line.warnings)
    assert all(one.agrees for one in recompute(session(repo).journal))
    assert "#3 keep: touches the seed" in said(repo, "status")
    assert "The change touches the seed" in said(repo, "show", "3")
    assert orjson.loads(said(repo, "status", "--json"))["flagged"] == [
        {"number": 3, "status": "keep", "flags": ["seed"]}
    ]
    assert "(flagged)" in said(repo, "log")


def test_a_jump_far_outside_history_is_flagged_and_confirmed(tmp_path: Path) -> None:
    toml = TOML + '\n[verdict]\nmode = "fast"\nbaseline_runs = 3\n'
    repo = make_repo(tmp_path / "r", {"autoresearch.toml": toml, "bench.py": BENCH, "knob.py": KNOB})
    values = [10.01, 10.05, 10.02, 10.06, 10.03, 10.04, 10.07, 10.02, 0.5]
    made = {
        f"{n:02d}.patch": change(f"{value}", "VALUE = 10.0", f"VALUE = {value}  # {n}")
        for n, value in enumerate(values, 1)
    }
    write(tmp_path / "patches", made)
    run(repo, "--replay", str(tmp_path / "patches"), expect=0)
    history = check_agreement(repo)
    last = history.rows[-1]
    assert (last.status, last.flags, last.runs) == ("keep", ("jump",), 4)
    assert history.flagged == [last.number]
    assert "far outside history" in conclusions(repo)[-1].warnings[0]
    assert all(one.agrees for one in recompute(session(repo).journal))


def test_that_scope_prints_the_score_is_said_once_and_stands_by_the_number(tmp_path: Path) -> None:
    toml = TOML.replace('["knob.py"]', '["bench.py", "knob.py"]')
    repo = make_repo(tmp_path / "r", {"autoresearch.toml": toml, "bench.py": BENCH, "knob.py": KNOB})
    write(tmp_path / "patches", {"1.patch": change("worse", "VALUE = 10.0", "VALUE = 11.0")})
    for _ in range(2):
        run(repo, "--replay", str(tmp_path / "patches"), expect=0)
    history = check_agreement(repo)
    assert history.self_scored
    told = [line for line in lines(repo) if isinstance(line, records.Warn) and line.code == "own-score"]
    assert len(told) == 1, "once in a session"
    assert not any(line.warnings for line in conclusions(repo)), "and not on each row"
    for args in (("status",), ("summary",), ("log",), ("show", "2")):
        assert said(repo, *args).count("prints the score itself") == 1
    assert "prints the score itself" in session(repo).notebook.read_text()


def test_a_protected_printer_or_evaluate_is_not_self_scored(tmp_path: Path) -> None:
    files = {"bench.py": BENCH, "knob.py": KNOB}
    patches = tmp_path / "patches"
    write(patches, {"1.patch": change("worse", "VALUE = 10.0", "VALUE = 11.0")})
    protected = make_repo(tmp_path / "a", {"autoresearch.toml": TOML, **files})
    toml = TOML.replace('["knob.py"]', '["knob.py", "run.py"]').replace("python bench.py", "python run.py")
    apart = make_repo(
        tmp_path / "b",
        {
            "autoresearch.toml": toml.replace("budget_s", 'evaluate = "python bench.py"\nbudget_s'),
            **files,
            "run.py": "",
        },
    )
    hidden = make_repo(
        tmp_path / "c",
        {
            "autoresearch.toml": TOML.replace("python bench.py", "make -s bench"),
            "Makefile": "bench:\n\t@python knob.py\n",
            "knob.py": 'print("METRIC score=1.0")\n',
        },
    )
    for repo, scored in ((protected, "run"), (apart, "evaluate"), (hidden, "scope")):
        run(repo, "--replay", str(patches), "--max-experiments", "1", expect=3)
        history = session(repo).history()
        assert history.header is not None
        assert history.header.scored == scored
        assert history.self_scored == (scored == "scope")
        assert ("measure.evaluate" in said(repo, "status")) == (scored != "evaluate"), "said wherever it is so"


@pytest.mark.parametrize(("scope", "counted"), [('["knob.py"]', True), ('["knob.py", "bench.py"]', False)])
def test_what_scope_prints_of_its_cost_does_not_count(scope: str, counted: bool, tmp_path: Path) -> None:
    bench = BENCH + 'print("METRIC cost_usd=0.5")\n'
    toml = TOML.replace('["knob.py"]', scope) + '\n[verdict]\nmode = "single"\nbaseline_runs = 1\n'
    repo = make_repo(tmp_path / "r", {"autoresearch.toml": toml, "bench.py": bench, "knob.py": KNOB})
    run(repo, "--agent", "tuner", "--max-experiments", "1", expect=3)
    assert session(repo).history().cost_usd == (0.5 if counted else 0.0)
