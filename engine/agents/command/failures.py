"""Why a CLI failed, read from its last words: a usage limit, an outage, a missing login, an empty account. Pure.

Only the words of a failed call are given here: an agent that writes about rate limits has not met one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Literal
from zoneinfo import ZoneInfo

Kind = Literal["limit", "outage", "login", "credit"]

_JUST_PASSED = timedelta(minutes=15)
"""A time of day that passed this recently is the one that was meant, not tomorrow's."""

_CREDIT = re.compile(
    r"credit balance is too low|insufficient[_ ](?:quota|credits?|balance|funds)|check your plan and billing"
    r"|billing (?:hard )?limit|payment required|\b402\b",
    re.IGNORECASE,
)
_LOGIN = re.compile(
    r"please run /login|not logged in|not authenticated|invalid (?:x-)?api[ _-]?key|incorrect api key"
    r"|authentication[_ ]?(?:error|failed)|oauth token (?:has )?(?:expired|revoked)|\b401\b|unauthori[sz]ed"
    r"|no api key|api key (?:is )?(?:missing|not (?:found|set|valid))|no models available|set an auth method"
    r"|no (?:providers?|credentials) (?:found|configured)|missing these environment variables|login required"
    r"|run [`'\"]?(?:codex login|claude /login|opencode auth login)",
    re.IGNORECASE,
)
_LIMIT = re.compile(
    r"(?:usage|session|weekly|daily|hourly|request|rate|token|\d+-hour)[ _-]?limit"
    r"|hit your (?:\w+ )?limit|limit (?:will )?resets?|out of (?:extra )?usage"
    r"|too many requests|\b429\b|quota (?:exceeded|exhausted|will reset)|exhausted your (?:\w+ )?(?:capacity|quota)"
    r"|resource[_ ]exhausted",
    re.IGNORECASE,
)
_OUTAGE = re.compile(
    r"overloaded|api error:? *\(?5\d\d|\b(?:500|502|503|504|529)\b[^\n]{0,40}(?:error|unavailable|gateway|timeout)"
    r"|(?:internal server|bad gateway|service (?:temporarily )?unavailable|gateway timeout)"
    r"|ECONNREFUSED|ECONNRESET|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|socket hang up|fetch failed|getaddrinfo"
    r"|connection (?:error|refused|reset|timed out)|stream disconnected|network error|name resolution",
    re.IGNORECASE,
)

_EPOCH = re.compile(r"(?:\||resets?_?at\"?\s*[:=]\s*\"?)(\d{10})(?:\d{3})?\b", re.IGNORECASE)
_SECONDS = re.compile(
    r"(?:resets?_in_seconds|retry[-_ ]after(?:[-_]seconds)?)\"?\s*[:=]?\s*\"?(\d+(?:\.\d+)?)\b", re.IGNORECASE
)
_PART = r"\d+(?:\.\d+)?\s*(?:days?|d|hours?|hrs?|h|minutes?|mins?|min|m|seconds?|secs?|sec|s)(?![a-z])"
_DURATION = re.compile(rf"\b(?:in|after)\s+((?:{_PART}[,\s]*(?:and\s+)?)+)", re.IGNORECASE)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_CLOCK = re.compile(
    r"\b(?:resets?|again|until|available)\b(?:\s+(?:at|on|by))*\s+"
    rf"(?:(?P<month>{'|'.join(_MONTHS)})[a-z]*\.?\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(?P<year>\d{{4}}))?"
    r",?\s+(?:at\s+)?)?"
    r"(?P<hour>\d{1,2})(?:(?::(?P<minute>\d{2}))(?:\s*(?P<half>[ap])m)?|\s*(?P<half2>[ap])m)"
    r"(?:\s*\((?P<zone>[\w/+-]+)\))?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Trouble:
    kind: Kind
    words: str
    """The line that tells it."""
    until: datetime | None = None
    """When a limit is over, in local time; None when nobody said."""


def read(text: str, now: datetime) -> Trouble | None:
    """What a failed call's last words tell; None when they tell nothing known. `now` must know its zone."""
    kinds: tuple[tuple[Kind, re.Pattern[str]], ...] = (
        ("credit", _CREDIT), ("limit", _LIMIT), ("login", _LOGIN), ("outage", _OUTAGE)
    )  # fmt: skip
    for kind, pattern in kinds:
        found = pattern.search(text)
        if found:
            until = reset_time(text, now) if kind in ("limit", "outage") else None
            return Trouble(kind, _line_around(text, found.start()), until)
    return None


def reset_time(text: str, now: datetime) -> datetime | None:
    """When a limit that these words tell of is over."""
    if found := _EPOCH.search(text):
        return datetime.fromtimestamp(int(found[1]), now.tzinfo)
    if found := _SECONDS.search(text):
        return now + timedelta(seconds=float(found[1]))
    if found := _CLOCK.search(text):
        return _clock(found, now)
    if found := _DURATION.search(text):
        return now + _duration(found[1])
    return None


def _clock(found: re.Match[str], now: datetime) -> datetime | None:
    zone = _zone(found["zone"]) or now.tzinfo
    here = now.astimezone(zone)
    hour, half = int(found["hour"]), (found["half"] or found["half2"] or "").lower()
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    try:
        then = here.replace(hour=hour, minute=int(found["minute"] or 0), second=0, microsecond=0)
        if found["month"]:
            month = _MONTHS.index(found["month"].lower()) + 1
            then = then.replace(year=int(found["year"] or here.year), month=month, day=int(found["day"]))
            if not found["year"] and then < here - timedelta(days=180):
                then = then.replace(year=here.year + 1)
        elif then < here - _JUST_PASSED:
            then += timedelta(days=1)
    except ValueError:
        return None
    return then.astimezone(now.tzinfo)


def _zone(name: str | None) -> tzinfo | None:
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):
        return None


def _duration(text: str) -> timedelta:
    unit_s = {"d": 86400, "h": 3600, "m": 60, "s": 1}
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z])", text, re.IGNORECASE)
    return timedelta(seconds=sum(float(number) * unit_s[unit.lower()] for number, unit in parts))


def _line_around(text: str, at: int) -> str:
    start = text.rfind("\n", 0, at) + 1
    end = text.find("\n", at)
    return text[start : end if end >= 0 else len(text)].strip()
