"""The score of a trained model, out of its reach. Protected; run as `python prepare.py evaluate`.

The evaluator holds the validation text and never runs the artifact's code. It starts `train.py serve` as a process of
its own, in fact twice, asks both for logits batch by batch over pipes it made, normalises them, computes the loss and
prints it when both are dead.

Why twice: each window goes to both processes, to one as it is and to the other with its tail exchanged from a random
place on, and only the evaluator knows which is which. The predictions before that place must agree. A model that looks
ahead, one that learns from windows it was shown before, and one that remembers what it answered to the same prefix all
give themselves away, since the two have seen different things and cannot talk to each other.

What this cannot tell: that the model never saw the validation text. The standard library is on the disk of whoever
runs it, and whoever trains on what the evaluator asks for scores better than they should. Read the diff of a surprising
keep, or use a corpus of which nobody else holds the held-out part.
"""

from __future__ import annotations

import fcntl
import math
import os
import re
import selectors
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import prepare
import sandbox

ANSWER_S = 120
"""Limit for the start of a candidate and for each answer."""
BATCH_TOKENS = 8192
DONORS = 16
"""Windows that are never scored; exchanged tails are cut from them."""
AT_ONE_POSITION, ON_AVERAGE = 0.1, 0.001
"""How far, in nats, the two answers to one prefix may differ. On a CPU they do not, in float32 or bf16; this is room
for kernels of a GPU that add in another order."""
OUTPUT_LINES, OUTPUT_COLUMNS = 200, 300


class EvaluatorError(Exception):
    """Why there is no score, in one line."""


def evaluate() -> None:
    sandbox.shield()
    started = time.monotonic()
    try:
        score, held = _scored()
    except (EvaluatorError, prepare.PrepareError, sandbox.SandboxError) as error:
        sys.exit(f"evaluate: {error}")
    print(f"protection: {held}")
    print(f"eval_device: {'accelerator' if score.accelerated else 'CPU'}")
    if sandbox.has_accelerator() and not (score.accelerated or os.environ.get("NANOGPT_DEVICE")):
        print("WARNING: this machine has an accelerator, and the model was evaluated on the CPU.", file=sys.stderr)
    print(f"eval_tokens: {score.tokens}")
    print(f"eval_bytes: {score.bytes}")
    print(f"eval_seconds: {time.monotonic() - started:.1f}")
    print(f"METRIC val_bpb={score.bits_per_byte:.6f}", flush=True)


@dataclass(slots=True)
class Score:
    nats: float = 0.0
    tokens: int = 0
    bytes: int = 0
    gap_sum: float = 0.0
    gap_max: float = 0.0
    compared: int = 0
    accelerated: bool = False

    @property
    def bits_per_byte(self) -> float:
        return self.nats / math.log(2) / self.bytes


