"""The tools of the agent `claude`: look at the tree, edit what is in scope, look up the past, submit, write lessons.

A tool never raises for what the model did: what it may not do, or did wrongly, is an answer that says so. What it adds
to the record (ideas, dead ends, lessons) is collected and written down by the engine with the proposal.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson

from autoresearch.engine.agents.claude.files import Files, Refused
from autoresearch.engine.agents.claude.past import search, show
from autoresearch.engine.agents.claude.shell import LONGEST_S, USUAL_S, Shell
from autoresearch.engine.agents.claude.stream import Call
from autoresearch.engine.agents.protocol import Added, Proposal
from autoresearch.state.index import IndexBusy
from autoresearch.state.journal import History
from autoresearch.state.session import Session
from autoresearch.state.text import clean

MOST_ADDED = 12
"""Ideas and dead ends of one proposal."""
SAME_CHANGES = 2
"""The same edit may be asked for so often; then it is a loop."""
_LONGEST_WORDS = 2000
_LISTS = ("refuted", "unproven", "crashed")


@dataclass(frozen=True, slots=True)
class Result:
    text: str
    error: bool = False
    trouble: bool = False
    """Counts towards the bound: a model that does only this does not get anywhere."""


class Desk:
    """The tools for one proposal, or for one lesson (`files` is None then)."""

    def __init__(
        self,
        files: Files | None,
        history: History,
        session: Session | None,
        told: int | None = None,
        scrub: Callable[[str], str] = str,
        shell: Shell | None = None,
    ) -> None:
        """`told` is the experiment whose verdict the model was given last; `scrub` goes over what is put on record."""
        self.files = files
        self.history = history
        self.session = session
        self.told = told
        self._scrub = scrub
        self._shell = shell
        self._tools = TOOLS if shell is None else TOOLS | SHELL
        self.submission: Proposal | None = None
        self.lessons: dict[int, Added] = {}
        self.added: list[Added] = []
        self._changes: Counter[bytes] = Counter()

    async def run(self, call: Call) -> Result:
        """Run one tool call."""
        tool = self._tools.get(call.name)
        if tool is None:
            known = ", ".join(self._tools)
            return Result(f"There is no tool {call.name}; there are {known}.", error=True, trouble=True)
        if problem := call.problem or _problem(tool, call.input):
            return Result(f"{call.name} was not run: {problem}.", error=True, trouble=True)
        if self.submission is not None:
            return Result("Not run: the proposal is submitted.", error=True, trouble=call.name == "submit")
        if call.name in _CHANGING and self._repeated(call):
            text = "This very call was made before; it changes nothing more. Look at the file, do something else."
            return Result(text, error=True, trouble=True)
        try:
            # A file's name may hold what no text can.
            return Result((await tool.run(self, call.input)).encode("utf-8", "replace").decode())
        except (Refused, IndexBusy) as refused:
            return Result(str(refused), error=True, trouble=call.name in ("submit", "lesson"))
        except (OSError, RecursionError) as error:  # files that cannot be opened, folders without end: its own doing
            if self._shell is None:
                raise
            return Result(f"{call.name} did not work: {error}.", error=True)

    def _repeated(self, call: Call) -> bool:
        key = orjson.dumps([call.name, call.input], option=orjson.OPT_SORT_KEYS)
        self._changes[key] += 1
        return self._changes[key] > SAME_CHANGES

    def tree(self) -> Files:
        if self.files is None:
            raise Refused("First write the lesson on the experiment whose verdict you were told.")
        return self.files

    # -- the tree

    async def shell(self, given: dict[str, Any]) -> str:
        files = self.tree()
        assert self._shell is not None
        limit_s = given.get("timeout_s", USUAL_S)
        if not 1 <= limit_s <= LONGEST_S:
            raise Refused(f"timeout_s has to be from 1 to {LONGEST_S}.")
        files.watch()
        return await self._shell.run(given["command"], limit_s)

    # -- the past

    async def search(self, given: dict[str, Any]) -> str:
        if self.session is None:
            raise Refused("There is no record to search.")
        return await asyncio.to_thread(search, self.session, given["words"], given.get("status", ""))

    async def show(self, given: dict[str, Any]) -> str:
        if self.session is None:
            raise Refused("There is no record to look at.")
        return await asyncio.to_thread(show, self.session, self.history, given["experiment"])

    # -- the record

    async def add_idea(self, given: dict[str, Any]) -> str:
        text = self._words(given["text"], "text")
        known = {idea.text for idea in self.history.ideas.values()} | {one.text for one in self.added}
        if text in known:
            raise Refused("That idea is on the list already.")
        self._add(Added("idea", text))
        return "Noted; it gets its id with your proposal."

    async def close_idea(self, given: dict[str, Any]) -> str:
        self._open_idea(given["id"])
        self._add(Added("close_idea", self._words(given["reason"], "reason"), id=given["id"]))
        return f"Closed {given['id']}."

    async def dead_end(self, given: dict[str, Any]) -> str:
        number = given.get("experiment")
        if number is not None and number not in self.history.by_number:
            raise Refused(f"There is no finished experiment #{number}.")
        self._add(
            Added(
                "dead_end", self._words(given["text"], "text"), list=given.get("list", "refuted"), experiment=number,
                retry_if=self._words(given.get("retry_if", ""), ""),
            )
        )  # fmt: skip
        return "Noted."

    async def lesson(self, given: dict[str, Any]) -> str:
        number = given.get("experiment", self.told)
        if number is None or number not in self.history.by_number:
            raise Refused("There is no verdict to write a lesson on; name a finished experiment.")
        text, retry_if = self._words(given["lesson"], "lesson"), self._words(given.get("retry_if", ""), "")
        self.lessons[number] = Added("lesson", text, experiment=number, retry_if=retry_if)
        return f"The lesson on #{number} is written down."

    async def submit(self, given: dict[str, Any]) -> str:
        if not self.tree().changed:
            raise Refused("Nothing in the tree differs from what you were given: make the change, then submit.")
        idea = given.get("idea") or None
        if idea is not None:
            self._open_idea(idea)
        self.submission = Proposal(
            hypothesis=self._words(given["hypothesis"], "hypothesis"),
            description=self._words(given["description"], "description").replace("\n", " "),
            category=self._words(given["category"], "category").lower(),
            expected_effect=self._words(given.get("expected_effect", ""), ""),
            idea=idea,
        )
        return "Taken: it will be measured, and you will be told the verdict."

    def _words(self, text: str, name: str) -> str:
        """A text for the record, clean and not too long; one with a `name` may not be empty."""
        words = self._scrub(clean(text)).strip()[:_LONGEST_WORDS]
        if name and not words:
            raise Refused(f"{name} is empty.")
        return words

    def _add(self, one: Added) -> None:
        if len(self.added) >= MOST_ADDED:
            raise Refused(f"{MOST_ADDED} notes in one proposal are enough; submit.")
        self.added.append(one)

    def _open_idea(self, id: str) -> None:
        idea = self.history.ideas.get(id)
        if idea is None or idea.state in ("tried", "vetoed"):
            open_ = [known.id for known in self.history.ideas.values() if known.state == "open"]
            raise Refused(f"There is no open idea {id} (open: {', '.join(open_[:30]) or 'none'}).")


# -- what the model is told of them

_TYPES: dict[str, tuple[type, ...]] = {"string": (str,), "integer": (int,), "boolean": (bool,)}


@dataclass(frozen=True, slots=True)
class Tool:
    run: Callable[[Desk, dict[str, Any]], Awaitable[str]]
    description: str
    properties: dict[str, dict[str, Any]]
    required: tuple[str, ...] = ()


def _on_files(method: Callable[..., Any]) -> Callable[[Desk, dict[str, Any]], Awaitable[str]]:
    """A method of Files as a tool: its parameters are the tool's."""

    async def run(desk: Desk, given: dict[str, Any]) -> str:
        answer = method(desk.tree(), **given)
        return str(await answer if inspect.isawaitable(answer) else answer)

    return run


