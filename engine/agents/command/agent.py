"""Any agent CLI as the researcher: one call per proposal, in the propose tree, with the user's own login.

The CLI gets the brief and how to answer, edits files, and leaves its words in a file. It runs under a supervisor
(`supervisor`), with a git directory of its own (`own_git`), at low priority. What it changed is taken by the workspace,
in scope only, whatever else it did; only its words, usage and cost are read here. A usage limit or an outage is waited
out, for as long as it takes; a CLI that is missing, not logged in or out of credit is for a person to mend.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from autoresearch.engine import files, process
from autoresearch.engine.agents import supervisor
from autoresearch.engine.agents.cli_stream import CliStream
from autoresearch.engine.agents.command import answer as words
from autoresearch.engine.agents.command import failures as troubles
from autoresearch.engine.agents.command.own_git import own_git, stashed
from autoresearch.engine.agents.command.presets import (
    ANSWER_FOLDER,
    BRIEF_FILE,
    PRESETS,
    TEMPLATE,
    WORDS_FILE,
    Call,
    Preset,
    call_of,
    misnamed,
    model_of,
    preset_of,
)
from autoresearch.engine.agents.protocol import UNHEARD, Added, Blocked, Proposal, Reporter, Unavailable, Wanted
from autoresearch.engine.brief import Brief, lesson_due
from autoresearch.engine.files import remove
from autoresearch.engine.git import Git
from autoresearch.engine.sandbox import View
from autoresearch.engine.workspace import Scope
from autoresearch.state.config import AgentSettings
from autoresearch.state.text import clean_line

OUTPUT_MB = 256.0
FIRST_WAIT_S, LONGEST_WAIT_S = 300.0, 3600.0
"""Between tries while nobody says when a limit or an outage is over: doubled each time."""
MARGIN_S = 30.0
"""Added to the announced end of a limit; clocks differ."""
TAIL_BYTES = 64 * 1024
MOST_FILES = 40
"""In-scope files named on the command line of a CLI that wants them named."""
REASON_CHARS = 300

_GIT_KEPT = ("GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_SYSTEM",
             "GIT_SSL_", "GIT_EXEC_PATH")  # fmt: skip
_NESTED = frozenset({"CLAUDECODE", "CLAUDE_CODE_ENTRYPOINT", "CLAUDE_CODE_SSE_PORT"})
"""By these Claude Code knows that it was called from within itself, and refuses."""

ANSWER = """

Your working directory is the target's folder. AUTORESEARCH_PROPOSAL is `{file}` below it; that file is no part
of the change. Where it cannot be written, end your last message with the same keys as lines, `description: ...`.
"""
CUT_OFF = """

