"""Whether a target measures what it claims on this machine, before a night is spent on it."""

from autoresearch.engine.doctor.dryrun import Finding, Progress, Report, dry_run, look
from autoresearch.engine.doctor.kept import at_hand
from autoresearch.engine.doctor.machine import AgentCli, Check, agent_clis, machine_checks
from autoresearch.engine.doctor.traps import editables, import_root
