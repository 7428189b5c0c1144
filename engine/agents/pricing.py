"""What a request cost, from the list prices that come with `genai-prices`. Unknown models have no price: none is
guessed, and nothing is fetched.
"""

from __future__ import annotations

from dataclasses import dataclass, field

KINDS = {
    "input": "input_tokens",
    "cache_write": "cache_creation_input_tokens",
    "cache_read": "cache_read_input_tokens",
    "output": "output_tokens",
}
"""The kinds of tokens, and what Anthropic calls them."""


@dataclass(slots=True)
class Usage:
    """Tokens of one request, as the API reports them; the kinds do not overlap."""

    input: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    """The part of `cache_write` that is kept for an hour, which costs more."""
    cache_read: int = 0
    output: int = 0

    @property
    def context(self) -> int:
        """How long the conversation is after this request."""
        return self.input + self.cache_write + self.cache_read + self.output

    def by_kind(self) -> dict[str, int]:
        return {kind: getattr(self, kind) for kind in KINDS}


def _price_of(model: str, usage: Usage) -> float | None:
    """Dollars at list price; None when the model is not known."""
    from genai_prices import Usage as Priced
    from genai_prices import calc_price

    priced = Priced(
        input_tokens=usage.input + usage.cache_write + usage.cache_read,
        cache_write_tokens=usage.cache_write,
        cache_write_1h_tokens=usage.cache_write_1h or None,
        cache_read_tokens=usage.cache_read,
        output_tokens=usage.output,
    )
    try:
        return float(calc_price(priced, model, provider_id="anthropic").total_price)
    except LookupError:
        return None


@dataclass(slots=True)
class Spend:
    """Tokens and dollars of several requests; the dollars are None as soon as one of them has no price."""

    tokens: dict[str, int] = field(default_factory=dict)
    cost_usd: float | None = 0.0

    def add(self, model: str, usage: Usage) -> None:
        if not usage.context:
            return
        for kind, count in usage.by_kind().items():
            self.tokens[kind] = self.tokens.get(kind, 0) + count
        price = _price_of(model, usage)
        self.cost_usd = None if price is None or self.cost_usd is None else self.cost_usd + price

    def take(self) -> tuple[dict[str, int], float | None]:
        """What was spent since the last call, each token once. Dollars are None when nothing was."""
        tokens, cost = self.tokens, self.cost_usd
        self.tokens, self.cost_usd = {}, 0.0
        return tokens, cost if tokens else None
