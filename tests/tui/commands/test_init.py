"""`autoresearch init` as a person calls it, in real folders: by flags, by what is found there, by questions."""

from __future__ import annotations

import codecs
import contextlib
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from autoresearch.state.config import Config
from autoresearch.state.config import config as configs
from autoresearch.tui.cli import cli


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


FLAGS = ("--metric", "loss", "--run", "python train.py", "--edit", "train.py")
STEP_LINE = "\\rstep 00953 (95.3%) | loss: 2.996870 | lrm: 0.10 | dt: 314ms | tok/sec: 1,671,000 | remaining: 14s    "


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads the identity, configuration or caches of whoever runs it."""
    home = tmp_path / "home"
    home.mkdir()
    for name in [name for name in os.environ if name.startswith("GIT_") or name == "XDG_CONFIG_HOME"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    (home / ".gitconfig").write_text("[user]\n\tname = Ann\n\temail = ann@example.org\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "target"
    path.mkdir()
    return path


def init(folder: Path, *args: str) -> Done:
    """Without a terminal, in this process; `converse` is a process of its own."""
    with contextlib.chdir(folder):
        result = CliRunner().invoke(cli, ["init", *args])
    return Done(result.exit_code, result.stdout, result.stderr)


def git(folder: Path, *args: str) -> str:
    return subprocess.run(["git", *args], cwd=folder, capture_output=True, text=True, check=True).stdout


def repository(folder: Path, **files: str) -> Path:
    git(folder, "init", "-q")
    for name, text in {"train.py": "print('loss: 1')\n", **files}.items():
        (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "start")
    return folder


def written(folder: Path) -> Config:
    return configs.load(folder / "autoresearch.toml")


def converse(folder: Path, answers: list[tuple[str, str]], *args: str) -> tuple[int, str]:
    """Run `init` on a terminal and answer each question as it comes; (exit code, all that was shown)."""
    ours, theirs = pty.openpty()
    quiet = (
        []
        if any("dry-run" in arg for arg in args) or any("Prove now" in asked for asked, _ in answers)
        else ["--no-dry-run"]
    )
    command = [sys.executable, "-m", "autoresearch", "init", *quiet, *args]
    child = subprocess.Popen(command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    shown, seen, left = "", 0, list(answers)
    decoder = codecs.getincrementaldecoder("utf-8")()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if select.select([ours], [], [], 0.1)[0]:
            try:
                data = os.read(ours, 4096)
            except OSError:  # the terminal's other end is closed
                break
            if not data:
                break
            shown += decoder.decode(data)
        if left and left[0][0] in shown[seen:]:
            seen = len(shown)
            os.write(ours, (left.pop(0)[1] + "\n").encode())
    code = child.wait(10)
    os.close(ours)
    assert not left, f"never asked {left[0][0]!r}: {shown}"
    return code, shown


# -- by flags


def test_flags_alone_write_a_short_file_that_loads(folder: Path) -> None:
    repository(folder)
    done = init(folder, *FLAGS)
    assert done.returncode == 0, done.stderr
    config = written(folder)
    assert (config.metric.name, config.measure.run, config.scope.edit) == ("loss", "python train.py", ("train.py",))
    text = (folder / "autoresearch.toml").read_text()
    assert "timeout_s" not in text
    assert text.endswith("\n")
    assert done.stdout.splitlines()[-1] == "Next: autoresearch run"
    assert git(folder, "status", "--porcelain") == "?? autoresearch.toml\n"


def test_every_flag_lands_in_its_key(folder: Path) -> None:
    repository(folder)
    done = init(
        folder, *FLAGS, "--edit", "src/**", "--direction", "higher", "--unit", "points", "--guard", "pytest -q",
        "--guard", "ruff check", "--evaluate", "python evaluator.py", "--budget", "20", "--agent", "tuner",
        "--name", "mine",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    config = written(folder)
    assert config.name == "mine"
    assert config.metric == configs.Metric("loss", "higher", "points")
    assert config.scope.edit == ("train.py", "src/**")
    assert config.measure.evaluate == "python evaluator.py"
    assert [guard.run for guard in config.guard] == ["pytest -q", "ruff check"]
    assert config.measure.budget_s == 20
    assert config.agent.kind == "tuner"


def test_missing_flags_are_named_in_one_sentence_without_a_terminal(folder: Path) -> None:
    repository(folder)
    done = init(folder, "--metric", "loss")
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "--run" in done.stderr or "--edit" in done.stderr
    assert "--metric" not in done.stderr
    assert not (folder / "autoresearch.toml").exists()


def test_all_problems_of_the_values_are_told_at_once_and_nothing_is_written(folder: Path) -> None:
    repository(folder)
    done = init(folder, "--metric", "my loss", "--run", "x", "--edit", "/etc/**", "--budget", "-1", "--agent", "robot")
    assert done.returncode == 2
    for key in ("metric.name", "scope.edit", "measure.budget_s", "agent.kind"):
        assert key in done.stderr
    assert not (folder / "autoresearch.toml").exists()


def test_a_file_that_is_there_is_only_overwritten_with_force(folder: Path) -> None:
    repository(folder)
    (folder / "autoresearch.toml").write_text("# mine\n")
    done = init(folder, *FLAGS)
    assert done.returncode == 2
    assert "--force" in done.stderr
    assert (folder / "autoresearch.toml").read_text() == "# mine\n"
    assert init(folder, *FLAGS, "--force").returncode == 0
    assert written(folder).metric.name == "loss"


@pytest.mark.parametrize(("metric", "direction"), [("accuracy", "higher"), ("tokens_per_s", "higher"),
                                                   ("val_loss", "lower"), ("macro", "lower")])  # fmt: skip
def test_the_direction_follows_a_telling_name(folder: Path, metric: str, direction: str) -> None:
    repository(folder)
    done = init(folder, "--metric", metric, "--run", "x", "--edit", "train.py")
    assert written(folder).metric.direction == direction
    assert ("Higher was taken as better" in done.stdout) == (direction == "higher")


def test_a_target_in_a_folder_of_a_repository_is_written_there(folder: Path) -> None:
    repository(folder)
    (folder / "autoresearch.toml").write_text("# the repository's own target\n")
    (folder / "part").mkdir()
    done = init(folder, "-C", "part", *FLAGS)
    assert done.returncode == 0, done.stderr
    assert written(folder / "part").name == "part"
    assert f"autoresearch -C {folder / 'part'} run" in done.stdout


# -- git


def test_a_folder_without_a_repository_needs_a_yes(folder: Path) -> None:
    done = init(folder, *FLAGS)
    assert done.returncode == 2
    assert "--git-init" in done.stderr
    assert not (folder / ".git").exists()
    assert not (folder / "autoresearch.toml").exists()
    done = init(folder, *FLAGS, "--git-init")
    assert done.returncode == 0, done.stderr
    assert git(folder, "status", "--porcelain") == ""
    assert git(folder, "ls-files").split() == ["autoresearch.toml"]
    assert done.stdout.splitlines()[-1] == "Next: autoresearch run"


def test_a_first_commit_that_would_hold_a_data_set_is_left_to_the_person(folder: Path) -> None:
    with (folder / "big.bin").open("wb") as file:
        file.truncate(60_000_000)
    done = init(folder, *FLAGS, "--git-init")
    assert done.returncode == 0, done.stderr
    assert "Not committed" in done.stdout
    assert "big.bin" in done.stdout
    assert "git commit -m start" in done.stdout
    assert written(folder).metric.name == "loss"


def test_a_fresh_repository_gets_no_environment_and_no_ignored_data(folder: Path) -> None:
    for name in (".venv", "data"):
        (folder / name).mkdir()
        (folder / name / "file").write_text("1\n")
    done = init(folder, *FLAGS, "--git-init")
    assert (done.returncode, "into .gitignore" in done.stderr) == (2, True)
    assert sorted(path.name for path in folder.iterdir()) == [".venv", "data"]
    (folder / ".gitignore").write_text(".venv\n")
    assert init(folder, *FLAGS, "--git-init").returncode == 0
    assert written(folder).scope.link == (".venv",)
    assert git(folder, "ls-files").split() == [".gitignore", "autoresearch.toml", "data/file"]


def test_an_impossible_config_makes_no_repository(folder: Path) -> None:
    assert init(folder, "--metric", "a b", "--run", "x", "--edit", "y", "--git-init").returncode == 2
    assert not (folder / ".git").exists()


# -- on a terminal


def test_questions_with_defaults_write_the_same_file_as_flags(folder: Path) -> None:
    repository(folder, **{"test_it.py": "def test_it():\n    pass\n"})
    code, shown = converse(
        folder,
        [
            ("Which command is measured? [python train.py]", ""),
            ("Which metric does it print?", "val loss"),  # cannot be one: asked again
            ("Which metric does it print?", "accuracy"),
            ("[higher]", ""),
            ("Which files may experiments change? (globs, separated by spaces) [train.py]", "train.py src/**"),
            ("python -m pytest -q", "y"),
        ],
    )
    assert code == 0, shown
    config = written(folder)
    assert config.metric == configs.Metric("accuracy", "higher")
    assert config.measure.run == "python train.py"
    assert config.scope.edit == ("train.py", "src/**")
    assert config.guard == (configs.Guard("python -m pytest -q"),)
    assert "a name without spaces" in shown


def test_nothing_is_asked_on_a_terminal_when_flags_say_it_all(folder: Path) -> None:
    repository(folder, **{"test_it.py": "def test_it():\n    pass\n"})
    code, shown = converse(folder, [], *FLAGS)
    assert code == 0, shown
    assert "?" not in shown
    assert "--guard 'python -m pytest -q'" in shown
    assert written(folder).guard == ()


def test_a_fresh_folder_on_a_terminal_ends_ready_to_run(folder: Path) -> None:
    (folder / "train.py").write_text("print('loss: 1')\n")
    code, shown = converse(folder, [("git init", "")], *FLAGS)
    assert code == 0, shown
    assert git(folder, "status", "--porcelain") == ""
    assert git(folder, "log", "--format=%an").strip() == "Ann"
    assert shown.splitlines()[-1] == "Next: autoresearch run"


def test_a_repository_without_a_commit_is_offered_one(folder: Path) -> None:
    git(folder, "init", "-q")
    (folder / "train.py").write_text("print('loss: 1')\n")
    code, shown = converse(folder, [("first commit, of 2 files", "n")], *FLAGS)
    assert code == 0, shown
    assert "git commit -m start" in shown
    code, shown = converse(folder, [("first commit, of 2 files", "y")], *FLAGS, "--force")
    assert code == 0, shown
    assert git(folder, "log", "--format=%an").strip() == "Ann"
    assert git(folder, "status", "--porcelain") == ""


def test_a_no_to_the_repository_changes_nothing(folder: Path) -> None:
    code, _ = converse(folder, [("git init", "n")], *FLAGS)
    assert code == 2
    assert list(folder.iterdir()) == []


def test_yes_takes_what_was_found(folder: Path) -> None:
    repository(folder, **{"bench.py": "print(f'METRIC p95_ms={1}')\n", "Makefile": "test:\n\ttrue\n"})
    (folder / "src").mkdir()
    done = init(folder, "--yes")
    assert done.returncode == 0, done.stderr
    config = written(folder)
    assert (config.metric.name, config.measure.run, config.scope.edit) == ("p95_ms", "python bench.py", ("src/**",))
    assert config.guard == (configs.Guard("make test"),)


def test_the_one_file_beside_a_benchmark_is_what_is_edited(folder: Path) -> None:
    repository(folder, **{"bench.py": "print(f'METRIC ms={1}')\n", "test_train.py": ""})
    assert init(folder, "--yes").returncode == 0
    assert written(folder).scope.edit == ("train.py",)


# -- Karpathy's layout


def karpathy(folder: Path, **files: str) -> Path:
    own = {
        "program.md": "Try things.\n",
        "prepare.py": 'CACHE_DIR = os.path.join(HOME, ".cache", "autoresearch")\nTIME_BUDGET = 300\n',
        "train.py": f'print(f"step | loss: {{1.0:.6f}}")\nprint("{STEP_LINE}")\nval_bpb = 0.99\npeak_vram_mb = 1\n',
        "uv.lock": "",
        ".gitignore": ".venv\ndata\n",
    }
    return repository(folder, **own | files)


def test_karpathys_folder_needs_no_flag_and_no_question(folder: Path) -> None:
    karpathy(folder)
    (folder / ".venv").mkdir()
    done = init(folder)
    assert done.returncode == 0, done.stderr
    config = written(folder)
    assert config.program == "program.md"
    assert config.metric == configs.Metric("val_bpb", "lower", "bits/byte")
    assert config.scope == configs.Scope(("train.py",), (".venv",))
    assert config.measure.run == "uv run --no-sync --offline --no-cache train.py"
    assert config.measure.budget_s == 300
    assert config.constraints == {"peak_vram_mb": "1.2x"}
    assert "prints its own val_bpb" in done.stdout
    assert "evaluate" in done.stdout
    code, shown = converse(folder, [], "--force")
    assert code == 0, shown


def test_the_progress_expression_reads_karpathys_step_lines(folder: Path) -> None:
    karpathy(folder)
    init(folder)
    (pattern,) = written(folder).measure.progress.values()
    found = re.search(pattern, STEP_LINE)
    assert found is not None
    assert float(found[1]) == 2.996870


def test_karpathys_folder_without_uv_runs_python(folder: Path) -> None:
    karpathy(folder)
    (folder / "uv.lock").unlink()
    init(folder)
    assert written(folder).measure.run == "python train.py"
    assert written(folder).scope.link == ()


def test_what_is_not_there_yet_is_told_with_the_command_for_it(folder: Path) -> None:
    karpathy(folder)
    said = init(folder).stdout
    assert "`uv sync`" in said
    assert "`uv run prepare.py`" in said
    (folder / ".venv").mkdir()
    (Path(os.environ["HOME"]) / ".cache" / "autoresearch" / "data").mkdir(parents=True)
    said = init(folder, "--force").stdout
    assert "`uv sync`" not in said
    assert "prepare.py` first" not in said


@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not installed")
def test_uv_runs_karpathys_script_offline_in_the_measured_tree(folder: Path, tmp_path: Path) -> None:
    project = '[project]\nname = "autoresearch"\nversion = "0.1.0"\nrequires-python = ">=3.10"\ndependencies = []\n'
    script = "import sys\nprint(f'val_bpb: {0.5:.6f}')\nprint(sys.prefix)\n"
    karpathy(folder, **{"pyproject.toml": project, "train.py": script})
    (folder / "uv.lock").unlink()
    subprocess.run(["uv", "sync", "--offline", "--quiet"], cwd=folder, check=True)
    git(folder, "commit", "-qam", "lock")
    assert init(folder).returncode == 0
    command = [sys.executable, "-m", "autoresearch", "run", "--headless", "--agent", "tuner", "--max-experiments", "1"]
    # A cache that cannot be written is what a confined run meets.
    env = {**os.environ, "AUTORESEARCH_TREES": str(tmp_path / "trees"), "UV_CACHE_DIR": "/proc/self/none"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 3, done.stdout + done.stderr
    log = next(folder.glob(".autoresearch/*/runs/00001/output.log")).read_text()
    assert f"{tmp_path / 'trees'}" in log
    assert "autoresearch-" in log
    assert ".venv" in log


def test_a_fork_with_another_budget_and_another_score_is_not_taken_for_val_bpb(folder: Path) -> None:
    files = {"train.py": "print('score: 1')\n", "prepare.py": "TIME_BUDGET = 120  # seconds\n"}
    karpathy(folder, **files)
    done = init(folder)
    assert done.returncode == 2
    assert "--metric" in done.stderr
    assert "--run" not in done.stderr
    done = init(folder, "--metric", "score")
    assert done.returncode == 0, done.stderr
    config = written(folder)
    assert config.metric == configs.Metric("score", "higher")
    assert config.measure.budget_s == 120
    assert config.constraints == {}


def test_another_metric_by_flag_loses_the_found_ones_unit(folder: Path) -> None:
    karpathy(folder)
    assert init(folder, "--metric", "mfu_percent").returncode == 0
    assert written(folder).metric == configs.Metric("mfu_percent", "higher")


def test_ignored_data_is_linked_and_tracked_data_is_not(folder: Path) -> None:
    karpathy(folder)
    (folder / "data").mkdir()
    (folder / "data" / "a.bin").write_bytes(b"1")
    init(folder)
    assert written(folder).scope.link == (".venv", "data")
    git(folder, "add", "-f", "data")
    init(folder, "--force")
    assert written(folder).scope.link == (".venv",)


# -- pi-autoresearch's layouts


@pytest.mark.parametrize(("script", "checks", "log", "prompt"), [
    ("autoresearch.sh", "autoresearch.checks.sh", "autoresearch.jsonl", "autoresearch.md"),
    (".auto/measure.sh", ".auto/checks.sh", ".auto/log.jsonl", ".auto/prompt.md"),
])  # fmt: skip
def test_a_pi_folder_is_recognised(folder: Path, script: str, checks: str, log: str, prompt: str) -> None:
    (folder / "lib").mkdir()
    (folder / "lib" / "a.js").write_text("1\n")
    (folder / ".auto").mkdir()
    header = '{"type":"config","name":"x","metricName":"total_ms","metricUnit":"ms","bestDirection":"lower"}\n'
    text = "# Autoresearch: x\n## Files in Scope\n- `lib/` the code\n- `gone.js`\n## Off Limits\n- `bench.js`\n"
    repository(folder, **{script: "echo METRIC total_ms=1\n", checks: "true\n", log: header, prompt: text})
    done = init(folder)
    assert done.returncode == 2
    assert "--edit" in done.stderr  # what its prompt says is a default for a question, not a fact
    code, shown = converse(folder, [("[lib/**]", "")])
    assert code == 0, shown
    config = written(folder)
    assert config.measure.run == f"bash {script}"
    assert config.metric == configs.Metric("total_ms", "lower", "ms")
    assert config.guard == (configs.Guard(f"bash {checks}"),)
    assert config.scope.edit == ("lib/**",)
    assert config.program == prompt


# -- anything else


@pytest.mark.parametrize(("files", "run", "guard"), [
    ({"package.json": '{"scripts": {"bench": "node b.js", "test": "node t.js"}}'}, "npm run --silent bench",
     "npm test --silent"),
    ({"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}',
      "Makefile": "bench: all\n\t./b\n"}, "make bench", None),
    ({"bench.py": "", "uv.lock": "", "pytest.ini": ""}, "uv run --no-sync --offline --no-cache python bench.py",
     "uv run --no-sync --offline --no-cache python -m pytest -q"),
    ({"package.json": "not json", "pyproject.toml": "not [toml", "Makefile": "CC := cc\n"}, "python train.py", None),
])  # fmt: skip
def test_other_folders_give_defaults(folder: Path, files: dict[str, str], run: str, guard: str | None) -> None:
    repository(folder, **files)
    done = init(folder, "--yes", "--metric", "m", "--edit", "train.py")
    assert done.returncode == 0, done.stderr
    config = written(folder)
    assert config.measure.run == run
    assert [each.run for each in config.guard] == ([guard] if guard else [])


def test_an_editable_install_is_warned_about(folder: Path) -> None:
    repository(folder)
    packages = folder / ".venv" / "lib" / "python3.12" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "_mine.pth").write_text(f"{folder.resolve()}/src\n")
    assert "installed as editable" in init(folder, *FLAGS).stdout
    (packages / "_mine.pth").write_text(f"/elsewhere/src\n{folder.resolve()}-other/src\n")
    assert "installed as editable" not in init(folder, *FLAGS, "--force").stdout
    (packages / "__editable___mine_finder.py").write_text(f"MAPPING = {{'mine': '{folder.resolve()}/mine'}}\n")
    assert "installed as editable" in init(folder, *FLAGS, "--force").stdout


def test_guessed_commands_import_the_checkout_although_an_editable_install_leads_here(folder: Path) -> None:
    bench = "import time\nprint(f'time: {time.time()}')\n"
    for name in ("src/mine", "tests"):
        (folder / name).mkdir(parents=True)
    repository(folder, **{"bench.py": bench, "src/mine/__init__.py": "", "tests/test_it.py": ""})
    packages = folder / ".venv" / "lib" / "python3.12" / "site-packages"
    packages.mkdir(parents=True)
    (packages / "_mine.pth").write_text(f"{folder.resolve()}/src\n")
    done = init(folder, "--yes")
    assert done.returncode == 0, done.stderr
    config = written(folder)
    assert config.measure.run == "PYTHONPATH=src python bench.py"
    assert [guard.run for guard in config.guard] == ["PYTHONPATH=src python -m pytest -q"]
    assert config.metric.name == "time", "the only `name: value` that bench.py prints"


# -- the dry run


def measured(folder: Path, script: str) -> tuple[str, ...]:
    repository(folder, **{"train.py": "LOSS = 0.5\n", "bench.py": script})
    return ("--metric", "loss", "--run", "python bench.py", "--edit", "train.py")


def test_on_a_terminal_init_ends_with_a_dry_run_that_tells_what_a_night_gives(folder: Path) -> None:
    flags = measured(folder, "from train import LOSS\nprint('loss:', LOSS)\n")
    code, shown = converse(folder, [("Prove now that this measures what it claims? [Y/n]", "")], *flags)
    assert code == 0, shown
    assert "a break in train.py is noticed" in shown
    assert "experiments in a night" in " ".join(shown.split())
    assert shown.splitlines()[-1] == "Next: autoresearch run"


def test_a_dry_run_that_fails_makes_init_fail_and_keeps_what_it_wrote(folder: Path) -> None:
    done = init(folder, *measured(folder, "print('loss: 0.5')\n"), "--dry-run")
    assert done.returncode == 1
    assert "what experiments change is not measured" in done.stdout
    assert done.stdout.splitlines()[-1] == "Next: autoresearch doctor"
    assert written(folder).metric.name == "loss"


def test_without_a_terminal_the_dry_run_is_only_named(folder: Path) -> None:
    done = init(folder, *measured(folder, "print('loss: 0.5')\n"))
    assert done.returncode == 0
    assert "autoresearch doctor" in done.stdout
    assert (
        "doctor" not in init(folder, "--force", "--no-dry-run", "--metric", "loss", "--run", "x", "--edit", "y").stdout
    )
