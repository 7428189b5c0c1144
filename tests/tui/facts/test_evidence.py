"""Why a verdict came out as it did: from the rule's own figures, and nothing that they do not hold."""

from __future__ import annotations

from typing import Any

import pytest

from autoresearch.engine.verdict import Noise
from autoresearch.engine.verdict.frozen import Settings, judge
from autoresearch.tui.facts.evidence import because, rule

SETTINGS = Settings(max_runs=3)
NOISE = Noise.pool([(10.0, 10.2, 9.8, 10.1, 9.9, 10.0)])


@pytest.mark.parametrize(
    ("candidate", "settings", "said"),
    [
        ([10.3], {}, "Refuted: 110 to 1 against an improvement of 0.35 or more."),
        ([9.88], {}, "Unproven: 1.7 to 1 against an improvement of 0.35 or more, but a smaller one may"),
        ([9.81, 9.79, 9.75], {"max_runs": 3},
         "Unproven: 2.7 to 1 for an improvement of 0.35 or more; 10 to 1 was needed."),
        ([9.5, 9.5], {}, "Kept: 290 to 1 for an improvement; 10 to 1 was needed."),
        ([9.5, 9.5], {"net_lines": -4, "min_effect": 0.8}, "Kept: simpler, and"),
        ([9.5, 9.5], {"violated": "mb is above its limit"}, "Refuted: over a constraint."),
        ([10.3], {"mode": "fast"}, "Refuted: no better than the best it was compared with."),
    ],
)  # fmt: skip
def test_words_for_what_the_rule_decided(candidate: list[float], settings: dict[str, Any], said: str) -> None:
    others = {name: settings.pop(name) for name in ("net_lines", "violated") if name in settings}
    decision = judge(candidate, [10.0] * 6, NOISE, Settings(**settings), **others)
    assert decision.final
    assert because(decision.cause, decision.verdict).startswith(said)


@pytest.mark.parametrize("figures", [{}, {"log_evidence": None, "delta": 0.1}, {"log_evidence": "x", "delta": True}])
@pytest.mark.parametrize("cause", ["", "worse", "unproven", "better", "simpler", "guard"])
def test_without_figures_nothing_is_made_up(cause: str, figures: dict[str, Any]) -> None:
    assert not any(letter.isdigit() for letter in because(cause, figures))


def test_the_rule_is_told_with_the_digits_of_its_noise() -> None:
    decision = judge([10.3], [10.0] * 6, NOISE, SETTINGS)
    assert rule(decision.verdict) == "noise 0.17 (one sd), an improvement of 0.35 told from it, rule race 2"
    assert rule({"rule": "exact", "version": 2, "s": 0.0, "delta": 0.0}) == "no noise, rule exact 2"
    assert rule({}) == ""
