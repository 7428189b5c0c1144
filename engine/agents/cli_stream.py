"""What an agent CLI streams as JSON lines, rendered for people and folded into what a proposal needs.

Each CLI has its own events; a reader per form understands them. Unknown events and lines that are no JSON are let pass:
CLIs change, and a new event must not cost a proposal. Usage is what the CLI says of itself; what it does not say is
unknown, never guessed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import orjson

from autoresearch.engine.agents.pricing import KINDS
from autoresearch.state.text import clean, clean_line

TEXT_CHARS, RESULT_CHARS = 4000, 400
_ERRORS_KEPT = 20
_ARGUMENTS = ("file_path", "path", "filePath", "notebook_path", "pattern", "command", "query", "url", "description")
"""What a tool call is about, the most telling first."""
_AIDER_TOKENS = re.compile(r"Tokens: ([\d.]+)([kM]?) sent(?:, [\d.]+[kM]? cache \w+)*, ([\d.]+)([kM]?) received")
_AIDER_COST = re.compile(r"Cost: \$[\d.]+ message, \$([\d.]+) session")
_SCALE = {"": 1, "k": 1_000, "M": 1_000_000}


class CliStream:
    """Feed it the lines of one call in order."""

    def __init__(self, form: str) -> None:
        self.message = ""
        """The last words of the agent."""
        self.errors: list[str] = []
        """What the CLI itself reported as failing."""
        self.failed = False
        """Whether the CLI said that the call failed."""
        self.model = ""
        self.cost_usd: float | None = None
        self.resets_at: datetime | None = None
        """The end of a usage limit that was met."""
        self._tokens = Counter[str]()
        self._by_message: dict[str, Counter[str]] = {}
        self._read = _READERS.get(form)
        self.open = ""
        """A message that comes in pieces."""

    @property
    def tokens(self) -> dict[str, int]:
        """By kind: input, cache_write, cache_read, output. Kinds that are 0 or unknown are left out."""
        return dict(self._tokens or sum(self._by_message.values(), Counter()))

    def feed(self, line: bytes) -> str:
        """Take one line; returns it rendered, "" when there is nothing to show."""
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            event = None
        if not isinstance(event, dict) or self._read is None:
            return clean(line.decode("utf-8", "replace").rstrip("\n"))
        try:
            return self._read(self, event)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError) as error:
            return f"({clean_line(str(event.get('type', 'event')), 40)}: not understood, {type(error).__name__})"

    def feed_text(self, text: str) -> None:
        """The log of a CLI that writes text."""
        self.message = clean(text)[-TEXT_CHARS:].strip()
        for sent, sent_scale, received, scale in _AIDER_TOKENS.findall(text):
            self.add_tokens(
                input=round(float(sent) * _SCALE[sent_scale]), output=round(float(received) * _SCALE[scale])
            )
        costs = _AIDER_COST.findall(text)
        if costs:
            self.cost_usd = float(costs[-1])

    # -- for the readers

    def add_tokens(self, **kinds: Any) -> None:
        self._tokens += _counted(kinds)

    def set_tokens(self, **kinds: Any) -> None:
        self._tokens = _counted(kinds)

    def message_tokens(self, id: str, **kinds: Any) -> None:
        """Usage of one message, told several times while it grows; counted when no total comes."""
        self._by_message[id] = _counted(kinds)

    def add_cost(self, usd: Any) -> None:
        if isinstance(usd, (int, float)):
            self.cost_usd = (self.cost_usd or 0.0) + float(usd)

    def said(self, text: str) -> str:
        text = clean(text).strip()
        if text:
            self.message = text
        return _cut(text, TEXT_CHARS)

    def error(self, text: Any, fatal: bool = True) -> str:
        words = clean(text if isinstance(text, str) else orjson.dumps(text).decode()).strip()
        if fatal:
            self.failed = True
        if words and words not in self.errors:
            self.errors = [*self.errors, words[:TEXT_CHARS]][-_ERRORS_KEPT:]
        return f"! {_cut(words, TEXT_CHARS)}" if words else ""

    def close(self) -> str:
        text, self.open = self.open, ""
        return self.said(text) if text.strip() else ""


def _counted(kinds: dict[str, Any]) -> Counter[str]:
    return Counter({kind: int(n) for kind, n in kinds.items() if isinstance(n, (int, float)) and n >= 1})


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]} … ({len(text) - limit:,} more characters)"


def _thought(text: Any) -> str:
    words = clean(str(text or "")).strip()
    return f"({_cut(words, TEXT_CHARS)})" if words else ""


def _tool(name: Any, arguments: Any) -> str:
    about = ""
    if isinstance(arguments, dict):
        about = next((str(arguments[key]) for key in _ARGUMENTS if arguments.get(key)), "")
    elif isinstance(arguments, str):
        about = arguments
    return f"> {clean_line(str(name), 60)} {clean_line(about, 200)}".rstrip()


def _result(value: Any, failed: bool = False) -> str:
    """The first lines of what a tool answered, indented."""
    lines = clean(_plain(value)).strip().splitlines()
    if not lines:
        return ""
    shown = [f"  {'! ' if failed else ''}{line}" for line in _cut("\n".join(lines[:3]), RESULT_CHARS).splitlines()]
    return "\n".join(shown) + (f" … ({len(lines) - 3} more lines)" if len(lines) > 3 else "")


def _plain(value: Any) -> str:
    """The text in a value that is text, a list of content blocks, or something else."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(_plain(each) for each in value)
    if isinstance(value, dict):
        return _plain(value.get("text") or value.get("content") or value.get("message") or "")
    return ""


