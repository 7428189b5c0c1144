"""The agent `claude`: a language model that reads the code, makes one change at a time and says why.

It works through tools of ours that can read the tree and edit what is in scope, and where it was given one, through
a confined shell in that tree (`shell`). One agent session
spans experiments until its context is used up, then a fresh one starts from the written brief alone. A live session is
told each verdict and answers with a lesson. Whatever it does wrong is an answer to it, a bounded number of times; then
the proposal ends as `no_proposal` and the next one begins a fresh session.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from autoresearch.engine.agents.claude.api import Api, Budget, Pace, TooLong, Transient
from autoresearch.engine.agents.claude.conversation import MOST_OUTPUT, Conversation
from autoresearch.engine.agents.claude.files import Files
from autoresearch.engine.agents.claude.shell import Shell
from autoresearch.engine.agents.claude.stream import Answer, OutOfTime
from autoresearch.engine.agents.claude.tools import Desk
from autoresearch.engine.agents.claude.words import (
    CUT_OFF,
    LAST_CALL,
    LESSON_NOW,
    ONLY_TALK,
    REFUSED,
    go_on,
    system,
    verdict_in_words,
)
from autoresearch.engine.agents.credentials import base_url, find_key
from autoresearch.engine.agents.pricing import Spend
from autoresearch.engine.agents.protocol import UNHEARD, Added, Proposal, Reporter, Unavailable, Wanted
from autoresearch.engine.agents.transcript import Transcript
from autoresearch.engine.brief import Brief
from autoresearch.engine.secrets import NONE, Secrets, in_environment
from autoresearch.engine.workspace import Scope
from autoresearch.state.config import AgentSettings
from autoresearch.state.journal import History
from autoresearch.state.journal.records import Experiment
from autoresearch.state.session import Session
from autoresearch.state.text import clean_line

TROUBLES = 4
"""So often in one proposal a model may only talk, refuse, break off, repeat itself or call a tool wrongly."""
REQUESTS = 120
"""Requests for one proposal at most."""
LESSON_REQUESTS = 3
LESSON_S = 300.0
BEYOND = 1.5
"""A proposal that was begun may take the context to so many times its budget."""


class _GaveUp(Exception):
    """There will be no proposal; says why."""


class _Patience:
    def __init__(self, limit: int) -> None:
        self._left = limit

    def lose(self, why: str) -> None:
        self._left -= 1
        if self._left < 0:
            raise _GaveUp(why)


class Claude:
    name = "claude"
    reads = True

    def __init__(
        self,
        settings: AgentSettings,
        *,
        reporter: Reporter = UNHEARD,
        environ: Mapping[str, str] = os.environ,
        pace: Pace | None = None,
        shell: Shell | None = None,
        secrets: Secrets = NONE,
    ) -> None:
        """`shell` is what `agent.shell` gives it. Raises Unavailable."""
        if shell is not None and (why := shell.missing()):
            raise Unavailable(why)
        self._shell = shell
        key = find_key(environ)
        self._settings = settings
        self._pace = pace or Pace()
        self._secrets = secrets.including((*in_environment(environ), key.reveal()))
        self._spend = Spend()
        self._api = Api(key, base_url(environ), self._secrets, reporter.say, self._spend, self._pace)
        self._turn = asyncio.Lock()
        self._talk: Conversation | None = None
        self._untold: list[tuple[Experiment, str]] = []
        self._told: int | None = None
        self._added: list[Added] = []
        self._submitted: list[str] = []
        """Descriptions of the live session's proposals that it has not been told the fate of."""
        self._history = History()
        self._session: Session | None = None

    @classmethod
    def made(cls, wanted: Wanted) -> Claude:
        return cls(wanted.config.agent, reporter=wanted.reporter, shell=wanted.shell, secrets=wanted.secrets)

    async def propose(self, brief: Brief, tree: Path) -> Proposal:
        """One proposal. Raises Blocked."""
        async with self._turn:
            self._history, self._session = brief.history, brief.session
            budget = Budget(self._settings.timeout_s, self._pace.clock)
            files = Files(tree, Scope(brief.config.scope.edit), _hidden(brief))
            with Transcript(brief.folder, self._secrets.scrub) as transcript:
                talk = self._continued(brief, transcript)
                desk = Desk(files, brief.history, brief.session, self._told, self._secrets.scrub, self._shell)
                if self._shell is not None:
                    self._shell.begin()
                try:
                    words = await self._work(talk, desk, budget, transcript)
                except (_GaveUp, TooLong, OutOfTime) as gone:
                    words = self._nothing(gone, transcript)
                except BaseException:
                    self._talk = None  # in the middle of a thought: the next one starts afresh
                    raise
            return self._finished(words, desk, brief)

    async def learn(self, verdict: Experiment, feedback: str = "") -> Added | None:
        """Told the verdict; a live session answers with a lesson. While one proposes, it is told with the next request.

        A lesson that the API's absence prevents comes with the next proposal. Raises Blocked.
        """
        if self._turn.locked():
            self._untold.append((verdict, feedback))
            return None
        async with self._turn:
            if self._talk is None:
                return None  # a fresh session reads it in its brief
            folder = self._session.run(verdict.run) if self._session else None
            with Transcript(folder, self._secrets.scrub) as transcript:
                try:
                    return await self._lesson(self._talk, verdict, feedback, transcript)
                except (_GaveUp, TooLong, OutOfTime) as gone:
                    transcript.line(f"no lesson: {gone or 'out of time'}")
                    return None
                except Transient as fault:
                    transcript.line(f"no lesson yet: {fault}")
                    return None
                except BaseException:
                    self._talk = None
                    raise

    def settle(self) -> tuple[dict[str, int], float | None]:
        """Tokens and dollars that no proposal has reported yet: lessons, and proposals that were cancelled."""
        return self._spend.take()

    async def close(self) -> None:
        await self._api.close()

    # -- a proposal

    def _continued(self, brief: Brief, transcript: Transcript) -> Conversation:
        """The live session, told what is new; a fresh one from the brief alone when there is none or it is full."""
        talk, text = self._talk, self._secrets.scrub(brief.text or brief.config.objective or brief.config.name)
        fresh = talk is None or talk.context >= self._settings.context_tokens
        if talk is None or fresh:
            shell = self._shell is not None
            talk = Conversation(self._settings.model, self._settings.thinking, system(shell), text, shell)
            self._untold, self._told, self._submitted = [], None, []
        else:
            talk.say(self._secrets.scrub(go_on(brief, self._dropped(brief.history), talk.brief, text)))
            talk.brief = text
        self._talk = talk
        transcript.event("began", proposal=brief.number, fresh=fresh, model=self._settings.model)
        transcript.line(f"proposal p{brief.number}, {'a fresh session' if fresh else 'the same session'}")
        return talk

    def _dropped(self, history: History) -> list[str]:
        """Proposals that will never be measured: one was kept before them, and they do not merge with it."""
        alive = {waiting.description for waiting in history.waiting.values()}
        alive |= {opened.waiting.description for opened in history.unfinished if opened.waiting is not None}
        done = {row.description for row in history.rows}
        dropped = [text for text in self._submitted if text not in alive | done]
        self._submitted = [text for text in self._submitted if text in alive]
        return dropped

    async def _work(self, talk: Conversation, desk: Desk, budget: Budget, transcript: Transcript) -> Proposal:
        """Ask and run tools until something is submitted. Raises _GaveUp."""
        patience = _Patience(TROUBLES)
        warned = False
        for _ in range(REQUESTS):
            self._tell(talk, desk)
            if budget.used_up():
                raise OutOfTime
            if talk.context >= self._settings.context_tokens and not warned:
                talk.say(LAST_CALL)
                warned = True
            if talk.context >= BEYOND * self._settings.context_tokens:
                raise _GaveUp(f"the session's context ({talk.context} tokens) was used up before a proposal")
            answer = await self._api.ask(talk.request(), transcript, budget)
            if not self._usable(talk, answer, patience):
                continue
            begun = budget.begin()
            await self._run_tools(talk, answer, desk, patience, transcript)
            budget.spend(begun)
            if desk.submission is not None:
                self._submitted.append(desk.submission.description)
                return replace(desk.submission, model=answer.model or self._settings.model)
        raise _GaveUp(f"nothing was submitted in {REQUESTS} requests")

    def _tell(self, talk: Conversation, desk: Desk) -> None:
        """Verdicts that came while the model was at work."""
        while self._untold:
            verdict, feedback = self._untold.pop(0)
            talk.say(self._secrets.scrub(verdict_in_words(verdict, feedback)))
            self._told = desk.told = verdict.run

    def _usable(self, talk: Conversation, answer: Answer, patience: _Patience) -> bool:
        """Whether an answer holds calls to run. If not, the model is asked again; what it broke off is not kept."""
        if answer.stop_reason == "model_context_window_exceeded":
            raise TooLong
        if answer.stop_reason == "max_tokens":
            patience.lose(f"the model's answers were cut off at {MOST_OUTPUT} tokens")
            talk.say(CUT_OFF)
            return False
        if answer.stop_reason == "refusal":
            patience.lose("the model refused")
            talk.say(REFUSED)
            return False
        talk.accept(answer)
        if not answer.calls:
            patience.lose("the model only talked and submitted nothing")
            talk.say(ONLY_TALK)
            return False
        return True

    async def _run_tools(
        self, talk: Conversation, answer: Answer, desk: Desk, patience: _Patience, transcript: Transcript
    ) -> None:
        lost: list[str] = []
        for call in answer.calls:
            result = await desk.run(call)
            result = replace(result, text=self._secrets.scrub(result.text))
            talk.result(call, result)
            transcript.event("result", name=call.name, error=result.error, text=result.text)
            first = result.text.partition("\n")[0]
            target = call.input.get("path") or call.input.get("experiment") or call.input.get("words") or ""
            target = target or clean_line(str(call.input.get("command") or ""), 200)
            transcript.line(f"{call.name} {target} {'refused: ' if result.error else '-> '}{first}")
            if result.trouble:
                lost.append(f"the model repeated a mistake; the last one: {first}")
        if desk.submission is None:
            for why in lost:
                patience.lose(why)

    def _nothing(self, gone: Exception, transcript: Transcript) -> Proposal:
        reason = str(gone)
        if isinstance(gone, OutOfTime):
            reason = f"no proposal within agent.timeout_s ({self._settings.timeout_s:g} s)"
        elif isinstance(gone, TooLong):
            reason = f"the conversation no longer fits into the model's context: {gone}".removesuffix(": ")
        transcript.event("no_proposal", reason=reason)
        transcript.line(f"no proposal: {reason}")
        self._talk = None
        return Proposal("no proposal", model=self._settings.model, problem="no_proposal", reason=reason)

    def _finished(self, words: Proposal, desk: Desk, brief: Brief) -> Proposal:
        added, self._added = (*self._added, *desk.added, *desk.lessons.values()), []
        tokens, cost = self._spend.take()
        mends = brief.mend.experiment if brief.mend else None
        return replace(words, tokens=tokens, cost_usd=cost, added=added, mends=mends)

    # -- a lesson

    async def _lesson(
        self, talk: Conversation, verdict: Experiment, feedback: str, transcript: Transcript
    ) -> Added | None:
        talk.say(f"{self._secrets.scrub(verdict_in_words(verdict, feedback))}\n{LESSON_NOW}")
        self._told = verdict.run
        transcript.event("verdict", experiment=verdict.run, status=verdict.status, cause=verdict.cause)
        budget = Budget(min(LESSON_S, self._settings.timeout_s), self._pace.clock)
        desk = Desk(None, self._history, self._session, verdict.run, self._secrets.scrub, self._shell)
        patience = _Patience(1)
        try:
            for _ in range(LESSON_REQUESTS):
                answer = await self._api.ask(talk.request(), transcript, budget, patient=False)
                if not self._usable(talk, answer, patience):
                    continue
                await self._run_tools(talk, answer, desk, patience, transcript)
                if verdict.run in desk.lessons:
                    return desk.lessons[verdict.run]
        finally:
            self._added += desk.added
        return None


def _hidden(brief: Brief) -> tuple[str, ...]:
    """What the target hides from runs is hidden from the model too, and so is the file that names the hold-out."""
    secret = ("autoresearch.toml",) if brief.config.holdout.run else ()
    return (*brief.config.measure.hidden, *secret)
