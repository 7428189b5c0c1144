"""Guards, constraints, the rule for simpler code and the breakers, each through the real engine."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

import orjson
import pytest
from engines import autoresearch, check_agreement, lines, run, session
from repos import TOML, make_repo, small_disk, write

from autoresearch.engine.verdict import recompute
from autoresearch.state.journal import records

KNOB = "# the knob\nVALUE = 10.0\n# the end\n"
EXACT = 'from knob import VALUE\nprint(f"METRIC score={VALUE}")\n'
TWO = """\
from knob import VALUE
print(f"METRIC score={VALUE}")
print(f"METRIC memory={100 / VALUE}")
print(f"METRIC speed={VALUE * 3}")
"""


def tried(
    folder: Path,
    changes: list[dict[str, str]],
    toml: str = TOML,
    bench: str = EXACT,
    files: Mapping[str, str] | None = None,
    **variables: str,
) -> tuple[Path, list[tuple[str, str]]]:
    """The repository after its changes were tried, and how each ended."""
    all_files = {"knob.py": KNOB, "bench.py": bench, **(files or {})}
    repo = make_repo(folder / "r", {"autoresearch.toml": toml, **all_files})
    for n, change in enumerate(changes, 1):
        text = f"Subject: change {n}\n\n---\n"
        for name, new in change.items():
            old = all_files[name].splitlines(True)
            body = difflib.unified_diff(old, new.splitlines(True), f"a/{name}", f"b/{name}", n=1)
            text += f"diff --git a/{name} b/{name}\n" + "".join(body)
        write(folder / "patches", {f"{n:02d}.patch": text})
    run(repo, "--replay", str(folder / "patches"), expect=0, **variables)
    history = check_agreement(repo)
    assert all(one.agrees for one in recompute(session(repo).journal))
    return repo, [(row.status, row.cause) for row in history.rows[1:]]


def knob(value: object) -> dict[str, str]:
    return {"knob.py": KNOB.replace("10.0", str(value))}


def conclusion(repo: Path, number: int) -> records.Experiment:
    return next(line for line in lines(repo) if isinstance(line, records.Experiment) and line.run == number)


def told(repo: Path, *args: str) -> str:
    return autoresearch(repo, *args, expect=0).stdout


def samples(repo: Path, number: int) -> list[records.Sample]:
    return [line for line in lines(repo) if isinstance(line, records.Sample) and line.experiment == number]


# -- guards


def guards(*commands: tuple[str, str]) -> str:
    return TOML + "".join(f'\n[[guard]]\nrun = "{text}"\n{more}\n' for text, more in commands)


def test_guards_run_in_order_and_only_after_a_better_sample_before_it_is_repeated(tmp_path: Path) -> None:
    toml = guards(
        ("echo first-guard", ""),
        ("echo second-guard && ! grep -q 7.0 knob.py", ""),
        ("echo third-guard", ""),
        ("echo before-guard", 'when = "before"'),
    )
    repo, ended = tried(tmp_path, [knob(11.0), knob(7.0), knob(9.0)], toml)
    assert ended == [("discard", "worse"), ("checks_failed", "guard"), ("keep", "better")]
    logs = {number: (session(repo).run(number) / "guard.log").read_text() for number in (2, 3, 4)}
    assert ["before-guard" in logs[2], "first-guard\n" in logs[2]] == [True, False], "a worse sample needs no guard"
    assert ["first-guard\n" in logs[3], "second-guard\n" in logs[3], "third-guard\n" in logs[3]] == [True, True, False]
    assert logs[4].count("first-guard\n") == 1, "once, not per sample"
    assert [sample.arm for sample in samples(repo, 3)] == ["candidate"], "it was not repeated"
    assert "second-guard" in conclusion(repo, 3).reason


def test_a_guard_has_its_own_time_limit_and_its_output_is_kept(tmp_path: Path) -> None:
    toml = guards(
        ("echo it begins; grep -q 10.0 knob.py || sleep 600", "timeout_s = 5"),
    )
    repo, ended = tried(tmp_path, [knob(9.0)], toml)
    assert ended == [("checks_failed", "guard")]
    assert "it begins" in (session(repo).run(2) / "guard.log").read_text()
    assert "not finished after 5 s" in conclusion(repo, 2).reason


def in_guard(code: str, when: str = "better") -> tuple[str, str]:
    """A target with a guard, and a better knob that does this in it."""
    guard = f"""[[guard]]\nrun = "python -c 'import knob; knob.guarded()'"\nwhen = "{when}"\n"""
    return TOML + guard, f"VALUE = 9.0\ndef guarded():\n    {code}\n"


READERS = ("log", "show 2", "search --status checks_failed")
HONEST = "VALUE = 10.0\ndef guarded():\n    pass\n"


def test_a_guard_that_fails_before_the_first_run_leaves_no_value_to_any_reader(tmp_path: Path) -> None:
    toml = guards(("! grep -q 9.0 knob.py", 'when = "before"'))
    repo, ended = tried(tmp_path, [knob(9.0), knob(8.0)], toml)
    assert ended == [("checks_failed", "guard"), ("keep", "better")]
    assert conclusion(repo, 2).metric == 0.0, "the journal keeps pi's format"
    asked = {name: orjson.loads(told(repo, *name.split(), "--json")) for name in READERS}
    row = asked["log"]["experiments"][1]
    assert (row["metric"], row["first"], row["runs"]) == (None, None, 0)
    assert asked["show 2"]["metric"] is None
    assert [hit["metric"] for hit in asked["search --status checks_failed"]["found"]] == [None]
    assert session(repo).history().by_number[2].metric is None
    assert "- #2 change 1 (guard) <!--" in session(repo).notebook.read_text()
    table = told(repo, "export", "--tsv").splitlines()
    assert table[2].split("\t")[1:] == ["0.000000", "0.0", "crash", "change 1 [checks failed]"]


@pytest.mark.parametrize("when", ["better", "before"])
def test_tampering_in_a_guard_is_a_crash_that_names_the_file(when: str, tmp_path: Path) -> None:
    toml, hostile = in_guard("from pathlib import Path; Path('bench.py').write_text('print()')", when)
    better = HONEST.replace("10.0", "9.0")
    repo, ended = tried(tmp_path, [{"knob.py": hostile}, {"knob.py": better}], toml, files={"knob.py": HONEST})
    assert ended == [("crash", "tampered"), ("keep", "better")]
    assert "the guard changed protected files: bench.py" in conclusion(repo, 2).reason
    assert conclusion(repo, 2).verdict == {}, "it was not judged"


def test_a_candidate_that_does_not_build_is_a_crash_before_the_guard_too(tmp_path: Path) -> None:
    toml = guards(("echo guarded", 'when = "before"')).replace("[agent]", 'build = "! grep -q 9.0 knob.py"\n\n[agent]')
    repo, ended = tried(tmp_path, [knob(9.0), knob(8.0)], toml)
    assert ended == [("crash", "nonzero_exit"), ("keep", "better")]
    assert "the build failed" in conclusion(repo, 2).reason
    assert not (session(repo).run(2) / "guard.log").exists()


def test_a_guard_that_a_limit_ends_is_a_crash_by_that_limit(tmp_path: Path) -> None:
    toml, hostile = in_guard("print('x' * (3 << 20))")
    toml = toml.replace("budget_s = 0", "budget_s = 0\noutput_mb = 1")
    _, ended = tried(tmp_path, [{"knob.py": hostile}], toml, files={"knob.py": HONEST})
    assert ended == [("crash", "output_limit")]


@pytest.mark.parametrize("where", ["build", "guard", "run", "evaluate"])
def test_a_candidate_that_fills_the_disk_anywhere_does_not_end_the_night(where: str, tmp_path: Path) -> None:
    commands = {"build": "true", "guard": "true", "run": "true", "evaluate": "true"}
    commands[where] = "! grep -q 9.0 knob.py || head -c 30M /dev/zero > big"
    toml = TOML.replace(
        'run = "python bench.py"',
        f'build = "{commands["build"]}"\nrun = "{commands["run"]}"\n'
        f'evaluate = "python bench.py; {commands["evaluate"]}"',
    )
    toml += f'\n[[guard]]\nrun = "{commands["guard"]}"\n'
    with small_disk(tmp_path / "small"):
        variables = {"AUTORESEARCH_TREES": str(tmp_path / "small"), "AUTORESEARCH_MIN_FREE_MB": "20"}
        repo, ended = tried(tmp_path, [knob(9.0), knob(8.0)], toml, **variables)
    assert ended == [("crash", "disk_limit"), ("keep", "better")]
    assert "less than 20 MB left" in conclusion(repo, 2).reason


# -- constraints


def test_each_of_several_constraints_can_refuse_a_better_metric(tmp_path: Path) -> None:
    toml = TOML + '\n[constraints]\nmemory = "1.5x"\nspeed = ">= 24"\n'
    repo, ended = tried(tmp_path, [knob(6.0), knob(7.5), knob(9.0)], toml, TWO)
    assert ended == [("discard", "over_constraint"), ("discard", "over_constraint"), ("keep", "better")]
    both, one = conclusion(repo, 2).reason, conclusion(repo, 3).reason
    assert "memory" in both
    assert "speed" in both
    assert "memory" not in one
    assert "speed" in one


def test_a_constraint_metric_that_is_not_printed_is_a_crash(tmp_path: Path) -> None:
    bench = 'from knob import VALUE\nprint(f"METRIC score={VALUE}")\nVALUE < 9 or print("METRIC memory=1")\n'
    _, ended = tried(tmp_path, [knob(8.0)], TOML + '\n[constraints]\nmemory = "1.5x"\n', bench)
    assert ended == [("crash", "no_metric")]


# -- simpler code


def test_only_lines_in_scope_count_for_simplicity(tmp_path: Path) -> None:
    long = KNOB + "x = 1\n" * 6
    other = "y = 1\n" * 40
    files = {"knob.py": long, "other.py": other}
    fewer_outside = {"knob.py": long + "z = 1\n", "other.py": ""}
    fewer_inside = {"knob.py": KNOB + "x = 1\n"}
    repo, ended = tried(tmp_path, [fewer_outside, fewer_inside], files=files)
    assert ended == [("discard", "worse"), ("keep", "simpler")]
    assert "5 lines shorter" in conclusion(repo, 3).reason


# -- breakers


def test_a_hang_without_output_or_work_is_ended_as_stalled(tmp_path: Path) -> None:
    bench = "import time\nfrom knob import VALUE\nVALUE > 9 or time.sleep(600)\n" + EXACT
    toml = TOML.replace("budget_s = 0", "budget_s = 0\nstall_s = 5")
    repo, ended = tried(tmp_path, [knob(8.0)], toml, bench)
    assert ended == [("crash", "stalled")]
    assert samples(repo, 2)[0].cause == "stalled"


def test_a_flood_of_output_is_ended_with_head_and_tail_of_it_kept(tmp_path: Path) -> None:
    bench = (
        "from knob import VALUE\nprint('the head')\nn = 0\n"
        "while VALUE < 9:\n    n += 1\n    print('line', n, 'x' * 99)\n" + EXACT
    )
    toml = TOML.replace("budget_s = 0", "budget_s = 0\noutput_mb = 1")
    repo, ended = tried(tmp_path, [knob(8.0)], toml, bench)
    log = (session(repo).run(2) / "output.log").read_text()
    assert ended == [("crash", "output_limit")]
    assert len(log) < 1.2 * 2**20
    assert "the head" in log
    numbers = [int(line.split()[1]) for line in log.splitlines() if line.startswith("line ") and line.endswith("x")]
    assert numbers[-1] > len(numbers), "the middle is cut out, the end is there"


def test_little_free_disk_pauses_before_anything_is_begun(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "r", {"autoresearch.toml": TOML, "knob.py": KNOB, "bench.py": EXACT})
    run(repo, "--agent", "tuner", expect=3, AUTORESEARCH_MIN_FREE_MB=str(10**12))
    control = session(repo).history().control
    assert (control.state, control.limit) == ("paused", "disk")
    assert "free at least" in control.fix
    run(repo, "--agent", "tuner", "--max-experiments", "1", expect=3)
    assert len(session(repo).history().rows) == 1, "with room it goes on"


@pytest.mark.parametrize("value", ["1e200", "-1e200", "float('-inf')", "float('nan')"])
def test_a_number_that_cannot_be_compared_is_no_gain(value: str, tmp_path: Path) -> None:
    repo, ended = tried(tmp_path, [knob(value)])
    assert ended == [("crash", "not_finite")]
    assert conclusion(repo, 2).metric == 0.0
