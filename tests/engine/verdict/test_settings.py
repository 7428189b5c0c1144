from __future__ import annotations

from dataclasses import replace

from autoresearch.engine.verdict.settings import Settings
from autoresearch.state.config import Config, Measure, Metric, Scope
from autoresearch.state.config.config import VerdictSettings
from autoresearch.state.journal import records


def test_settings_survive_the_journal() -> None:
    config = Config(
        name="x",
        metric=Metric("loss", "higher", min_effect=0.25),
        scope=Scope(("a.py",)),
        measure=Measure("true"),
        verdict=VerdictSettings(mode="fast", odds=20.0, baseline_runs=5, max_runs=60, bundle=3),
    )
    settings = Settings.from_config(config, "5eed")
    header = records.Header(direction=settings.direction, verdict=settings.for_header())
    read = records.decode(records.encode(header))
    assert isinstance(read, records.Header)
    assert Settings.from_header(read) == settings
    assert Settings.from_header(records.Header(direction="higher")) == Settings(direction="higher")


def test_the_older_name_of_a_mode_and_what_follows_the_pace() -> None:
    config = Config(name="x", metric=Metric("loss"), scope=Scope(("a.py",)), measure=Measure("true"))
    plain = Settings.from_config(config)
    assert (plain.mode, plain.odds, plain.baseline_runs, plain.max_runs) == ("blocks", None, None, 400)
    assert Settings.from_config(replace(config, verdict=VerdictSettings(mode="race"))) == plain
