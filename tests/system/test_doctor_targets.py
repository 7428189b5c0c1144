"""`autoresearch doctor` on real targets, good and bad: each gets the right sentence, and nothing stays."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from engines import autoresearch, check_agreement, command, environment, lines, until
from engines import run as run_engine
from fakenvml import FakeDriver
from repos import BENCH, TOML, git, make_repo, make_target, snapshot, write

from autoresearch.engine.doctor import kept
from autoresearch.engine.sandbox import kernel, level
from autoresearch.state.journal import records
from autoresearch.state.session import find_place, list_sessions

TUNED = TOML.replace('"replay"', '"tuner"') + "\n[verdict]\nbaseline_runs = 4\n"
EXACT = "from knob import VALUE\nprint(f'METRIC score={VALUE}')\n"


@pytest.fixture(autouse=True)
def trees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "trees"
    monkeypatch.setenv("AUTORESEARCH_TREES", str(folder))
    for name in [name for name in os.environ if "ANTHROPIC" in name or name == "VIRTUAL_ENV"]:
        monkeypatch.delenv(name)
    return folder


def doctor(repo: Path, *args: str, code: int | None = None, **env: str) -> dict[str, Any]:
    done = autoresearch(repo, "doctor", "--json", *args, expect=code, **env)
    assert done.stdout, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def findings(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [finding for finding in document["target"]["findings"] if finding["name"] == name]


def the(document: dict[str, Any], name: str, state: str) -> dict[str, Any]:
    found = [finding for finding in findings(document, name) if finding["state"] == state]
    assert len(found) == 1, json.dumps(document["target"], indent=1)
    return found[0]


def nothing_left(repo: Path, trees: Path) -> None:
    assert [path for path in trees.rglob("*") if path.name.startswith(".dryrun")] == []
    assert not (repo / ".git" / "worktrees").exists()
    assert list_sessions(find_place(repo)) == []


def marking(tmp_path: Path, name: str) -> tuple[Path, str]:
    """A file outside the trees that a run may write, and a toml that lets it."""
    folder = tmp_path / "marks"
    folder.mkdir()
    return folder / name, TOML.replace("budget_s = 0", f'budget_s = 0\nwritable = ["{folder}"]')


def working_below(folder: Path) -> list[str]:
    """Processes whose working directory is in the folder: a run sees numbers of its own."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append(process.name)
    return found


def test_a_good_target_is_proven_and_left_as_it_was(tmp_path: Path, trees: Path) -> None:
    repo = make_target(tmp_path / "repo")
    before = snapshot(repo)
    document = doctor(repo, code=0)
    not_ok = {finding["name"] for finding in document["target"]["findings"] if finding["state"] != "ok"}
    assert not_ok == {"score"}, "there is no evaluate, which is said and no fault"
    assert "a break in knob.py is noticed" in the(document, "measured", "ok")["text"]
    assert "bench.py is caught" in the(document, "protection", "ok")["text"]
    assert "one sd" in the(document, "noise", "ok")["text"]
    assert "experiments in a night" in the(document, "night", "ok")["text"]
    outlook = document["target"]["outlook"]
    assert 9.9 < outlook["mean"] < 10.1
    assert 0 < outlook["sd"] < 0.05
    assert 0 < outlook["least"] < outlook["sd"] < outlook["delta"], "many quick runs see less than one run's spread"
    assert outlook["night"] == 480, "a proposal a minute"
    assert snapshot(repo) == before
    nothing_left(repo, trees)


def test_a_session_started_soon_after_takes_the_samples_as_its_baselines(tmp_path: Path) -> None:
    repo = make_target(tmp_path / "repo", toml=TUNED)
    taken = doctor(repo, code=0)["target"]["samples"]
    assert len(taken) == 4
    run_engine(repo, "--max-experiments", "1", expect=3)
    history = check_agreement(repo)
    samples = [line for line in lines(repo) if isinstance(line, records.Sample)]
    assert [sample.metric for sample in samples] == [each["metric"] for each in taken]
    assert {(sample.experiment, sample.arm) for sample in samples} == {(1, "candidate")}
    assert [sample.k for sample in samples] == [1, 2, 3, 4]
    assert history.rows[0].cause == "baseline"
    (baseline,) = [line for line in lines(repo) if isinstance(line, records.Experiment)]
    assert "; 4 of them by the dry run" in baseline.reason
    assert history.incumbent is not None
    assert not (repo / ".autoresearch" / history.header.session / "runs" / "00001" / "output.log").exists()  # type: ignore[union-attr]


