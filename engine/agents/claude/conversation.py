"""One agent session as the API sees it: a conversation that only ever grows.

Nothing that was sent is changed later: newer models refuse thinking whose past was altered, and a changed prefix is
paid for again. What we have to say next is collected and becomes part of the past once it was answered, so a request
that failed can simply be made again.
"""

from __future__ import annotations

import re
from typing import Any

from autoresearch.engine.agents.claude.stream import Answer, Call
from autoresearch.engine.agents.claude.tools import Result, definitions

CACHED: dict[str, Any] = {"type": "ephemeral", "ttl": "1h"}
"""For an hour: experiments are measured for minutes between two requests, and the short cache would be gone."""
MOST_OUTPUT = 32_000

_OLDER = re.compile(r"claude-(?:\d|instant|(?:opus|sonnet|haiku)-(?:[123](?:\D|$)|4(?!-[6-9](?:\D|$))))")
"""Claude models without adaptive thinking: all before 4.6."""


class Conversation:
    def __init__(self, model: str, thinking: int | str, system: str, brief: str, shell: bool = False) -> None:
        self.brief = brief
        """The written brief it knows: later ones are told by what is new in them."""
        self.context = 0
        """Tokens after the last answer."""
        self._fixed: dict[str, Any] = {
            "model": model,
            "max_tokens": MOST_OUTPUT,
            "system": [{"type": "text", "text": system, "cache_control": CACHED}],
            "tools": definitions(shell),
            **thinking_of(model, thinking),
        }
        self._fixed["tools"][-1]["cache_control"] = CACHED
        if isinstance(thinking, int):
            self._fixed["max_tokens"] += thinking
        self._past: list[dict[str, Any]] = []
        self._results: list[dict[str, Any]] = []
        self._texts: list[str] = [brief]

    def say(self, text: str) -> None:
        self._texts.append(text)

    def result(self, call: Call, result: Result) -> None:
        block: dict[str, Any] = {"type": "tool_result", "tool_use_id": call.id, "content": result.text}
        self._results.append({**block, "is_error": True} if result.error else block)

    def request(self) -> dict[str, Any]:
        """The next request: all that was said, and what is to be said now."""
        messages = [*self._past, {"role": "user", "content": self._next()}]
        messages[0] = _marked(messages[0], 0)
        messages[-1] = _marked(messages[-1], -1)
        return {**self._fixed, "messages": messages}

    def accept(self, answer: Answer) -> None:
        """The answer and what it answers become part of the past."""
        self._past.append({"role": "user", "content": self._next()})
        self._results, self._texts = [], []
        if answer.blocks:
            self._past.append({"role": "assistant", "content": answer.blocks})
        self.context = answer.usage.context

    def _next(self) -> list[dict[str, Any]]:
        """Results first: the API wants them right behind the calls."""
        return [*self._results, *({"type": "text", "text": text} for text in self._texts)]


def thinking_of(model: str, thinking: int | str) -> dict[str, Any]:
    """What `agent.thinking` means in a request.

    `auto`, or an effort: the model decides when it thinks, and shows it in summary. A number: the budget that older
    models want; 0: off. With `auto`, models that are not Claude are told nothing about it.
    """
    if isinstance(thinking, int):
        return {"thinking": {"type": "enabled", "budget_tokens": thinking} if thinking else {"type": "disabled"}}
    name = model.lower().rpartition("/")[2]
    adaptive = {"thinking": {"type": "adaptive", "display": "summarized"}}
    if thinking == "auto":
        return adaptive if name.startswith("claude-") and not _OLDER.match(name) else {}
    return {**adaptive, "output_config": {"effort": thinking}}


def _marked(message: dict[str, Any], at: int) -> dict[str, Any]:
    """A copy whose block at `at` ends a cached prefix."""
    blocks = list(message["content"])
    blocks[at] = {**blocks[at], "cache_control": CACHED}
    return {**message, "content": blocks}
