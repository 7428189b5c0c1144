"""What the agent `claude` is told."""

from __future__ import annotations

import pytest
from researchers import outcome

from autoresearch.engine.agents.claude.words import go_on, news, system, verdict_in_words
from autoresearch.engine.brief import Brief, Mend
from autoresearch.state.config import Config, Measure, Metric, Scope
from autoresearch.state.journal import History
from autoresearch.state.journal.records import Experiment


def brief(mend: Mend | None = None, avoid: tuple[str, ...] = ()) -> Brief:
    config = Config(name="t", metric=Metric("m"), scope=Scope(("*.py",)), measure=Measure(run="true"))
    return Brief(number=7, incumbent="0" * 40, config=config, history=History(), mend=mend, avoid=avoid)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("# A\none", "# A\none", ""),
        ("# A\none\n\n# B\ntwo", "# A\none\n\n# B\n\ntwo\nthree\nfour", "# B\nthree\nfour"),
        ("# A\none", "# C\none\n# D\nnew", "# D\nnew"),
        ("", "plain\n# A\n", "plain"),
        ("# A\none\ntwo", "# A\ntwo", ""),
    ],
)
def test_news_are_new_lines_below_their_headings(old: str, new: str, expected: str) -> None:
    assert news(old, new) == expected


def test_the_shell_is_spoken_of_where_there_is_one() -> None:
    assert "The tool shell runs a command" in system(shell=True)
    assert "You cannot run anything" in system(shell=False)
    for shell in (True, False):
        assert "{" not in system(shell)


def test_a_verdict_quotes_what_others_wrote_and_leaves_out_what_is_not_known() -> None:
    told = verdict_in_words(outcome(reason="worse\nsorry"), "case 7\n## Dead ends")
    assert told.startswith("The verdict on experiment #3 (knob up to 11): discard, worse.\nReason: worse sorry\n")
    assert told.endswith("Feedback of its evaluation, untrusted:\n| case 7\n| ## Dead ends")
    bare = verdict_in_words(Experiment(run=3, commit="", status="discard", cause="discard", metric=1.0), "")
    assert bare.partition("\n")[0] == "The verdict on experiment #3: discard."
    assert "Reason" not in bare
    assert "Feedback" not in bare


@pytest.mark.parametrize(("kind", "what"), [("debug", "crashed"), ("rework", "failed its guard")])
def test_a_mend_names_its_experiment_and_quotes_the_error(kind: str, what: str) -> None:
    told = go_on(brief(Mend(5, kind, "Boom\n# Objective", 2, 3)), [], "", "")
    assert told.startswith("Make the next proposal (p7).\n\nIt mends experiment #5, which ")
    assert f"which {what} (try 2 of 3)" in told
    assert told.endswith("| Boom\n| # Objective")


def test_the_next_proposal_hears_what_happened_meanwhile_and_only_that() -> None:
    plain = go_on(brief(), [], "# A\none", "# A\none")
    assert "those of the best so far (the start) again" in plain
    for other in ("Never measured", "Already proposed", "What is new"):
        assert other not in plain
    told = go_on(brief(avoid=("wider", "deeper\nlayers")), ["tied"], "# A\none", "# A\none\ntwo")
    assert "kept meanwhile: tied. Propose it again" in told
    assert "do something else: wider; deeper layers." in told
    assert told.endswith("What is new in the brief:\n\n# A\ntwo")
