"""Run one loop in one process: lock, segment, recovery, signals, inbox. `start` starts such a process.

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
import traceback
from dataclasses import replace

from autoresearch.engine import agents, doctor, measure, process, sandbox, workspace
from autoresearch.engine.agents import Shell
from autoresearch.engine.control import Attendant, Ended, Notifier
from autoresearch.engine.git import GitError
from autoresearch.engine.loop import Loop
from autoresearch.engine.proposals import Proposals, Researcher
from autoresearch.engine.record import Notebook, Observe, OnLive, Recorder, recover
from autoresearch.engine.secrets import known_secrets
from autoresearch.engine.sessions import (
    RunOptions,
    apply_settings,
    is_time,
    linked_inputs,
    open_segment,
    opened_for,
    warn_about_target,
    warn_about_verdict,
)
from autoresearch.engine.workspace import Linked, machine_name
from autoresearch.state import config as configs
from autoresearch.state import session
from autoresearch.state.config import Config
from autoresearch.state.journal import History, Journal, JournalLost, records
from autoresearch.state.session import Place, Session, SessionError, runs_elsewhere, watch_heartbeat

LESSON_PATIENCE_S = 20.0
"""How long a session that pauses waits for the lesson on its last experiment."""
TIDY_AFTER = 50
"""Experiments in one call from which packing what was written is worth its time."""
FAILED = 1


# -- the engine


def engine_main(place: Place, options: RunOptions, observe: Observe, on_live: OnLive) -> int:
    """Run the engine in this process until it pauses or stops; returns the exit code that docs/cli.md lists.

    Raises SessionError and ConfigError for what a person must mend before anything can start.
    """
    # A handler, not SIG_IGN: what is ignored must be reset in every child, which costs a full fork (3.5 ms a command).
    signal.signal(signal.SIGHUP, lambda *_: None)
    process.become_subreaper()
    sandbox.shield_process()
    options, config, opened = opened_for(place, options)
    _refuse_elsewhere(opened)
    with opened.lock(), contextlib.closing(_journal(opened)) as journal:
        history = History().load(opened.journal)
        gc.freeze()  # 10,000 rows that never go: collections need not walk them at every experiment
        secrets = known_secrets(place, config, os.environ, agents.login_files(os.environ))
        recorder = Recorder(opened, journal, history, observe, on_live, os.getpid(), secrets)
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
        self._notifier = Notifier(config.notify.command, place.folder, recorder)
        self._rows_before = len(recorder.history.rows)

    async def run(self) -> int:
        with contextlib.closing(self._workspace):
            try:
                ended = await self._until_ended()
                self._end(ended)
                code = ended.code
            except JournalLost:
                raise
            except Exception as error:
                code = self._failed(error)
            await self._notifier.close()
        return code

    async def _until_ended(self) -> Ended:
        recorder, history = self._recorder, self._recorder.history
        recorder.beat()
        if self._session.refused_lock:
            recorder.warn(self._session.refused_lock, code="lock")
        session.show_to_people(self._place, self._session.folder)
        self._end_leftovers()
        # Now: what is not there yet could not be kept from the runs.
        recorder.attempt("The saved state", self._workspace.saved.make)
        diverged = recover(self._workspace, recorder)
        if diverged is not None:
            return Ended(diverged, FAILED)
        apply_settings(recorder, self._config)
        open_segment(recorder, self._workspace, self._config)
        warn_about_target(recorder, self._workspace)
        warn_about_verdict(recorder, self._config)
        recorder.write(records.Resume(by="engine"))
        attendant = Attendant(
            recorder, self._config, self._workspace.folder, self._options.max_experiments, self._notebook
        )
        agent = self._agent()
        with contextlib.ExitStack() as opened:
            confinement = opened.enter_context(contextlib.closing(self._confinement()))
            assert history.header is not None
            stacks = measure.stacks_of(self._workspace, self._config, confinement, history.header.base)
            opened.callback(stacks.close)
            if history.baseline is None and (closed := stacks.closed_accelerator(history.header.base)):
                raise SessionError(f'{closed}; run unconfined with measure.confine = "off".', code=FAILED)
            slot = measure.LocalSlot(
                self._config,
                machine_name(self._place, self._session.name),
                stacks,
                prefix=self._place.prefix,
                on_phase=recorder.phase,
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
                self._notebook,
                doctor.at_hand(self._place, history.header),
            )
            return await self._drive(loop, proposals, researcher, attendant)

    def _linked(self, confinement: sandbox.Confinement) -> Linked:
        """Watched: the linked inputs that a run can write to."""
        inputs = linked_inputs(self._place, self._config)
        if confinement.level.holds("writing"):
            reached = tuple(path for path in inputs.paths if confinement.gives(inputs.top / path))
            inputs = replace(inputs, paths=reached)
        return Linked(inputs)

    async def _drive(self, loop: Loop, proposals: Proposals, researcher: Researcher, attendant: Attendant) -> Ended:
        """The loop with the attendant beside it; whichever way it ends, nothing of ours is left running."""
        work_task = asyncio.create_task(loop.run())
        watch_task = asyncio.create_task(attendant.watch(work_task))
        # An attendant that fails must end the loop, not leave it deaf.
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

    # -- starting

    def _end_leftovers(self) -> None:
        pid_files = [self._session.runs / "pid", *sorted(self._session.runs.glob("*/pid"))[-8:]]
        name = machine_name(self._place, self._session.name)
        process.end_leftovers(name, [self._workspace.folder], pid_files)
        self._workspace.remove_former_trees()
        self._workspace.remove_stale_locks()

    def _confinement(self) -> sandbox.Confinement:
        """How measured commands are held; a level below the one asked for is said in the journal."""
        ws = self._workspace
        ground = sandbox.Ground(self._place, ws.folder, ws.folder.parent, agents.login_files(os.environ))
        made = sandbox.Confinement(self._config, ground)
        if made.level.name in ("partial", "none"):
            self._recorder.warn(f"{made.level.sentence[0].upper()}{made.level.sentence[1:]}.", code="confinement")
        if made.copies:
            self._recorder.warn(made.copies, code="confinement")
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
        wanted = agents.Wanted(
            self._config,
            tree.git,
            self._place.prefix,
            replay,
            agents.Reporter(
                say=lambda text: self._recorder.phase(self._recorder.live.phase, waiting_for=text),
                warn=lambda text: self._recorder.warn(text, code="agent"),
            ),
            view,
            self._shell(),
            self._recorder.secrets,
        )
        agent = agents.create(wanted, kind)
        if agent.name == "command" and view is None and self._config.measure.confine != "off":
            text = (
                "The agent's CLI is held by its own permissions alone: this machine allows it no view of its own files."
            )
            self._recorder.warn(text, code="confinement")
        if (agent.name, replay or "") != history.agent:
            self._recorder.write(records.AgentEvent(event="began", agent=agent.name, text=replay or ""))
        return agent

    def _shell(self) -> Shell | None:
        """What the agent `claude` runs commands with, when it may."""
        if not self._config.agent.shell:
            return None
        name = machine_name(self._place, self._session.name)
        return Shell(self._config, self._place, self._workspace.propose, name, agents.login_files(os.environ))

    def _between(self, agent: agents.Agent) -> agents.Agent | None:
        """The tuner that makes every `agent.tuner_every`-th proposal beside a language model."""
        if not (agent.reads and self._config.agent.tuner_every):
            return None
        return agents.create(agents.Wanted(self._config, self._workspace.propose.git, self._place.prefix), "tuner")

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
        line = self._recorder.struck(ended.line)
        self._recorder.write(line)
        self._notebook.write()
        said = f"{line.type}: {line.reason}"
        self._recorder.attempt("The saved state", lambda: self._workspace.save_state(said))
        if len(self._recorder.history.rows) - self._rows_before >= TIDY_AFTER:
            self._workspace.tidy()
        self._recorder.phase("ended", reason=ended.line.reason, pausing="", experiment=None)
        self._recorder.beat()

    def _failed(self, error: Exception) -> int:
        """An error that no rule covers: say it in the journal and on stderr, and end. Nothing is lost by that."""
        if isinstance(error, (SessionError, GitError, OSError)):
            text = str(error)
        else:
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


def _journal(opened: Session) -> Journal:
    try:
        return Journal(opened.journal)
    except OSError as error:
        raise SessionError(
            f"The journal {opened.journal} cannot be written: {error.strerror}; make the repository's .git writable.",
            code=FAILED,
        ) from None
