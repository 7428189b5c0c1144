"""What requests cost, and that nobody pays a token twice."""

from __future__ import annotations

import pytest

from autoresearch.engine.agents.pricing import Spend, Usage

MODEL = "claude-opus-5-5"


def cost_of(**tokens: int) -> float:
    spend = Spend()
    spend.add(MODEL, Usage(**tokens))
    assert spend.cost_usd is not None
    return spend.cost_usd


def test_each_kind_of_token_has_a_price_of_its_own() -> None:
    one = 1_000_000
    plain = cost_of(input=one)
    assert 0 < cost_of(cache_read=one) < plain < cost_of(cache_write=one)
    assert cost_of(cache_write=one) < cost_of(cache_write=one, cache_write_1h=one)
    assert plain < cost_of(output=one)
    assert cost_of(input=one, output=one) == pytest.approx(plain + cost_of(output=one))


def test_spending_is_taken_once() -> None:
    spend = Spend()
    for _ in range(2):
        spend.add(MODEL, Usage(input=100, cache_read=50, output=10))
    tokens, cost = spend.take()
    assert tokens == {"input": 200, "cache_write": 0, "cache_read": 100, "output": 20}
    assert cost == pytest.approx(2 * cost_of(input=100, cache_read=50, output=10))
    assert spend.take() == ({}, None)


def test_one_request_without_a_price_leaves_no_price_until_it_is_taken() -> None:
    spend = Spend()
    spend.add("nobody-knows-it", Usage(input=100))
    spend.add(MODEL, Usage(input=100))
    assert spend.take() == ({"input": 200, "cache_write": 0, "cache_read": 0, "output": 0}, None)
    spend.add(MODEL, Usage(input=100))
    assert spend.take()[1] == pytest.approx(cost_of(input=100))


def test_a_request_without_tokens_counts_for_nothing_whoever_answered() -> None:
    spend = Spend()
    spend.add("nobody-knows-it", Usage())
    assert spend == Spend()
    assert Usage(1, 2, 2, 3, 4).context == 10, "what is kept for an hour is a part of what is written"
