from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from fakenvml import FakeDriver

from autoresearch.engine.measure import Job, LocalSlot, Stacks
from autoresearch.engine.measure import local as measure
from autoresearch.engine.process import descendants
from autoresearch.engine.process import seen as processes
from autoresearch.engine.sandbox import Confinement, Ground
from autoresearch.engine.workspace import Scope
from autoresearch.state.config import config as configs
from autoresearch.state.journal.records import CRASH_CAUSES, Sample
from autoresearch.state.session import Place

METRIC = "echo METRIC loss=1.5"


class FolderCheckout:
    """A stand-in for a checkout: commits are folders."""

    def __init__(self, folder: Path, commits: Path) -> None:
        self.folder = folder
        self._commits = commits
        self.sha = ""
        self.submodule_files = frozenset[str]()

    def at(self, sha: str) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(self._commits / sha, self.folder / "target", symlinks=True)
        self.sha = sha

    def forget(self) -> None:
        self.sha = ""


@pytest.fixture
def commits(tmp_path: Path) -> Path:
    for sha in ("a" * 40, "b" * 40):
        folder = tmp_path / "commits" / sha
        folder.mkdir(parents=True)
        (folder / "prepare.py").write_text("protected\n")
        (folder / "which").write_text(sha[0] + "\n")
    return tmp_path / "commits"


@pytest.fixture
def slot(tmp_path: Path, commits: Path) -> Iterator[Callable[..., LocalSlot]]:
    def make(
        run: str | tuple[str, ...] = METRIC, *, constraints: Any = None, warn: Any = print, **measure: Any
    ) -> LocalSlot:
        config = configs.Config(
            name="t",
            metric=configs.Metric("loss"),
            scope=configs.Scope(("train.py", "out")),
            measure=configs.Measure(run=run, confine="off", **measure),
            constraints=constraints or {},
        )
        trees, user = tmp_path / "trees", tmp_path / "user"
        (user / "target").mkdir(parents=True, exist_ok=True)
        place = Place(user, user / ".git", user / ".git", "target")
        confinement = Confinement(config, Ground(place, trees, trees, ()))
        checkouts: Any = [FolderCheckout(trees / f"checkout-{number}", commits) for number in (1, 2)]
        scope = Scope(config.scope.edit, "target")
        stacks = Stacks(trees, checkouts, confinement, scope, place, config)
        stacks.open()
        open_stacks.append(stacks)
        return LocalSlot(config, "a-session", stacks, prefix="target", confinement=confinement, warn=warn)

    open_stacks: list[Stacks] = []
    yield make
    for stacks in open_stacks:
        stacks.close()


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    def make(**fields: Any) -> Job:
        folder = tmp_path / "runs/00007"
        folder.mkdir(parents=True, exist_ok=True)
        standard: dict[str, Any] = {"experiment": 7, "sha": "a" * 40, "arm": "candidate", "k": 1, "seed": 1}
        return Job(**{**standard, "folder": folder, "metric": "loss", **fields})

    return make


def log(tmp_path: Path, name: str = "output.log") -> str:
    return (tmp_path / "runs/00007" / name).read_text()


# -- good samples


async def test_a_sample_holds_what_the_run_reported(slot: Any, job: Any, tmp_path: Path) -> None:
    sample = await slot("cat which; echo METRIC other=3; echo METRIC loss=1.5", constraints={"other": 4}).sample(
        job(k=2, seed=2, arm="incumbent", constraints=("other",))
    )
    assert isinstance(sample, Sample)
    assert (sample.experiment, sample.sha, sample.arm, sample.k, sample.seed) == (7, "a" * 40, "incumbent", 2, 2)
    assert (sample.metric, sample.metrics, sample.exit, sample.cause) == (1.5, {"other": 3.0}, 0, None)
    assert sample.slot == "local"
    assert sample.duration_s > 0
    assert log(tmp_path).splitlines()[0] == "=== sample 2 · incumbent aaaaaaa · seed 2 ==="


async def test_samples_of_one_experiment_share_a_log_and_not_their_values(slot: Any, job: Any, tmp_path: Path) -> None:
    here = slot('[ $AUTORESEARCH_SEED = 2 ] || echo METRIC loss=1; printf "no line end"')
    first = await here.sample(job())
    second = await here.sample(job(k=2, seed=2))
    assert (first.metric, second.metric, second.cause) == (1.0, None, "no_metric")
    assert log(tmp_path).splitlines()[2:] == [
        "no line end",
        "=== sample 2 · candidate aaaaaaa · seed 2 ===",
        "no line end",
    ]