def _problem(tool: Tool, given: dict[str, Any]) -> str:
    """What is wrong with an input, as a clause; "" when it fits."""
    for name in tool.required:
        if name not in given:
            return f"{name} is missing"
    for name, value in given.items():
        if name not in tool.properties:
            return f"it takes no {name}, only {', '.join(tool.properties)}"
        kind = tool.properties[name]
        if not isinstance(value, _TYPES[kind["type"]]) or (kind["type"] == "integer" and isinstance(value, bool)):
            return f"{name} has to be a {kind['type']}"
        if "enum" in kind and value not in kind["enum"]:
            return f"{name} has to be one of {', '.join(kind['enum'])}"
    return ""


def _property(kind: str, description: str, *choices: str) -> dict[str, Any]:
    return {"type": kind, "description": description, **({"enum": list(choices)} if choices else {})}


_text, _number, _flag = (partial(_property, kind) for kind in ("string", "integer", "boolean"))
_PATH = _text("Relative to the target's folder.")

TOOLS: dict[str, Tool] = {
    "read": Tool(
        _on_files(Files.read),
        "Read a file of the tree, or a range of its lines; lines are numbered.",
        {"path": _PATH, "first": _number("First line, from 1."), "last": _number("Last line; 0 or none: the end.")},
        ("path",),
    ),
    "list": Tool(
        _on_files(Files.list),
        "List a folder of the tree. Files that you may edit are marked.",
        {"path": _PATH, "deep": _flag("Folders below as well.")},
    ),
    "grep": Tool(
        _on_files(Files.grep),
        "Find lines by an extended regular expression in a file or folder of the tree.",
        {"pattern": _text("An extended regular expression."), "path": _PATH,
         "literal": _flag("Take it as plain text.")},
        ("pattern",),
    ),
    "edit": Tool(
        _on_files(Files.edit),
        "Replace text in a file in scope. `old` has to stand there exactly, and once unless `all` is set; without line "
        "numbers.",
        {"path": _PATH, "old": _text("What stands there."), "new": _text("What is to stand there."),
         "all": _flag("Replace it everywhere in the file.")},
        ("path", "old", "new"),
    ),
    "write": Tool(
        _on_files(Files.write),
        "Write a whole file in scope, new or replaced.",
        {"path": _PATH, "text": _text("The whole file.")},
        ("path", "text"),
    ),
    "delete": Tool(_on_files(Files.delete), "Delete a file in scope.", {"path": _PATH}, ("path",)),
    "search": Tool(
        Desk.search,
        "Search all past experiments by words: description, hypothesis, reason, lesson, files.",
        {"words": _text("Words to find; none: the newest."),
         "status": _text("Only these.", "keep", "discard", "crash", "checks_failed")},
        ("words",),
    ),
    "show": Tool(
        Desk.show,
        "Show one past experiment: hypothesis, verdict, lesson, its change and the end of its log.",
        {"experiment": _number("Its number.")},
        ("experiment",),
    ),
    "add_idea": Tool(
        Desk.add_idea, "Note an idea for later experiments.", {"text": _text("One sentence.")}, ("text",)
    ),
    "close_idea": Tool(
        Desk.close_idea,
        "Take an idea off the list.",
        {"id": _text("Its id, such as i7."), "reason": _text("Why.")},
        ("id", "reason"),
    ),
    "dead_end": Tool(
        Desk.dead_end,
        "Note what is not worth trying again as it is.",
        {"text": _text("What failed, and why."), "list": _text("How it failed; refuted unless said.", *_LISTS),
         "experiment": _number("The experiment that showed it."),
         "retry_if": _text("What would have to change for another try.")},
        ("text",),
    ),
    "submit": Tool(
        Desk.submit,
        "Submit the change in the tree as one experiment. Call it once, alone, when the edits are done.",
        {"hypothesis": _text("Why the change should make the metric better."),
         "description": _text("What was changed, in one line."),
         "category": _text("Such as architecture, optimizer, data, schedule, numerics, systems, simplification."),
         "expected_effect": _text("About how much better."),
         "idea": _text("The id of the idea it tries, if it is from the list.")},
        ("hypothesis", "description", "category"),
    ),
    "lesson": Tool(
        Desk.lesson,
        "After a verdict: one or two sentences on why it came out so.",
        {"lesson": _text("Why."), "retry_if": _text("When another try would make sense, if ever."),
         "experiment": _number("The experiment; the one whose verdict you were told last unless said.")},
        ("lesson",),
    ),
}  # fmt: skip

SHELL: dict[str, Tool] = {
    "shell": Tool(
        Desk.shell,
        "Run a bash command in the target's folder of the tree, to check an edit: run tests, a linter, a small part of "
        "the program. It may write there; only changes in scope are taken. There is no network, no git and no GPU; a "
        "measurement may run at the same time, so keep it short. All processes are ended when the command ends.",
        {"command": _text("The command."), "timeout_s": _number(f"1 to {LONGEST_S}; {USUAL_S} unless said.")},
        ("command",),
    )
}

_CHANGING = frozenset({"edit", "write", "delete"})


def definitions(shell: bool = False) -> list[dict[str, Any]]:
    """The tools as the API wants them, always in the same order: they begin every cached prompt."""
    return [
        {
            "name": name,
            "description": tool.description,
            "input_schema": {
                "type": "object",
                "properties": tool.properties,
                "required": list(tool.required),
                "additionalProperties": False,
            },
        }
        for name, tool in (TOOLS | SHELL if shell else TOOLS).items()
    ]
