"""`import` and `export`: other programs' histories in, ours out, and nothing lost on the way that both can hold."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from click.testing import CliRunner
from other_programs import RESULTS

from autoresearch.state.session import Session, find_place, open_session
from autoresearch.tui.cli import cli

PI = [
    {"type": "config", "name": "speed", "metricName": "total_ms", "metricUnit": "ms", "bestDirection": "lower"},
    {"run": 1, "commit": "aaaaaa1", "metric": 100.5, "metrics": {"compile_ms": 4}, "status": "keep",
     "description": "baseline", "timestamp": 1_780_000_000_000, "segment": 0, "confidence": None},
    {"type": "hook", "stage": "after", "exit_code": 0, "duration_ms": 3, "stdout_bytes": 0, "timed_out": False},
    {"run": 2, "commit": "aaaaaa1", "metric": 0, "metrics": {}, "status": "checks_failed", "description": "skip tests",
     "timestamp": 1_780_036_000_000, "segment": 0, "confidence": 2.5, "asi": {"hypothesis": "less work"}},
    {"type": "config", "name": "speed", "metricName": "ops", "bestDirection": "higher"},
    {"run": 3, "commit": "bbbbbb2", "metric": 12, "metrics": {}, "status": "keep", "description": "again",
     "timestamp": 1_780_072_000_000, "segment": 1, "confidence": None},
]  # fmt: skip


class Done(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GIT_") or name == "XDG_CONFIG_HOME"]:
        monkeypatch.delenv(name)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / ".gitconfig").write_text("[user]\n\tname = Ann\n\temail = ann@example.org\n")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "train.py").write_text("print('val_bpb: 1')\n")
    (folder / ".gitignore").write_text("*.tsv\n*.jsonl\n")
    (folder / "autoresearch.toml").write_text(
        '[metric]\nname = "val_bpb"\nunit = "bits/byte"\n[scope]\nedit = ["train.py"]\n'
        '[measure]\nrun = "python train.py"\n'
    )
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "start")
    return folder


def git(folder: Path, *args: str) -> str:
    return subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


def call(folder: Path, *args: str) -> Done:
    with contextlib.chdir(folder):
        result = CliRunner().invoke(cli, list(args))
    return Done(result.exit_code, result.stdout, result.stderr)


def session_of(folder: Path) -> Session:
    return open_session(find_place(folder))


def journal(folder: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in session_of(folder).journal.read_bytes().splitlines()]


def written(folder: Path, lines: list[dict[str, Any]]) -> Path:
    path = folder / "log.jsonl"
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return path


# -- results.tsv


def test_a_results_tsv_becomes_a_session_and_comes_out_as_it_went_in(target: Path) -> None:
    (target / "results.tsv").write_text(RESULTS)
    done = call(target, "import", "results.tsv", "--session", "old")
    assert done.code == 0, done.err
    assert "4 experiments (2 kept, best val_bpb 0.9932)" in done.out
    assert session_of(target).name == "old"
    assert call(target, "export", "--tsv").out == RESULTS
    assert call(target, "export", "--tsv", "-o", "out.tsv").code == 0
    assert (target / "out.tsv").read_text() == RESULTS


def test_init_imports_a_results_tsv_by_itself_and_only_once(target: Path) -> None:
    (target / "autoresearch.toml").unlink()
    for name in ("program.md", "prepare.py"):
        (target / name).write_text("\n")
    (target / "train.py").write_text("print(f'val_bpb: {1}')\n")
    (target / "results.tsv").write_text(RESULTS)
    done = call(target, "init")
    assert done.code == 0, done.err
    assert "Imported 4 experiments" in done.out
    assert len(session_of(target).history().rows) == 4
    done = call(target, "init", "--force")
    assert "is not imported" in done.out
    assert len(list(find_place(target).sessions_dir.iterdir())) == 1


def test_a_header_row_alone_is_no_history(target: Path) -> None:
    (target / "autoresearch.toml").unlink()
    for name in ("program.md", "prepare.py"):
        (target / name).write_text("\n")
    (target / "results.tsv").write_text(RESULTS.splitlines()[0] + "\n")
    done = call(target, "init", "--metric", "val_bpb")
    assert done.code == 0, done.err
    assert "results.tsv" not in done.out
    done = call(target, "import", "results.tsv")
    assert done.code == 2
    assert "no experiment" in done.err


def test_imported_history_is_paused_and_compared_with_nothing(target: Path) -> None:
    (target / "results.tsv").write_text(RESULTS)
    call(target, "import", "results.tsv")
    history = session_of(target).history()
    assert history.control.state == "paused"
    assert history.incumbent is None
    assert [row.segment for row in history.rows] == [0, 0, 0, 0]
    assert history.segment == 1
    assert history.rows[3].metric is None  # a crash's zero is no value
    assert history.next_number() == 5
    assert history.header is not None
    assert history.header.base == git(target, "rev-parse", "HEAD")
    assert git(target, "rev-parse", f"autoresearch/{session_of(target).name}") == history.header.base


def test_nothing_imported_is_offered_for_merging(target: Path) -> None:
    (target / "results.tsv").write_text(RESULTS)
    call(target, "import", "results.tsv")
    found = orjson.loads(call(target, "summary", "--json").out)
    assert (found["kept"], found["merge"]) == ([], None), "these keeps are on no branch of ours"


def test_another_metric_keeps_its_own_name(target: Path) -> None:
    (target / "results.tsv").write_text("commit\tval rmse\tstatus\tdescription\nc2450ad\t343.88\tkeep\tbaseline\n")
    assert call(target, "import", "results.tsv").code == 0
    header = journal(target)[0]
    assert (header["metricName"], header["metricUnit"]) == ("val_rmse", "")
    assert journal(target)[-1]["metricName"] == "val_bpb"


def test_the_best_of_a_file_without_direction_follows_the_config(target: Path) -> None:
    toml = target / "autoresearch.toml"
    toml.write_text(toml.read_text().replace("[metric]", '[metric]\ndirection = "higher"'))
    (target / "results.tsv").write_text(RESULTS.replace("d4e5f6a\t0.000000\t0.0\tcrash", "d4e5f6a\t9.5\t0.0\tdiscard"))
    assert "best val_bpb 0.9979)" in call(target, "import", "results.tsv").out
    assert journal(target)[0]["bestDirection"] == "higher"


def test_the_engine_goes_on_with_a_baseline_in_a_segment_of_its_own(target: Path, tmp_path: Path) -> None:
    (target / "results.tsv").write_text(RESULTS)
    call(target, "import", "results.tsv", "--session", "old")
    command = [sys.executable, "-m", "autoresearch", "run", "--headless", "--agent", "tuner", "--max-experiments", "1"]
    env = {**os.environ, "AUTORESEARCH_TREES": str(tmp_path / "trees")}
    done = subprocess.run(command, cwd=target, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 3, done.stdout + done.stderr
    history = session_of(target).history()
    assert [(row.number, row.segment, row.cause) for row in history.rows[-2:]] == [(4, 0, ""), (5, 1, "baseline")]
    assert history.incumbent is not None
    assert history.incumbent.sha == git(target, "rev-parse", "HEAD") == git(target, "rev-parse", "autoresearch/old")
    assert call(target, "export", "--tsv").out.splitlines()[-1].endswith("\t1.000000\t0.0\tkeep\tbaseline")


def test_lines_that_cannot_be_taken_are_named_and_hide_nothing(target: Path) -> None:
    rows = ["x\tnope\t1.0\tkeep\tno number", "x\t1.0\t1.0\tsoso\tno such status", "e5\t0.5\t1.0\tKeep\tlast\tof all"]
    (target / "results.tsv").write_text(RESULTS + "\n".join(rows))
    done = call(target, "import", "results.tsv")
    assert done.code == 0
    assert "line 6: keep without a number for val_bpb" in done.out
    assert "line 7: the status 'soso'" in done.out
    assert session_of(target).history().rows[-1].description == "last of all"


def test_a_file_of_neither_format_is_refused_with_what_was_expected(target: Path) -> None:
    (target / "notes.txt").write_text("hello\n")
    done = call(target, "import", "notes.txt")
    assert done.code == 2
    assert "commit, val_bpb, memory_gb, status, description" in done.err
    assert not find_place(target).sessions_dir.exists()


def test_full_commits_come_from_the_repository_but_never_for_a_discard_that_names_its_parent(target: Path) -> None:
    shas = [git(target, "rev-parse", "HEAD")]
    for text in ("1", "2"):
        (target / "train.py").write_text(f"# {text}\n")
        git(target, "commit", "-qam", text)
        shas.append(git(target, "rev-parse", "HEAD"))
    git(target, "reset", "-q", "--hard", shas[1])  # the last one was undone: only its name keeps it from being lost
    rows = [(shas[0], "keep"), (shas[1], "keep"), (shas[1], "discard"), (shas[2], "discard")]
    body = "".join(f"{sha[:7]}\t1.0\t0.0\t{status}\tsomething\n" for sha, status in rows)
    (target / "results.tsv").write_text(RESULTS.splitlines()[0] + "\n" + body)
    assert call(target, "import", "results.tsv").code == 0
    lines = [line for line in journal(target) if "run" in line]
    assert [line.get("sha") for line in lines] == [shas[0], shas[1], None, shas[2]]
    assert [line.get("parent") for line in lines] == ["", shas[0], None, shas[1]]
    assert all(line["timestamp"] > 0 for line in lines)


# -- pi-autoresearch's journal


def test_a_pi_journal_keeps_its_lines_and_segments(target: Path) -> None:
    done = call(target, "import", str(written(target, PI)))
    assert done.code == 0, done.err
    assert "3 experiments (2 kept, best ops 12)" in done.out
    lines = journal(target)
    assert [line for line in lines if "run" in line] == [line for line in PI if "run" in line]
    headers = [
        (line["metricName"], line["metricUnit"], line["bestDirection"]) for line in lines if "metricName" in line
    ]
    assert headers == [("total_ms", "ms", "lower"), ("ops", "ms", "higher"), ("val_bpb", "bits/byte", "lower")]
    history = session_of(target).history()
    assert [row.segment for row in history.rows] == [0, 0, 1]
    assert not history.problems


def test_the_time_between_imported_experiments_is_not_running_time(target: Path) -> None:
    call(target, "import", str(written(target, PI)))
    assert session_of(target).history().running_ms == 0


def test_a_journal_with_bad_lines_and_odd_numbers_is_taken_as_far_as_it_goes(target: Path) -> None:
    path = written(target, [PI[0], {**PI[1], "run": 7}, {**PI[3], "run": 7}])
    path.write_bytes(path.read_bytes() + b'{"run": 8, "metric": "fast"}\n[1]\nnot json\n{"run": 9}')
    done = call(target, "import", str(path))
    assert done.code == 0, done.err
    for line in (4, 5, 6):
        assert f"line {line}: " in done.out
    assert "numbered anew" in done.out
    rows = session_of(target).history().rows
    assert [row.number for row in rows] == [1, 2, 3]
    assert rows[2].status == "discard"  # pi would read it as a keep


def test_our_own_journal_goes_through_export_and_import(target: Path) -> None:
    call(target, "import", str(written(target, PI)), "--session", "first")
    call(target, "export", "--jsonl", "-o", "copy.jsonl")
    assert (target / "copy.jsonl").read_bytes() == session_of(target).journal.read_bytes()
    before = [line for line in journal(target) if "run" in line]
    done = call(target, "import", "copy.jsonl", "--session", "second")
    assert done.code == 0, done.err
    assert session_of(target).name == "second"
    assert [line for line in journal(target) if "run" in line] == before


def test_a_guard_that_failed_before_the_first_run_has_no_value_in_either_format(target: Path) -> None:
    ours = {"run": 4, "commit": "ccccccc", "metric": 0.0, "status": "checks_failed", "cause": "guard", "verdict": {}}
    zero = {**ours, "run": 5, "verdict": {"rule": "race", "r": 1}}
    call(target, "import", str(written(target, [*PI, {**ours, "description": "a"}, {**zero, "description": "b"}])))
    assert [row.metric for row in session_of(target).history().rows[3:]] == [None, 0.0], "a measured 0 is a value"
    done = call(target, "export", "--tsv", "-o", "results.tsv")
    assert done.code == 0, done.err
    assert (target / "results.tsv").read_text().splitlines()[-2:] == [
        "ccccccc\t0.000000\t0.0\tcrash\ta [checks failed]",
        "ccccccc\t0.000000\t0.0\tdiscard\tb [checks failed]",
    ]
    assert call(target, "import", "results.tsv", "--session", "back").code == 0
    rows = session_of(target).history().rows[3:]
    assert [(row.status, row.metric) for row in rows] == [("checks_failed", None), ("checks_failed", 0.0)]


# -- refusals


def test_files_are_looked_for_in_the_folder_that_the_command_works_in(target: Path, tmp_path: Path) -> None:
    (target / "results.tsv").write_text(RESULTS)
    done = call(tmp_path, "-C", "target", "import", "results.tsv")
    assert done.code == 0, done.err
    assert f"autoresearch -C {target} run" in done.out
    assert call(tmp_path, "-C", "target", "export", "--tsv", "-o", "out.tsv").code == 0
    assert (target / "out.tsv").read_text() == RESULTS
    done = call(target, "import", "gone.tsv")
    assert (done.code, "There is no file" in done.err) == (2, True)


def test_a_taken_name_is_refused_and_nothing_is_changed(target: Path) -> None:
    (target / "results.tsv").write_text(RESULTS)
    git(target, "branch", "autoresearch/mine")
    assert call(target, "import", "results.tsv", "--session", "mine").code == 2
    assert call(target, "import", "results.tsv", "--session", "a").code == 0
    git(target, "branch", "-D", "autoresearch/a")
    done = call(target, "import", "results.tsv", "--session", "a")
    assert done.code == 2
    assert "exists" in done.err
    assert "autoresearch/a" not in git(target, "branch", "--list")


def test_import_needs_a_config_and_a_commit(target: Path, tmp_path: Path) -> None:
    (target / "results.tsv").write_text(RESULTS)
    (target / "autoresearch.toml").unlink()
    done = call(target, "import", "results.tsv")
    assert (done.code, "autoresearch init" in done.err) == (2, True)
    fresh = tmp_path / "fresh"
    fresh.mkdir()
    git(fresh, "init", "-q")
    (fresh / "autoresearch.toml").write_text('[metric]\nname = "m"\n[scope]\nedit = ["a"]\n[measure]\nrun = "x"\n')
    done = call(fresh, "import", str(target / "results.tsv"))
    assert (done.code, "no commit yet" in done.err) == (2, True)


def test_export_asks_for_a_format_and_a_session(target: Path) -> None:
    assert call(target, "export").code == 2
    assert call(target, "export", "--tsv").code == 2


def test_measured_gpu_memory_stands_in_for_memory_that_was_not_printed(target: Path) -> None:
    (target / "results.tsv").write_text(RESULTS)
    call(target, "import", "results.tsv")
    sample = {"type": "sample", "experiment": 5, "sha": "e" * 40, "arm": "candidate", "k": 1, "peak_vram_mb": 2048.0}
    run = {"run": 5, "commit": "eeeeeee", "metric": 0.5, "metrics": {}, "status": "keep", "description": "a\tb\nc"}
    with session_of(target).journal.open("ab") as file:
        file.write(orjson.dumps(sample) + b"\n" + orjson.dumps(run) + b"\n")
    assert call(target, "export", "--tsv").out.splitlines()[-1] == "eeeeeee\t0.500000\t2.0\tkeep\ta b c"