def _joined(parts: list[str]) -> str:
    return "\n".join(part for part in parts if part)


# -- the CLIs


def _claude(to: CliStream, event: dict[str, Any]) -> str:
    match event.get("type"):
        case "system" if event.get("subtype") == "init":
            to.model = str(event.get("model") or "")
            return f"model {clean_line(to.model, 80)}"
        case "assistant":
            message = event["message"]
            to.message_tokens(str(message.get("id")), **_claude_usage(message.get("usage") or {}))
            return _joined([_claude_block(to, block) for block in message.get("content") or []])
        case "user":
            content = event["message"].get("content")
            blocks = content if isinstance(content, list) else []
            results = [block for block in blocks if block.get("type") == "tool_result"]
            return _joined([_result(block.get("content"), bool(block.get("is_error"))) for block in results])
        case "rate_limit_event":
            info = event.get("rate_limit_info") or {}
            if info.get("status") in ("rejected", "denied") and info.get("resetsAt"):
                to.resets_at = datetime.fromtimestamp(float(info["resetsAt"]), UTC)
            return ""
        case "result":
            to.add_cost(event.get("total_cost_usd"))
            to.set_tokens(**_claude_usage(event.get("usage") or {}))
            text = str(event.get("result") or event.get("subtype") or "")
            if event.get("is_error") or str(event.get("subtype", "success")) != "success":
                return to.error(text)
            if event.get("result"):
                to.message = clean(text).strip()
            return f"done: {event.get('num_turns', '?')} turns"
    return ""


def _claude_block(to: CliStream, block: dict[str, Any]) -> str:
    match block.get("type"):
        case "text":
            return to.said(str(block.get("text", "")))
        case "thinking":
            return _thought(block.get("thinking"))
        case "tool_use":
            return _tool(block.get("name"), block.get("input"))
    return ""


def _claude_usage(usage: dict[str, Any]) -> dict[str, Any]:
    return {kind: usage.get(key) for kind, key in KINDS.items()}


def _codex(to: CliStream, event: dict[str, Any]) -> str:
    match event.get("type"):
        case "turn.completed":
            usage = event.get("usage") or {}
            cached = int(usage.get("cached_input_tokens") or 0)
            fresh = int(usage.get("input_tokens") or 0) - cached  # their input includes what came from the cache
            to.add_tokens(input=fresh, cache_read=cached, output=usage.get("output_tokens"))
            return "done"
        case "turn.failed":
            return to.error((event.get("error") or {}).get("message") or "the turn failed")
        case "error":
            # Sent for retries too; a turn that comes to nothing says so with turn.failed.
            return to.error(event.get("message") or "error", fatal=False)
        case "item.started":
            item = event.get("item") or {}
            return _tool("run", item.get("command")) if item.get("type") == "command_execution" else ""
        case "item.completed":
            return _codex_item(to, event.get("item") or {})
    return ""


