"""Ask the Messages API, and go on asking for as long as it is only the network or the service that fails.

Rate limits, overload, server errors, lost connections and dead streams are waited out with exponential backoff and full
jitter, never before the server's retry-after, and told through `say`. What a person must mend raises Blocked. The SDK's
own retries are off: two layers of waiting would be one too many to show.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

from autoresearch.engine.agents.claude.stream import Answer, Broken, read
from autoresearch.engine.agents.credentials import Key
from autoresearch.engine.agents.pricing import Spend
from autoresearch.engine.agents.protocol import Blocked
from autoresearch.engine.agents.transcript import Transcript
from autoresearch.engine.secrets import Secrets
from autoresearch.state.text import clean_line

_RETRIED = frozenset({408, 409, 425, 429})
_RETRIED_TYPES = frozenset({"rate_limit_error", "overloaded_error", "api_error", "timeout_error"})
_BY_TYPE = {
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "invalid_request_error": 400,
}
"""An error inside a stream comes with status 200; its type says what it is."""
_LONGEST_RETRY_AFTER_S = 86_400.0
_WORDS = 300


@dataclass(frozen=True, slots=True)
class Pace:
    """Times; tests bring their own."""

    stall_s: float = 300.0
    """Without a byte for so long, a connection is dead. Long prompts keep local models silent for minutes."""
    first_s: float = 1.0
    most_s: float = 60.0
    """The longest backoff that is not the server's wish."""
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[float, float], float] = random.uniform
    clock: Callable[[], float] = time.monotonic


class Transient(Exception):
    """A fault that passes by itself."""

    def __init__(self, reason: str, retry_after_s: float = 0.0) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(reason)


class TooLong(Exception):
    """The conversation no longer fits into the model's context."""


class Budget:
    """Working time: waiting for the API does not count."""

    def __init__(self, limit_s: float, clock: Callable[[], float]) -> None:
        self._left_s = limit_s
        self._clock = clock

    def begin(self) -> float:
        return self._clock()

    def spend(self, begun: float) -> None:
        self._left_s -= self._clock() - begun

    def used_up(self, begun: float | None = None) -> bool:
        """Whether nothing is left, also of what has run since `begun` and is not yet spent."""
        return self._left_s <= (0.0 if begun is None else self._clock() - begun)


