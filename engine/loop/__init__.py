"""Propose, measure, guard, judge, record, and nothing else."""

from autoresearch.engine.loop.loop import Loop
