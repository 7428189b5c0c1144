"""Run one loop in one process: lock, segment, recovery, signals, inbox. `detached` starts such a process.

`engine_main` is the engine. It ignores SIGHUP, so a closed terminal cannot end it; SIGINT and SIGTERM stop it with the
experiment left open. Whatever ends it writes its line first: a session without a process is paused or stopped on
purpose, or its engine was killed, and the lock tells which.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace

from autoresearch.engine import agents, doctor, measure, process, sandbox, workspace
from autoresearch.engine.agents import Shell
from autoresearch.engine.control import Attendant, Ended, Notifier
from autoresearch.engine.git import GitError
from autoresearch.engine.loop import Loop
from autoresearch.engine.proposals import Proposals, Researcher
from autoresearch.engine.record import Notebook, Observe, OnLive, Recorder, carry_out, plan
from autoresearch.engine.sessions import RunOptions, header_for, is_time, linked_inputs, opened_for
from autoresearch.engine.workspace import Linked, head_of, machine_name, uncommitted
from autoresearch.state import config as configs
from autoresearch.state import files, session
from autoresearch.state.config import Config
from autoresearch.state.journal import History, Journal, JournalLost, records
from autoresearch.state.session import CONFIG_FILE, Place, Session, SessionError, runs_elsewhere, watch_heartbeat

LESSON_PATIENCE_S = 20.0
"""How long a session that pauses waits for the lesson on its last experiment."""
TIDY_AFTER = 50
"""Experiments in one call from which packing what was written is worth its time."""
FAILED = 1
DIVERGED_FIX = "Look at both, then `git branch -f {branch} {wanted}` to go on from the journal's incumbent."


# -- the engine


def engine_main(place: Place, options: RunOptions, observe: Observe, on_live: OnLive) -> int:
    """Run the engine in this process until it pauses or stops; returns the exit code of design section 9.

    Raises SessionError and ConfigError for what a person must mend before anything can start.
    """
    # A handler, not SIG_IGN: what is ignored must be reset in every child, which costs a full fork (3.5 ms a command).
    signal.signal(signal.SIGHUP, lambda *_: None)
    process.become_subreaper()
    sandbox.shield()
    options, config, opened = opened_for(place, options)
    _refuse_elsewhere(opened)
    with opened.lock(), _journal(opened) as journal:
        history = opened.history()
        gc.freeze()  # 10,000 rows that never go: collections need not walk them at every experiment
        recorder = Recorder(opened, journal, history, observe, on_live, os.getpid())
        try:
            return asyncio.run(_Engine(place, opened, config, options, recorder).run())
        except JournalLost as lost:
            print(f"{lost} The session goes on from its last whole line: free the disk, then resume.", file=sys.stderr)
            return FAILED


def _refuse_elsewhere(opened: Session) -> None:
    """Two machines may not see each other's locks on a file system they share; a heartbeat that goes on can be seen."""
    live = opened.read_live()
    if not runs_elsewhere(live) or (live is not None and live.phase == "ended"):
        return
    beat = watch_heartbeat([opened], surely=True)[opened.name]
    if beat.moved and beat.host:
        raise SessionError(
            f"An engine on {beat.host} works on session {opened.name}; watch it with `autoresearch attach`, "
            f"or stop it there with `autoresearch stop`.",
            code=4,
        )


