"""One answer of the model, read from its stream: blocks to send back, tool calls to run, why it stopped.

The raw events are put together here and not by the SDK's own accumulator, which raises on tool input that is no JSON:
to us that is an answer the model can correct.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from autoresearch.engine.agents.pricing import KINDS, Usage
from autoresearch.engine.agents.transcript import Transcript


class Broken(Exception):
    """The stream ended before the answer did, or it is none."""


class OutOfTime(Exception):
    """The time for one proposal is used up."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool the model wants run."""

    id: str
    name: str
    input: dict[str, Any]
    problem: str = ""
    """Why the input cannot be used; it is {} then."""


@dataclass(slots=True)
class Answer:
    model: str = ""
    blocks: list[dict[str, Any]] = field(default_factory=list)
    """The content as it has to be sent back, thinking with its signature included."""
    calls: list[Call] = field(default_factory=list)
    stop_reason: str = ""
    usage: Usage = field(default_factory=Usage)
    """Also of an answer that broke off: what was reported until then is paid."""


async def read(
    stream: AsyncIterator[Any], answer: Answer, transcript: Transcript, quiet_s: float, used_up: Callable[[], bool]
) -> None:
    """Read a stream of raw events into `answer`.

    Raises Broken when it ends early, TimeoutError when no event comes for `quiet_s` seconds (pings keep a connection
    alive, but a stream of nothing else is dead), OutOfTime as soon as `used_up` says so.
    """
    inputs: dict[int, list[str]] = {}
    ended = False
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(quiet_s) as limit:
        async for event in stream:
            limit.reschedule(loop.time() + quiet_s)
            if used_up():
                raise OutOfTime
            match getattr(event, "type", ""):
                case "message_start":
                    answer.model = event.message.model or ""
                    _count(answer.usage, event.message.usage)
                case "content_block_start":
                    _begin(answer, event, inputs)
                case "content_block_delta":
                    _add(answer, event, inputs, transcript)
                case "content_block_stop":
                    _finish(answer, event.index, inputs, transcript)
                case "message_delta":
                    answer.stop_reason = event.delta.stop_reason or answer.stop_reason
                    _count(answer.usage, event.usage)
                case "message_stop":
                    ended = True
    if not ended:
        raise Broken("the stream ended early" if answer.model else "the answer is no message stream")
    answer.blocks = [block for block in answer.blocks if block["type"] != "text" or block["text"].strip()]


def _begin(answer: Answer, event: Any, inputs: dict[int, list[str]]) -> None:
    if event.index != len(answer.blocks):
        raise Broken("the stream's blocks are out of order")
    answer.blocks.append(event.content_block.to_dict())
    if event.content_block.type == "tool_use":
        inputs[event.index] = []


def _add(answer: Answer, event: Any, inputs: dict[int, list[str]], transcript: Transcript) -> None:
    if event.index >= len(answer.blocks):
        raise Broken("the stream adds to a block that never began")
    block, delta = answer.blocks[event.index], event.delta
    match delta.type:
        case "text_delta":
            block["text"] = block.get("text", "") + delta.text
            transcript.words("text", delta.text)
        case "thinking_delta":
            block["thinking"] = block.get("thinking", "") + delta.thinking
            transcript.words("thinking", delta.thinking)
        case "signature_delta":
            block["signature"] = delta.signature
        case "input_json_delta" if event.index in inputs:
            inputs[event.index].append(delta.partial_json)


def _finish(answer: Answer, index: int, inputs: dict[int, list[str]], transcript: Transcript) -> None:
    if index not in inputs:
        return
    block, text = answer.blocks[index], "".join(inputs[index])
    problem = ""
    try:
        parsed = orjson.loads(text) if text.strip() else block.get("input") or {}
    except orjson.JSONDecodeError as error:
        parsed, problem = {}, f"the input is not JSON: {error}"
    if not isinstance(parsed, dict):
        parsed, problem = {}, "the input is not a JSON object"
    block["input"] = parsed
    answer.calls.append(Call(block["id"], block["name"], parsed, problem))
    transcript.event("tool", name=block["name"], input=parsed, problem=problem)


def _count(usage: Usage, told: Any) -> None:
    """Counts in a stream are totals so far; one that is left out stays as it was."""
    for name, key in KINDS.items():
        if (value := getattr(told, key, None)) is not None:
            setattr(usage, name, value)
    if (hour := getattr(getattr(told, "cache_creation", None), "ephemeral_1h_input_tokens", None)) is not None:
        usage.cache_write_1h = hour
