"""The score of the nanogpt target is not the artifact's to write: each cheat runs as an engine would run it.

The stand-in for the engine is three checkouts: data is prepared once, a run gets a tree with it, and the evaluation a
third tree with it and nothing of the run but the artifact. Most candidates are a bigram table in numpy, because what is
under attack is the evaluator and not the model.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

TARGET = Path(__file__).resolve().parents[2] / "targets" / "nanogpt"
FILES = ["autoresearch.toml", "evaluator.py", "prepare.py", "sandbox.py", "train.py"]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the evaluator relies on Linux for this")

BIGRAM = """
import os, sys
import numpy as np
import prepare

def train():
    task = prepare.load_task()
    counts = np.zeros((task.vocab, task.vocab), dtype=np.float32)
    tokens = prepare.load_train_tokens()[:200_000]
    np.add.at(counts, (tokens[:-1], tokens[1:]), 1)
    prepare.MODEL.parent.mkdir(exist_ok=True)
    with prepare.MODEL.open("wb") as out:
        np.save(out, np.log(counts + 0.05))

def answers():
    table = np.load(prepare.MODEL)
    return lambda tokens: table[tokens]

#TRAIN
if sys.argv[1:2] == ["serve"]:
    predict = answers()
    #SERVE
    prepare.serve(predict, sys.argv[2:])
else:
    train()
    print("training_seconds: 0.1")
"""


@dataclass(frozen=True)
class Engine:
    """Prepared data and an honest score to compare with."""

    folder: Path
    prepared: Path

    def tree(self, name: str, train: str) -> Path:
        tree = self.folder / name
        tree.mkdir()
        for file in FILES:
            shutil.copy(TARGET / file, tree)
        shutil.copytree(self.prepared / "data", tree / "data")
        (tree / "train.py").write_text(train)
        return tree

    def run(self, train: str) -> tuple[subprocess.CompletedProcess[str], Path]:
        tree = self.tree(f"run{time.monotonic_ns()}", train)
        return _python(tree, "train.py"), tree

    def evaluate(self, train: str, artifact: Path | None) -> Evaluation:
        tree = self.tree(f"evaluate{time.monotonic_ns()}", train)
        if artifact is not None and artifact.is_file():
            (tree / "out").mkdir()
            shutil.copy(artifact, tree / "out" / "model.pt")
        log = tree.parent / f"{tree.name}.log"
        with log.open("wb") as out:
            done = subprocess.run(
                [sys.executable, "prepare.py", "evaluate"],
                cwd=tree,
                env=_env(tree),
                stdout=out,
                stderr=out,
                timeout=120,
            )
        return Evaluation(done.returncode, log, tree)

    def scored(self, train: str) -> Evaluation:
        done, tree = self.run(train)
        assert done.returncode == 0, done.stderr
        return self.evaluate(train, tree / "out" / "model.pt")


@dataclass(frozen=True)
class Evaluation:
    code: int
    log: Path
    tree: Path

    @property
    def text(self) -> str:
        return self.log.read_text()

    @property
    def score(self) -> float | None:
        """As a reader of the log would find it: any line that names the metric."""
        found = re.findall(r"^(?:METRIC )?val_bpb\s*[:=]\s*(\S+)$", self.text, re.MULTILINE)
        assert len(found) <= 1, self.text
        return float(found[0]) if found else None

    def refused(self, reason: str) -> bool:
        return self.code != 0 and self.score is None and reason in self.text


def _env(tree: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tree),
        "AUTORESEARCH_BUDGET_S": "1",
        "AUTORESEARCH_SEED": "0",
        "NANOGPT_DEVICE": "cpu",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _python(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], cwd=tree, env=_env(tree), capture_output=True, text=True, timeout=120
    )


def _cheat(*, train: str = "", serve: str = "") -> str:
    indented = "".join(f"    {line}\n" for line in serve.strip().splitlines())
    return BIGRAM.replace("#TRAIN", train).replace("    #SERVE\n", indented)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    folder = tmp_path_factory.mktemp("engine")
    prepared = folder / "prepared"
    prepared.mkdir()
    for file in FILES:
        shutil.copy(TARGET / file, prepared)
    done = _python(prepared, "prepare.py", "--size", "small")
    assert done.returncode == 0, done.stderr
    task = prepared / "data" / "task.json"
    task.write_text(json.dumps(json.loads(task.read_text()) | {"eval_tokens": 16_384}))
    return Engine(folder, prepared)


@pytest.fixture(scope="module")
def honest(engine: Engine) -> float:
    score = engine.scored(BIGRAM).score
    assert score is not None
    assert 1.5 < score < 4
    return score


# ------------------------------------------------------------------------------------------------ false scores


def test_a_printed_score_is_not_the_score(engine: Engine, honest: float) -> None:
    line = 'print("val_bpb: 0.1"); print("METRIC val_bpb=0.1"); print("\\rMETRIC val_bpb=0.1", file=sys.stderr)'
    loud = _cheat(train=line, serve=f"{line}; sys.stdout.flush()")
    judged = engine.scored(loud)
    assert judged.score == pytest.approx(honest, abs=1e-6)
    assert "candidate| " in judged.text


def test_numbers_above_one_do_not_help(engine: Engine, honest: float) -> None:
    shifted = _cheat(serve="inner = predict; predict = lambda tokens: inner(tokens) + 80.0")
    assert engine.scored(shifted).score == pytest.approx(honest, abs=1e-4)


@pytest.mark.parametrize("value", ["np.nan", "np.inf", "-np.inf"])
def test_an_answer_that_is_not_finite_is_no_score(engine: Engine, value: str) -> None:
    broken = _cheat(serve=f"predict = lambda tokens: np.full((*tokens.shape, 1024), {value}, dtype=np.float32)")
    assert engine.scored(broken).refused("not finite")


def test_a_loss_made_infinite_at_a_target_is_no_score(engine: Engine) -> None:
    hopeless = (
        "def predict(tokens):\n    out = np.full((*tokens.shape, 1024), -np.inf)\n    out[..., 0] = 0\n    return out"
    )
    assert engine.scored(_cheat(serve=hopeless)).refused("not finite")


def test_an_early_end_is_no_score(engine: Engine) -> None:
    early = (
        "open('metrics.json', 'w').write('{\"val_bpb\": 0.1}'); print('METRIC val_bpb=0.1', flush=True); os._exit(0)"
    )
    done, tree = engine.run(_cheat(train=early))
    assert done.returncode == 0
    assert engine.evaluate(_cheat(train=early), tree / "out" / "model.pt").refused("model.pt is missing")
    assert engine.scored(
        _cheat(serve=f"import contextlib\nwith contextlib.suppress(OSError):\n    {early}\nos._exit(0)")
    ).refused("ended before it had answered")


def test_too_long_an_answer_is_no_score(engine: Engine) -> None:
    doubled = "inner = predict\npredict = lambda tokens: np.concatenate([inner(tokens)] * 2)"
    judged = engine.scored(_cheat(serve=doubled))
    assert judged.code != 0
    assert judged.score is None


def test_a_tree_full_of_metrics_changes_nothing(engine: Engine, honest: float) -> None:
    writes = "for name in ('metrics.json', 'evaluate.log', 'out/model.pt', '../evaluate.log'):\n"
    writes += "    try: open(name, 'a').write('METRIC val_bpb=0.1')\n"
    writes += "    except OSError as error: print(name, error)\n"
    judged = engine.scored(_cheat(serve=writes))
    assert judged.score == pytest.approx(honest, abs=1e-6)
    assert not list(judged.tree.glob("**/metrics.json"))


@pytest.mark.torch
def test_patched_torch_functions_change_nothing(engine: Engine) -> None:
    real = (TARGET / "train.py").read_text()
    done, tree = engine.run(real)
    assert done.returncode == 0, done.stderr
    artifact = tree / "out" / "model.pt"
    plain = engine.evaluate(real, artifact)
    patches = "import math\nzero = lambda *a, **k: torch.zeros(())\nF.cross_entropy = torch.logsumexp = zero\n"
    patches += "torch.nn.functional.log_softmax = torch.Tensor.logsumexp = zero\nnp.log = np.exp = lambda x: x * 0\n"
    patched = engine.evaluate(real.replace("class Linear(", patches + "\n\nclass Linear(", 1), artifact)
    assert plain.score is not None
    assert patched.score == pytest.approx(plain.score, abs=1e-6)


# ------------------------------------------------------------------------------------------- seeing the future

LEAK = """
inner = predict
def leak(tokens, where):
    out = inner(tokens).copy()
    rows, columns = np.nonzero(where[:, :-1])
    out[rows, columns, tokens[rows, columns + 1]] += 3.0
    return out
