"""A conversation only ever grows, and says to each model what that model takes."""

from __future__ import annotations

from typing import Any

import pytest

from autoresearch.engine.agents.claude.conversation import CACHED, MOST_OUTPUT, Conversation, thinking_of
from autoresearch.engine.agents.claude.stream import Answer, Call
from autoresearch.engine.agents.claude.tools import Result
from autoresearch.engine.agents.pricing import Usage


@pytest.mark.parametrize(
    ("model", "setting", "sent"),
    [
        ("claude-opus-5-5", "auto", {"thinking": {"type": "adaptive", "display": "summarized"}}),
        ("claude-sonnet-4-6", "auto", {"thinking": {"type": "adaptive", "display": "summarized"}}),
        ("claude-haiku-4-5-20251001", "auto", {}),
        ("claude-3-7-sonnet-latest", "auto", {}),
        ("claude-opus-4-20250514", "auto", {}),
        ("llama-4-70b", "auto", {}),
        ("claude-haiku-4-5", 8000, {"thinking": {"type": "enabled", "budget_tokens": 8000}}),
        ("claude-opus-5", 0, {"thinking": {"type": "disabled"}}),
        (
            "claude-opus-5-5", "low",
            {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}},
        ),
    ],
)  # fmt: skip
def test_thinking_is_asked_for_as_the_model_wants_it(model: str, setting: int | str, sent: dict[str, object]) -> None:
    assert thinking_of(model, setting) == sent


def unmarked(messages: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    return [
        (
            each["role"],
            [{key: part for key, part in block.items() if key != "cache_control"} for block in each["content"]],
        )
        for each in messages
    ]


def test_a_request_that_failed_is_made_again_and_an_answered_one_is_the_past() -> None:
    talk = Conversation("claude-opus-5-5", "auto", "the system", "the brief")
    first = talk.request()
    assert talk.request() == first
    assert first["system"][0]["text"] == "the system"
    call = Call("t1", "read", {})
    answered = [{"type": "tool_use", "id": "t1", "name": "read", "input": {}}]
    talk.accept(Answer(blocks=answered, calls=[call], usage=Usage(input=3, cache_read=4, output=5)))
    assert talk.context == 12
    talk.say("hurry")
    talk.result(call, Result("no such file", error=True))
    second = talk.request()
    past = unmarked(first["messages"])
    assert unmarked(second["messages"]) == [*past, ("assistant", answered), ("user", [
        {"type": "tool_result", "tool_use_id": "t1", "content": "no such file", "is_error": True},
        {"type": "text", "text": "hurry"},
    ])]  # fmt: skip
    assert {key: part for key, part in second.items() if key != "messages"} == {
        key: part for key, part in first.items() if key != "messages"
    }
    talk.accept(Answer(blocks=answered))
    talk.say("and now")
    third = unmarked(talk.request()["messages"])
    assert third[: len(second["messages"])] == unmarked(second["messages"])
    assert third[-1] == ("user", [{"type": "text", "text": "and now"}]), "nothing is said twice"


def test_the_brief_and_the_last_words_alone_end_a_cached_prefix_among_the_messages() -> None:
    talk = Conversation("claude-opus-5-5", "auto", "s", "b")
    for text in ("one", "two"):
        talk.accept(Answer(blocks=[{"type": "text", "text": "yes"}]))
        talk.say(text)
    marks = [[block.get("cache_control") for block in each["content"]] for each in talk.request()["messages"]]
    assert marks == [[CACHED], [None], [None], [None], [CACHED]]


def test_an_answer_of_nothing_leaves_no_message_behind() -> None:
    talk = Conversation("m", "auto", "s", "b")
    talk.accept(Answer())
    talk.say("again")
    assert [each["role"] for each in talk.request()["messages"]] == ["user", "user"]


def test_a_budget_for_thinking_comes_on_top_of_the_output() -> None:
    assert Conversation("m", 8000, "s", "b").request()["max_tokens"] == MOST_OUTPUT + 8000
    assert Conversation("m", "low", "s", "b").request()["max_tokens"] == MOST_OUTPUT
