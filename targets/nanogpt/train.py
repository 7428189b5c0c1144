"""Trains a GPT for a fixed time on one GPU, a Mac or a few CPU cores. Everything in this file is fair game.

    python train.py                trains, writes out/model.pt
    python train.py serve IN OUT   answers the evaluator (`prepare.py evaluate`) with that model

Two promises the rest relies on: training ends after AUTORESEARCH_BUDGET_S seconds (start-up, compilation and the
first few steps not counted), and `serve` answers with logits in which position i depends on tokens 0 to i alone.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from dataclasses import asdict, dataclass

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # or one busy neighbour makes every step wait for a spinning core

import numpy as np
import prepare
import torch
import torch.nn.functional as F
from torch import Tensor, nn

# ------------------------------------------------------------------------------------------------------ settings
# They hold on every device; what depends on the device is in PRESETS below, and the factors here scale that.

# optimizer
OPTIMIZER = "adamw"  # one of: adamw, muon
LEARNING_RATE = 0.0004  # range: 0.0001 .. 0.02
EMBEDDING_LR_FACTOR = 1.0  # range: 0.3 .. 10
WEIGHT_DECAY = 0.3  # range: 0.0 .. 0.5
BETA1 = 0.9  # range: 0.7 .. 0.98
BETA2 = 0.999  # range: 0.9 .. 0.9999
GRAD_CLIP = 1.0  # not tunable: it rarely acts

# schedule, as shares of the budget
WARMUP = 0.3  # range: 0.0 .. 0.5
COOLDOWN = 0.0  # range: 0.0 .. 0.9

# model
ACTIVATION = "gelu"  # one of: gelu, relu2, swiglu
DROPOUT = 0.1  # range: 0.0 .. 0.3
QK_NORM = True
TIED_EMBEDDINGS = True
ROPE_BASE = 10000.0  # not tunable: windows are short
DEPTH_FACTOR = 1.0  # range: 0.5 .. 2
WIDTH_FACTOR = 1.0  # range: 0.5 .. 2
BATCH_FACTOR = 2.0  # range: 0.25 .. 4
SEQUENCE_FACTOR = 1.0  # range: 0.25 .. 1


@dataclass(frozen=True)
class Preset:
    depth: int
    width: int
    head_dim: int
    batch_tokens: int
    """Tokens per optimizer step."""
    micro_tokens: int
    """Tokens that go through the model at once; halved until a GPU's memory holds them."""
    untimed_steps: int
    """Steps before the clock starts: compilation and warm-up."""
    compile: bool


PRESETS = {
    "cuda": Preset(6, 768, 128, 262_144, 131_072, 10, True),
    "mps": Preset(4, 256, 64, 8_192, 8_192, 3, False),
    "cpu": Preset(2, 128, 64, 2_048, 2_048, 1, False),
}
PEAK_FLOPS = (
    ("H100 PCIe", 756e12),
    ("H100 NVL", 835e12),
    ("H100", 989.5e12),
    ("H200", 989.5e12),
    ("B200", 2250e12),
    ("A100", 312e12),
    ("L40S", 362e12),
    ("RTX 4090", 165.2e12),
)
"""Dense bf16 peaks by part of the GPU's name: the denominator of MFU, which is given as 0 where it is not known."""


def pick_device() -> torch.device:
    wanted = os.environ.get("NANOGPT_DEVICE")
    if wanted:
        return torch.device(wanted)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


# --------------------------------------------------------------------------------------------------------- model


@dataclass(frozen=True)
class Config:
    vocab: int
    context: int
    depth: int
    width: int
    head_dim: int
    activation: str = ACTIVATION
    dropout: float = DROPOUT
    qk_norm: bool = QK_NORM
    tied: bool = TIED_EMBEDDINGS
    rope_base: float = ROPE_BASE


def norm(x: Tensor) -> Tensor:
    return F.rms_norm(x, (x.size(-1),), eps=1e-6)