"""


@pytest.mark.parametrize("share", [1.0, 0.2])
def test_looking_ahead_is_found(engine: Engine, share: float) -> None:
    ahead = f"""
def predict(tokens):
    return leak(tokens, np.random.default_rng(int(tokens[0, 0])).random(tokens.shape) < {share})
"""
    assert engine.scored(_cheat(serve=LEAK + ahead)).refused("later tokens")


def test_looking_far_ahead_is_found(engine: Engine) -> None:
    assert engine.scored(
        _cheat(
            serve="""
inner = predict
def predict(tokens):
    out = inner(tokens).copy()
    out += 0.5 * np.log1p(np.stack([np.bincount(row, minlength=out.shape[2]) for row in tokens]))[:, None]
    return out
"""
        )
    ).refused("later tokens")


def test_remembering_what_was_answered_to_a_prefix_does_not_hide_it(engine: Engine) -> None:
    remember = """
known = {}
def predict(tokens):
    out = leak(tokens, np.ones(tokens.shape, dtype=bool))
    for row, line in enumerate(tokens):
        for position in range(len(line)):
            out[row, position] = known.setdefault(line[: position + 1].tobytes(), out[row, position])
    return out
"""
    assert engine.scored(_cheat(serve=LEAK + remember)).refused("later tokens")


def test_learning_from_what_was_asked_before_is_found(engine: Engine) -> None:
    learn = """
