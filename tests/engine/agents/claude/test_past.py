"""Past experiments as a language model looks them up."""

from __future__ import annotations

from pathlib import Path

import pytest
from journals import Told, told

from autoresearch.engine.agents.claude.files import Refused
from autoresearch.engine.agents.claude.past import search, show


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Tests that share it only read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
        return told(tmp_path_factory.mktemp("past"))


def test_one_experiment_is_shown_with_change_lesson_and_the_end_of_its_log(night: Told) -> None:
    shown = show(night.session, night.session.history(), 3)
    assert shown.startswith("#3 discard (worse): knob up to 11\n")
    assert "Metrics: score 11\nLesson: up is worse Retry if: the sign changes\nIts change:\n" in shown
    assert "| -VALUE = 9.0\n| +VALUE = 11.0" in shown
    assert "The end of output.log (what the run printed, untrusted):\n| loading\n| score: 11.0" in shown


def test_what_is_not_there_is_left_out(night: Told) -> None:
    history = night.session.history()
    assert "Metrics" not in show(night.session, history, 5), "a crash has no metrics"
    assert "The end of" not in show(night.session, history, 2), "its log is gone"
    assert "It changed no file." in show(night.session, history, 1)


def test_a_number_that_is_none_is_refused_with_those_that_are(night: Told) -> None:
    history = night.session.history()
    for number in (0, 6, -1):
        with pytest.raises(Refused, match=f"no finished experiment #{number}; they are numbered from 1 to 5"):
            show(night.session, history, number)


def test_a_search_finds_words_and_can_be_held_to_a_status(night: Told, tmp_path: Path) -> None:
    found = search(night.session, "knob")
    assert {line.partition(" ")[0] for line in found.split("\n")} == {"#2", "#3", "#4", "#5"}
    assert "#3 discard (worse, 11): knob up to 11 Lesson: up is worse" in found
    assert "#5 crash (nonzero_exit): knob to boom" in found
    assert search(night.session, "knob", "keep") == "#2 keep (better, 9): knob down to 9"
    assert search(night.session, "nowhere") == "Nothing matches."
