"""Run one command, hold it to its limits, and leave nothing of it behind."""

from autoresearch.engine.process.command import (
    MOST_PROCESSES,
    Command,
    Exit,
    Halt,
    Spawn,
    Started,
    Unconfined,
    run,
    run_async,
    spawn,
)
from autoresearch.engine.process.descendants import LINUX, become_subreaper, disown, end_leftovers, own, starting
from autoresearch.engine.process.output import cap_engine_log, cut