def test_fewer_samples_than_a_baseline_needs_are_completed(tmp_path: Path) -> None:
    repo = make_target(tmp_path / "repo", toml=TUNED)
    doctor(repo, "--runs", "3", code=0)
    run_engine(repo, "--max-experiments", "1", expect=3)
    samples = [line for line in lines(repo) if isinstance(line, records.Sample)]
    assert [sample.k for sample in samples] == [1, 2, 3, 4]
    assert samples[3].timestamp > samples[2].timestamp
    check_agreement(repo)


@pytest.mark.parametrize("change", ["config", "protected", "scope", "old", "torn"])
def test_samples_of_something_else_are_not_taken_over(tmp_path: Path, change: str) -> None:
    repo = make_target(tmp_path / "repo", toml=TUNED)
    doctor(repo, "--no-canaries", code=0)
    file = kept.kept_file(find_place(repo))
    if change == "config":
        write(
            repo,
            {"autoresearch.toml": (repo / "autoresearch.toml").read_text().replace("budget_s = 0", "budget_s = 1")},
        )
    elif change == "old":
        data = json.loads(file.read_text())
        data["targets"][""]["timestamp"] -= int(kept.VALID_H * 3600_000) + 1
        file.write_text(json.dumps(data))
    elif change == "torn":
        file.write_bytes(file.read_bytes()[:-9])
    else:
        name = "bench.py" if change == "protected" else "knob.py"
        write(repo, {name: (repo / name).read_text() + "# changed\n"})
        git(repo, "commit", "-qam", "change")
    run_engine(repo, "--max-experiments", "1", expect=3)
    folder = next(iter(list_sessions(find_place(repo)))).run(1)
    assert (folder / "output.log").read_text().count("=== sample") == 4


def test_a_commit_of_the_toml_alone_is_the_same_commit(tmp_path: Path) -> None:
    repo = make_target(tmp_path / "repo", toml=TUNED)
    doctor(repo, "--no-canaries", code=0)
    write(repo, {"autoresearch.toml": (repo / "autoresearch.toml").read_text() + "\n[limits]\ndollars = 3\n"})
    git(repo, "commit", "-qam", "limits")
    run_engine(repo, "--max-experiments", "1", expect=3)
    samples = [line for line in lines(repo) if isinstance(line, records.Sample)]
    head = git(repo, "rev-parse", "HEAD").strip()
    assert {sample.sha for sample in samples} == {head}
    assert not (next(iter(list_sessions(find_place(repo)))).run(1) / "output.log").exists()


# -- what is in scope is what is measured


def editable_target(folder: Path, how: str) -> Path:
    """A package in src/, installed as editable into a .venv, measured by a script beside it: the classic."""
    toml = TOML.replace('["knob.py"]', '["src/**"]\nlink = [".venv"]')
    bench = BENCH.replace("from knob", "from mine")
    repo = make_repo(
        folder,
        {
            "autoresearch.toml": toml,
            "bench.py": bench,
            "src/mine/__init__.py": "VALUE = 10.0\n",
            ".gitignore": ".venv\n",
        },
    )
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(repo / ".venv")], check=True)
    packages = next((repo / ".venv").glob("lib/python3*/site-packages"))
    if how == "pth":
        write(packages, {"__editable__.mine-0.1.pth": f"{repo}/src\n"})
    else:
        mapping = f"{{'mine': '{repo}/src/mine'}}"
        finder = (
            f"import sys, importlib.util\nMAPPING = {mapping}\n"
            "class F:\n    @classmethod\n    def find_spec(cls, name, path=None, target=None):\n"
            "        if name in MAPPING:\n"
            "            return importlib.util.spec_from_file_location(name, MAPPING[name] + '/__init__.py')\n"
            "def install():\n    sys.meta_path.append(F)\n"
        )
        hook = "import __editable___mine_0_1_finder; __editable___mine_0_1_finder.install()\n"
        write(packages, {"__editable___mine_0_1_finder.py": finder, "__editable__.mine-0.1.pth": hook})
    return repo