class Linear(nn.Linear):
    """Weights stay in float32 and multiply in the type of what comes in."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype))


class Attention(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.heads = config.width // config.head_dim
        self.qkv = Linear(config.width, 3 * config.width, bias=False)
        self.out = Linear(config.width, config.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        rows, length, width = x.shape
        q, k, v = self.qkv(x).view(rows, length, 3 * self.heads, self.config.head_dim).chunk(3, dim=2)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        if self.config.qk_norm:
            q, k = norm(q), norm(k)
        mixed = F.scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(rows, length, width))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary position: the first and second half of a head's channels are the two coordinates."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)


class MLP(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.activation = config.activation
        hidden = 4 * config.width
        if self.activation == "swiglu":
            hidden = 64 * round(8 * config.width / 3 / 64)  # as many parameters as the two-matrix form
            self.gate = Linear(config.width, hidden, bias=False)
        self.up = Linear(config.width, hidden, bias=False)
        self.down = Linear(hidden, config.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.activation == "swiglu":
            return self.down(F.silu(self.gate(x)) * self.up(x))
        return self.down(F.gelu(self.up(x)) if self.activation == "gelu" else F.relu(self.up(x)).square())


class Block(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.mlp = MLP(config)
        self.dropout = config.dropout

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + F.dropout(self.attention(norm(x), cos, sin), self.dropout, self.training)
        return x + F.dropout(self.mlp(norm(x)), self.dropout, self.training)


class GPT(nn.Module):
    def __init__(self, config: Config, dtype: torch.dtype) -> None:
        super().__init__()
        self.config = config
        self.dtype = dtype
        """Of activations; the sums that need it are in float32 whatever this is."""
        self.embedding = nn.Embedding(config.vocab, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.head = Linear(config.width, config.vocab, bias=False)
        self.apply(self._init)
        if config.tied:
            self.head.weight = self.embedding.weight
        frequencies = config.rope_base ** -(torch.arange(0, config.head_dim, 2) / config.head_dim)
        angles = torch.outer(torch.arange(config.context), frequencies)[None, :, None]
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def _init(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        elif isinstance(module, Block):  # a block begins as the identity
            nn.init.zeros_(module.attention.out.weight)
            nn.init.zeros_(module.mlp.down.weight)

    def forward(self, tokens: Tensor, targets: Tensor | None = None) -> Tensor:
        """The mean loss in nats where targets are given, else the logits."""
        length = tokens.size(1)
        x = norm(self.embedding(tokens)).to(self.dtype)
        cos, sin = self.cos[:, :length].to(x.dtype), self.sin[:, :length].to(x.dtype)
        for block in self.blocks:
            x = block(x, cos, sin)
        logits = self.head(norm(x)).float()
        if targets is None:
            return logits
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    def flops_per_token(self, length: int) -> float:
        """Forward and backward: 6 per parameter that multiplies (a lookup does not), and attention counted in full, as
        is the custom, although half of it is masked."""
        lookup = 0 if self.config.tied else self.embedding.weight.numel()
        return 6 * (self.parameter_count() - lookup) + 12 * self.config.depth * self.config.width * length


# ----------------------------------------------------------------------------------------------------- optimizer


class Muon(torch.optim.Optimizer):
    """Momentum whose update is replaced by the nearest half-orthogonal matrix, for the matrices inside the blocks
    (Jordan et al., 2024). Updates are scaled to the size of Adam's (Liu et al., 2025), so that one learning rate
    serves both."""

    def __init__(self, params: list[nn.Parameter], lr: float, weight_decay: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[nn.Parameter]] = {}
            for parameter in group["params"]:
                by_shape.setdefault(parameter.shape, []).append(parameter)
            for shape, parameters in by_shape.items():
                gradients = torch.stack([parameter.grad for parameter in parameters])
                state = self.state[parameters[0]]
                mean = state.setdefault("mean", torch.zeros_like(gradients))
                mean.lerp_(gradients, 1 - group["momentum"])
                updates = orthogonalize(gradients.lerp(mean, group["momentum"])) * (0.2 * max(shape) ** 0.5)
                torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(parameters, list(updates.unbind()), alpha=-group["lr"])


def orthogonalize(matrices: Tensor, steps: int = 5) -> Tensor:
    """Newton-Schulz: drives all singular values of each matrix toward one without computing them."""
    x = matrices.bfloat16() if matrices.is_cuda else matrices
    tall = x.size(-2) > x.size(-1)
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) * 1.01 + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return (x.mT if tall else x).to(matrices.dtype)


def make_optimizers(model: GPT) -> list[torch.optim.Optimizer]:
    embeddings = {model.embedding.weight, model.head.weight}
    matrices = [parameter for parameter in model.parameters() if parameter not in embeddings]
    groups = [{"params": list(embeddings), "lr": LEARNING_RATE * EMBEDDING_LR_FACTOR, "weight_decay": 0.0}]
    optimizers: list[torch.optim.Optimizer] = []
    if OPTIMIZER == "muon":
        optimizers.append(Muon(matrices, LEARNING_RATE, WEIGHT_DECAY))
    else:
        groups.append({"params": matrices, "lr": LEARNING_RATE, "weight_decay": WEIGHT_DECAY})
    fused = model.head.weight.device.type != "mps"
    optimizers.append(torch.optim.AdamW(groups, betas=(BETA1, BETA2), eps=1e-8, fused=fused))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["base_lr"] = group["lr"]
    return optimizers


def lr_factor(progress: float) -> float:
    rise = min(1.0, progress / WARMUP) if WARMUP > 0 else 1.0
    fall = min(1.0, (1.0 - progress) / COOLDOWN) if COOLDOWN > 0 else 1.0
    return max(0.01, min(rise, fall))


# ------------------------------------------------------------------------------------------------------ training


def peak_flops(device: torch.device) -> float:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return next((peak for part, peak in PEAK_FLOPS if part in name), 0.0)


def micro_tokens(device: torch.device, preset: Preset, config: Config) -> int:
    tokens = preset.micro_tokens
    if device.type == "cuda":
        each = 50 * config.depth * config.width + 16 * config.vocab  # bytes of activations and logits, rounded up
        room = 0.8 * torch.cuda.get_device_properties(device).total_memory
        while tokens > config.context and tokens * each > room:
            tokens //= 2
    return tokens


def compilable(preset: Preset) -> bool:
    """Triton needs a C compiler on the machine; without one the model runs as it is."""
    return preset.compile and any(shutil.which(name) for name in (os.environ.get("CC") or "cc", "gcc", "clang"))


class Batches:
    """Random windows of the training tokens, gathered on the device."""

    def __init__(self, length: int, rows: int, device: torch.device, seed: int) -> None:
        tokens = prepare.load_train_tokens()
        self.tokens = torch.from_numpy(tokens.astype(np.int32)).to(device)
        self.offsets = torch.arange(length + 1, device=device)
        self.rows = rows
        self.random = torch.Generator().manual_seed(seed)

    def next(self) -> tuple[Tensor, Tensor]:
        last = len(self.tokens) - len(self.offsets)
        starts = torch.randint(last + 1, (self.rows, 1), generator=self.random).to(self.offsets.device)
        windows = self.tokens[starts + self.offsets].long()
        return windows[:, :-1], windows[:, 1:]


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()
    elif device.type == "mps":
        torch.mps.synchronize()


def main() -> None:
    born = time.perf_counter()
    device = pick_device()
    preset = PRESETS[device.type]
    budget_s = float(os.environ.get("AUTORESEARCH_BUDGET_S") or (300 if device.type == "cuda" else 15))
    seed = int(os.environ.get("AUTORESEARCH_SEED") or 0)
    torch.manual_seed(seed)
    torch.set_float32_matmul_precision("high")

    task = prepare.load_task()
    config = Config(
        vocab=task.vocab,
        context=task.context,
        depth=max(1, round(preset.depth * DEPTH_FACTOR)),
        width=preset.head_dim * max(1, round(preset.width * WIDTH_FACTOR / preset.head_dim)),
        head_dim=preset.head_dim,
    )
    length = max(16, int(task.context * SEQUENCE_FACTOR))
    batch_tokens = int(preset.batch_tokens * BATCH_FACTOR)
    rows = max(1, min(batch_tokens, micro_tokens(device, preset, config)) // length)
    micro_steps = max(1, round(batch_tokens / (rows * length)))

    model = GPT(config, torch.bfloat16 if device.type == "cuda" else torch.float32).to(device)
    batches = Batches(length, rows, device, seed)
    optimizers = make_optimizers(model)
    forward = torch.compile(model, dynamic=False) if compilable(preset) else model
    flops_per_token = model.flops_per_token(length)
    print(
        f"{device.type}: {model.parameter_count() / 1e6:.2f}M parameters, {rows * micro_steps} x {length} tokens a step"
    )

    step, training_s, printed_s, recent = 0, 0.0, 0.0, []
    while training_s < budget_s:
        synchronize(device)
        started = time.perf_counter()
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["base_lr"] * lr_factor(training_s / budget_s)
        loss = torch.zeros((), device=device)
        for _ in range(micro_steps):
            part = forward(*batches.next()) / micro_steps
            part.backward()
            loss += part.detach()
        nn.utils.clip_grad_norm_(model.parameters(), GRAD_CLIP)
        for optimizer in optimizers:
            optimizer.step()
        model.zero_grad(set_to_none=True)
        recent.append(loss.item())
        if not math.isfinite(recent[-1]):
            sys.exit(f"train.py: the loss is {recent[-1]} at step {step}")
        step += 1
        if step > preset.untimed_steps:
            training_s += time.perf_counter() - started
        if training_s - printed_s >= 1 or step == 1:
            print(f"step {step:05d} | loss: {sum(recent) / len(recent):.4f} | {training_s / budget_s:4.0%}", flush=True)
            printed_s, recent = training_s, []

    prepare.MODEL.parent.mkdir(exist_ok=True)
    torch.save({"config": asdict(config), "weights": model.state_dict()}, prepare.MODEL)
    timed_tokens = (step - preset.untimed_steps) * micro_steps * rows * length
    peak = peak_flops(device)
    mfu = 100 * flops_per_token * timed_tokens / training_s / peak if peak else 0.0
    vram = torch.cuda.max_memory_allocated() / 2**20 if device.type == "cuda" else 0.0
    print("---")
    print(f"training_seconds: {training_s:.1f}")
    print(f"total_seconds:    {time.perf_counter() - born:.1f}")
    print(f"peak_vram_mb:     {vram:.1f}")
    print(f"mfu_percent:      {mfu:.2f}")
    print(f"tokens_per_s:     {timed_tokens / training_s:.0f}")
    print(f"total_tokens_M:   {step * micro_steps * rows * length / 1e6:.2f}")
    print(f"num_steps:        {step}")
    print(f"num_params_M:     {model.parameter_count() / 1e6:.2f}")
    print(f"depth:            {config.depth}")


# ------------------------------------------------------------------------------------------------------- serving


def serve(argv: list[str]) -> None:
    device = pick_device()
    saved = torch.load(prepare.MODEL, map_location=device, weights_only=True)
    model = GPT(Config(**saved["config"]), torch.bfloat16 if device.type == "cuda" else torch.float32).to(device)
    model.load_state_dict(saved["weights"])
    model.eval()

    @torch.inference_mode()
    def predict(tokens: np.ndarray) -> np.ndarray:
        return model(torch.from_numpy(tokens.astype(np.int64)).to(device)).cpu().numpy()

    prepare.serve(predict, argv)


if __name__ == "__main__":
    try:
        serve(sys.argv[2:]) if sys.argv[1:2] == ["serve"] else main()
    except prepare.PrepareError as error:
        sys.exit(f"train.py: {error}")
