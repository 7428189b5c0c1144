"""The nanogpt target prepares and trains by hand as it does under the engine, at any setting a tuner may try."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.engine.agents.tuner import literals
from autoresearch.state.config import config

TARGET = Path(__file__).resolve().parents[2] / "targets" / "nanogpt"
SUMMARY = (
    "training_seconds total_seconds peak_vram_mb mfu_percent tokens_per_s total_tokens_M num_steps num_params_M depth"
).split()


def _python(tree: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    clean = {"PATH": os.environ["PATH"], "HOME": str(tree), "NANOGPT_DEVICE": "cpu", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=tree, env=clean | env, capture_output=True, text=True, timeout=240)


def _copy(folder: Path) -> Path:
    for file in TARGET.glob("*.*"):
        if file.is_file():
            shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small corpus: the standard library's top-level files."""
    pytest.importorskip("numpy")
    folder = tmp_path_factory.mktemp("texts")
    for file in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="module")
def tree(texts: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = _copy(tmp_path_factory.mktemp("tree"))
    done = _python(tree, "prepare.py", "--data", str(texts), "--size", "small")
    assert done.returncode == 0, done.stderr
    return tree


@pytest.fixture(scope="module")
def prepare() -> ModuleType:
    pytest.importorskip("numpy")
    spec = importlib.util.spec_from_file_location("nanogpt_prepare", TARGET / "prepare.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


# --------------------------------------------------------------------------------------------------- training


@pytest.mark.torch
def test_a_run_trains_until_the_budget_and_is_scored(tree: Path) -> None:
    done = _python(tree, "train.py", AUTORESEARCH_BUDGET_S="3", AUTORESEARCH_SEED="1")
    assert done.returncode == 0, done.stderr
    summary = dict(re.findall(r"^(\w+): +([0-9.]+)$", done.stdout, re.MULTILINE))
    assert set(SUMMARY) <= set(summary)
    assert float(summary["training_seconds"]) >= 3
    assert float(summary["total_seconds"]) >= float(summary["training_seconds"])
    progress = tomllib.loads((tree / "autoresearch.toml").read_text())["measure"]["progress"]["loss"]
    losses = [float(loss) for loss in re.findall(progress, done.stdout)]
    assert losses[0] == pytest.approx(math.log(1024), abs=0.2)
    assert losses[-1] < losses[0]
    judged = _python(tree, "prepare.py", "evaluate")
    assert judged.returncode == 0, judged.stderr
    last = judged.stdout.rstrip().splitlines()[-1]
    assert last.startswith("METRIC val_bpb=")
    knowing_nothing = 10 * _number("eval_tokens", judged.stdout) / _number("eval_bytes", judged.stdout)
    assert 1 < float(last.partition("=")[2]) < knowing_nothing


def _number(name: str, text: str) -> float:
    return float(re.findall(rf"^{name}: ([0-9.]+)$", text, re.MULTILINE)[0])


IN_ONE_PROCESS = """
import json, os, re, sys
from pathlib import Path
source = re.sub(r'"cpu": Preset\\(.*\\)', '"cpu": Preset(2, 64, 32, 512, 512, 1, False)', Path("train.py").read_text())
for seed, old, new in json.load(sys.stdin):
    assert source.count(old) == 1, old
    os.environ["AUTORESEARCH_SEED"] = seed
    try:
        exec(compile(source.replace(old, new), new, "exec"), {"__name__": "__main__"})
    except SystemExit as error:
        assert "the loss is" in str(error), (new, error)
    print("done", new, flush=True)
"""


def _train_with(tree: Path, changes: list[tuple[str, str, str]]) -> str:
    """A short training of a tiny model for each seed and changed line; one process, since importing torch is slow."""
    command = [sys.executable, "-c", IN_ONE_PROCESS]
    env = {"PATH": os.environ["PATH"], "AUTORESEARCH_BUDGET_S": "0.01", "NANOGPT_DEVICE": "cpu"}
    done = subprocess.run(
        command, cwd=tree, env=env, input=json.dumps(changes), capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr
    assert done.stdout.count("done ") == len(changes)
    return done.stdout


@pytest.mark.torch
def test_every_setting_in_reach_of_a_tuner_trains(tree: Path) -> None:
    source = (TARGET / "train.py").read_bytes()
    changes = []
    for knob in literals.find(source, "train.py"):
        extremes = knob.choices or ((True, False) if isinstance(knob.value, bool) else (knob.low, knob.high))
        assert None not in extremes, f"{knob.label} has no range"
        line = next(line for line in source.decode().splitlines() if line.startswith(f"{knob.label} = "))
        for value in extremes:
            changes.append(("0", line, f"{knob.label} = {value!r}  # was {knob.text}"))
    assert len(changes) >= 24
    _train_with(tree, changes)


@pytest.mark.torch
def test_the_seed_decides_how_a_run_begins(tree: Path) -> None:
    same = next(line for line in (TARGET / "train.py").read_text().splitlines() if line.startswith("OPTIMIZER = "))
    begun = re.findall(r"step 00001 .*", _train_with(tree, [(seed, same, same) for seed in ("3", "3", "4")]))
    assert begun[0] == begun[1] != begun[2]


@pytest.mark.torch
def test_training_without_data_says_what_to_do(tmp_path: Path) -> None:
    done = _python(_copy(tmp_path), "train.py")
    assert done.returncode == 1
    assert "run: python prepare.py" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_configuration_is_valid() -> None:
    target = config.load(TARGET / "autoresearch.toml")
    assert target.metric.name == "val_bpb"
    assert target.metric.direction == "lower"
    assert target.scope.edit == ("train.py",)
    assert target.measure.evaluate
    for command in (target.measure.setup, target.measure.run, target.measure.evaluate):
        assert (TARGET / str(command).split()[1]).is_file()


# ------------------------------------------------------------------------------------------------- preparing


def test_preparing_twice_gives_the_same_bytes(tree: Path, texts: Path, tmp_path: Path) -> None:
    again = _copy(tmp_path)
    assert _python(again, "prepare.py", "--data", str(texts), "--size", "small").returncode == 0
    assert _digests(again / "data") == _digests(tree / "data")
    assert len(_digests(tree / "data")) == 3


def _digests(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


@pytest.mark.parametrize("source", ["stdlib", "folder"])
def test_no_document_is_on_both_sides(prepare: ModuleType, texts: Path, source: str) -> None:
    place = str(texts) if source == "folder" else source
    train = set(prepare.documents(place, validation=False))
    validation = set(prepare.documents(place, validation=True))
    assert train
    assert validation
    assert not train & validation
    if source == "folder":
        assert sum(map(len, train | validation)) == sum(map(len, {file.read_bytes() for file in texts.iterdir()}))


def test_an_unknown_source_is_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    done = _python(_copy(tmp_path), "prepare.py", "--data", "nosuch", "--size", "small")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "stdlib, fineweb-edu, climbmix, tinystories" in done.stderr


def test_too_little_text_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "only.txt").write_text("hello, hello")
    done = _python(_copy(tmp_path), "prepare.py", "--data", "corpus", "--size", "small")
    assert done.returncode == 1
    assert "too little text" in done.stderr
    assert not (tmp_path / "data" / "task.json").exists()


def test_a_download_holds_its_last_file_out(
    prepare: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, cache = tmp_path / "server", tmp_path / "cache"
    server.mkdir()
    for number in range(4):
        (server / f"{number}.parquet").write_bytes(bytes([number]) * 100)
    monkeypatch.setenv("NANOGPT_CACHE", str(cache))
    monkeypatch.setitem(prepare.HUBS, "tinystories", prepare.Hub(f"{server.as_uri()}/{{}}.parquet", 4, 2))
    prepare.download("tinystories", 0)
    assert {file.relative_to(cache).as_posix(): file.read_bytes()[0] for file in cache.rglob("*.parquet")} == {
        "heldout/tinystories/00003.parquet": 3,
        "train/tinystories/00000.parquet": 0,
        "train/tinystories/00001.parquet": 1,
    }
    assert prepare.heldout_folder("tinystories") == cache / "heldout"
    (server / "2.parquet").unlink()
    with pytest.raises(prepare.PrepareError, match="--data stdlib"):
        prepare.download("tinystories", 3)
    assert not list(cache.rglob("*.part"))


@given(st.binary(max_size=400))
def test_encoding_loses_no_byte(prepare: ModuleType, text: bytes) -> None:
    tokenizer = prepare.Tokenizer.train(b"the cat sat on the mat, the cat sat there\n" * 3, 280)
    tokens = tokenizer.encode(text)
    strings = [bytes([value]) for value in range(256)]
    for left, right in tokenizer.merges:
        strings.append(strings[left] + strings[right])
    assert b"".join(strings[token] for token in tokens) == text
    assert sum(tokenizer.byte_lengths()[list(tokens)]) == len(text)


def test_merges_take_the_most_frequent_pair_first(prepare: ModuleType) -> None:
    tokenizer = prepare.Tokenizer.train(b"abab abab abab cd", 259)
    assert tokenizer.merges[0] == (ord("a"), ord("b"))
    assert tokenizer.merges[1] == (256, 256)
    assert list(tokenizer.encode(b"ababab")) == [257, 256]