async def test_a_run_is_told_its_number_budget_and_seed(slot: Any, job: Any, tmp_path: Path) -> None:
    script = 'echo "$AUTORESEARCH_RUN $AUTORESEARCH_SESSION $AUTORESEARCH_BUDGET_S $AUTORESEARCH_SEED"; ' + METRIC
    await slot(script, budget_s=15).sample(job(seed=3))
    assert "7 a-session 15 3" in log(tmp_path)


async def test_keys_are_not_passed_and_the_evaluators_go_to_it_alone(
    slot: Any, job: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "secret")
    monkeypatch.setenv("WANTED", "yes")
    script = 'echo "key=${SOME_API_KEY-} wanted=${WANTED-}"; ' + METRIC
    await slot(script, evaluate=script, env=("WANTED",), evaluate_env=("SOME_API_KEY",)).sample(job())
    assert "key= wanted=yes" in log(tmp_path)
    assert "key=secret wanted=yes" in log(tmp_path, "evaluate.log")


async def test_a_list_is_run_without_a_shell(slot: Any, job: Any) -> None:
    assert (await slot(("python", "-c", "print('METRIC loss=' + '$HOME'[:0] + '2')")).sample(job())).metric == 2


async def test_a_build_is_made_once_per_commit(slot: Any, job: Any, tmp_path: Path) -> None:
    here = slot("cat built; " + METRIC, build=f"echo x >> {tmp_path}/builds; cp which built")
    for sha in ("a", "a", "b", "b", "a"):
        assert (await here.sample(job(sha=sha * 40))).cause is None
    assert (tmp_path / "builds").read_text() == "x\n" * 2, "two commits are ready at once"
    assert [line for line in log(tmp_path).splitlines() if len(line) == 1] == list("aabba")


async def test_a_metrics_file_of_an_earlier_run_is_not_read_again(slot: Any, job: Any) -> None:
    here = slot(
        "[ $AUTORESEARCH_SEED = 2 ] || echo '{\"loss\": 4}' > out/it.json", metrics_file="out/it.json", cache=("out",)
    )
    assert (await here.sample(job())).metric == 4
    again = await here.sample(job(k=2, seed=2))
    assert (again.metric, again.cause) == (None, "no_metric")
    assert "it.json was not written" in again.detail


async def test_home_and_tmp_carry_nothing_to_the_next_run(slot: Any, job: Any, tmp_path: Path) -> None:
    here = slot("ls ~ $TMPDIR; touch ~/left $TMPDIR/left; " + METRIC)
    await here.sample(job())
    await here.sample(job(k=2))
    assert "left" not in log(tmp_path)


async def test_progress_of_a_run_is_kept_with_its_sample(slot: Any, job: Any, tmp_path: Path) -> None:
    await slot("echo 'loss: 4.5'; " + METRIC, progress={"loss": r"^loss: (\S+)"}).sample(job(k=3))
    line = orjson.loads((tmp_path / "runs/00007/progress.jsonl").read_bytes())
    assert (line["name"], line["value"], line["k"], line["arm"]) == ("loss", 4.5, 3, "candidate")


async def test_wanted_outputs_are_kept_and_links_are_not(slot: Any, job: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    script = f"mkdir out; echo a > out/plot.svg; ln -s {tmp_path}/secret link; echo hint > hint.txt; exit 1"
    await slot(script, keep=("out/plot.svg", "link", "absent"), feedback="hint.txt").sample(job())
    kept = tmp_path / "runs/00007/kept"
    assert sorted(path.relative_to(kept).as_posix() for path in kept.rglob("*")) == ["hint.txt", "out", "out/plot.svg"]
    assert "not kept: link" in log(tmp_path)


@pytest.mark.parametrize("name", ["it.json", "out/it.json"])
@pytest.mark.parametrize("evaluate", ["", "true"], ids=["run", "evaluate"])
async def test_no_link_of_a_proposal_leads_the_engine_to_a_file_of_the_users(
    slot: Any, job: Any, commits: Path, tmp_path: Path, name: str, evaluate: str
) -> None:
    """It removes, reads and keeps what stands at these paths, and nothing confines it."""
    thesis = tmp_path / "user's" / "it.json"
    thesis.parent.mkdir()
    thesis.write_text('{"loss": 1}')
    (commits / ("a" * 40) / "it.json").symlink_to(thesis)
    (commits / ("a" * 40) / "out").symlink_to(thesis.parent)
    sample = await slot("true", evaluate=evaluate, metrics_file=name, feedback=name, keep=(name,)).sample(job())
    assert (sample.metric, sample.cause) == (None, "no_metric")
    assert thesis.read_text() == '{"loss": 1}'
    assert not list((tmp_path / "runs/00007").glob("kept/**/*.json"))


# -- evaluate


async def test_evaluate_sees_the_artifacts_and_nothing_else(slot: Any, job: Any, tmp_path: Path) -> None:
    sample = await slot(
        "mkdir out; echo 0.25 > out/model; echo x > stray; echo METRIC loss=0; echo {} > metrics.json",
        evaluate="ls -R; echo METRIC loss=$(cat out/model)",
        artifacts=("out/model",),
    ).sample(job())
    assert sample.metric == 0.25
    seen = log(tmp_path, "evaluate.log")
    assert "model" in seen
    assert "stray" not in seen


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ("true", "was not written"),
        ("mkdir out; ln -s /etc/passwd out/model", "regular file"),
        ("mkdir real; echo 0 > real/model; ln -s real out", "regular file"),
        ("mkdir out; mkfifo out/model", "regular file"),
        ("mkdir -p out/model", "regular file"),
    ],
)
async def test_an_artifact_that_is_no_plain_file_is_a_crash(slot: Any, job: Any, run: str, words: str) -> None:
    sample = await slot(run, evaluate="cat out/model; " + METRIC, artifacts=("out/model",)).sample(job())
    assert (sample.metric, sample.cause) == (None, "no_metric")
    assert "out/model" in sample.detail
    assert words in sample.detail