class _Engine:
    """The parts of one engine, put together and taken apart again."""

    def __init__(self, place: Place, opened: Session, config: Config, options: RunOptions, recorder: Recorder) -> None:
        self._place = place
        self._session = opened
        self._config = config
        self._options = options
        self._recorder = recorder
        self._workspace = workspace.Workspace(place, opened, config, recorder.warn)
        self._notebook = Notebook(recorder, config)
        self._notifier = Notifier(config.notify.command, place.folder, lambda text: recorder.warn(text, code="notify"))
        recorder.also(lambda record, history: self._notifier.see(record, history, opened.name))
        self._rows_before = len(recorder.history.rows)

    async def run(self) -> int:
        try:
            code = await self._to_its_end()
            await self._notifier.close()
        finally:
            self._workspace.close()
        return code

    async def _to_its_end(self) -> int:
        try:
            ended = await self._until_ended()
            self._end(ended)
        except JournalLost:
            raise
        except Exception as error:
            return self._failed(error)
        return ended.code

    async def _until_ended(self) -> Ended:
        recorder, history = self._recorder, self._recorder.history
        recorder.beat()
        if self._session.refused_lock:
            recorder.warn(self._session.refused_lock, code="lock")
        session.show_to_people(self._place, self._session.folder)
        self._end_leftovers()
        died = history.open is not None and not history.open.clean
        diverged = self._recover()
        if diverged is not None:
            return diverged
        self._apply_settings()
        self._open_segment()
        self._warn_about_target()
        recorder.write(records.Resume(by="engine"))
        if history.open is not None and died:
            history.open.died = True
            history.open.attempt += 1
        attendant = Attendant(
            recorder, self._config, self._workspace.folder, self._options.max_experiments, self._notebook.tick
        )
        agent = self._agent()
        confinement = self._confinement()
        slot = measure.LocalSlot(
            self._config,
            machine_name(self._place, self._session.name),
            self._workspace.measure,
            self._workspace.evaluate,
            user_folder=self._place.folder,
            on_phase=lambda phase: recorder.phase(phase),
            warn=lambda text: recorder.warn(text, code="gpu"),
            linked=self._linked(confinement),
            confinement=confinement,
        )
        researcher = Researcher(self._workspace, recorder, agent, self._config, self._between(agent))
        proposals = Proposals(self._workspace, recorder, researcher, self._config, self._prepares_ahead(agent))
        loop = Loop(
            self._config,
            recorder,
            self._workspace,
            slot,
            researcher,
            proposals,
            attendant,
            self._notebook.update,
            doctor.at_hand(self._place, history.header),
        )
        try:
            return await self._drive(loop, slot, proposals, researcher, attendant)
        finally:
            confinement.close()

    def _linked(self, confinement: sandbox.Confinement) -> Linked:
        """Watched: the linked inputs that a run can write to."""
        inputs = linked_inputs(self._place, self._config)
        if confinement.level.holds("writing"):
            reached = tuple(path for path in inputs.paths if confinement.gives(inputs.top / path))
            inputs = replace(inputs, paths=reached)
        return Linked(inputs)

    async def _drive(
        self,
        loop: Loop,
        slot: measure.LocalSlot,
        proposals: Proposals,
        researcher: Researcher,
        attendant: Attendant,
    ) -> Ended:
        """The loop with the attendant beside it; whichever way it ends, nothing of ours is left running."""

        async def work() -> None:
            await self._prepare(slot)
            await loop.run()

        work_task = asyncio.create_task(work())
        watch_task = asyncio.create_task(attendant.watch(work_task))
        # A failing attendant (a full disk under live.json) must end the loop, not leave it deaf.
        watch_task.add_done_callback(lambda task: None if task.cancelled() else work_task.cancel())
        try:
            await work_task
        except Ended as ended:
            return ended
        except asyncio.CancelledError:
            if attendant.interrupted is not None:
                return attendant.interrupted
            if watch_task.done() and not watch_task.cancelled():
                watch_task.result()
            raise
        finally:
            watch_task.cancel()
            await asyncio.gather(watch_task, return_exceptions=True)
            await proposals.close()
            await researcher.close(0.0 if attendant.interrupted is not None else LESSON_PATIENCE_S)
        raise AssertionError("the loop ended without a reason")

    async def _prepare(self, slot: measure.LocalSlot) -> None:
        """`setup` once per trees: what it leaves is kept, protected, and copied for the evaluation."""
        config, tree = self._config.measure, self._workspace.measure
        header = self._recorder.history.header
        assert header is not None
        key = f"{config.setup!r} {header.evaluator_sha}"
        tree.is_prepared(key)  # before the checkout, which removes what nobody has asked for
        tree.at(header.base)
        if not config.setup:
            return
        if not tree.is_prepared(key):
            self._recorder.phase("preparing", waiting_for="setup")
            self._session.runs.mkdir(exist_ok=True)
            exited = await slot.prepare(self._session.runs)
            self._recorder.phase("starting", waiting_for="")
            if exited.cause is not None:
                fix = f"See {self._session.runs / 'setup.log'}; mend `measure.setup` and resume."
                raise Ended(records.Pause(reason=f"setup failed: {exited.detail}", fix=fix, by="engine"), FAILED)
            tree.prepared(key)
        if self._workspace.evaluate is not None:
            self._workspace.evaluate.is_prepared(key)
            self._workspace.evaluate.at(header.base)
            if not self._workspace.evaluate.is_prepared(key):
                tree.share_prepared(self._workspace.evaluate, key)

    # -- starting

    def _end_leftovers(self) -> None:
        pid_files = [self._session.runs / "pid", *sorted(self._session.runs.glob("*/pid"))[-8:]]
        name = machine_name(self._place, self._session.name)
        process.end_leftovers(name, [self._workspace.folder], pid_files)
        self._workspace.remove_stale_locks()

    def _recover(self) -> Ended | None:
        history = self._recorder.history
        branch = self._workspace.refs.resolve(self._session.branch)
        steps = plan(history, self._workspace.list_refs(), branch, self._session.branch)
        diverged = carry_out(steps, self._workspace, self._recorder)
        if diverged is None:
            return None
        name = diverged.branch.removeprefix("refs/heads/")
        fix = DIVERGED_FIX.format(branch=name, wanted=diverged.wanted[:12])
        reason = f"the branch {name} stands at {diverged.found[:12]}, the journal's incumbent is {diverged.wanted[:12]}"
        return Ended(records.Pause(reason=reason, fix=fix, by="engine"), FAILED)

    def _warn_about_target(self) -> None:
        """What a person may not expect of a new session."""
        changed, _ = uncommitted(self._place)
        if changed:
            shown = ", ".join(changed[:5]) + (f" and {len(changed) - 5} more" if len(changed) > 5 else "")
            self._recorder.warn(
                f"Uncommitted changes are not in this session, which starts at HEAD: {shown}.", code="uncommitted"
            )
        history = self._recorder.history
        if history.self_scored and "own-score" not in history.warned:
            self._recorder.warn(history.score_note, code="own-score")

    def _apply_settings(self) -> None:
        """What simply applies (limits, agent, notify) and has changed in the toml since the last start."""
        try:
            before = configs.loads(self._session.config.read_text())
        except (OSError, configs.ConfigError) as error:
            self._recorder.warn(f"The session's config.toml could not be read ({error}); it was written again.")
            before = self._config
        applying, _ = configs.differences(before, self._config)
        if applying:
            self._recorder.write(records.Settings(changes=applying, by=CONFIG_FILE))
        files.write_atomic(self._session.config, configs.dumps(self._config).encode())

    def _open_segment(self) -> None:
        """A change of what is measured, or where, opens a new segment, whose numbers do not compare with the old."""
        history = self._recorder.history
        old = history.header
        assert old is not None
        head = head_of(self._place)
        now = header_for(self._place, self._session, self._config, head)
        changes = [
            what
            for what, was, is_now in (
                ("the measuring config", old.config_sha, now.config_sha),
                ("a protected file", old.evaluator_sha, now.evaluator_sha),
                ("a linked input", old.linked_sha or now.linked_sha, now.linked_sha),  # older headers say nothing
                ("the host", old.host, now.host),
                ("the accelerator", old.accelerator, now.accelerator),
            )
            if was != is_now
        ]
        if not changes:
            return
        base = history.incumbent.sha if history.incumbent else old.base
        if old.evaluator_sha != now.evaluator_sha:
            base = self._with_head(base, head)
        if history.open is not None:
            self._close_open(history, f"{' and '.join(changes)} changed while it was open")
        reason = f"{' and '.join(changes)} changed: numbers from here on do not compare with earlier ones"
        self._recorder.write(replace(now, base=base, reason=reason))

    def _with_head(self, incumbent: str, head: str) -> str:
        """The user's new protected files with the incumbent's changes, as one commit that has both for parents."""
        merged = self._workspace.join(incumbent, head, f"take over {head[:7]}")
        if merged is None:
            raise SessionError(
                f"Protected files changed at HEAD and the session's changes do not merge with them; "
                f"merge {self._session.branch.removeprefix('refs/heads/')} by hand, or start afresh with `--new`."
            )
        return merged

    def _close_open(self, history: History, reason: str) -> None:
        opened = history.open
        assert opened is not None
        waiting = history.opened_proposal
        self._recorder.write(
            records.Experiment(
                run=opened.number, commit=opened.sha[:7], metric=0.0, status="crash", cause="interrupted",
                reason=reason, segment=history.segment, sha=opened.sha, parent=opened.parent,
                proposal=opened.proposal, description=waiting.description if waiting else "baseline",
            )
        )  # fmt: skip

    def _confinement(self) -> sandbox.Confinement:
        """How measured commands are held; a level below the one asked for is said in the journal."""
        ws = self._workspace
        ground = sandbox.ground(self._place, ws.folder, ws.measure, ws.evaluate, agents.login_files(os.environ))
        made = sandbox.Confinement(self._config, ground)
        if made.level.name in ("partial", "none"):
            self._recorder.warn(f"{made.level.sentence[0].upper()}{made.level.sentence[1:]}.", code="confinement")
        return made

    def _agent(self) -> agents.Agent:
        """What this call asks for; else the config's choice; a resumed replay goes on with its source."""
        history = self._recorder.history
        assert history.header is not None
        kind, replay = self._options.agent or self._config.agent.kind, self._options.replay
        if not self._options.agent and not replay and kind in ("auto", "replay") and history.agent[0]:
            kind, replay = history.agent[0], history.agent[1] or None
        tree = self._workspace.propose
        tree.at(history.header.base)
        view = sandbox.agent_view(self._config, self._place, self._workspace.folder, tree.root)
        try:
            agent = agents.create(
                self._config,
                git=tree.git,
                kind=kind,
                replay=replay,
                prefix=self._place.prefix,
                say=lambda text: self._recorder.phase(self._recorder.live.phase, waiting_for=text),
                warn=lambda text: self._recorder.warn(text, code="agent"),
                view=view,
                shell=self._shell(history.header.base),
            )
        except agents.Unavailable as no:
            raise SessionError(str(no)) from no
        if agent.name == "command" and view is None and self._config.measure.confine != "off":
            text = (
                "The agent's CLI is held by its own permissions alone: this machine allows it no view of its own files."
            )
            self._recorder.warn(text, code="confinement")
        if (agent.name, replay or "") != history.agent:
            self._recorder.write(records.AgentEvent(event="began", agent=agent.name, text=replay or ""))
        return agent

    def _shell(self, base: str) -> Shell | None:
        """What the agent `claude` runs commands with, when it may."""
        if not self._config.agent.shell:
            return None
        for tree in self._workspace.trees:
            if not tree.root.exists():  # it is hidden from the shell, which may be at work before the first measurement
                tree.at(base)
        name = machine_name(self._place, self._session.name)
        return Shell(self._config, self._place, self._workspace.propose, name, agents.login_files(os.environ))

    def _between(self, agent: agents.Agent) -> agents.Agent | None:
        """The tuner that makes every `agent.tuner_every`-th proposal beside a language model."""
        if not (agent.reads and self._config.agent.tuner_every):
            return None
        return agents.create(self._config, git=self._workspace.propose.git, kind="tuner", prefix=self._place.prefix)

    def _prepares_ahead(self, agent: agents.Agent) -> bool:
        """Not where the metric is a time: the agent would share the cores that are measured."""
        wanted = bool(configs.proposals_ahead(self._config.agent, agent.name))
        if wanted and self._config.agent.ahead is None and is_time(self._config.metric):
            self._recorder.warn(
                "The metric is a time, so the next proposal is not prepared beside a measurement; `agent.ahead = 1` "
                "does it anyway.",
                code="ahead",
            )
            return False
        return wanted

    # -- ending

    def _end(self, ended: Ended) -> None:
        self._recorder.write(ended.line)
        self._notebook.write()
        self._workspace.save_state(f"{ended.line.type}: {ended.line.reason}")
        if len(self._recorder.history.rows) - self._rows_before >= TIDY_AFTER:
            self._workspace.tidy()
        self._recorder.phase("ended", reason=ended.line.reason, pausing="", experiment=None)
        self._recorder.beat()

    def _failed(self, error: Exception) -> int:
        """An error that no rule covers: say it in the journal and on stderr, and end. Nothing is lost by that."""
        if isinstance(error, (SessionError, GitError, OSError)):
            text = str(error)
        else:
            import traceback

            traceback.print_exc()
            text = f"{type(error).__name__}: {error}"
        fix = "Mend the cause and resume; see engine.log for more."
        opened = self._recorder.history.open
        # Named by it, the experiment is not tried for ever: it counts as one in which an engine died.
        at = opened.number if opened is not None and not _is_of_machine(error) else None
        self._recorder.write(
            records.Fault(text=text, fix=fix, experiment=at),
            records.Stop(reason=f"the engine failed: {text}", by="engine"),
        )
        with contextlib.suppress(OSError):
            self._recorder.phase("ended", reason=text, pausing="")
            self._recorder.beat()
        print(f"autoresearch: {text}", file=sys.stderr)
        return error.code if isinstance(error, SessionError) else FAILED


_OF_MACHINE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM})


def _is_of_machine(error: Exception) -> bool:
    """Whether an error is no candidate's fault: a full or broken disk, something that a person has to mend."""
    if isinstance(error, GitError):
        return "No space left" in error.stderr or "Read-only file system" in error.stderr
    return isinstance(error, SessionError) or (isinstance(error, OSError) and error.errno in _OF_MACHINE)


@contextlib.contextmanager
def _journal(opened: Session) -> Iterator[Journal]:
    try:
        journal = Journal(opened.journal)
    except OSError as error:
        raise SessionError(
            f"The journal {opened.journal} cannot be written: {error.strerror}; make the repository's .git writable.",
            code=FAILED,
        ) from None
    try:
        yield journal
    finally:
        journal.close()
