"""Run one command, hold it to its limits, and leave nothing of it behind."""

from autoresearch.engine.process.command import MOST_PROCESSES, Command, Exit, Halt, Spawn, Started, Unconfined, spawn
from autoresearch.engine.process.descendants import become_subreaper, claim, release, starting_child
from autoresearch.engine.process.leftovers import end_leftovers
from autoresearch.engine.process.output import cap_engine_log, cut_log
from autoresearch.engine.process.runner import run, run_async
from autoresearch.engine.process.seen import LINUX