def _codex_item(to: CliStream, item: dict[str, Any]) -> str:
    match item.get("type") or item.get("item_type"):
        case "agent_message" | "assistant_message":
            return to.said(str(item.get("text", "")))
        case "reasoning":
            return _thought(item.get("text"))
        case "command_execution":
            return _result(item.get("aggregated_output"), item.get("exit_code") not in (0, None))
        case "file_change":
            changes = item.get("changes") or []
            return _joined([_tool(change.get("kind", "change"), change.get("path")) for change in changes])
        case "mcp_tool_call":
            return _tool(f"{item.get('server')}.{item.get('tool')}", item.get("arguments"))
        case "web_search":
            return _tool("search", item.get("query"))
        case "error":
            return to.error(item.get("message"), fatal=False)
    return ""


def _gemini(to: CliStream, event: dict[str, Any]) -> str:
    if event.get("type") == "message":
        if event.get("role") != "assistant":
            return ""
        if event.get("delta"):
            to.open += str(event.get("content", ""))
            return ""
        return _joined([to.close(), to.said(str(event.get("content", "")))])
    return _joined([to.close(), _gemini_event(to, event)])


def _gemini_event(to: CliStream, event: dict[str, Any]) -> str:
    match event.get("type"):
        case "init":
            to.model = str(event.get("model") or "")
            return f"model {clean_line(to.model, 80)}"
        case "tool_use":
            return _tool(event.get("tool_name"), event.get("parameters"))
        case "tool_result":
            failed = event.get("status") == "error"
            return _result(event.get("error") if failed else event.get("output"), failed)
        case "error":
            return to.error(event.get("message"), fatal=False)
        case "result":
            stats = event.get("stats") or {}
            cached = int(stats.get("cached") or 0)
            fresh = int(stats.get("input_tokens") or 0) - cached
            to.set_tokens(input=fresh, cache_read=cached, output=stats.get("output_tokens"))
            if event.get("status") == "error":
                return to.error((event.get("error") or {}).get("message") or "failed")
            return "done"
    return ""


def _opencode(to: CliStream, event: dict[str, Any]) -> str:
    part = event.get("part") or {}
    match event.get("type"):
        case "text":
            return to.said(str(part.get("text", "")))
        case "reasoning":
            return _thought(part.get("text"))
        case "tool_use":
            state = part.get("state") or {}
            failed = state.get("status") == "error"
            result = _result(state.get("error") if failed else state.get("output"), failed)
            return _joined([_tool(part.get("tool"), state.get("input")), result])
        case "step_finish":
            tokens = part.get("tokens") or {}
            cache = tokens.get("cache") or {}
            to.add_cost(part.get("cost"))
            to.add_tokens(input=tokens.get("input"), cache_write=cache.get("write"), cache_read=cache.get("read"))
            to.add_tokens(output=tokens.get("output"))
            to.add_tokens(output=tokens.get("reasoning"))
            return ""
        case "error":
            return to.error(_opencode_error(event.get("error")))
    return ""


def _opencode_error(error: Any) -> str:
    if not isinstance(error, dict):
        return str(error)
    data = error.get("data")
    words = data.get("message") if isinstance(data, dict) else error.get("message")
    return ": ".join(str(part) for part in (error.get("name"), words) if part) or "error"


def _pi(to: CliStream, event: dict[str, Any]) -> str:
    match event.get("type"):
        case "message_end" if event["message"].get("role") == "assistant":
            message = event["message"]
            usage = message.get("usage") or {}
            to.model = str(message.get("model") or to.model)
            to.add_cost((usage.get("cost") or {}).get("total"))
            to.add_tokens(input=usage.get("input"), cache_write=usage.get("cacheWrite"))
            to.add_tokens(cache_read=usage.get("cacheRead"), output=usage.get("output"))
            shown = to.said(_plain([block for block in message.get("content") or [] if block.get("type") == "text"]))
            to.failed = False  # of several tries the last one counts
            if message.get("stopReason") == "error":
                return _joined([shown, to.error(message.get("errorMessage") or "failed")])
            return shown
        case "tool_execution_start":
            return _tool(event.get("toolName"), event.get("args"))
        case "tool_execution_end":
            return _result(event.get("result"), bool(event.get("isError")))
        case "auto_retry_start":
            return f"! {clean_line(str(event.get('errorMessage', '')), 200)}: trying again"
    return ""


_READERS: dict[str, Callable[[CliStream, dict[str, Any]], str]] = {
    "claude": _claude,
    "codex": _codex,
    "gemini": _gemini,
    "opencode": _opencode,
    "pi": _pi,
}