UNCONFINED = ("[measure]\n", '[measure]\nconfine = "off"\n')
"""Where a run sees the person's own folder."""


@pytest.mark.parametrize("how", ["pth", "finder"])
def test_an_editable_install_leads_into_the_tree_or_is_found_out_and_its_fix_works(tmp_path: Path, how: str) -> None:
    repo = editable_target(tmp_path / "repo", how)
    if level().holds("views"):
        found = the(doctor(repo, "--runs", "3", code=0), "measured", "ok")
        assert "src/mine/__init__.py is noticed by the run" in found["text"]
    toml = repo / "autoresearch.toml"
    toml.write_text(toml.read_text().replace(*UNCONFINED))
    document = doctor(repo, "--runs", "3", code=1)
    found = the(document, "measured", "fail")
    assert "src/mine/__init__.py is broken" in found["text"]
    assert "mine is installed as editable" in found["text"]
    assert "__editable__" in found["text"]
    assert str(repo / "src") in found["text"]
    fix = "PYTHONPATH=src python bench.py"
    assert fix in found["fix"]
    toml.write_text(toml.read_text().replace("python bench.py", fix))
    assert doctor(repo, "--runs", "3", code=0)["target"]["kept"]


def test_a_file_that_the_run_does_not_use_is_a_remark(tmp_path: Path) -> None:
    repo = make_target(tmp_path / "repo", toml=TOML.replace('["knob.py"]', '["knob.py", "notes/*"]'))
    write(repo, {"notes/plan.md": "to do\n"})
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "notes")
    document = doctor(repo, "--runs", "3", code=0)
    assert "does not use notes/plan.md" in the(document, "measured", "note")["text"]


def test_a_file_whose_break_changes_the_result_is_measured(tmp_path: Path) -> None:
    toml = TOML.replace("knob.py", "prompt.txt")
    bench = "print('METRIC score=%d' % len(open('prompt.txt').read()))\n"
    repo = make_target(tmp_path / "repo", toml=toml, bench=bench)
    write(repo, {"prompt.txt": "Answer well.\n"})
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "prompt")
    document = doctor(repo, code=0)
    assert any("breaking prompt.txt changes the result" in each["text"] for each in findings(document, "measured"))
    assert "any difference" in the(document, "noise", "ok")["text"]


