"""Where the next proposal comes from: people's requests, bundles of unproven changes, the queue, the agent.

A proposal is committed and recorded as soon as its edits are taken, so that it survives anything. It may be made while
another experiment is measured; if that one is kept, the waiting proposal is put onto the new incumbent when it merges
cleanly, and withdrawn when not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, fields, replace

from autoresearch.engine import verdict
from autoresearch.engine.agents import Proposal
from autoresearch.engine.files import printable
from autoresearch.engine.proposals.researcher import Researcher
from autoresearch.engine.record import Recorder
from autoresearch.engine.workspace import Taken, Workspace
from autoresearch.state.config import Config
from autoresearch.state.journal import History, Row, Waiting, records

_NO_EDITS = "no_change"
_ONLY_OUTSIDE = "out_of_scope"
_OF_WORDS = tuple(field.name for field in fields(Proposal) if field.name != "added")
"""What a proposal's line repeats of the agent's words."""
_RANK = {"overrule": 0, "retry": 2}


class Proposals:
    def __init__(
        self, workspace: Workspace, recorder: Recorder, researcher: Researcher, config: Config, ahead: bool
    ) -> None:
        self._workspace = workspace
        self._recorder = recorder
        self._researcher = researcher
        self._config = config
        self._ahead = ahead
        self._task: asyncio.Task[None] | None = None
        self._tried_bundles: set[tuple[str, frozenset[int]]] = set()

    @property
    def _history(self) -> History:
        return self._recorder.history

    @property
    def base(self) -> str:
        """The commit the next proposal starts from."""
        if self._history.incumbent is not None:
            return self._history.incumbent.sha
        assert self._history.header is not None
        return self._history.header.base

    async def next(self, meanwhile: Callable[[], Awaitable[bool]]) -> Waiting:
        """The proposal to measure now, on the incumbent. Raises agents.Exhausted when there is none to be had.

        While the agent thinks, `meanwhile` makes use of the slot as long as it returns True.
        """
        while True:
            self._take_up_requests()
            waiting = self._first(urgent=True) or self._bundle() or self._first()
            if waiting is None:
                await self._proposed(meanwhile)
                continue
            ready = self._onto_incumbent(waiting)
            if ready is not None:
                return ready

    @property
    def waits(self) -> bool:
        """Whether somebody waits for the slot: a proposal, a person, an agent that has come to an end."""
        ended = self._task is not None and self._task.done()
        return ended or bool(self._history.waiting or self._history.retries or self._history.overrules)

    @property
    def under_way(self) -> bool:
        """Whether the agent is making a proposal."""
        return self._task is not None and not self._task.done()

    def prepare(self, first: bool = False) -> None:
        """Let the agent make the next proposal while an experiment is measured; the first one beside the baseline."""
        if self._task is not None and self._task.done() and self._task.exception() is None:
            self._task = None  # an exception stays: it is raised when its proposal is wanted
        if (self._ahead or first) and self._task is None and not self._history.waiting:
            self._task = asyncio.create_task(self._propose())

    def refuse_hopeless(self) -> None:
        """Raises what the agent raised, so that a session without a proposal ends before a long baseline does."""
        if self._task is not None and self._task.done() and self._task.exception() is not None:
            self._task.result()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    # -- the agent

    async def _proposed(self, meanwhile: Callable[[], Awaitable[bool]]) -> None:
        task = self._task or asyncio.create_task(self._propose())
        self._task = task
        try:
            while not task.done() and await meanwhile():
                pass
            self._recorder.phase("proposing", experiment=None, description="", arm="", k=0, sha="")
            await task
        finally:
            if task.done():
                self._task = None

    async def _propose(self) -> None:
        base, since = self.base, time.monotonic()
        agent, words, taken = await self._researcher.propose(base)
        self._record(base, taken, _with_problem(words, taken), agent, took_s=time.monotonic() - since)

    def _record(
        self, base: str, taken: Taken, words: Proposal, agent: str, bundle: tuple[int, ...] = (),
        instead_of: int | None = None, took_s: float = 0.0,
    ) -> Waiting:  # fmt: skip
        """Commit what was taken and write its line; words that tell a problem are recorded as they are."""
        line = self._recorder.struck(
            records.Proposal(
                id=self._history.next_proposal,
                base=base,
                sha="",
                agent=agent,
                bundle=bundle,
                files=tuple(map(printable, taken.files)),
                dropped=tuple(map(printable, taken.dropped)),
                lines=taken.lines,
                took_s=round(took_s, 4),
                **{name: getattr(words, name) for name in _OF_WORDS},
            )
        )
        if taken.tree:
            facts = {key: value for key, value in asdict(line).items() if value}
            facts |= {} if instead_of is None else {"instead_of": instead_of}
            sha = self._workspace.commit(taken.tree, base, f"{line.description}\n\n{line.hypothesis}".strip(), facts)
            line = replace(line, sha=sha)
            self._workspace.propose_ref(line.id, sha)
        if instead_of is None:
            self._recorder.write(line)
        else:
            withdrawn = records.Withdrawn(proposal=instead_of, reason=f"put onto the new incumbent as p{line.id}")
            self._recorder.write(withdrawn, line)
            self._workspace.drop_proposal(instead_of)
        return self._history.waiting[line.id]

    # -- the queue

    def _first(self, urgent: bool = False) -> Waiting | None:
        """A person's decision, then mends, then retries, then in order of making; `urgent` leaves out the last."""
        ranked = [(_RANK.get(w.agent, 3) if w.mends is None else 1, w.id, w) for w in self._history.waiting.values()]
        rank, _, first = min(ranked, key=lambda each: each[:2], default=(0, 0, None))
        return None if urgent and rank == 3 else first

    def _onto_incumbent(self, waiting: Waiting) -> Waiting | None:
        """The proposal on the present incumbent; None when it was withdrawn because it no longer fits."""
        if waiting.base == self.base or waiting.problem:
            return waiting
        taken = self._workspace.merge(self.base, waiting.sha)
        if taken is None:
            self._withdraw(waiting, "it conflicts with the new incumbent")
            return None
        if not taken.tree:
            self._withdraw(waiting, "the new incumbent holds it already")
            return None
        return self._record(self.base, taken, _words_of(waiting), waiting.agent, waiting.bundle, waiting.id)

    def _withdraw(self, waiting: Waiting, reason: str) -> None:
        self._recorder.write(records.Withdrawn(proposal=waiting.id, reason=reason))
        self._workspace.drop_proposal(waiting.id)

    # -- bundles

    def _bundle(self) -> Waiting | None:
        """The best unproven changes that merge cleanly onto the incumbent, as one proposal."""
        count = 0 if self._can_wait else self._config.verdict.bundle
        pool = self._history.unproven
        key = (self.base, frozenset(pool))
        if not count or len(pool) < count or key in self._tried_bundles:
            return None
        self._tried_bundles.add(key)
        tip, chosen = self.base, list[Row]()
        for number in verdict.rank_unproven(pool):
            row = self._history.by_number[number]
            merged = self._workspace.merge(tip, row.sha)
            if merged is not None and merged.tree:
                tip = self._workspace.commit(merged.tree, tip, f"bundle: {row.description}", {})
                chosen.append(row)
                if len(chosen) == count:
                    return self._bundled(chosen, tip)
        return None

    def _bundled(self, rows: list[Row], tip: str) -> Waiting:
        taken = self._workspace.changed(self.base, self._workspace.refs.resolve(f"{tip}^{{tree}}"))
        numbers = tuple(row.number for row in rows)
        params = {key: value for row in rows for key, value in (row.params or {}).items()}
        words = Proposal(
            description=f"bundle of {', '.join(f'#{n}' for n in numbers)}: {'; '.join(r.description for r in rows)}",
            hypothesis="Changes that were each too small to prove may be proven together.",
            category="bundle",
            params=params,
        )
        return self._record(self.base, taken, words, "bundle", numbers)

    @property
    def _can_wait(self) -> bool:
        """Whether unproven changes are raced on in thinking time."""
        return self.pace.cheap and self._config.verdict.think_time

    @property
    def asks_for_each(self) -> bool:
        """Whether proposals are a list that somebody made, each to be decided."""
        return self._researcher.name == "replay"

    @property
    def pace(self) -> verdict.Pace:
        return verdict.pace_of(self._history, self._config.agent.patience_s if self.asks_for_each else None)

    # -- people's requests

    def _take_up_requests(self) -> None:
        if self._history.incumbent is None:
            return
        while self._history.retries:
            self._again(self._history.retries[0], "retry", undo=False)
        while self._history.overrules:
            wish = self._history.overrules[0]
            self._again(wish.experiment, "overrule", undo=wish.action == "discard", note=wish.note)

    def _again(self, number: int, agent: str, *, undo: bool, note: str = "") -> None:
        row = self._history.by_number[number]
        verb = "undo" if undo else agent
        words = Proposal(
            description=f"{verb} #{number}: {row.description}", hypothesis=note, category=row.category,
            params={} if undo else row.params or {},
        )  # fmt: skip
        change = (self._workspace.undo if undo else self._workspace.redo)(row.sha, words.description)
        taken = self._workspace.merge(self.base, change) if change else None
        if taken is None:
            words = replace(words, problem="conflict", reason="it no longer merges onto the incumbent")
        elif not taken.tree:
            words = replace(words, problem=_NO_EDITS, reason="the incumbent holds it already")
        self._record(self.base, taken or Taken(), words, agent)


def _with_problem(words: Proposal, taken: Taken) -> Proposal:
    """The words, with what is wrong where there is nothing to measure."""
    if words.problem or taken.tree:
        return words
    if not taken.dropped:
        return replace(words, problem=_NO_EDITS, reason="the proposal changes nothing")
    shown = ", ".join(map(printable, taken.dropped[:5]))
    return replace(words, problem=_ONLY_OUTSIDE, reason=f"only files outside the scope were changed: {shown}")


def _words_of(waiting: Waiting) -> Proposal:
    """Costs stay with the first line: they are paid once."""
    return Proposal(
        description=waiting.description,
        hypothesis=waiting.hypothesis,
        category=waiting.category,
        idea=waiting.idea,
        params=waiting.params or {},
        mends=waiting.mends,
    )
