"""Run one command, hold it to its limits, and leave nothing of it behind."""

from autoresearch.engine.process.child import Child, Led
from autoresearch.engine.process.command import (
    MOST_PROCESSES,
    OOM_SCORE,
    Command,
    Exit,
    Halt,
    Spawn,
    spawn,
    start_unconfined,
)
from autoresearch.engine.process.descendants import MARKER, become_subreaper, claim, release, starting_child
from autoresearch.engine.process.leftovers import end_leftovers
from autoresearch.engine.process.output import cap_engine_log, cut_log
from autoresearch.engine.process.runner import run, run_async
from autoresearch.engine.process.seen import LINUX