An earlier call for this proposal was cut off; edits it did not finish are in the files. Go on from them or undo them.
"""


@dataclass(frozen=True, slots=True)
class _Done:
    """One finished call."""

    exit: process.Exit
    stream: CliStream
    words: words.Words | None
    """From the file that was asked for."""
    tail: str
    """The end of the log, of this call alone."""

    @property
    def failed(self) -> bool:
        return self.exit.code != 0 or self.stream.failed

    @property
    def last_words(self) -> str:
        """What the CLI said at last: its error, else its message, else the end of its log."""
        errors = self.stream.errors
        return (errors[-1] if errors and self.failed else "") or self.stream.message or self.tail.strip()


class Command:
    name = "command"
    reads = True

    def __init__(
        self,
        settings: AgentSettings,
        *,
        git: Git,
        prefix: str = "",
        reporter: Reporter = UNHEARD,
        user_environ: Mapping[str, str] = os.environ,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        now: Callable[[], float] = time.time,
        view: View | None = None,
    ) -> None:
        """`git` is bound to the propose tree, `prefix` is the target's folder in it.

        `view` is what its CLI may touch; None: what its user may.
        """
        self.settings = settings
        self._preset = found[0] if (found := preset_of(settings.command)) else TEMPLATE
        self._reporter = reporter
        self._view = view
        assert git.work_tree is not None
        self._git = git
        self._work_tree = git.work_tree
        self._prefix = f"{prefix}/" if prefix else ""
        self._environ = user_environ
        self._sleep = sleep
        self._now = now

    @classmethod
    def made(cls, wanted: Wanted) -> Command:
        agent = cls(
            wanted.config.agent, git=wanted.git, prefix=wanted.prefix, reporter=wanted.reporter, view=wanted.view
        )
        missing = agent.missing()
        if missing is not None:
            raise Unavailable(f"{missing.reason} {missing.fix}")
        return agent

    def missing(self) -> Blocked | None:
        """Why no call can work, known without one."""
        preset, path = self._preset, self._environ.get("PATH", os.defpath)
        if preset is TEMPLATE:
            wrong = misnamed(self.settings.command, path)
            return Blocked(wrong, "`autoresearch doctor` tells which are found.") if wrong else None
        if shutil.which(preset.program, path=path):
            return None
        return _not_installed(preset.program, preset.install)

    async def propose(self, brief: Brief, tree: Path) -> Proposal:
        missing = self.missing()
        if missing is not None:
            raise missing
        due = lesson_due(brief.history)  # as the brief was written: a verdict may come while the CLI works
        calls: list[_Done] = []
        wait_s = FIRST_WAIT_S
        cut_off = False
        while True:
            before = self._edits()
            done = await self._call(brief, tree, cut_off)
            calls.append(done)
            edited = self._edits() != before
            trouble = None
            if done.failed or not (edited or done.words):
                trouble = self._trouble(done)
                if trouble is None and done.exit.code in (126, 127) and not (edited or done.words):
                    raise _not_installed(self.settings.command.split()[0], "")
            if trouble is None or done.words is not None or done.exit.cause in ("timeout", "output_limit"):
                return self._proposal(brief, calls, edited or cut_off, due)
            if trouble.kind in ("login", "credit"):
                raise self._blocked(trouble)
            cut_off = cut_off or edited
            await self._wait(trouble, wait_s)
            wait_s = FIRST_WAIT_S if trouble.until else min(wait_s * 2, LONGEST_WAIT_S)

    # -- one call

    async def _call(self, brief: Brief, tree: Path, cut_off: bool) -> _Done:
        answer = tree / ANSWER_FOLDER
        folder = brief.folder or self._work_tree.with_name(self._work_tree.name + ".agent")
        folder.mkdir(parents=True, exist_ok=True)
        log, raw = folder / "agent.log", folder / "agent.jsonl"
        call = call_of(self.settings, answer / BRIEF_FILE, tree, self._files(brief))
        with own_git(self._git, brief.incumbent) as own:
            remove(answer)
            answer.mkdir()
            (answer / BRIEF_FILE).write_text(self._prompt(brief, cut_off))
            try:
                _head(log, self._preset, self._view is not None)
                start, raw_start = _size(log), _size(raw)
                exit = await process.run_async(self._command(call, tree, answer, log, raw, folder, brief))
                found = words.read(files.tail(answer / WORDS_FILE, TAIL_BYTES))
                if stashed(own):
                    self._reporter.warn("The agent left edits in a git stash; what is stashed is not taken.")
            finally:
                remove(answer)
                self._tidy()
        tail = files.tail(log, TAIL_BYTES, start=start)
        stream = CliStream(self._preset.form)
        if self._preset.form == "text":
            stream.feed_text(tail)
        else:
            _feed(stream, raw, raw_start)
        return _Done(exit, stream, found, tail)

    def _command(
        self, call: Call, tree: Path, answer: Path, log: Path, raw: Path, folder: Path, brief: Brief
    ) -> process.Command:
        return process.Command(
            argv=supervisor.argv(
                call.argv,
                log=log,
                stdin=answer / BRIEF_FILE if call.on_stdin else None,
                raw=raw if self._preset.form != "text" else None,
                form=self._preset.form,
                view=self._view,
            ),
            cwd=tree,
            env=self._env(answer),
            output=log,
            timeout_s=self.settings.timeout_s,
            output_mb=OUTPUT_MB,
            pid_file=folder / "pid",
            label={"proposal": brief.number},
        )

    def _env(self, answer: Path) -> dict[str, str]:
        """The user's own, so that the CLI is logged in as it is for them; nothing that leads it to our files."""
        env = {
            name: value
            for name, value in self._environ.items()
            if not name.startswith("AUTORESEARCH_")
            and name not in _NESTED
            and (not name.startswith("GIT_") or name.startswith(_GIT_KEPT))
        }
        ours = str(Path(sys.executable).parent)
        return {**self._preset.environment, **env} | {
            # Last: only so that `autoresearch show N` is found, to which the brief refers.
            "PATH": os.pathsep.join((env.get("PATH", os.defpath), ours)),
            "AUTORESEARCH_BRIEF": str(answer / BRIEF_FILE),
            "AUTORESEARCH_PROPOSAL": str(answer / WORDS_FILE),
            "GIT_CEILING_DIRECTORIES": str(self._work_tree.parent),
            "GIT_TERMINAL_PROMPT": "0",
            "NO_COLOR": "1",
            "TERM": "dumb",
        }

    def _prompt(self, brief: Brief, cut_off: bool) -> str:
        answer = ANSWER.format(file=f"{ANSWER_FOLDER}/{WORDS_FILE}")
        return f"{brief.text.rstrip()}\n{answer}{CUT_OFF if cut_off else ''}"

    def _files(self, brief: Brief) -> list[str]:
        """The in-scope files of the target, as its folder names them."""
        if not self._preset.takes_files:
            return []
        scope = Scope(brief.config.scope.edit)
        listed = self._git("ls-tree", "-r", "-z", "--name-only", brief.incumbent).split("\0")
        names = (path.removeprefix(self._prefix) for path in listed if path.startswith(self._prefix))
        return [name for name in names if name and scope.contains(name)][:MOST_FILES]

    def _tidy(self) -> None:
        """The CLI's own files are no part of a proposal."""
        if not self._preset.litter:
            return
        tracked = set(self._git("ls-files", "-z").split("\0"))
        for glob in self._preset.litter:
            for path in self._work_tree.glob(f"**/{glob}"):
                relative = path.relative_to(self._work_tree).as_posix()
                if not any(name == relative or name.startswith(f"{relative}/") for name in tracked):
                    remove(path)

    def _edits(self) -> list[tuple[str, int, int]]:
        """The changed paths with their sizes and times: unlike after a call in which something was edited."""
        status = self._git("status", "--porcelain", "-z", "--untracked-files=all", "--no-renames")
        found = []
        for entry in filter(None, status.split("\0")):
            try:
                info = (self._work_tree / entry[3:]).lstat()
            except OSError:
                found.append((entry, -1, 0))
            else:
                found.append((entry, info.st_size, info.st_mtime_ns))
        return found

    # -- what came of it

    def _proposal(self, brief: Brief, calls: list[_Done], edited: bool, due: int | None) -> Proposal:
        """Of the last call; the failed ones before it are paid as well. `due` is whose lesson the brief asked for."""
        done = calls[-1]
        found = done.words or words.from_message(done.stream.message)
        costs = [call.stream.cost_usd for call in calls if call.stream.cost_usd is not None]
        added = [Added(kind="idea", text=idea) for idea in found.ideas]
        if found.lesson and due is not None:
            added.append(Added(kind="lesson", text=found.lesson, experiment=due, retry_if=found.retry_if))
        problem = _problem(done, edited)
        proposal = Proposal(
            description=found.description or "a change without a description",
            hypothesis=found.hypothesis,
            category=found.category,
            expected_effect=found.expected_effect,
            idea=found.idea or None,
            model=done.stream.model or model_of(self.settings),
            mends=brief.mend.experiment if brief.mend else None,
            tokens=dict(sum((Counter(call.stream.tokens) for call in calls), Counter[str]())),
            cost_usd=sum(costs) if costs else None,
            added=tuple(added),
            problem=problem,
            reason=self._reason(done) if problem else "",
        )
        if not problem and done.failed:
            self._reporter.warn(
                f"The agent's call failed ({self._reason(done)}); what it had edited by then was taken."
            )
        return proposal

    def _reason(self, done: _Done) -> str:
        if done.exit.cause in ("timeout", "output_limit"):
            return done.exit.detail
        said = clean_line(done.last_words, REASON_CHARS)
        how = f"exit code {done.exit.code}" if done.exit.code else ""
        return ": ".join(part for part in (how, said) if part) or "it said nothing and changed nothing"

    # -- limits, outages, logins

    def _trouble(self, done: _Done) -> troubles.Trouble | None:
        now = datetime.fromtimestamp(self._now()).astimezone()
        errors = "\n".join(done.stream.errors)
        # Where the CLI names its errors, what else was printed (the output of some test) is not one of them.
        trouble = troubles.read(errors or f"{done.stream.message[-500:]}\n{done.tail[-1000:]}", now)
        if done.stream.resets_at is not None and (trouble is None or trouble.kind in ("limit", "outage")):
            until = done.stream.resets_at.astimezone(now.tzinfo)
            return troubles.Trouble("limit", trouble.words if trouble else done.last_words, until)
        return trouble

    def _blocked(self, trouble: troubles.Trouble) -> Blocked:
        who = self._preset.program
        said = clean_line(trouble.words, REASON_CHARS)
        if trouble.kind == "credit":
            return Blocked(f"{who} has no credit left: {said}", "Add credit to its account, then resume.")
        return Blocked(f"{who} is not logged in: {said}", f"On this machine, {self._preset.login}; then resume.")

    async def _wait(self, trouble: troubles.Trouble, wait_s: float) -> None:
        began = datetime.fromtimestamp(self._now()).astimezone()
        what = "the usage limit" if trouble.kind == "limit" else "the API"
        if trouble.until is not None:
            wait_s = max((trouble.until - began).total_seconds(), 0.0) + MARGIN_S
            self._reporter.say(f"waiting for {what} until {_clock(trouble.until, began)}")
        else:
            self._reporter.say(f"waiting for {what} since {_clock(began, began)}: {clean_line(trouble.words, 120)}")
        try:
            await self._sleep(wait_s)
        finally:
            self._reporter.say("")


