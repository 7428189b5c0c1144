"""Sessions as a whole: opened, begun anew, moved between machines, cleaned up, deleted."""

from autoresearch.engine.sessions.arrivals import accept, pending, pulled_from, refusal
from autoresearch.engine.sessions.cleanup import CleanupItem, CleanupRule, clean_up, survey
from autoresearch.engine.sessions.deletion import delete, finish_deletion, loss_of, unfinished
from autoresearch.engine.sessions.header import header_for, is_time, linked_inputs, scored_by
from autoresearch.engine.sessions.opening import RunOptions, opened_for, read_config, refuse_unseen_files
from autoresearch.engine.sessions.segment import apply_settings, open_segment, warn_about_target, warn_about_verdict
from autoresearch.engine.sessions.transfer import Moved, pull, push
