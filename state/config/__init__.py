"""The target's `autoresearch.toml`: read, checked once, written with its comments kept."""

from autoresearch.state.config.config import (
    AgentSettings,
    Config,
    ConfigError,
    Guard,
    Holdout,
    Limits,
    Measure,
    Metric,
    Scope,
    differences,
    dumps,
    from_dict,
    load,
    loads,
    name_of,
    proposals_ahead,
    render_minimal,
    sha,
    value_of,
    with_change,
    without_holdout,
)
from autoresearch.state.config.constraint import bound
from autoresearch.state.config.rules import RULES, is_empty
from autoresearch.state.config.validate import Unfit
