"""What a setting's name tells."""

from __future__ import annotations

import pytest

from autoresearch.engine.agents.tuner import names


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("warmupSteps", ["warmup", "steps"]),
        ("WARMUP_STEPS", ["warmup", "steps"]),
        ("Config.warmup_steps", ["warmup", "steps"]),
        ("HTTPServer", ["http", "server"]),
        ("beta2", ["beta", "2"]),
        ("_", []),
    ],
)
def test_a_name_is_taken_apart_however_it_is_written(name: str, words: list[str]) -> None:
    assert names.words_of(name) == words


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("LEARNING_RATE", "optimizer"),
        ("LR_WARMUP", "schedule"),
        ("Model.depth", "architecture"),
        ("BATCH_SIZE", "data"),
        ("CACHE_SIZE", "performance"),
        ("drop_prob", "regularization"),
        ("ADAM_EPS", "optimizer"),
        ("EPS", "numerics"),
        ("KNOB", "other"),
    ],
)
def test_the_word_that_says_most_decides_the_category(name: str, category: str) -> None:
    assert names.category_of(name) == category


@pytest.mark.parametrize(
    ("name", "setting", "special"),
    [
        ("LR", True, False),
        ("logits_scale", True, False),
        ("LOG_EVERY", False, False),
        ("vocab_size", False, False),
        ("SEED", False, True),
        ("torchSeed", False, True),
        ("seeds_per_row", False, True),
        ("VERSION", False, True),
        ("Config.__slots__", False, True),
        ("__Config.depth", True, False),
    ],
)
def test_identity_and_bookkeeping_are_no_settings_and_seeds_never(name: str, setting: bool, special: bool) -> None:
    assert (names.is_setting(name), names.is_special(name)) == (setting, special)


@pytest.mark.parametrize(
    ("name", "first"),
    [("LR", True), ("baseLr", True), ("LEARNING_RATE", True), ("RATE", False), ("Lr.decay", False), ("LRU", False)],
)
def test_a_learning_rate_is_looked_at_first(name: str, first: bool) -> None:
    assert names.matters_most(name) is first
