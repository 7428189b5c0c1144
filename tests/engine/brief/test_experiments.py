"""How a brief tells of experiments."""

from __future__ import annotations

import re
from pathlib import Path

from nights import Night, section

from autoresearch.engine.agents.tuner.trials import params_of
from autoresearch.state.journal import records


def test_dead_ends_carry_lesson_and_condition_and_older_ones_fold(tmp_path: Path) -> None:
    night = Night(tmp_path / "repo")
    night.baseline()
    for n in range(2, 40):
        night.discard(f"setting {n}", 3.2, "worse by 0.06 ±0.004 (1 run)", agent="tuner",
                      params=params_of({"train.py:LR": (1, n)}))  # fmt: skip
    night.lesson(20, "it forgets the start", "the context grows")
    night.write(records.DeadEnd(id="d1", text="bigger batches", experiment=3, retry_if="there is a second GPU"))
    dead = section(night.brief(), "Dead ends")
    assert "#3: bigger batches. Again only if there is a second GPU." in dead
    assert re.search(r"#20 setting 20: 3\.2.*worse by 0\.06.*Lesson: it forgets the start\. Again only if", dead)
    assert "12 older of the family train.py:LR, from #2 on (worse, the best 3.2" in dead, "#3 stands above"
    assert "setting 14" not in dead
    assert "setting 39" not in dead, "the last ones are told whole in a section of their own"
    assert "#39 setting 39" in section(night.brief(), "The last experiments")


def test_a_chain_of_mends_is_one_entry(told: Night) -> None:
    brief = told.brief()
    assert brief.count("gradient clipping at 1.0") == 1
    assert "#10 gradient clipping at 1.0, on the parameters (optimizer) (mends #9)" in brief


def test_what_is_left_of_the_limits_follows_what_people_set_since(told: Night, tmp_path: Path) -> None:
    assert "29 of 40 experiments" in section(told.brief(), "Where we stand")
    night = Night(tmp_path / "repo")
    night.baseline()
    night.write(records.Settings(changes={"limits.experiments": 3, "limits.dollars": 0, "limits.hours": 0}))
    assert "Left: 2 of 3 experiments.\n" in section(night.brief(), "Where we stand")


def test_stagnation_asks_for_another_mechanism(told: Night, tmp_path: Path) -> None:
    stand = section(told.brief(), "Where we stand")
    assert "STAGNATION: no keep in 5 experiments. Change the mechanism, not the number" in stand
    assert "Leave optimizer alone" in stand
    night = Night(tmp_path / "repo")
    night.baseline()
    assert "STAGNATION" not in night.brief()
