"""Everything that needs a real accelerator, line by line, in at most six minutes: `make gpu-check`.

Needs NVIDIA's driver, git, and torch for the interpreter that runs it. Nothing is left behind: its repositories and
caches lie in a folder that goes at the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CUDA = (
    "import ctypes; c = ctypes.CDLL('libcuda.so.1'); r = c.cuInit(0); n = ctypes.c_int(); "
    "c.cuDeviceGetCount(ctypes.byref(n)); x = ctypes.c_void_p(); "
    "print('cuInit', r, 'devices', n.value, 'context', c.cuCtxCreate_v2(ctypes.byref(x), 0, 0) if r == 0 else None)"
)
OCCUPIES = (
    "import sys, torch; x = torch.ones(1 << 28, device='cuda'); y = torch.randn(4096, 4096, device='cuda')\n"
    "print('busy', flush=True)\nwhile True: y = (y @ y).clamp(-1, 1)"
)
BENCH = """\
import time, torch
from knob import VALUE
x = torch.randn(4096, 4096, device='cuda', dtype=torch.bfloat16)
until = time.monotonic() + 2
while time.monotonic() < until:
    x = (x @ x).clamp(-1, 1)
torch.cuda.synchronize()
print(f'METRIC score={VALUE}')
"""
TOML = """\
name = "gpu"
[metric]
name = "score"
[scope]
edit = ["knob.py"]
[measure]
run = "python bench.py"
budget_s = 0
[verdict]
baseline_runs = 3
"""


class Failed(Exception):
    """What was wrong, in one line."""


def expect(holds: object, what: str) -> None:
    if not holds:
        raise Failed(what)


class Box:
    """One run of all checks: a folder of its own, and the command as a user would call it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "XDG_STATE_HOME": str(folder / "state"),
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_AUTHOR_NAME": "check",
            "GIT_AUTHOR_EMAIL": "check@localhost",
            "GIT_COMMITTER_NAME": "check",
            "GIT_COMMITTER_EMAIL": "check@localhost",
        }

    def call(self, *words: str, cwd: Path, timeout_s: float = 240) -> str:
        command = [sys.executable, "-m", "autoresearch", *words]
        done = subprocess.run(
            command, cwd=cwd, env=self.env, capture_output=True, text=True, check=False, timeout=timeout_s
        )
        return done.stdout + done.stderr

    def target(self, name: str, files: dict[str, str]) -> Path:
        repo = self.folder / name
        repo.mkdir()
        for path, text in files.items():
            (repo / path).write_text(text)
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "start"]):
            subprocess.run(["git", *words], cwd=repo, env=self.env, check=True)
        return repo

    def records(self, repo: Path) -> list[dict[str, object]]:
        (journal,) = repo.glob(".git/autoresearch/*/autoresearch.jsonl")
        return [json.loads(line) for line in journal.read_bytes().splitlines()]


def held_mb() -> float:
    query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
    return sum(map(float, subprocess.run(query, capture_output=True, text=True, check=True).stdout.split()))


# -- the checks, in order


def cuda_opens_outside(box: Box) -> str:
    done = subprocess.run([sys.executable, "-c", CUDA], capture_output=True, text=True, check=False)
    expect("cuInit 0" in done.stdout and "context 0" in done.stdout, done.stdout + done.stderr[-200:])
    return done.stdout.strip()


def cuda_opens_in_every_view(box: Box) -> str:
    """As `run`, `evaluate` and `setup` each see the machine."""
    toml = TOML.replace('run = "python bench.py"', 'setup = "python cuda.py"\nrun = "python cuda.py && echo value: 1"\n'
                        'evaluate = "python cuda.py && echo METRIC score=1"')  # fmt: skip
    repo = box.target("views", {"autoresearch.toml": toml, "cuda.py": CUDA, "knob.py": "VALUE = 1.0\n"})
    said = box.call("run", "--headless", "--agent", "tuner", "--max-experiments", "1", cwd=repo)
    samples = [line for line in box.records(repo) if line.get("type") == "sample"]
    expect(samples and not any(line.get("cause") for line in samples), said[-600:])
    logs = "".join(path.read_text() for path in repo.glob(".git/autoresearch/*/runs/**/*.log"))
    opened = logs.count("cuInit 0 devices")
    expect(opened >= 3 and "cuInit 3" not in logs, logs[-400:])
    return f"{opened} commands opened it, none was refused; {_level(box.records(repo))}"


def doctor_opens_it_too(box: Box) -> str:
    said = box.call("doctor", "--no-canaries", cwd=box.folder / "views")
    lines = [line for line in said.splitlines() if re.search(r"\b(gpu|accelerator)\b", line, re.IGNORECASE)]
    expect(lines and not any("×" in line for line in lines), said[-600:])
    return lines[0].strip()