def _problem(done: _Done, edited: bool) -> str:
    """`no_proposal` when there is nothing to measure or it was cut off in the middle."""
    if done.exit.cause in ("timeout", "output_limit") and done.words is None:
        return "no_proposal"
    return "" if edited or done.words is not None else "no_proposal"


def _not_installed(program: str, install: str) -> Blocked:
    how = f"Install it (`{install}`), or set" if install else "Set"
    return Blocked(
        f"{program} cannot be started here.",
        f"{how} agent.command to one of {', '.join(PRESETS)} or a command of your own; `autoresearch doctor` tells "
        "which are found.",
    )


def _head(log: Path, preset: Preset, confined: bool) -> None:
    kernel = (
        "; the kernel: it writes its tree and HOME, and nothing of the session or the repository" if confined else ""
    )
    with log.open("a") as file:
        file.write(f"-- {preset.name}; what protects: {preset.protection}{kernel}\n")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _feed(stream: CliStream, raw: Path, start: int) -> None:
    if not raw.exists():
        return
    with raw.open("rb") as file:
        file.seek(start)
        for line in file:
            stream.feed(line)


def _clock(then: datetime, now: datetime) -> str:
    near = abs((then - now).total_seconds()) < 20 * 3600
    return then.strftime("%H:%M" if near else "%b %d %H:%M")
