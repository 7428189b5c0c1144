"""Which segment a resumed session continues in: a change of what is measured, or where, opens a new one."""

from __future__ import annotations

from dataclasses import replace

from autoresearch.engine.record import Recorder
from autoresearch.engine.sessions.header import header_for
from autoresearch.engine.verdict import Verdict, experiment_line
from autoresearch.engine.workspace import Workspace, head_of, uncommitted
from autoresearch.state import config as configs
from autoresearch.state import files
from autoresearch.state.config import Config
from autoresearch.state.journal import records
from autoresearch.state.session import CONFIG_FILE, SessionError
from autoresearch.state.text import listed


def apply_settings(recorder: Recorder, config: Config) -> None:
    """What simply applies (limits, agent, notify) and has changed in the toml since the last start."""
    file = recorder.session.config
    try:
        before = configs.loads(file.read_text())
    except (OSError, configs.ConfigError) as error:
        recorder.warn(f"The session's config.toml could not be read ({error}); it was written again.")
        before = config
    applying, _ = configs.differences(before, config)
    if applying:
        recorder.write(records.Settings(changes=applying, by=CONFIG_FILE))
    files.write_atomic(file, configs.dumps(config).encode())


def open_segment(recorder: Recorder, workspace: Workspace, config: Config) -> None:
    """A change of what is measured, or where, opens a new segment, whose numbers do not compare with the old."""
    history, place = recorder.history, workspace.place
    old = history.header
    assert old is not None
    head = head_of(place)
    now = header_for(place, recorder.session, config, head)
    changed = " and ".join(_changes(old, now))
    if not changed:
        return
    base = history.incumbent.sha if history.incumbent else old.base
    if old.evaluator_sha != now.evaluator_sha:
        base = _with_head(workspace, base, head)
    if history.open is not None:
        closed = Verdict("crash", "interrupted", f"{changed} changed while it was open")
        recorder.write(experiment_line(history.open, closed, (), history.segment))
    for parked in list(history.parked.values()):
        closed = Verdict("discard", "unproven", f"not proven when {changed} changed")
        recorder.write(experiment_line(parked, closed, (), history.segment))
    reason = f"{changed} changed: numbers from here on do not compare with earlier ones"
    recorder.write(replace(now, base=base, reason=reason))


def warn_about_target(recorder: Recorder, workspace: Workspace) -> None:
    """What a person may not expect of a new session."""
    changed, _ = uncommitted(workspace.place)
    if changed:
        text = f"Uncommitted changes are not in this session, which starts at HEAD: {listed(changed)}."
        recorder.warn(text, "uncommitted")
    history = recorder.history
    if history.self_scored and "own-score" not in history.warned:
        recorder.warn(history.score_note, code="own-score")


def warn_about_verdict(recorder: Recorder, config: Config) -> None:
    """Keys of `[verdict]` that meant something else under earlier rules, once in a session."""
    told, rule = recorder.history.warned, config.verdict
    if rule.mode == "race" and "verdict-race" not in told:
        recorder.warn('`verdict.mode = "race"` means "blocks" now, which is the default.', "verdict-race")
    if rule.odds != "auto" and "verdict-odds" not in told:
        text = f"`verdict.odds` fixes the odds of every race at {rule.odds:g} to 1; without it they follow the pace."
        recorder.warn(text, "verdict-odds")
    if rule.max_runs != "auto" and "verdict-max-runs" not in told:
        text = f"`verdict.max_runs` counts the best's runs too: a race ends after {rule.max_runs} runs of both."
        recorder.warn(text, "verdict-max-runs")


def _changes(old: records.Header, now: records.Header) -> list[str]:
    compared = (
        ("the measuring config", old.config_sha, now.config_sha),
        ("a protected file", old.evaluator_sha, now.evaluator_sha),
        ("a linked input", old.linked_sha or now.linked_sha, now.linked_sha),  # older headers say nothing
        ("the host", old.host, now.host),
        ("the accelerator", old.accelerator, now.accelerator),
        ("the verdict's rule", old.verdict.get("version"), now.verdict.get("version")),
    )
    return [what for what, was, is_now in compared if was != is_now]


def _with_head(workspace: Workspace, incumbent: str, head: str) -> str:
    """The user's new protected files with the incumbent's changes, as one commit that has both for parents."""
    merged = workspace.join(incumbent, head, f"take over {head[:7]}")
    if merged is None:
        raise SessionError(
            f"Protected files changed at HEAD and the session's changes do not merge with them; "
            f"merge {workspace.session.branch.removeprefix('refs/heads/')} by hand, or start afresh with `--new`."
        )
    return merged
