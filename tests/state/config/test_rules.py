"""Which values a key refuses, and which refuse each other."""

from __future__ import annotations

import pytest
from config_files import MINIMAL, problem, problems

from autoresearch.state.config import loads


@pytest.mark.parametrize(
    ("table", "line", "key"),
    [
        ("metric", 'direction = "up"', "metric.direction"),
        ("metric", "goal = nan", "metric.goal"),
        ("metric", "min_effect = true", "metric.min_effect"),
        ("scope", 'link = "data"', "scope.link"),
        ("scope", 'link = ["../data"]', "scope.link"),
        ("scope", 'link = [""]', "scope.link"),
        *(
            ("measure", f'{key} = "{path}"', f"measure.{key}")
            for key in ("metrics_file", "feedback")
            for path in ("/home/me/thesis.json", "~/thesis.json", "../thesis.json", "a/../../b", ".")
        ),
        ("measure", 'build = [""]', "measure.build"),
        ("measure", 'build = "a\\u0000b"', "measure.build"),
        ("measure", "budget_s = -1", "measure.budget_s"),
        ("measure", "timeout_s = inf", "measure.timeout_s"),
        ("measure", "output_mb = 0", "measure.output_mb"),
        ("measure", 'env = ["A=b"]', "measure.env"),
        ("measure", 'artifacts = ["out"]', "measure.artifacts"),
        ("measure", 'evaluate = "e"\nartifacts = ["/out"]', "measure.artifacts"),
        ("measure", 'evaluate_env = ["KEY"]', "measure.evaluate_env"),
        ("measure", "progress = { loss = 'loss' }", "measure.progress.loss"),
        ("measure", "progress = { loss = 3 }", "measure.progress.loss"),
        ("measure", "progress = 3", "measure.progress"),
        ("guard", 'run = "pytest"', "guard"),
        ("[guard]", 'when = "before"', "guard[1].run"),
        ("[guard]", 'run = "x"\ntimeout_s = 0', "guard[1].timeout_s"),
        ("[guard]", 'run = "x"\nwen = "before"', "guard[1].wen"),
        ("constraints", "val_bpb = 3", "constraints.val_bpb"),
        ("constraints", 'vram = "1.2y"', "constraints.vram"),
        ("constraints", 'vram = "-1x"', "constraints.vram"),
        ("constraints", "vram = true", "constraints.vram"),
        ("constraints", "a.b = 3", "constraints.a"),
        ("verdict", "odds = 1", "verdict.odds"),
        ("verdict", "baseline_runs = 4.0", "verdict.baseline_runs"),
        ("verdict", "baseline_runs = 0\nmode = 'single'", "verdict.baseline_runs"),
        ("verdict", "max_runs = 1", "verdict.max_runs"),
        ("verdict", "bundle = 1", "verdict.bundle"),
        ("agent", "ahead = 2", "agent.ahead"),
        ("agent", 'command = " "', "agent.command"),
        ("limits", "hours = -0.5", "limits.hours"),
        ("limits", 'until = "24:00"', "limits.until"),
        ("limits", "until = 07:30:00", "limits.until"),
        ("limits", "dollars = 1" + "0" * 400, "limits.dollars"),
        ("", "limits = 3", "limits"),
    ],
)
def test_an_impossible_value_is_refused(table: str, line: str, key: str) -> None:
    told = problem(line, table)
    assert told.startswith(f"{key}: "), told


@pytest.mark.parametrize(("link", "writable", "refused"), [
    ("data", "data", True), ("data/", "./data", True), ("data", "data/cache", False), ("data/in", "data", False),
])  # fmt: skip
def test_what_a_run_may_write_is_no_input(link: str, writable: str, refused: bool) -> None:
    text = MINIMAL.replace("[measure]", f'link = ["{link}"]\n[measure]\nwritable = ["{writable}"]')
    if refused:
        (told,) = problems(text)
        assert told.startswith("measure.writable: ")
        assert "scope.link" in told
    else:
        assert loads(text, name="x").measure.writable == (writable,)


def test_one_baseline_run_is_enough_for_single() -> None:
    assert loads(f'{MINIMAL}[verdict]\nmode = "single"\nbaseline_runs = 1', name="x").verdict.baseline_runs == 1


def test_a_scope_of_exclusions_alone_is_refused() -> None:
    assert "at least one glob" in problems(MINIMAL.replace('"train.py"]', '"!train.py"]'))[0]


@pytest.mark.parametrize("glob", ["../x.py", "a/../../x", "/x", "~/x", "", "!/x", ".git/config"])
def test_a_glob_that_leaves_the_project_is_refused(glob: str) -> None:
    assert problems(MINIMAL.replace('"train.py"]', f'"ok.py", "{glob}"]'))[0].startswith(f'scope.edit: found "{glob}"')
