"""What a segment's contests are judged by, as its header holds it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from autoresearch.engine.verdict.contest import MOST_RUNS, VERSION

if TYPE_CHECKING:
    from autoresearch.state.config import Config
    from autoresearch.state.journal.records import Header


@dataclass(frozen=True, slots=True)
class Settings:
    direction: Literal["lower", "higher"] = "lower"
    mode: Literal["blocks", "fast", "single"] = "blocks"
    odds: float | None = None
    """None: by the pace."""
    baseline_runs: int | None = None
    """None: by the pace."""
    max_runs: int = MOST_RUNS
    min_effect: float = 0.0
    bundle: int = 6
    scale: str = "auto"
    seed: str = ""
    """What orders and seeds are drawn from. No candidate knows it."""
    version: int = VERSION

    @classmethod
    def from_config(cls, config: Config, seed: str = "") -> Settings:
        rule = config.verdict
        return cls(
            direction=config.metric.direction,
            mode="blocks" if rule.mode == "race" else rule.mode,
            odds=None if rule.odds == "auto" else rule.odds,
            baseline_runs=None if rule.baseline_runs == "auto" else rule.baseline_runs,
            max_runs=MOST_RUNS if rule.max_runs == "auto" else rule.max_runs,
            min_effect=config.metric.min_effect,
            bundle=rule.bundle,
            scale=config.metric.scale,
            seed=seed,
        )

    @classmethod
    def from_header(cls, header: Header) -> Settings:
        """What it does not hold (a header of another program) has its default."""
        known = {name: header.verdict[name] for name in _IN_HEADER if name in header.verdict}
        return cls(direction=header.direction, **known)

    def for_header(self) -> dict[str, Any]:
        """What `Header.verdict` holds."""
        return {name: getattr(self, name) for name in _IN_HEADER}


_IN_HEADER = ("mode", "odds", "baseline_runs", "max_runs", "min_effect", "bundle", "scale", "seed", "version")