def nanogpt_trains_and_scores_on_it(box: Box) -> str:
    """A baseline and one experiment, confined, with the evaluator's own sandbox inside."""
    files = {path.name: path.read_text() for path in (ROOT / "targets" / "nanogpt").iterdir() if path.is_file()}
    toml = files["autoresearch.toml"].replace("budget_s = 300", "budget_s = 5")
    files["autoresearch.toml"] = f'{toml}\n[verdict]\nmode = "single"\nbaseline_runs = 1\n'
    repo = box.target("demo", files)
    said = box.call("run", "--headless", "--agent", "tuner", "--max-experiments", "2", cwd=repo)
    samples = [line for line in box.records(repo) if line.get("type") == "sample" and line.get("metric")]
    expect(samples, said[-800:])
    logs = "".join(path.read_text(errors="replace") for path in repo.glob(".git/autoresearch/*/runs/*/*.log"))
    expect("eval_device: accelerator" in logs and "eval_device: CPU" not in logs, "it was evaluated on the CPU")
    expect("missing:" not in "".join(re.findall(r"protection: .*", logs)), re.findall(r"protection: .*", logs)[:1])
    seconds = max(map(float, re.findall(r"eval_seconds: ([0-9.]+)", logs)))
    expect(seconds < 10, f"an evaluation took {seconds:.1f} s")
    vram = [line.get("peak_vram_mb") for line in samples]
    expect(all(vram), "no GPU memory was seen")
    scores = ", ".join(f"{float(str(line['metric'])):.4f}" for line in samples)
    return f"scores {scores}; evaluated in at most {seconds:.1f} s; {max(float(str(mb)) for mb in vram):,.0f} MB"


def cpu_and_gpu_agree(box: Box) -> str:
    """One model, evaluated on both."""
    target = box.folder / "nanogpt"
    shutil.copytree(ROOT / "targets" / "nanogpt", target)
    env = {**box.env, "AUTORESEARCH_BUDGET_S": "5", "NANOGPT_CACHE": str(box.folder / "cache" / "nanogpt")}

    def call(*words: str, **more: str) -> str:
        done = subprocess.run(
            [sys.executable, *words], cwd=target, env={**env, **more}, capture_output=True, text=True, check=False
        )
        expect(done.returncode == 0, (done.stdout + done.stderr)[-600:])
        return done.stdout

    call("prepare.py")
    call("train.py")
    found = []
    for device in ("cuda", "cpu"):
        said = call("prepare.py", "evaluate", NANOGPT_DEVICE=device)
        found.append(float(re.findall(r"val_bpb=([0-9.]+)", said)[0]))
    expect(abs(found[0] - found[1]) < 0.005, f"{found[0]} on the GPU, {found[1]} on the CPU")
    return f"{found[0]:.4f} on the GPU, {found[1]:.4f} on the CPU"


def flops_are_used(box: Box) -> str:
    """MFU of a model that fills a card."""
    target = box.folder / "large"
    shutil.copytree(ROOT / "targets" / "nanogpt", target)
    env = {**box.env, "AUTORESEARCH_BUDGET_S": "15", "NANOGPT_CACHE": str(box.folder / "cache" / "nanogpt")}
    for words in (["prepare.py", "--size", "large"], ["train.py"]):
        done = subprocess.run(
            [sys.executable, *words], cwd=target, env=env, capture_output=True, text=True, check=False
        )
        expect(done.returncode == 0, (done.stdout + done.stderr)[-600:])
    mfu = float(re.findall(r"mfu_percent:\s+([0-9.]+)", done.stdout)[0])
    expect(mfu > 10, f"{mfu}% MFU")
    return f"{mfu:.1f}% MFU, {re.findall(r'num_params_M:.*', done.stdout)[0]}"


@contextlib.contextmanager
def stranger() -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", OCCUPIES], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()


def a_stranger_is_seen(box: Box) -> str:
    repo = box.target("stranger", {"autoresearch.toml": TOML, "bench.py": BENCH, "knob.py": "VALUE = 10.0\n"})
    with stranger() as process:
        said = box.call("run", "--headless", "--agent", "tuner", "--max-experiments", "1", cwd=repo)
    causes = [line.get("cause") for line in box.records(repo) if line.get("type") == "sample"]
    expect("contaminated" in causes, f"{causes}: {said[-400:]}")
    expect(str(process.pid) in said, said[-400:])
    return f"pid {process.pid} named, {causes.count('contaminated')} samples not counted"


def memory_comes_back(box: Box) -> str:
    repo = box.target("memory", {"autoresearch.toml": TOML, "bench.py": BENCH, "knob.py": "VALUE = 10.0\n"})
    before = held_mb()
    box.call("run", "--headless", "--agent", "tuner", "--max-experiments", "2", cwd=repo)
    samples = [line for line in box.records(repo) if line.get("type") == "sample"]
    expect(samples and all(line.get("peak_vram_mb") for line in samples), "no GPU memory was seen")
    deadline = time.monotonic() + 20
    while (after := held_mb()) > before + 50:
        expect(time.monotonic() < deadline, f"{before:.0f} MB before, {after:.0f} MB after")
        time.sleep(0.5)
    return f"{before:.0f} MB before, {after:.0f} MB after {len(samples)} runs"


CHECKS: list[Callable[[Box], str]] = [
    cuda_opens_outside, cuda_opens_in_every_view, doctor_opens_it_too, nanogpt_trains_and_scores_on_it,
    cpu_and_gpu_agree, flops_are_used, a_stranger_is_seen, memory_comes_back,
]  # fmt: skip


def _level(lines: list[dict[str, object]]) -> str:
    return str(next(line["protection"] for line in lines if line.get("type") == "config"))


def main() -> int:
    names = sys.argv[1:]
    failed = 0
    with tempfile.TemporaryDirectory(prefix="gpu-check-", ignore_cleanup_errors=True) as folder:
        box = Box(Path(folder))
        for check in CHECKS:
            if names and check.__name__ not in names:
                continue
            began = time.monotonic()
            try:
                said, mark = check(box), "pass"
            except Failed as error:
                said, mark = str(error), "FAIL"
            except Exception:
                said, mark = traceback.format_exc(limit=3), "FAIL"
            failed += mark == "FAIL"
            print(f"{mark} {time.monotonic() - began:5.1f} s  {check.__name__.replace('_', ' ')}: {said}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
