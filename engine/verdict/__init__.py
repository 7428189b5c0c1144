"""Samples in, verdict out. Pure: no file, no clock, no git."""

from autoresearch.engine.verdict.blocks import seed_alone
from autoresearch.engine.verdict.contest import VERSION, Decision, Run, Terms
from autoresearch.engine.verdict.flags import Flag, prints_score, touched
from autoresearch.engine.verdict.gain import gain_of, keep_if_better
from autoresearch.engine.verdict.holdout import HOLDOUT_TRIES, holdout_due, holdout_folder, holdout_follows
from autoresearch.engine.verdict.measured import describe_baseline, mean_of, rank_unproven, usable, values_of
from autoresearch.engine.verdict.noise import Noise, mean
from autoresearch.engine.verdict.pace import Pace, expected_luck, pace_of
from autoresearch.engine.verdict.race import Verdict, contest_of, experiment_line, known_of, repeats_of, terms_of
from autoresearch.engine.verdict.recomputation import recompute
from autoresearch.engine.verdict.rule import judge, visible
from autoresearch.engine.verdict.settings import Settings
