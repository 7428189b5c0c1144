"""Ask the agent: give it a brief and a tree, take its words and additions, tell it verdicts.

One agent does one thing at a time: a live session that is writing a proposal hears of a verdict when it is done.
Telling runs beside the loop, so the slot never waits for a lesson.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from autoresearch.engine import measure
from autoresearch.engine.agents import Added, Agent, Exhausted, Learner, Proposal
from autoresearch.engine.brief import Brief, Mend, feedback_of, gather, render
from autoresearch.engine.record import Recorder
from autoresearch.engine.workspace import Taken, Workspace
from autoresearch.state import text
from autoresearch.state.config import Config
from autoresearch.state.faults import reach
from autoresearch.state.journal import History, Row, read_line, records
from autoresearch.state.session import logs_of

MENDABLE = frozenset("nonzero_exit no_metric not_finite out_of_memory over_budget timeout stalled out_of_scope".split())
"""Crashes that the candidate's own code can be blamed for."""
ERROR_LINES, ERROR_CHARS = 60, 6000
FEEDBACK_CHARS = 4000


class Researcher:
    def __init__(
        self,
        workspace: Workspace,
        recorder: Recorder,
        agent: Agent,
        config: Config,
        between: Agent | None = None,
    ) -> None:
        """`between` makes every `agent.tuner_every`-th proposal."""
        self._workspace = workspace
        self._recorder = recorder
        self._agent = agent
        self._config = config
        self._between = between
        self._busy = asyncio.Lock()
        self._telling: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        return self._agent.name

    @property
    def _history(self) -> History:
        return self._recorder.history

    # -- proposals

    async def propose(self, base: str) -> tuple[str, Proposal, Taken]:
        """Have one made on `base`: (agent, its words, its edits). Raises what the agent raises: Exhausted, Blocked."""
        async with self._busy:
            mend = self._to_mend(base)
            agent = self._whose_turn(mend)
            self._recorder.phase(self._recorder.live.phase, proposing=agent.name)
            try:
                try:
                    words = await self._ask(agent, base, mend)
                except Exhausted:
                    if agent is self._agent:
                        raise
                    agent = self._agent
                    words = await self._ask(agent, base, mend)
            finally:
                self._recorder.phase(self._recorder.live.phase, proposing="", waiting_for="")
            reach("after:propose")
            self._write_down(words.added, agent.name)
            return agent.name, words, Taken() if words.problem else self._workspace.take(base)

    def _whose_turn(self, mend: Mend | None) -> Agent:
        every = self._config.agent.tuner_every
        if self._between is not None and mend is None and every and self._history.next_proposal % every == 0:
            return self._between
        return self._agent

    async def _ask(self, agent: Agent, base: str, mend: Mend | None) -> Proposal:
        tree = self._workspace.propose
        tree.at(base)
        if mend is not None:
            tree.overlay(self._history.by_number[mend.experiment].sha)
        self._workspace.hide_holdout()
        number = self._history.next_proposal
        brief = Brief(
            number=number,
            incumbent=base,
            config=self._config,
            history=self._history,
            session=self._recorder.session,
            mend=mend,
            avoid=tuple(waiting.description for waiting in self._history.waiting.values()),
        )
        if agent.reads:
            brief = self._written(brief, for_cli=agent.name == "command")
        heard, briefed = (len(self._history.steers), records.now_ms()) if brief.text else (0, 0)
        return replace(await agent.propose(brief, tree.folder), heard=heard, briefed=briefed)

    def _written(self, brief: Brief, for_cli: bool) -> Brief:
        """With its text, in the folder of the proposal until it has an experiment's number."""
        ws, session = self._workspace, self._recorder.session
        dossier = gather(
            ws.place, session, brief.history, self._config, ws.git, brief.incumbent, self._recorder.secrets, brief.mend
        )
        written = render(dossier, self._config.agent.brief_chars, for_cli=for_cli)
        folder = session.proposal(brief.number)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "brief.md").write_text(written)
        return replace(brief, folder=folder, text=written)

    def _write_down(self, added: tuple[Added, ...], by: str) -> None:
        for one in added:
            if line := _line_of(one, self._history, by):
                self._recorder.write(line)

    # -- mending

    def _to_mend(self, base: str) -> Mend | None:
        """The last experiment's failure, if its own agent may mend it and has tries left."""
        row = self._history.rows[-1] if self._history.rows else None
        if row is None or not self._agent.reads or not self._is_mendable(row, base):
            return None
        kind = "rework" if row.status == "checks_failed" else "debug"
        allowed = self._config.agent.rework if kind == "rework" else self._config.agent.debug
        tries = len(self._history.mended(row))
        if tries >= allowed:
            return None
        return Mend(row.number, kind, self._error(row), tries + 1, allowed)

    def _is_mendable(self, row: Row, base: str) -> bool:
        failed = row.status == "checks_failed" or (row.status == "crash" and row.cause in MENDABLE)
        mended = any(waiting.mends == row.number for waiting in self._history.waiting.values())
        changed = row.sha != row.parent
        return failed and changed and not mended and row.parent == base and row.agent == self._agent.name

    def _error(self, row: Row) -> str:
        reason = getattr(read_line(self._recorder.session.journal, row.line_at), "reason", row.cause)
        logs = logs_of(self._recorder.session.run(row.number))
        if not logs:
            return str(reason)
        tail = measure.tail(logs[0], lines=ERROR_LINES, chars=ERROR_CHARS)
        return f"{reason}\n\n{tail}"

    # -- verdicts

    def tell(self, line: records.Experiment) -> None:
        """Tell the agent a verdict, beside the loop; its lesson is recorded when it comes."""
        if line.cause == "baseline" or not isinstance(self._agent, Learner):
            return
        task = asyncio.create_task(self._tell(self._agent, line))
        self._telling.add(task)
        task.add_done_callback(self._told)

    def _told(self, task: asyncio.Task[None]) -> None:
        self._telling.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._recorder.warn(f"The agent could not be told the verdict: {task.exception()}", code="agent")

    async def _tell(self, agent: Learner, line: records.Experiment) -> None:
        async with self._busy:
            feedback = text.clean(feedback_of(self._recorder.session, line.run, self._config)[:FEEDBACK_CHARS])
            feedback = self._recorder.secrets.scrub(feedback)
            lesson = await agent.learn(line, feedback)
        if lesson is not None:
            self._write_down((lesson,), self.name)

    async def close(self, patience_s: float = 0.0) -> None:
        """End what is under way; a lesson that is being written gets so long to come."""
        if self._telling and patience_s:
            await asyncio.wait(self._telling, timeout=patience_s)
        for task in list(self._telling):
            task.cancel()
        await asyncio.gather(*self._telling, return_exceptions=True)
        if isinstance(self._agent, Learner):
            tokens, cost = self._agent.settle()
            if tokens:
                self._recorder.write(records.AgentEvent(event="usage", agent=self.name, tokens=tokens, cost_usd=cost))
            await self._agent.close()


def _line_of(one: Added, history: History, by: str) -> records.Record | None:
    """The journal line of something an agent added; None when it names what does not exist."""
    match one.kind:
        case "idea":
            return records.Idea(id=history.free_id("i", history.ideas), text=one.text, by=by)
        case "close_idea" if one.id in history.ideas:
            return records.Veto(id=one.id, reason=one.text or "closed by the agent", by=by)
        case "dead_end":
            id = history.free_id("d", history.dead_ends)
            return records.DeadEnd(
                id=id, text=one.text, list=one.list, experiment=one.experiment, retry_if=one.retry_if, by=by
            )
        case "lesson" if one.experiment in history.by_number:
            assert one.experiment is not None
            return records.Lesson(experiment=one.experiment, lesson=one.text, retry_if=one.retry_if, by=by)
    return None
