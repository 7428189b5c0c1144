"""Why a verdict came out as it did, in words, from the cause and the figures that it recorded. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from autoresearch.state.text import numbers

_WITHOUT_ODDS = {
    "worse": "Refuted: no better than the best it was compared with.",
    "unproven": "Unproven: it may be a small gain.",
    "over_constraint": "Refuted: over a constraint.",
    "too_noisy": "Too noisy to tell: a gain that matters could have stayed hidden.",
    "seedless": "Not kept by the engine alone: it gives one value at all seeds.",
}


def because(cause: str, figures: Mapping[str, Any]) -> str:
    """ "Refuted: 4.2 to 1 against an improvement of 0.26 or more." for a keep or a discard; "" for other verdicts."""
    log, least, asked = (numbers.finite(figures.get(name)) for name in ("log_evidence", "delta", "threshold"))
    if log is not None and (odds := numbers.finite(figures.get("odds"))) is not None:
        return _of_blocks(cause, log, odds)
    if log is None or least is None:
        return _WITHOUT_ODDS.get(cause, "")
    needed = f"; {asked:g} to 1 was needed" if asked is not None else ""
    amount = f"{numbers.metric(least, least)} or more"
    against = f"{numbers.odds(-log)} against an improvement of {amount}"
    if cause in ("better", "bundle"):
        return f"Kept: {numbers.odds(log)} for an improvement{needed}."
    if cause == "simpler":
        return f"Kept: simpler, and {numbers.odds(log)} that it is not worse by {amount}{needed}."
    if cause == "worse":
        return f"Refuted: {against}."
    if cause == "unproven" and log < 0:
        return f"Unproven: {against}, but a smaller one may hide in the noise."
    if cause == "unproven" and asked is not None and log < math.log(asked):
        return f"Unproven: {numbers.odds(log)} for an improvement of {amount}{needed}."
    return _WITHOUT_ODDS.get(cause, "")


def _of_blocks(cause: str, log: float, odds: float) -> str:
    needed = f"; {odds:g} to 1 was needed"
    if cause in ("better", "bundle"):
        return f"Kept: {numbers.odds(log)} that it is better{needed}."
    if cause == "simpler":
        return f"Kept: simpler, and {numbers.odds(log)} that it is not worse by a spread{needed}."
    if cause == "unproven":
        return f"Unproven: {numbers.odds(log)} that it is better{needed}."
    return _WITHOUT_ODDS.get(cause, "")


def rule(figures: Mapping[str, Any]) -> str:
    """ "noise 0.13 (one sd), an improvement of 0.26 told from it, rule race 2"."""
    noise, least = (numbers.finite(figures.get(name)) for name in ("s", "delta"))
    parts = []
    if noise is not None:
        parts.append(f"noise {numbers.metric(noise, noise)} (one sd)" if noise else "no noise")
    if noise and least is not None:
        parts.append(f"an improvement of {numbers.metric(least, least)} told from it")
    if figures.get("rule"):
        parts.append(f"rule {figures['rule']} {figures.get('version', '')}".rstrip())
    return ", ".join(parts)
