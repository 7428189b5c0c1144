"""The figures of a dry run agree with the rule that judges experiments; its sentences read any output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.engine.doctor.words import Around, Failure, candidates, explain, last_lines, noise_check, outlook
from autoresearch.engine.sandbox import NoNetwork
from autoresearch.engine.verdict import Settings, repeats_of
from autoresearch.state.config import config as configs

NOWHERE = Path("/nowhere/user")
CONFIG = configs.from_dict(
    {"name": "t", "metric": {"name": "loss"}, "scope": {"edit": ["a.py"]}, "measure": {"run": "python a.py"}}, "t.toml"
)
# Differences well above what a float near 50 can hold.
runs_that_differ = st.lists(
    st.integers(1_000, 100_000).map(lambda value: value / 1_000), min_size=3, max_size=8
).filter(lambda values: len(set(values)) > 1)


@given(runs_that_differ)
def test_what_can_be_seen_follows_the_spread_the_odds_and_the_pace(values: list[float]) -> None:
    dear, cheap = outlook(values, 300.0, Settings()), outlook(values, 0.2, Settings())
    assert dear.delta == pytest.approx(2.3 * repeats_of(values).s("linear", "lower"), rel=0.2)
    assert dear.least < dear.delta
    assert cheap.least < dear.least, "a race that goes on while the agent thinks sees more"
    assert outlook(values, 300.0, Settings(odds=1000)).delta > dear.delta
    assert outlook(values, 300.0, Settings(min_effect=1e9)).least == 1e9
    assert (dear.experiment_s, cheap.experiment_s) == (pytest.approx(420), 60)


def test_equal_runs_tell_any_difference_apart_and_few_tell_nothing() -> None:
    seen = outlook([2.0, 2.0, 2.0], 10.0, Settings())
    assert (seen.sd, seen.night) == (0.0, 2057)
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
    around = Around(NOWHERE, Path("/nowhere/tree"))
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
    found = explain(failure, CONFIG, Around(NOWHERE, tmp_path))
    assert f'run = "PYTHONPATH={source} python a.py"' in found.fix
    missing = explain(failure, CONFIG, Around(NOWHERE, tmp_path / "none"))
    assert "into scope.link" in missing.fix


def why(output: str, around: Around, code: int = 1, key: str = "run", **more: Any) -> tuple[str, str]:
    found = explain(
        Failure(key, "bash bench.sh", "nonzero_exit", f"exit code {code}", code, output, **more), CONFIG, around
    )
    return found.text, found.fix


def test_a_missing_module_has_the_fix_of_its_kind(tmp_path: Path) -> None:
    no_helper = "ModuleNotFoundError: No module named 'helper'\n"
    assert why(no_helper, Around(NOWHERE, tmp_path, has_venv=True))[1] == "Install it there."
    text, fix = why(no_helper, Around(NOWHERE, tmp_path, empty=["vendor/lib"]))
    assert "the submodule vendor/lib is empty" in text
    assert "`git submodule update --init --recursive vendor/lib`" in fix
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/__init__.py").touch()
    assert "PYTHONPATH" not in why("No module named 'pkg.gone'", Around(NOWHERE, tmp_path))[1]


def test_a_file_is_named_by_what_git_says_of_it_and_one_of_the_run_by_its_artifact(tmp_path: Path) -> None:
    missing = "FileNotFoundError: [Errno 2] No such file or directory: 'out/model'\n"
    around = Around(
        NOWHERE, tmp_path / "evaluate", lambda name: (f"which git knows as {name}", "Do so."), tmp_path / "run"
    )
    assert why(missing, around) == ("run needs out/model, which git knows as out/model", "Do so.")
    around = Around(NOWHERE, tmp_path / "evaluate", run_tree=tmp_path / "run")
    assert "artifacts" not in why(missing, around, key="evaluate")[1]
    (tmp_path / "run/out").mkdir(parents=True)
    (tmp_path / "run/out/model").touch()
    assert 'artifacts = ["out/model"]' in why(missing, around, key="evaluate")[1]


def test_a_script_without_its_mode_is_told_from_a_missing_program(tmp_path: Path) -> None:
    (tmp_path / "bench.sh").touch(mode=0o644)
    text, fix = why("bash: line 1: ./bench.sh: Permission denied\n", Around(NOWHERE, tmp_path), 126)
    assert "not executable in the last commit" in text
    assert "`git update-index --chmod=+x bench.sh`" in fix
    assert "Install it" in why("bash: line 1: ninja: command not found\n", Around(NOWHERE, tmp_path), 127)[1]
    lost = why("bench.sh: line 1: ./run.sh: No such file or directory\n", Around(NOWHERE, tmp_path), 127)
    assert lost == ("./run.sh is not in the last commit", "Commit it, or correct the command.")


def test_where_no_cause_is_known_the_differences_are_told(tmp_path: Path) -> None:
    assert "here it has no network" in why("something\n", Around(NOWHERE, tmp_path), held="no network")[1]


@pytest.mark.parametrize(
    ("output", "file"),
    [
        ("Error: Cannot find module 'express'\nRequire stack:\n- bench.js\n", "node_modules/express"),
        ("ModuleNotFoundError: No module named 'fast._core'\n", "src/fast/_core.cpython-311-x86_64-linux-gnu.so"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'data/x'\n" + "  at frame\n" * 30, "data/x"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'data/x'\n" + "step 1\n" * 100, ""),
        ("error while loading shared libraries: libx.so: cannot open shared object file: No such file", ""),
    ],
)
def test_what_is_missing_is_looked_for_where_the_person_has_it(output: str, file: str, tmp_path: Path) -> None:
    for name in (file or "x", "shared"):
        (tmp_path / "user" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "user" / name).touch()
    unseen = {file: ("which git ignores", "Link it."), "shared": ("of another kind", "")}.get
    text, _ = why(output, Around(tmp_path / "user", tmp_path / "tree", unseen))
    assert (f"needs {file}, which git ignores" in text) == bool(file)
    assert "shared" not in text


def test_a_variable_that_runs_have_is_not_what_is_missing(tmp_path: Path) -> None:
    around = Around(NOWHERE, tmp_path, environ={"LANG": "C", "MINE": "x"}, given={"LANG": "C"})
    assert 'env = ["MINE"]' in why("KeyError: 'MINE'\n", around)[1]
    assert "env = [" not in why("KeyError: 'LANG'\n", around)[1]


def test_what_only_the_person_has_at_home_is_named(tmp_path: Path) -> None:
    (tmp_path / "home/.app").mkdir(parents=True)
    (tmp_path / "home/.app/state").touch()
    around = Around(NOWHERE, tmp_path, environ={"HOME": str(tmp_path / "home")}, given={"HOME": "/spare"})
    assert (
        "looks for ~/.app/state in your home folder"
        in why("cat: /spare/.app/state: No such file or directory", around)[0]
    )
    assert "home" not in why("cat: /spare/.app/other: No such file or directory", around)[0]


@pytest.mark.parametrize("cause", ["timeout", "no_metric"])
def test_a_network_that_was_missed_on_the_way_is_told_beside(cause: str, tmp_path: Path) -> None:
    line = "warning: Could not resolve host: example.org"
    offline = NoNetwork(line, "on", "the run has no network")
    failure = Failure("run", "python a.py", cause, "took 30 s", None, f"{line}\nstep\n", offline)
    found = explain(failure, CONFIG, Around(NOWHERE, tmp_path))
    assert line in found.text
    assert found.fix.endswith('Or set measure.network = "on".')
