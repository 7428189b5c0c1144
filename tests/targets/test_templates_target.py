"""The template engine target: it measures, its guard guards, constants are safe to tune, patches do as told."""

from __future__ import annotations

import ast
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

TARGET = Path(__file__).resolve().parents[2] / "targets" / "templates"
PATCHES = sorted((TARGET / "patches").glob("*.patch"))

KNOBS: dict[str, list[object]] = {
    "BUFFER": ["concat", "list", "stringio"],
    "ESCAPE": ["loop", "replace", "translate"],
    "ESCAPE_CACHE": [0, 1, 64, 4096],
    "FOLD_TEXT": [False, True],
    "PREBIND_FILTERS": [False, True],
    "SCOPE": ["chain", "copy", "restore"],
    "SKIP_UNUSED_LOOP": [False, True],
    "STRATEGY": ["interpret", "closures", "codegen"],
    "TEMPLATE_CACHE": [2, 0, 1, 64],
    "TOKENIZER": ["chars", "find", "regex"],
}
ASSIGNMENT = re.compile(r"^([A-Z][A-Z_]*) = (\S+)(  # (range|one of): (.*))?$", re.MULTILINE)

# Measures once, which compares each page, then runs the guard: one process, because there are many combinations.
CHECK = (
    "import sys, unittest; sys.argv = ['bench.py', '--repetitions', '1']; import bench; "
    "sys.exit(bench.main() or not unittest.TextTestRunner(verbosity=0).run("
    "unittest.defaultTestLoader.loadTestsFromName('test_minitpl')).wasSuccessful())"
)


def _run(cwd: Path, *command: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "HOME": str(cwd), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=120)


def _bench(copy: Path) -> subprocess.CompletedProcess[str]:
    return _run(copy, sys.executable, "bench.py", "--repetitions", "2")


def _guard(copy: Path) -> subprocess.CompletedProcess[str]:
    return _run(copy, sys.executable, "-m", "unittest", "-q")


def _metrics(output: str) -> dict[str, float]:
    return {name: float(value) for name, value in re.findall(r"^METRIC (\w+)=([0-9.]+)$", output, re.MULTILINE)}


