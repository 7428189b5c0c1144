"""Streams of agent CLIs: nothing that one may print stops its reader."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from autoresearch.engine.agents import PRESETS
from autoresearch.engine.agents import cli_stream as clistream
from autoresearch.engine.agents.cli_stream import CliStream

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["type", "message", "content", "item", "part", "usage", "role", "text", "error", "state", "stats", "tokens",
         "rate_limit_info", "status", "resetsAt", "cost", "result", "input", "changes"]), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip


@given(
    st.sampled_from(sorted({preset.form for preset in PRESETS.values()})),
    st.sampled_from(["assistant", "user", "result", "message_end", "item.completed", "turn.completed", "message",
                     "text", "step_finish", "tool_use", "error", "rate_limit_event", "system", "turn.failed"]),
    st.dictionaries(st.sampled_from(["message", "item", "part", "usage", "error", "stats", "role", "rate_limit_info",
                                     "content", "delta", "result", "total_cost_usd", "subtype"]), JSON),
)  # fmt: skip
def test_no_event_however_odd_stops_a_stream(form: str, kind: str, event: dict[str, Any]) -> None:
    stream = CliStream(form)
    stream.feed(json.dumps({"type": kind, **event}).encode())
    stream.feed(b"no json \xff\n")
    assert all(isinstance(count, int) for count in stream.tokens.values())
    assert "not understood" not in stream.feed(b'{"type": "error", "message": "boom"}') or form == "opencode"


def test_usage_of_a_stream_that_was_cut_off_is_what_its_messages_said() -> None:
    stream = CliStream("claude")
    for count in (1, 20):  # told again while it grows
        message = {"id": "m1", "usage": {"input_tokens": 5, "output_tokens": count}, "content": []}
        stream.feed(json.dumps({"type": "assistant", "message": message}).encode())
    assert stream.tokens == {"input": 5, "output": 20}
    assert stream.cost_usd is None


def test_readers_exist_for_every_streaming_preset() -> None:
    assert {preset.form for preset in PRESETS.values()} - {"text"} == set(clistream._READERS)
