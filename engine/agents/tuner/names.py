"""What a setting's name tells: its words, its category, and whether it is a setting at all."""

from __future__ import annotations

import re

_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")

NOT_SETTINGS = frozenset(
    "seed seeds version versions year date copyright license author url uri host port path paths dir folder file files "
    "id ids uid pid signal errno exit status pi magic flops budget timeout deadline debug verbose log logging logger "
    "eval checkpoint ckpt wandb save profile vocab".split()
)
"""Words that mark identity, bookkeeping, limits or reporting: changing them cannot make the work itself better, or
makes its numbers incomparable. A name holding one is tuned only when its comment gives a range or choices."""

FRACTIONS = frozenset(
    "dropout drop prob probability p frac fraction ratio momentum beta beta1 beta2 betas ema mix smoothing warmup "
    "warmdown cooldown pct percent share".split()
)
"""Words of numbers that live between 0 and 1."""

SCALES = frozenset("lr rate scale gain coef coefficient factor weight std init temperature lambda eps epsilon".split())
"""Words of numbers whose order of magnitude matters, even near 1."""

_CATEGORIES = (
    ("schedule", "warmup warmdown cooldown schedule anneal annealing final steps epochs iters cosine"),
    ("optimizer", "lr rate learning beta betas beta1 beta2 momentum decay wd adam adamw muon sgd clip grad nesterov "
     "optimizer optim accum accumulation"),
    ("data", "batch seq sequence context block len length shuffle tokenizer data sample samples token tokens crop"),
    ("architecture", "depth layer layers head heads dim dims width hidden embd embed embedding embeddings mlp aspect "
     "ratio window kernel rope kv rank blocks activation act norm expert experts tied bias residual channels filters"),
    ("regularization", "dropout drop smoothing augment augmentation noise mixup cutmix l1 l2 penalty"),
    ("numerics", "eps epsilon dtype precision softcap scale init std fp8 bf16 fp16 tolerance tol"),
    ("performance", "cache buffer chunk threads workers prefetch pool unroll tile compile fused inline fold strategy "
     "size limit"),
)  # fmt: skip
_CATEGORY_OF = {word: (rank, category) for rank, (category, words) in enumerate(_CATEGORIES) for word in words.split()}


def words_of(name: str) -> list[str]:
    """The words of `warmupSteps`, `WARMUP_STEPS` or `Config.warmup_steps`, in small letters."""
    return [word.lower() for word in _WORD.findall(name.rpartition(".")[2])]


def category_of(name: str) -> str:
    """The category of the word that says most, `other` when none is known."""
    return min((_CATEGORY_OF[word] for word in words_of(name) if word in _CATEGORY_OF), default=(0, "other"))[1]


def matters_most(name: str) -> bool:
    """A learning rate: of all settings of a training script it decides most, so it is looked at first.

    (Bengio, "Practical recommendations for gradient-based training of deep architectures", 2012, section 3.1.)
    """
    words = words_of(name)
    return "lr" in words or ("learning" in words and "rate" in words)


def is_setting(name: str) -> bool:
    """Whether a name may be tuned without a word from its author."""
    return not is_special(name) and NOT_SETTINGS.isdisjoint(words_of(name))


def is_special(name: str) -> bool:
    """Dunder names, and seeds and versions: never tuned, whatever a comment says."""
    last = name.rpartition(".")[2]
    return (last.startswith("__") and last.endswith("__")) or not {"seed", "seeds", "version"}.isdisjoint(
        words_of(last)
    )