def _scored() -> tuple[Score, str]:
    task = prepare.load_task()
    tokenizer = prepare.Tokenizer.load()
    if not prepare.MODEL.is_file():
        raise EvaluatorError(f"{prepare.MODEL} is missing; train.py has to write it")
    windows, donors = validation_windows(task, tokenizer)
    threads = str(max(1, (os.cpu_count() or 2) // 2))
    with tempfile.TemporaryDirectory(prefix="nanogpt-") as scratch:
        candidates: list[Candidate] = []
        try:
            for name in ("a", "b"):
                candidates.append(Candidate(Path(scratch) / name, task, threads))
            score = _ask(candidates, windows, donors, tokenizer.byte_lengths())
            score.accelerated = all(sandbox.uses_accelerator(candidate.process) for candidate in candidates)
        finally:
            sandbox.end_descendants([candidate.process for candidate in candidates])
            for candidate in candidates:
                candidate.close()
        if score.gap_max > AT_ONE_POSITION or score.gap_sum / score.compared > ON_AVERAGE:
            raise EvaluatorError(
                f"predictions depend on later tokens, on earlier requests or on chance: the same prefix was answered "
                f"{score.gap_max:.3g} nats apart at worst, {score.gap_sum / score.compared:.3g} on average"
            )
        if not math.isfinite(score.nats):
            raise EvaluatorError("the loss is not finite")
        return score, _named(candidates[0].held)


def _named(held: list[str]) -> str:
    """What protected this evaluation, and what did not."""
    missing = [name for name in sandbox.PROTECTIONS if not any(part.startswith(name) for part in held)]
    return (", ".join(held) or "a process of its own") + ("; missing: " + ", ".join(missing) if missing else "")


def validation_windows(task: prepare.Task, tokenizer: prepare.Tokenizer) -> tuple[np.ndarray, np.ndarray]:
    """Always the same windows of context + 1 tokens, none overlapping another; and those that lend their tails."""
    step = task.context + 1
    tokens = prepare.validation_tokens(task.source, tokenizer, (task.eval_tokens // task.context + DONORS) * step)
    if len(tokens) < prepare.FEWEST_WINDOWS * step:
        raise EvaluatorError(f"{task.source} gives {len(tokens)} validation tokens, too few to score by; use more text")
    windows = tokens[: len(tokens) // step * step].reshape(-1, step)
    windows = windows[np.random.default_rng(20).permutation(len(windows))]
    return windows[DONORS:], windows[:DONORS]


# -------------------------------------------------------------------------------------------------- candidates

PASSED_ON = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV", "CUDA_VISIBLE_DEVICES", "NANOGPT_DEVICE")


class Candidate:
    """One confined `train.py serve`, its two pipes, and what it prints (shown on stderr, never taken for a score)."""

    def __init__(self, scratch: Path, task: prepare.Task, threads: str) -> None:
        self.vocab = task.vocab
        scratch.mkdir()
        theirs_in, requests = os.pipe()
        answers, theirs_out = os.pipe()
        output, theirs_output = os.pipe()
        env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        env |= {
            "HOME": str(scratch),
            "TMPDIR": str(scratch),
            "OMP_NUM_THREADS": threads,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [sys.executable, "train.py", "serve", str(theirs_in), str(theirs_out)]
        try:
            self.process, self.held = sandbox.start(
                command,
                scratch=scratch,
                hidden=prepare.heldout_folder(task.source),
                fds=[theirs_in, theirs_out],
                env=env,
                output=theirs_output,
            )
        finally:
            for fd in (theirs_in, theirs_out, theirs_output):
                os.close(fd)
        self.requests, self.answers = requests, answers
        if sys.platform == "linux":
            fcntl.fcntl(answers, fcntl.F_SETPIPE_SZ, 1 << 20)  # logits are many; the default is a sixteenth
        os.set_blocking(answers, False)
        os.set_blocking(requests, False)
        self._printer = threading.Thread(target=_show_output, args=(output,), daemon=True)
        self._printer.start()
        self._greeted = False
        self._answer = np.empty((0, 0, 0), dtype="<f4")

    def ask(self, tokens: np.ndarray) -> np.ndarray:
        """The logits for a batch of windows: rows x length x vocab, in a buffer that the next call takes again."""
        rows, length = tokens.shape
        self._write(prepare.REQUEST.pack(rows, length) + tokens.astype("<u2").tobytes())
        if not self._greeted:
            hello = bytearray(len(prepare.HELLO))
            self._read_into(hello)
            if hello != prepare.HELLO:
                raise EvaluatorError("the candidate does not speak the protocol of prepare.serve")
            self._greeted = True
        if self._answer.shape != (rows, length, self.vocab):
            self._answer = np.empty((rows, length, self.vocab), dtype="<f4")
        self._read_into(self._answer)
        return self._answer

    def _write(self, message: bytes) -> None:
        view = memoryview(message)
        while view:
            self._wait(self.requests, selectors.EVENT_WRITE)
            try:
                view = view[os.write(self.requests, view) :]
            except BrokenPipeError:
                raise EvaluatorError("the candidate ended before it had answered") from None

    def _read_into(self, buffer: bytearray | np.ndarray) -> None:
        view = memoryview(buffer).cast("B")
        while view:
            self._wait(self.answers, selectors.EVENT_READ)
            count = os.readv(self.answers, [view])
            if not count:
                raise EvaluatorError("the candidate ended before it had answered")
            view = view[count:]

    def _wait(self, fd: int, event: int) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(fd, event)
            if not selector.select(ANSWER_S):
                raise EvaluatorError(f"the candidate did not answer within {ANSWER_S} s")

    def check_silent(self) -> None:
        """After the last answer there is nothing left to read."""
        try:
            more = os.read(self.answers, 1)
        except BlockingIOError:
            return
        if more:
            raise EvaluatorError("the candidate answered more than it was asked")

    def close(self) -> None:
        """Once nobody holds the other ends any more."""
        self._printer.join(timeout=5)
        os.close(self.requests)
        os.close(self.answers)


def _show_output(fd: int) -> None:
    """Printable characters only, so many lines, and nothing that reads like a metric."""
    with os.fdopen(fd, "rb") as stream:
        for number, line in enumerate(iter(lambda: stream.readline(4096), b"")):
            if number < OUTPUT_LINES:
                text = re.sub(r"[^\x20-\x7e]", " ", line.decode("ascii", "replace"))[:OUTPUT_COLUMNS]
                text = re.sub(r"METRIC|val_bpb", lambda match: match[0].swapcase(), text, flags=re.IGNORECASE)
                print(f"candidate| {text.rstrip()}", file=sys.stderr, flush=True)


# ----------------------------------------------------------------------------------------------------- scoring


def _ask(candidates: list[Candidate], windows: np.ndarray, donors: np.ndarray, lengths: np.ndarray) -> Score:
    """Has every window answered by both candidates, and scores the answers of the one that was not deceived."""
    random = np.random.default_rng()
    windows = windows[random.permutation(len(windows))]
    length = windows.shape[1] - 1
    rows = max(1, BATCH_TOKENS // length)
    score = Score()
    with ThreadPoolExecutor(2) as asking, ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as scoring:
        for first in range(0, len(windows), rows):
            batch = windows[first : first + rows]
            cuts = random.integers(1, length, len(batch))
            honest = random.integers(0, 2, len(batch))
            inputs = [batch[:, :-1].copy(), batch[:, :-1].copy()]
            for row, cut in enumerate(cuts):
                inputs[1 - honest[row]][row, cut:] = _other_tail(batch[row, cut:-1], donors, random)
            answers = list(asking.map(lambda pair: pair[0].ask(pair[1]), zip(candidates, inputs, strict=True)))
            jobs = ((answer[row], batch[row, 1:]) for row in range(len(batch)) for answer in answers)
            losses = np.array(list(scoring.map(lambda job: _losses(*job), jobs))).reshape(len(batch), 2, length)
            for row, cut in enumerate(cuts):
                gaps = np.abs(losses[row, 0, :cut] - losses[row, 1, :cut])
                score.gap_max = max(score.gap_max, float(gaps.max()))
                score.gap_sum += float(gaps.sum())
                score.compared += int(cut)
                real = lengths[batch[row, 1:]]
                score.nats += float(losses[row, honest[row]][real > 0].sum())
                score.tokens += int((real > 0).sum())
                score.bytes += int(real.sum())
    for candidate in candidates:
        candidate.check_silent()
    return score


def _other_tail(tail: np.ndarray, donors: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """As many tokens of another text, the first of them not what it was: position `cut - 1` must not have seen it."""
    flat = donors.ravel()
    starts = np.flatnonzero(flat[: len(flat) - len(tail) + 1] != tail[0])
    start = int(random.choice(starts))
    return flat[start : start + len(tail)]


def _losses(logits: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Nats per position, normalised here: what comes in is any finite number per token. Overwrites `logits`."""
    top = logits.max(axis=1, keepdims=True)
    if not np.isfinite(top).all():
        raise EvaluatorError("the candidate answered with numbers that are not finite")
    chosen = logits[np.arange(len(targets)), targets].astype(np.float64) - top[:, 0]
    np.exp(np.subtract(logits, top, out=logits), out=logits)
    losses = np.log(logits.sum(axis=1, dtype=np.float64)) - chosen
    if not np.isfinite(losses).all():
        raise EvaluatorError("the candidate answered with numbers that are not finite")
    return losses