def test_a_command_that_names_the_persons_own_folder_is_found_out(tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    toml = TOML.replace("python bench.py", f"cd {folder} && python bench.py").replace(*UNCONFINED)
    repo = make_target(folder, toml=toml)
    found = the(doctor(repo, "--runs", "3", code=1), "measured", "fail")
    assert f"names {repo}, which is your own folder" in found["text"]


def test_everything_in_scope_leaves_nothing_protected(tmp_path: Path) -> None:
    repo = make_target(tmp_path / "repo", toml=TOML.replace('["knob.py"]', '["**"]'))
    assert "every tracked file is in scope" in the(doctor(repo, "--runs", "3", code=0), "protection", "warn")["text"]


# -- runs that fail


@pytest.mark.parametrize(
    ("toml", "bench", "name", "text", "fix"),
    [
        ({}, "print('loss: 0.5')\nprint('total_score: 7.25')\n", "run",
         "printed no score; there is `total_score: 7.25`, `loss: 0.5`", 'name = "total_score"'),
        ({}, "print('score=0.5')\n", "run", "in a form that is read; there is `score=0.5`", "`METRIC score=0.5`"),
        ({}, "print('done')\n", "run", "nothing else that looks like a metric", "`METRIC score=0.5`"),
        ({}, "print('METRIC score=nan')\n", "run", "not finite", "finite number"),
        ({}, "raise SystemExit(3)\n", "run", "exit code 3", "fresh clone"),
        ({}, "import socket\nsocket.getaddrinfo('data.invalid', 443)\n", "run", "tried to reach the network",
         'network = "on"'),
        ({"python bench.py": "no-such-program bench.py"}, BENCH, "run", "no-such-program is not found", "Install it"),
        ({'"python bench.py"': '["no-such-program"]'}, BENCH, "run", "no-such-program is not found", "Install it"),
        ({}, "open('data.csv')\n", "run", "needs data.csv, which is in your folder but not in the last commit",
         'link = ["data.csv"]'),
        ({}, "import local_only\n", "run", "needs local_only.py", "git add local_only.py"),
        ({}, "import no_such_package\n", "run", "imports no_such_package", ".venv"),
        ({}, "import os\nos.environ['MY_SETTING']\n", "run", "wants the variable MY_SETTING", 'env = ["MY_SETTING"]'),
        ({"budget_s = 0": "timeout_s = 1"}, "import time\ntime.sleep(60)\n", "run", "not finished in its time",
         "measure.timeout_s"),
        ({"budget_s = 0": 'metrics_file = "out.json"'}, BENCH, "run", "out.json", 'write out.json as {"score": 0.5}'),
        ({"budget_s = 0": 'evaluate = "python evaluator.py"'}, "open('model', 'w')\n", "evaluate",
         "evaluate misses model", 'artifacts = ["model"]'),
        ({"budget_s = 0": 'evaluate = "python evaluator.py"\nartifacts = ["other"]'}, "open('model', 'w')\n", "run",
         "other", "measure.artifacts"),
        ({"budget_s = 0": 'setup = "false"'}, BENCH, "setup", "exit code 1", "fresh clone"),
        ({"budget_s = 0": 'build = "echo no compiler; false"'}, BENCH, "build", "exit code 1", "fresh clone"),
        ({"[agent]": '[[guard]]\nrun = "false"\n\n[agent]'}, BENCH, "guard", "nothing could ever be kept", "[[guard]]"),
        ({"[agent]": '[holdout]\nrun = "false"\n\n[agent]'}, BENCH, "holdout", "exit code 1", "[holdout]"),
        ({'["knob.py"]': '["nob.py"]'}, BENCH, "scope", "matches no file of the last commit", "scope.edit"),
    ],
)  # fmt: skip
def test_a_target_that_fails_says_why_and_what_to_do(
    tmp_path: Path, trees: Path, toml: dict[str, str], bench: str, name: str, text: str, fix: str
) -> None:
    written = TOML
    for old, new in toml.items():
        assert old in written
        written = written.replace(old, new)
    repo = make_target(tmp_path / "repo", toml=written, bench=bench)
    write(repo, {"evaluator.py": "open('model')\nprint('METRIC score=1')\n"})
    git(repo, "add", "-A")
    git(repo, "commit", "-qm", "evaluator")
    write(repo, {"data.csv": "1\n", "local_only.py": "\n"})
    document = doctor(repo, "--runs", "3", "--no-canaries", code=1, MY_SETTING="x")
    found = the(document, name, "fail")
    assert text in found["text"]
    assert fix in found["fix"]
    assert not document["target"]["kept"]
    nothing_left(repo, trees)


def test_that_the_network_is_what_is_missing_is_proven_when_allowed(tmp_path: Path) -> None:
    bench = "import os\nif 'UV_OFFLINE' in os.environ:\n    raise OSError('Network is unreachable')\n"
    repo = make_target(tmp_path / "repo", bench=bench + EXACT)
    found = the(doctor(repo, "--network", code=1), "network", "fail")
    assert "with it on it gives its metric" in found["text"]
    assert 'network = "on"' in found["fix"]
    write(repo, {"bench.py": "raise OSError('Network is unreachable')\n"})
    git(repo, "commit", "-qam", "worse")
    document = doctor(repo, "--network", code=1)
    assert "fails with the network on too" in the(document, "network", "note")["text"]
    assert "tried to reach the network" in the(document, "run", "fail")["text"]


@pytest.mark.skipif(not kernel.this_kernel().network, reason="no network namespaces here")
def test_a_run_that_needs_the_real_network_is_told_and_proven(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        bench = f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 5).close()\n"
        repo = make_target(tmp_path / "repo", bench=bench + EXACT)
        found = the(doctor(repo, code=1), "run", "fail")
        assert f"a localhost of its own, without what listens at port {port} of this machine" in found["text"]
        assert "onnection refused" in found["text"]
        assert 'Set network = "on"' in found["fix"]
        assert "trees" not in "".join(found["lines"])
        assert "with it on it gives its metric" in the(doctor(repo, "--network", code=1), "network", "fail")["text"]
        toml = repo / "autoresearch.toml"
        toml.write_text(toml.read_text().replace("budget_s = 0", 'budget_s = 0\nnetwork = "on"'))
        document = doctor(repo, "--runs", "3", code=0)
    assert document["target"]["kept"]
    assert "the network is on" in the(document, "confinement", "ok")["text"]


def test_a_target_that_asks_for_no_confinement_is_warned_of(tmp_path: Path) -> None:
    repo = make_target(tmp_path / "repo", toml=TOML.replace("budget_s = 0", 'budget_s = 0\nconfine = "off"'))
    assert "not confined" in the(doctor(repo, "--quick", code=0), "confinement", "warn")["text"]


def test_a_run_that_fails_later_than_the_first_is_told(tmp_path: Path) -> None:
    bench = "import os\nassert os.environ['AUTORESEARCH_SEED'] != '3', 'odd'\n"
    repo = make_target(tmp_path / "repo", bench=bench + EXACT)
    found = the(doctor(repo, "--no-canaries", code=1), "run", "fail")
    assert "run 3 failed where earlier ones did not" in found["text"]
    assert "AssertionError: odd" in found["lines"][-1]


def test_what_a_failing_run_said_last_is_shown_without_its_escapes(tmp_path: Path) -> None:
    repo = make_target(
        tmp_path / "repo", bench="print('\\033]0;title\\007one')\nraise RuntimeError('no luck \\033[31m')\n"
    )
    shown = the(doctor(repo, code=1), "run", "fail")["lines"]
    assert shown[0] == "one"
    assert shown[-1] == "RuntimeError: no luck"


def test_a_command_that_names_an_untracked_file_is_refused_before_anything_runs(tmp_path: Path) -> None:
    repo = make_target(tmp_path / "repo", toml=TOML.replace("bench.py", "mine.py"))
    write(repo, {"mine.py": BENCH})
    found = the(doctor(repo, code=1), "git", "fail")
    assert "measure.run names mine.py, which is in your folder but not in the last commit" in found["text"]
    assert "`git add mine.py` and commit" in found["fix"]


# -- git, and looking only


def test_a_target_that_is_not_in_git_is_told_so(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    write(folder, {"autoresearch.toml": TOML, "bench.py": BENCH, "knob.py": "VALUE = 1\n"})
    found = the(doctor(folder, code=1, GIT_CEILING_DIRECTORIES=str(tmp_path)), "git", "fail")
    assert "is not in a git repository" in found["text"]
    assert "git init" in found["fix"]


def test_without_a_target_the_machine_alone_is_looked_at(tmp_path: Path) -> None:
    write(tmp_path, {"above/autoresearch.toml": TOML})
    make_repo(tmp_path / "above" / "other", {"a.txt": "no target\n"})
    assert doctor(tmp_path / "above" / "other", GIT_CEILING_DIRECTORIES=str(tmp_path))["target"] is None
    assert doctor(tmp_path, GIT_CEILING_DIRECTORIES=str(tmp_path))["target"] is None


def test_a_repository_without_a_commit_a_shallow_one_and_a_dirty_one(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    write(empty, {"autoresearch.toml": TOML})
    git(empty, "init", "-q")
    assert "no commit yet" in the(doctor(empty, "--quick", code=1), "git", "fail")["text"]
    repo = make_target(tmp_path / "repo")
    git(repo, "commit", "-q", "--allow-empty", "-m", "second")
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repo}", str(shallow))
    write(shallow, {"knob.py": "VALUE = 9\n"})
    document = doctor(shallow, "--quick", code=0)
    assert "shallow" in the(document, "git", "note")["text"]
    assert "not committed, and so not measured: knob.py" in the(document, "git", "warn")["text"]


def test_a_quick_look_runs_nothing(tmp_path: Path, trees: Path) -> None:
    ran, toml = marking(tmp_path, "ran")
    repo = make_target(tmp_path / "repo", toml=toml, bench=f"open({str(ran)!r}, 'w')\n")
    document = doctor(repo, "--quick", code=0)
    assert document["target"]["outlook"] is None
    assert not ran.exists()
    assert not trees.exists()


def test_a_target_in_a_folder_of_its_repository(tmp_path: Path, trees: Path) -> None:
    repo = make_target(tmp_path / "repo", prefix="part/one")
    document = doctor(repo / "part" / "one", "--runs", "3", code=0)
    assert "bench.py is caught" in the(document, "protection", "ok")["text"]
    assert "part/one" in kept.kept_file(find_place(repo)).read_text()
    nothing_left(repo, trees)


def test_commands_that_came_with_a_clone_run_only_when_they_are_trusted(tmp_path: Path) -> None:
    ran, toml = marking(tmp_path, "ran")
    origin = make_target(tmp_path / "origin", toml=toml, bench=f"open({str(ran)!r}, 'w')\n" + BENCH)
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(origin), str(clone))
    home = str(tmp_path / "state")
    found = the(doctor(clone, code=1, XDG_STATE_HOME=home), "trust", "fail")
    assert "measure.run = `python bench.py`" in found["text"]
    assert "--trust" in found["fix"]
    assert not ran.exists()
    doctor(clone, "--trust", "--runs", "3", code=0, XDG_STATE_HOME=home)
    assert ran.exists()


def test_a_busy_gpu_is_named_with_who_computes_on_it(tmp_path: Path) -> None:
    driver = FakeDriver(tmp_path / "driver", {"used": 500})
    repo = make_target(tmp_path / "repo")

    def busy(document: dict[str, Any]) -> list[dict[str, Any]]:
        return [check for check in document["checks"] if check["name"] == "gpu in use"]

    assert busy(doctor(repo, "--quick", code=0, **driver.env)) == []
    driver.set({"used": 12_500, "processes": [{"pid": os.getpid(), "mb": 12_000, "sm": 80}]}, {"used": 0})
    (found,) = busy(doctor(repo, "--quick", code=0, **driver.env))
    assert found["state"] == "warn"
    assert f"GPU 0 is in use by pid {os.getpid()} (" in found["text"]
    assert "python" in found["text"]
    assert "12,000 MB" in found["text"]
    assert "CUDA_VISIBLE_DEVICES" in found["fix"]


GPU_BENCH = """\
import json, os, pathlib, time
driver, scene = pathlib.Path({driver!r}), {scene!r}
me, stranger = {{"pid": os.getpid(), "mb": 3000, "sm": 50}}, {{"pid": {stranger}, "mb": 5000, "sm": 70}}
here = scene == ("broken" if "broken on purpose" in open("knob.py").read() else os.environ["AUTORESEARCH_SEED"])
visits = driver / "visits"
if here and (not visits.exists() or {stays}):
    visits.touch()
else:
    here = False

def devices(*processes):
    made = driver / f"devices.{{os.getpid()}}"
    made.write_text(json.dumps([{{"used": 500, "processes": list(processes)}}]))
    made.rename(driver / "devices.json")

devices(me, *([stranger] if here else []))
calls = driver / "calls"
before, deadline = calls.stat().st_size, time.monotonic() + 30
while here and calls.stat().st_size < before + 40:
    assert time.monotonic() < deadline
    time.sleep(0.01)
devices()
print("METRIC score=1")
"""
"""It does not read the knob. Somebody else is on the GPU while the knob is broken, or with one of the seeds."""


def shared_gpu(tmp_path: Path, scene: str, *, stays: bool) -> tuple[Path, FakeDriver]:
    driver = FakeDriver(tmp_path / "driver", {"used": 500})
    bench = GPU_BENCH.format(driver=str(driver.folder), scene=scene, stranger=os.getpid(), stays=stays)
    toml = TOML.replace("budget_s = 0", 'budget_s = 0\nconfine = "off"')
    return make_target(tmp_path / "repo", toml=toml, bench=bench), driver


def test_a_spoiled_run_with_a_broken_file_proves_nothing(tmp_path: Path) -> None:
    repo, driver = shared_gpu(tmp_path, "broken", stays=True)
    (found,) = findings(doctor(repo, "--runs", "3", code=0, **driver.env), "measured")
    assert found["state"] == "warn"
    assert "whether a break in knob.py is noticed could not be told: somebody else computed" in found["text"]
    assert "CUDA_VISIBLE_DEVICES" in found["fix"]


def test_a_run_with_a_broken_file_is_repeated_when_it_was_spoiled(tmp_path: Path) -> None:
    repo, driver = shared_gpu(tmp_path, "broken", stays=False)
    (found,) = findings(doctor(repo, "--runs", "3", code=1, **driver.env), "measured")
    assert found["state"] == "fail"
    assert "although knob.py is broken" in found["text"]


def test_a_spoiled_repeat_is_repeated_and_no_seed_is_to_blame(tmp_path: Path) -> None:
    repo, driver = shared_gpu(tmp_path, "2", stays=False)
    document = doctor(repo, "--no-canaries", "--runs", "3", code=0, **driver.env)
    assert (driver.folder / "visits").exists()
    assert len(document["target"]["samples"]) == 3
    (tmp_path / "again").mkdir()
    repo, driver = shared_gpu(tmp_path / "again", "2", stays=True)
    found = the(doctor(repo, "--no-canaries", "--runs", "3", code=1, **driver.env), "run", "fail")
    assert "run 2 failed where earlier ones did not: somebody else computed" in found["text"]
    assert "CUDA_VISIBLE_DEVICES" in found["fix"]
    assert "seed" not in found["fix"]


# -- interrupted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_dry_run_ends_its_processes_and_removes_its_trees(
    tmp_path: Path, trees: Path, number: signal.Signals
) -> None:
    mark, toml = marking(tmp_path, "started")
    bench = f"import os, time\nopen({str(mark)!r}, 'w').write('x')\ntime.sleep(600)\n"
    repo = make_target(tmp_path / "repo", toml=toml, bench=bench)
    child = subprocess.Popen(
        command("doctor"), cwd=repo, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        until(lambda: mark.exists() and mark.read_text(), "the run starts", 30)
        assert working_below(trees)
        child.send_signal(number)
        _, said = child.communicate(timeout=30)
    finally:
        child.kill()
    assert child.returncode == 130, said
    assert b"Traceback" not in said
    assert working_below(trees) == []
    nothing_left(repo, trees)


def test_the_next_dry_run_clears_up_after_a_killed_one(tmp_path: Path, trees: Path) -> None:
    mark, toml = marking(tmp_path, "started")
    first = f"open({str(mark)!r}, 'w').write('x'), time.sleep(600)"
    bench = f"import os, time\nif not os.path.exists({str(mark)!r}):\n    {first}\n"
    repo = make_target(tmp_path / "repo", toml=toml, bench=bench + EXACT)
    child = subprocess.Popen(
        command("doctor"), cwd=repo, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    until(lambda: mark.exists() and mark.read_text(), "the run starts", 30)
    child.kill()
    child.communicate(timeout=30)
    doctor(repo, "--runs", "3", code=0)
    assert working_below(trees) == []
    nothing_left(repo, trees)