class Api:
    def __init__(
        self, key: Key, base_url: str | None, secrets: Secrets, say: Callable[[str], None], spend: Spend, pace: Pace
    ) -> None:
        self._key = key
        self._base_url = base_url
        self._secrets = secrets
        self._say = say
        self._spend = spend
        self._pace = pace
        self._client: Any = None
        self._since = ""

    async def ask(
        self, request: dict[str, Any], transcript: Transcript, budget: Budget, *, patient: bool = True
    ) -> Answer:
        """The answer to a request. Raises Blocked, TooLong, OutOfTime; Transient when it is not `patient`."""
        failures = 0
        try:
            while True:
                begun = budget.begin()
                try:
                    answer = await self._once(request, transcript, partial(budget.used_up, begun))
                except Transient as fault:
                    if not patient:
                        raise
                    failures += 1
                    await self._wait(fault, failures, transcript)
                else:
                    budget.spend(begun)
                    return answer
        finally:
            if self._since:
                self._since = ""
                self._say("")

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    # -- one attempt

    async def _once(self, request: dict[str, Any], transcript: Transcript, used_up: Callable[[], bool]) -> Answer:
        client = self._connected()
        answer = Answer()
        try:
            stream = await client.messages.create(**request, stream=True)
            async with stream:
                await read(stream, answer, transcript, 3 * self._pace.stall_s, used_up)
        except Exception as error:
            raise self._meaning(error) from None  # the SDK's errors carry the request, and it the key
        finally:
            self._spend.add(answer.model or request["model"], answer.usage)
        transcript.event("usage", model=answer.model, stop_reason=answer.stop_reason, tokens=answer.usage.by_kind())
        return answer

    def _connected(self) -> Any:
        if self._client is None:
            from anthropic import AsyncAnthropic, Timeout

            key = self._key.reveal()
            self._client = AsyncAnthropic(
                api_key=None if self._key.bearer else key,
                auth_token=key if self._key.bearer else None,
                base_url=self._base_url,
                max_retries=0,
                timeout=Timeout(self._pace.stall_s, connect=min(30.0, self._pace.stall_s)),
                open_telemetry=False,
            )
        return self._client

    # -- faults

    def _meaning(self, error: Exception) -> Exception:
        """What an exception of the SDK, of its HTTP library or of the stream means to us. Others are our own faults."""
        import anthropic
        import httpx2

        if isinstance(error, anthropic.APIStatusError):
            return self._refusal(error)
        if isinstance(error, (TimeoutError, anthropic.APITimeoutError, httpx2.TimeoutException)):
            return Transient(f"nothing came for {self._pace.stall_s:g} s")
        if isinstance(error, (anthropic.APIConnectionError, httpx2.HTTPError)):
            cause = error.__cause__ or error
            return Transient(self._words(f"no connection: {cause}" if str(cause) else "no connection"))
        if isinstance(error, (Broken, anthropic.APIError, httpx2.StreamError)):
            return Transient(self._words(str(error)))
        if isinstance(error, ValueError):  # bytes that are no text, events that are no JSON
            return Transient(self._words(f"the stream cannot be read: {error}"))
        return error

    def _refusal(self, error: Any) -> Exception:
        status = error.status_code if error.status_code >= 400 else _BY_TYPE.get(error.type or "", 500)
        words = self._words(error.api_message or error.message)
        told = f"{error.type or 'error'} {status}: {words}"
        if status in _RETRIED or status >= 500 or error.type in _RETRIED_TYPES:
            return Transient(told, retry_after(error.response.headers))
        if status == 413 or (status == 400 and "prompt is too long" in words.lower()):
            return TooLong(words)
        return Blocked(f"The API refused the request ({told})", _FIXES.get(status, _OTHER_FIX))

    def _words(self, text: str) -> str:
        return clean_line(self._secrets.scrub(text), _WORDS)

    # -- waiting

    async def _wait(self, fault: Transient, failures: int, transcript: Transcript) -> None:
        self._since = self._since or time.strftime("%H:%M")
        most = min(self._pace.most_s, self._pace.first_s * 2 ** min(failures - 1, 16))
        delay_s = fault.retry_after_s + self._pace.jitter(0.0, most)
        self._say(f"waiting for the API since {self._since} ({fault})")
        transcript.event("waiting", reason=str(fault), attempt=failures, delay_s=round(delay_s, 1))
        transcript.line(f"waiting for the API: {fault}; trying again in {delay_s:.0f} s")
        await self._pace.sleep(delay_s)


_FIXES = {
    400: "Change what the API names (agent.model, agent.thinking), or add credit if it says so, then "
    "`autoresearch resume`.",
    401: "Set ANTHROPIC_API_KEY (or ANTHROPIC_API_KEY_FILE) to a valid key, then `autoresearch resume`.",
    402: "Add credit or raise the spend limit of the key's organisation, then `autoresearch resume`.",
    403: "Use a key that may use this model, or set agent.model to one that the key may use, then "
    "`autoresearch resume`.",
    404: "Set agent.model to a model that the API has (and ANTHROPIC_BASE_URL without /v1), then "
    "`autoresearch resume`.",
}
_OTHER_FIX = "See agent.log of the last experiment, then `autoresearch resume`."


def retry_after(headers: Any) -> float:
    """Seconds that the server asks to wait: from retry-after-ms or retry-after, a number or a date; 0 without."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name)
        if not text:
            continue
        try:
            seconds = float(text) * unit
        except ValueError:
            try:
                until = parsedate_to_datetime(text)
            except ValueError:
                continue
            until = until if until.tzinfo else until.replace(tzinfo=UTC)
            seconds = (until - datetime.now(UTC)).total_seconds()
        if seconds >= 0:
            return min(seconds, _LONGEST_RETRY_AFTER_S)
    return 0.0
