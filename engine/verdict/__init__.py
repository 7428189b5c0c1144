"""Samples in, verdict out. Pure: no file, no clock, no git."""

from autoresearch.engine.verdict.flags import Flag, prints_score, touched
from autoresearch.engine.verdict.gain import gain_of, keep_if_better
from autoresearch.engine.verdict.holdout import HOLDOUT_TRIES, holdout_due, holdout_folder, holdout_follows
from autoresearch.engine.verdict.noise import Noise, mean
from autoresearch.engine.verdict.race import Verdict, experiment_line, judge_open, mean_of, noise_of, usable, values_of
from autoresearch.engine.verdict.recomputation import recompute
from autoresearch.engine.verdict.rule import (
    ENOUGH_INCUMBENT_RUNS,
    VERSION,
    Action,
    Settings,
    describe_baseline,
    judge,
    rank_unproven,
)