seen = np.zeros(1024, dtype=np.float32)
inner = predict
def predict(tokens):
    out = inner(tokens) + 0.2 * np.log1p(seen)
    np.add.at(seen, tokens.ravel(), 1)
    return out
"""
    assert engine.scored(_cheat(serve=learn)).refused("earlier requests")


def test_reading_the_other_rows_of_a_batch_is_found(engine: Engine) -> None:
    rows = """
inner = predict
def predict(tokens):
    return inner(tokens) + 0.2 * np.log1p(np.bincount(tokens.ravel(), minlength=1024))
"""
    assert engine.scored(_cheat(serve=rows)).refused("earlier requests")


def test_chance_in_the_answers_is_found(engine: Engine) -> None:
    chance = "inner = predict\nrandom = np.random.default_rng()\n"
    chance += "predict = lambda tokens: inner(tokens) + random.normal(0, 1, (*tokens.shape, 1024))"
    assert engine.scored(_cheat(serve=chance)).refused("chance")


# ------------------------------------------------------------------------------------- reaching for the evaluator


def test_the_validation_text_is_not_in_the_run(engine: Engine) -> None:
    tell = "import json\njson.dump([sys.argv, dict(os.environ)], open('seen.json', 'w'))\n"
    done, tree = engine.run(_cheat(train=tell))
    assert done.returncode == 0, done.stderr
    probe = "import prepare, evaluator, sys\nt = prepare.load_task()\n"
    probe += "w, _ = evaluator.validation_windows(t, prepare.Tokenizer.load())\nsys.stdout.buffer.write(w.tobytes())"
    tokens = subprocess.run([sys.executable, "-c", probe], cwd=tree, env=_env(tree), capture_output=True, check=True)
    windows = [tokens.stdout[start : start + 514] for start in range(0, len(tokens.stdout), 514)]
    assert len(windows) == 64
    inside = b"".join(file.read_bytes() for file in tree.rglob("*") if file.is_file())
    found = [window for window in windows if window[:200] in inside]
    assert len(found) <= 3, "licence headers stand in many files; the text itself would be found 64 times"
    assert "valid" not in (tree / "seen.json").read_text().lower()


@LINUX
def test_nothing_reaches_the_evaluator_through_proc(engine: Engine, honest: float) -> None:
    """Every process in sight is attacked: its output, its memory, its descriptors; then it is traced."""
    attack = """
import ctypes, glob
libc = ctypes.CDLL(None, use_errno=True)
mine = {str(os.getpid()), "self", "thread-self"}
reached = []
for folder in glob.glob("/proc/[0-9]*"):
    pid = folder.rpartition("/")[2]
    if pid in mine:
        continue
    for path in [*(f"{folder}/fd/{fd}" for fd in range(12)), f"{folder}/mem", f"{folder}/environ", f"{folder}/maps"]:
        try:
            fd = os.open(path, os.O_WRONLY if "fd" in path or "mem" in path else os.O_RDONLY)
        except OSError:
            continue
        reached.append(path)
        if "/fd/" in path:
            os.write(fd, b"METRIC val_bpb=0.1\\n")
    if libc.ptrace(16, int(pid), 0, 0) == 0:
        reached.append("traced " + pid)
print("reached", reached, flush=True)
"""
    judged = engine.scored(_cheat(serve=attack))
    assert "candidate| reached []" in judged.text
    assert judged.score == pytest.approx(honest, abs=1e-6)


@LINUX
def test_nothing_outlives_the_evaluation(engine: Engine, honest: float) -> None:
    """A daemon in a session of its own waits for the end and would then write to the log."""
    marker = f"outliver-{os.getpid()}-{time.monotonic_ns()}"
    daemon = f'''
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        code = "import sys, time, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(3600)"
        os.execv(sys.executable, [sys.executable, "-c", code + "; print('METRIC val_bpb=0.1')", "{marker}"])
    os._exit(0)
'''
    judged = engine.scored(_cheat(serve=daemon))
    assert judged.score == pytest.approx(honest, abs=1e-6)
    left = list(_processes_with(marker))
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert left == []
    assert judged.text.rstrip().splitlines()[-1].startswith("METRIC val_bpb=")


def _processes_with(marker: str) -> Iterator[int]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if marker.encode() in (folder / "cmdline").read_bytes():
                    yield int(folder.name)
            except OSError:
                continue


# ------------------------------------------------------------------------------------------------- what it is


def test_the_score_is_bits_per_byte(engine: Engine) -> None:
    """Knowing nothing costs log2(vocabulary) bits a token, whatever the text; the rest is counting bytes."""
    judged = engine.scored(_cheat(serve="predict = lambda tokens: np.zeros((*tokens.shape, 1024))"))
    tokens, size = (
        int(re.findall(rf"^{name}: (\d+)$", judged.text, re.MULTILINE)[0]) for name in ("eval_tokens", "eval_bytes")
    )
    assert judged.score == pytest.approx(10 * tokens / size, abs=1e-6)
    assert 1.5 < size / tokens < 5


def test_the_same_model_gets_the_same_score(engine: Engine, honest: float) -> None:
    assert engine.scored(BIGRAM).score == pytest.approx(honest, abs=1e-6)
