"""The figures of a dry run agree with the rule that judges experiments; its sentences read any output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.engine.doctor.words import Around, Failure, candidates, explain, last_lines, noise_check, outlook
from autoresearch.engine.verdict import ENOUGH_INCUMBENT_RUNS, Noise, Settings, rule
from autoresearch.state.config import config as configs

CONFIG = configs.from_dict(
    {"name": "t", "metric": {"name": "loss"}, "scope": {"edit": ["a.py"]}, "measure": {"run": "python a.py"}}, "t.toml"
)
# Differences well above what a float near 50 can hold.
runs_that_differ = st.lists(
    st.integers(1_000, 100_000).map(lambda value: value / 1_000), min_size=3, max_size=8
).filter(lambda values: len(set(values)) > 1)


@given(
    values=runs_that_differ,
    odds=st.sampled_from([3.0, 10.0, 100.0]),
    max_runs=st.integers(3, 12),
    share=st.sampled_from([0.0, 0.5, 3.0]),
)
def test_the_least_gain_is_what_the_rule_can_just_prove(
    values: list[float], odds: float, max_runs: int, share: float
) -> None:
    noise = Noise.pool([values])
    settings = Settings(odds=odds, max_runs=max_runs, min_effect=share * noise.s)
    seen = outlook(values, 1.0, settings)
    incumbent = [50.0] * ENOUGH_INCUMBENT_RUNS

    def action(gain: float) -> str:
        return rule.judge([50.0 - gain] * max_runs, incumbent, noise, settings).action

    assert action(seen.least * 1.001) == "keep"
    assert action(seen.least * 0.999) == "discard"


@given(runs_that_differ)
def test_a_gain_of_delta_is_proven_in_two_or_three_runs(values: list[float]) -> None:
    noise, settings = Noise.pool([values]), Settings()
    seen = outlook(values, 1.0, settings)
    found = [rule.judge([50.0 - 1.001 * seen.delta] * runs, [50.0] * 4, noise, settings).action for runs in (2, 3)]
    assert "keep" in found


def test_equal_runs_tell_any_difference_apart_and_few_tell_nothing() -> None:
    seen = outlook([2.0, 2.0, 2.0], 10.0, Settings())
    assert (seen.sd, seen.night) == (0.0, 1694)
    assert "any difference" in noise_check([2.0, 2.0, 2.0], seen, CONFIG).text
    assert noise_check([2.0, 2.1], outlook([2.0, 2.1], 1.0, Settings()), CONFIG).state == "note"
    assert noise_check([1.0, 9.0, 4.0], outlook([1.0, 9.0, 4.0], 1.0, Settings()), CONFIG).state == "warn"


@pytest.mark.parametrize(
    ("output", "name", "line"),
    [
        ("epoch 1 loss_val: 0.5\nother: 3\n", "loss_val", "loss_val: 0.5"),
        ("METRIC Loss=1e-3\nMETRIC speed=12\n", "Loss", "METRIC Loss=1e-3"),
        ("step 3 | loss = 2.5 | lr: 0.1\n", "loss", "loss = 2.5"),
        ("los: 1\nloss: 0.1\nloss: 0.2\n", "loss", "loss: 0.2"),
    ],
)
def test_the_name_most_like_the_metric_comes_first_with_its_last_value(output: str, name: str, line: str) -> None:
    assert candidates(output, "loss")[0] == (name, line)


@given(st.text(), st.sampled_from(["nonzero_exit", "no_metric", "timeout", "out_of_memory", "not_finite"]))
def test_any_output_gives_one_sentence(output: str, cause: str) -> None:
    around = Around(Path("/nowhere/tree"))
    failure = Failure("run", "python a.py", cause, "exit code 1", 1, output)
    found = explain(failure, CONFIG, around)
    assert found.state == "fail"
    assert "\n" not in found.text + found.fix
    assert len(last_lines(output)) <= 8


@pytest.mark.parametrize(("module", "source"), [("src/mine/__init__.py", "src"), ("mine.py", ".")])
def test_a_package_of_the_checkout_that_is_not_found_is_put_on_the_path(
    tmp_path: Path, module: str, source: str
) -> None:
    (tmp_path / module).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / module).touch()
    output = "ModuleNotFoundError: No module named 'mine'\n"
    failure = Failure("run", "python a.py", "nonzero_exit", "exit code 1", 1, output)
    found = explain(failure, CONFIG, Around(tmp_path))
    assert f'run = "PYTHONPATH={source} python a.py"' in found.fix
    missing = explain(failure, CONFIG, Around(tmp_path / "none"))
    assert "into scope.link" in missing.fix


def why(output: str, around: Around, code: int = 1, key: str = "run", **more: Any) -> tuple[str, str]:
    found = explain(
        Failure(key, "bash bench.sh", "nonzero_exit", f"exit code {code}", code, output, **more), CONFIG, around
    )
    return found.text, found.fix


def test_a_missing_module_has_the_fix_of_its_kind(tmp_path: Path) -> None:
    no_helper = "ModuleNotFoundError: No module named 'helper'\n"
    assert why(no_helper, Around(tmp_path, has_venv=True))[1] == "Install it there."
    text, fix = why(no_helper, Around(tmp_path, empty=["vendor/lib"]))
    assert "the submodule vendor/lib is empty" in text
    assert "`git submodule update --init --recursive vendor/lib`" in fix
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/__init__.py").touch()
    assert "PYTHONPATH" not in why("No module named 'pkg.gone'", Around(tmp_path))[1]


def test_a_file_is_named_by_what_git_says_of_it_and_one_of_the_run_by_its_artifact(tmp_path: Path) -> None:
    missing = "FileNotFoundError: [Errno 2] No such file or directory: 'out/model'\n"
    around = Around(tmp_path / "evaluate", lambda name: (f"which git knows as {name}", "Do so."), tmp_path / "run")
    assert why(missing, around) == ("run needs out/model, which git knows as out/model", "Do so.")
    around = Around(tmp_path / "evaluate", run_tree=tmp_path / "run")
    assert "artifacts" not in why(missing, around, key="evaluate")[1]
    (tmp_path / "run/out").mkdir(parents=True)
    (tmp_path / "run/out/model").touch()
    assert 'artifacts = ["out/model"]' in why(missing, around, key="evaluate")[1]


def test_a_script_without_its_mode_is_told_from_a_missing_program(tmp_path: Path) -> None:
    (tmp_path / "bench.sh").touch(mode=0o644)
    text, fix = why("bash: line 1: ./bench.sh: Permission denied\n", Around(tmp_path), 126)
    assert "not executable in the last commit" in text
    assert "`git update-index --chmod=+x bench.sh`" in fix
    assert "Install it" in why("bash: line 1: ninja: command not found\n", Around(tmp_path), 127)[1]


def test_where_no_cause_is_known_the_differences_are_told(tmp_path: Path) -> None:
    assert "here it has no network" in why("something\n", Around(tmp_path), held="no network")[1]