async def test_an_artifact_is_not_written_through_a_link_in_the_commit(
    slot: Any, job: Any, commits: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (commits / ("a" * 40) / "out").symlink_to(tmp_path / "elsewhere")
    sample = await slot("rm out; mkdir out; echo 0 > out/model", evaluate=METRIC, artifacts=("out/model",)).sample(
        job()
    )
    assert sample.cause == "no_metric"
    assert list((tmp_path / "elsewhere").iterdir()) == []


async def test_a_failing_evaluation_is_the_samples_crash(slot: Any, job: Any) -> None:
    sample = await slot(METRIC, evaluate="echo 'broken evaluator'; exit 4").sample(job())
    assert (sample.cause, sample.exit) == ("nonzero_exit", 4)
    assert "evaluation failed" in sample.detail
    assert "broken evaluator" in sample.detail


# -- crashes, one of each cause

CRASHES: dict[str, dict[str, Any]] = {
    "timeout": {"run": "sleep 60", "timeout_s": 0.3},
    "stalled": {"run": "sleep 60", "stall_s": 0.6},
    "over_budget": {"run": "sleep 60", "budget_s": 1},
    "output_limit": {"run": "yes", "output_mb": 1},
    "out_of_memory": {"run": (sys.executable, "-c", "x = bytearray(200 << 20); input()"), "memory_mb": 1},
    "no_metric": {"run": "echo loss 3"},
    "not_finite": {"run": "echo METRIC loss=1; echo METRIC loss=nan"},
    "nonzero_exit": {"run": (sys.executable, "-c", "raise ValueError('bad shape')")},
    "tampered": {"run": "echo easier > prepare.py; " + METRIC},
}


@pytest.mark.parametrize("cause", CRASHES)
async def test_a_sample_without_a_value_has_a_cause_and_a_sentence(slot: Any, job: Any, cause: str) -> None:
    assert cause in CRASH_CAUSES
    sample = await slot(**CRASHES[cause]).sample(job(expected_s=0.1 if cause == "over_budget" else None))
    assert (sample.metric, sample.cause) == (None, cause)
    assert sample.detail
    assert "\n" not in sample.detail
    assert sample.duration_s > 0


async def test_a_crash_quotes_the_exception(slot: Any, job: Any) -> None:
    sample = await slot(**CRASHES["nonzero_exit"]).sample(job())
    assert sample.detail == "exit code 1: ValueError: bad shape"
    assert sample.exit == 1


async def test_what_cannot_be_ended_contaminates(
    slot: Any, job: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Nothing but a hung device withstands KILL, so the signals are kept from it here.
    monkeypatch.setattr(descendants, "send", lambda seen, number: True)
    monkeypatch.setattr(descendants, "_kill_groups", lambda groups: None)
    monkeypatch.setattr(descendants, "KILL_S", -5.0)
    pid = tmp_path / "pid"
    stays = f"setsid bash -c 'echo $$ > {pid}; exec sleep 300' & until [ -s {pid} ]; do sleep 0.02; done; "
    try:
        sample = await slot(stays + METRIC).sample(job())
    finally:
        monkeypatch.undo()
        os.kill(int(pid.read_text()), signal.SIGKILL)
    assert sample.cause == "contaminated"


async def test_a_tampered_file_is_named_and_restored(slot: Any, job: Any, tmp_path: Path) -> None:
    here = slot("echo easier > prepare.py; " + METRIC, evaluate="cat prepare.py; " + METRIC)
    sample = await here.sample(job())
    assert "prepare.py" in sample.detail
    assert not (tmp_path / "runs/00007/evaluate.log").exists()
    assert (await slot("rm prepare.py; " + METRIC).sample(job())).cause == "tampered"
    assert (await slot(METRIC, evaluate="echo > prepare.py; " + METRIC).sample(job())).cause == "tampered"
    assert (await slot(METRIC, build="echo > prepare.py").sample(job())).cause == "tampered"


async def test_new_files_are_not_tampering(slot: Any, job: Any) -> None:
    assert (await slot("touch new; " + METRIC).sample(job())).cause is None


async def test_a_failing_build_is_a_crash_and_nothing_is_run(slot: Any, job: Any, tmp_path: Path) -> None:
    sample = await slot(f"touch {tmp_path}/ran; {METRIC}", build="echo undefined symbol; exit 2").sample(job())
    assert (sample.cause, sample.exit, sample.duration_s) == ("nonzero_exit", 2, 0)
    assert "the build failed" in sample.detail
    assert "undefined symbol" in sample.detail
    assert not (tmp_path / "ran").exists()


async def test_a_missing_constraint_metric_is_a_crash(slot: Any, job: Any) -> None:
    sample = await slot(METRIC).sample(job(constraints=("peak_vram_mb",)))
    assert (sample.metric, sample.cause) == (None, "no_metric")
    assert "peak_vram_mb" in sample.detail


# -- guards, setup, cancelling


async def test_a_guard_passes_by_its_exit_code_on_a_clean_tree(slot: Any, job: Any, tmp_path: Path) -> None:
    here = slot("touch dirt; " + METRIC)
    await here.sample(job())
    passed = await here.guard(job(k=0), configs.Guard(run="test ! -e dirt && grep -q a which"))
    assert (passed.passed, passed.cause) == (True, None)
    failed = await here.guard(job(k=0), configs.Guard(run="echo '2 failed, 3 passed'; exit 1"))
    assert (failed.passed, failed.cause) == (False, "nonzero_exit")
    assert "2 failed, 3 passed" in failed.detail
    slow = await here.guard(job(k=0), configs.Guard(run="sleep 60", timeout_s=0.3))
    assert (slow.passed, slow.cause) == (False, "timeout")
    assert "2 failed" in log(tmp_path, "guard.log")


async def test_what_setup_leaves_is_there_for_all_and_belongs_to_nobody(slot: Any, job: Any, tmp_path: Path) -> None:
    here = slot("cat data; echo mine > data; " + METRIC, setup="echo prepared > data; echo said")
    folder = job().folder
    assert (await here.prepare("a key", "a" * 40, folder)).cause is None
    assert log(tmp_path, "setup.log") == "said\n"
    assert await here.prepare("a key", "a" * 40, folder) is None
    tampered = await here.sample(job())
    assert (tampered.cause, "target/data" in tampered.detail) == ("tampered", True)
    assert (await here.guard(job(sha="b" * 40), configs.Guard(run="test $(cat data) = prepared"))).passed


@pytest.mark.parametrize("part", ["build", "run", "evaluate"])
async def test_cancelling_ends_whatever_runs(slot: Any, job: Any, tmp_path: Path, part: str) -> None:
    commands: dict[str, Any] = {"run": METRIC, part: f"setsid sleep 300 & echo $! > {tmp_path}/pid; wait"}
    task = asyncio.create_task(slot(**commands).sample(job()))
    deadline = time.monotonic() + 20
    while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    pid = int((tmp_path / "pid").read_text())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert processes.look(pid) is None
    assert not (tmp_path / "runs/00007/pid").exists()


def test_measuring_stays_light(tmp_path: Path) -> None:
    code = (
        "import sys, autoresearch.engine.measure\n"
        "print([name for name in ('torch', 'psutil', 'pynvml', 'git', 'anthropic', 'optuna') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True, env=dict(os.environ)
    )
    assert done.stdout == "[]\n"


def test_gpu_memory_that_does_not_come_back_is_told_with_its_holder(
    slot: Callable[..., LocalSlot], job: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver, told = FakeDriver(tmp_path / "driver", {"used": 500}), list[str]()
    left = '[{"used": 3500, "processes": [{"pid": 4000000, "mb": 3000}]}]'
    monkeypatch.setattr(measure, "GPU_BACK_S", 0.1)
    with driver.in_use(monkeypatch):
        keeps = slot(f"echo '{left}' > {driver.folder}/devices.json; {METRIC}", warn=told.append)
        sample = asyncio.run(keeps.sample(job()))
    assert (sample.cause, sample.metric) == (None, 1.5), "a warning, no crash"
    assert told == ["GPU memory is not back 0.1 s after a run: pid 4000000 (not visible from here, 3,000 MB)."]
