"""Why a CLI failed, from its last words."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.engine.agents.command import failures as troubles

HERE = datetime.fromisoformat("2026-11-21T22:00:00+00:00")


@pytest.mark.parametrize(
    ("text", "kind", "until"),
    [
        ("Claude AI usage limit reached|1795316400", "limit", datetime.fromtimestamp(1795316400, HERE.tzinfo)),
        ("You've hit your limit · resets 4:50am (Europe/Rome)", "limit", "2026-11-22T03:50:00+00:00"),
        ("usage limit reached, resets at 03:00", "limit", "2026-11-22T03:00:00+00:00"),
        ("Claude usage limit reached. Your limit will reset at 9pm (UTC).", "limit", "2026-11-22T21:00:00+00:00"),
        ("You've hit your limit · resets Nov 23 at 4pm (UTC)", "limit", "2026-11-23T16:00:00+00:00"),
        ("You've hit your usage limit. Upgrade or try again in 2 days 17 hours 14 minutes.", "limit",
         "2026-11-24T15:14:00+00:00"),
        ("You've hit your usage limit. Try again at Nov 25th, 2026 3:05 PM.", "limit", "2026-11-25T15:05:00+00:00"),
        ('{"type":"usage_limit_reached","resets_in_seconds":3600}', "limit", "2026-11-21T23:00:00+00:00"),
        ("RESOURCE_EXHAUSTED: quota will reset after 3h20m10s.", "limit", "2026-11-22T01:20:10+00:00"),
        ("HTTP 429, retry-after: 90", "limit", "2026-11-21T22:01:30+00:00"),
        ("the 21:55 window: usage limit, resets 9:55pm (UTC)", "limit", "2026-11-21T21:55:00+00:00"),
        ("API Error: 529 Overloaded", "outage", None),
        ("stream disconnected before completion", "outage", None),
        ("Not logged in · Please run /login", "login", None),
        ("unexpected status 401 Unauthorized", "login", None),
        ("No API key found for anthropic", "login", None),
        ("ERROR: Quota exceeded. Check your plan and billing details.", "credit", None),
    ],
)  # fmt: skip
def test_what_a_failed_call_says_is_understood(text: str, kind: str, until: Any) -> None:
    trouble = troubles.read(f"before\n{text}\nafter", HERE)
    assert trouble is not None
    assert trouble.kind == kind
    assert trouble.words == text
    wanted = datetime.fromisoformat(until) if isinstance(until, str) else until
    assert trouble.until == wanted


def test_an_ordinary_failure_is_no_trouble() -> None:
    assert troubles.read("Error: tool Edit failed: string not found in knob.py\nresult: limited success", HERE) is None


@given(st.text(max_size=300))
def test_any_text_may_be_a_failed_calls_last_words(text: str) -> None:
    troubles.read(f"429 {text}", HERE)
    troubles.read(f"usage limit resets at {text}", HERE)