def _git(repo: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"]
    done = _run(repo, "git", *identity, *arguments)
    assert done.returncode == 0, done.stderr


def _set(copy: Path, values: dict[str, object]) -> None:
    changed = 0
    for path in (copy / "minitpl").glob("*.py"):

        def chosen(match: re.Match[str]) -> str:
            value = values[match[1]]
            return f"{match[1]} = {json.dumps(value) if isinstance(value, str) else value}{match[3] or ''}"

        text, count = ASSIGNMENT.subn(chosen, path.read_text())
        path.write_text(text)
        changed += count
    assert changed == len(values)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The target in a repository of its own, as `demo` sets it up."""
    repo = tmp_path / "repo"
    shutil.copytree(TARGET, repo, ignore=shutil.ignore_patterns("__pycache__"))
    _git(repo, "init", "-q")
    _git(repo, "add", "-A")
    _git(repo, "commit", "-qm", "start")
    return repo


def test_the_measurement_prints_its_metrics(copy: Path) -> None:
    config = tomllib.loads((copy / "autoresearch.toml").read_text())
    done = _run(copy, "bash", "-c", config["measure"]["run"].replace("python", sys.executable))
    assert done.returncode == 0, done.stderr
    metrics = _metrics(done.stdout)
    assert set(metrics) == {config["metric"]["name"], "parse_ms", "reference_ms"}
    assert all(value > 0 for value in metrics.values())
    assert metrics["render_ms"] > metrics["parse_ms"]


def test_the_guard_passes_on_the_start(copy: Path) -> None:
    config = tomllib.loads((copy / "autoresearch.toml").read_text())
    (guard,) = config["guard"]
    done = _run(copy, "bash", "-c", guard["run"].replace("python", sys.executable))
    assert done.returncode == 0, done.stderr
    assert re.search(r"Ran \d\d tests", done.stderr)


def test_only_the_engine_may_be_edited(copy: Path) -> None:
    config = tomllib.loads((copy / "autoresearch.toml").read_text())
    editable = {path for glob in config["scope"]["edit"] for path in copy.glob(glob)}
    assert editable == set((copy / "minitpl").glob("*.py"))


def test_wrong_output_is_a_crash_and_not_a_metric(copy: Path) -> None:
    filters = copy / "minitpl" / "filters.py"
    filters.write_text(filters.read_text().replace('"&quot;"', '"&#34;"'))
    done = _bench(copy)
    assert done.returncode == 1
    assert "wrong output of page 'catalogue': at character " in done.stderr
    assert not _metrics(done.stdout)


def test_output_remembered_from_an_earlier_repetition_is_wrong(copy: Path) -> None:
    environment = copy / "minitpl" / "environment.py"
    changed = environment.read_text().replace(
        "        self.template(name).run(open_scope(data), write)\n        return page()",
        "        if name not in _PAGES:\n"
        "            self.template(name).run(open_scope(data), write)\n"
        "            _PAGES[name] = page()\n"
        "        return _PAGES[name]",
    )
    environment.write_text(changed + "\n\n_PAGES = {}\n")
    assert "_PAGES[name] = page()" in changed
    assert _bench(copy).returncode == 1


def test_the_constants_to_tune_are_exactly_the_known_ones() -> None:
    """A tuner takes every number, boolean, tuple or annotated string that a module assigns: nothing else may be one."""
    found: dict[str, tuple[object, str]] = {}
    for path in sorted((TARGET / "minitpl").glob("*.py")):
        text = path.read_text()
        comments = {match[1]: (match[4], match[5]) for match in ASSIGNMENT.finditer(text)}
        for node in ast.parse(text).body:
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, (ast.Constant, ast.Tuple)):
                (target,) = node.targets if isinstance(node, ast.Assign) else (node.target,)
                assert isinstance(target, ast.Name)
                value = ast.literal_eval(node.value)
                kind, allowed = comments[target.id]
                choices = KNOBS[target.id]
                assert value == choices[0]
                if isinstance(value, str):
                    assert kind == "one of"
                    assert allowed.split(", ") == choices
                elif not isinstance(value, bool):
                    assert kind == "range"
                    low, high = map(int, allowed.split(" .. "))
                    assert {low, high} <= set(choices)
                found[target.id] = (value, path.name)
    assert set(found) == set(KNOBS)


def _combinations() -> list[dict[str, object]]:
    """Each value alone on the starting values, then a fixed sample of all combinations."""
    start = {name: choices[0] for name, choices in KNOBS.items()}
    alone = [{**start, name: value} for name, choices in KNOBS.items() for value in choices[1:]]
    rng = random.Random(7)
    return alone + [{name: rng.choice(choices) for name, choices in KNOBS.items()} for _ in range(20)]


def test_every_choice_of_constants_renders_the_same_and_passes_the_guard(copy: Path) -> None:
    for values in _combinations():
        _set(copy, values)
        done = _run(copy, sys.executable, "-c", CHECK)
        assert done.returncode == 0, (values, done.stderr)
        assert "render_ms" in _metrics(done.stdout)


def _subject_and_body(patch: Path) -> tuple[str, str]:
    head, _, _ = patch.read_text().partition("\n---\n")
    header, _, body = head.partition("\n\n")
    subject = re.search(r"^Subject: \[PATCH\] (.+)$", header, re.MULTILINE)
    assert subject
    return subject[1], body.strip()


def test_every_patch_states_its_hypothesis() -> None:
    assert len(PATCHES) >= 8
    for patch in PATCHES:
        subject, body = _subject_and_body(patch)
        assert len(subject) <= 72
        assert body.endswith(".")


def _outcome(subject: str) -> str:
    return {
        "Escape with an accelerated library": "crash",
        "Remember what each value prints": "guard fails",
    }.get(subject, "works")


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_each_patch_applies_and_does_as_it_says(copy: Path, patch: Path) -> None:
    for blob in re.findall(r"^index ([0-9a-f]+)\.\.", patch.read_text(), re.MULTILINE):
        _git(copy, "cat-file", "-e", blob)  # else it was made from other files, and --3way has nothing to merge with
    _git(copy, "apply", "--3way", str(patch))
    subject, _ = _subject_and_body(patch)
    bench, guard = _bench(copy), _guard(copy)
    outcome = _outcome(subject)
    assert bool(_metrics(bench.stdout)) == (outcome != "crash")
    assert (bench.returncode == 0) == (outcome != "crash"), bench.stderr
    assert (guard.returncode == 0) == (outcome == "works"), guard.stderr
    if outcome == "crash":
        assert "ModuleNotFoundError" in bench.stderr


def test_the_patches_that_work_merge_on_top_of_each_other(copy: Path) -> None:
    for patch in PATCHES:
        subject, _ = _subject_and_body(patch)
        if _outcome(subject) == "works":
            _git(copy, "apply", "--3way", str(patch))
            _git(copy, "commit", "-qam", subject)
    assert _bench(copy).returncode == 0
    assert _guard(copy).returncode == 0
