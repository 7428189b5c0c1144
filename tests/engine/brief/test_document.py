"""What stands in a brief, in which order, and what is cut when it is too long."""

from __future__ import annotations

import re
from pathlib import Path

from hostile import forged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nights import TOML, TRAIN, Night, headings, section

from autoresearch.engine.brief import Mend, render
from autoresearch.engine.brief.dossier import Dossier, Output, SourceFile, Words
from autoresearch.state.config import Limits
from autoresearch.state.config import config as configs
from autoresearch.state.journal import History, records


def test_noise_is_told_in_plain_words(told: Night) -> None:
    measured = section(told.brief(), "How it is measured and judged")
    history = told.session.history()
    sd = (history.spread.ss / history.spread.nu) ** 0.5
    assert "lower is better" in measured
    assert f"differ by {sd:.4f}" in measured
    assert re.search(r"differences under 0\.00\d\d between single runs are noise", measured)


def test_before_the_baseline_nothing_is_claimed(tmp_path: Path) -> None:
    brief = Night(tmp_path / "repo").brief()
    assert "The baseline is not measured yet" in section(brief, "Where we stand")
    assert "not known yet" in section(brief, "How it is measured and judged")
    assert "LR = 0.003" in section(brief, "Files in scope")


def test_ideas_stand_in_the_order_of_the_list_and_vetoed_ones_among_the_messages(tmp_path: Path) -> None:
    night = Night(tmp_path / "repo")
    night.baseline()
    for n in (1, 2, 3):
        night.idea(f"i{n}", f"thought {n}")
    night.write(records.Idea(id="i3", text="thought 3", first=True))
    night.write(records.Veto(id="i1", reason="no"))
    brief = night.brief()
    assert section(brief, "Ideas").split("\n")[1:3] == ["- i3: thought 3", "- i2: thought 2"]
    assert "do not try: thought 1 (no)" in section(brief, "Messages from the people you work for")


def test_a_mend_comes_first_with_the_failed_files(told: Night) -> None:
    brief = told.brief(mend=Mend(9, "debug", "Traceback\nBoomError: 7\n", 1, 2))
    assert headings(brief)[1] == "## First: mend this"
    mend = section(brief, "First: mend this")
    assert "#9 crashed" in mend
    assert "| BoomError: 7" in mend
    assert "attempt 1 of 2" in mend
    assert "| +# gradient clipping at 1.0" in mend
    files = section(brief, "Files in scope")
    assert "# gradient clipping at 1.0\n" in files, "the tree holds the failed candidate's files"
    assert "#9, which you mend," in files


def test_large_files_are_outlined_and_binary_ones_named(tmp_path: Path) -> None:
    big = '"""Big."""\n' + "\n".join(f"def step_{n}(x: int) -> int:\n    return x + {n}\n" for n in range(1600))
    night = Night(tmp_path / "repo", {"model/big.py": big, "model/notes.py": "x = '\0'\n"})
    files = section(night.brief(), "Files in scope")
    assert "### model/big.py, " in files
    assert re.search(r"^\d+-\d+\tdef step_3\(x: int\) -> int$", files, re.MULTILINE)
    assert "return x + 3" not in files
    assert "model/notes.py (8 bytes)" in files
    assert "10\tdef main" in files


def test_files_take_the_room_that_the_rest_leaves(tmp_path: Path) -> None:
    middling = "".join(f"SETTING_{n} = {n}\n" for n in range(1500))
    night = Night(tmp_path / "repo", {"model/big.py": middling})
    assert len(middling) > 0.45 * 48_000
    assert "1500\tSETTING_1499 = 1499\n" in night.brief()
    assert "### model/big.py, " in night.brief(30_000)


def test_the_hand_in_is_told_to_clis_alone_and_asks_for_the_lesson_that_is_due(told: Night) -> None:
    assert "AUTORESEARCH_PROPOSAL" not in told.brief()
    brief = told.brief(for_cli=True)
    asked = section(brief, "How to hand in")
    keys = re.findall(r'^ {6}"(\w+)":', asked, re.MULTILINE)
    assert keys == ["description", "hypothesis", "category", "expected_effect", "idea", "lesson", "retry_if", "ideas"]
    assert "what #11 taught" in asked


# -- words of others


OURS = {
    "# Brief: the next proposal for tinyformer", "## First: mend this", "## Objective",
    "## How it is measured and judged", "## Where we stand", "## Messages from the people you work for",
    "## Made but not judged yet", "## The last experiments", "## What worked", "## Dead ends", "## Ideas",
    "## What the evaluation reported", "## How the last failures ended", "## Files in scope", "## How to hand in",
}  # fmt: skip
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


def untrusted(word: str) -> Dossier:
    """A session in which everything that others can write is `word`."""
    history = History()
    experiment = dict(commit="abc", metric=3.1, sha="c" * 40, parent="b" * 40, description=word, reason=word,
                      hypothesis=word, category=word)  # fmt: skip
    lines: list[records.Record] = [
        records.Header(name="t", session="s", base="b" * 40, timestamp=1, reason=word),
        records.Intent(experiment=1, proposal=None, parent="b" * 40, sha="b" * 40, timestamp=1),
        records.Experiment(run=1, status="keep", cause="baseline", timestamp=1, commit="b", metric=3.1, sha="b" * 40),
        records.Idea(id="i1", text=word, timestamp=1),
        records.Idea(id="i2", text=word, timestamp=1),
        records.Veto(id="i2", reason=word, timestamp=1),
        records.DeadEnd(id="d1", text=word, retry_if=word, timestamp=1),
        records.Note(id="n1", text=word, timestamp=1),
        records.Steer(text=word, timestamp=1),
    ]
    statuses: tuple[records.Status, ...] = ("crash", "discard", "keep", "checks_failed")
    for n in range(2, 16):
        status = statuses[n % 4]
        lines += [
            records.Proposal(id=n, base="b" * 40, sha="c" * 40, agent="claude", description=word, category=word,
                             hypothesis=word, timestamp=1, mends=n - 1 if n % 7 == 0 else None),
            records.Intent(experiment=n, proposal=n, parent="b" * 40, sha="c" * 40, timestamp=1),
            records.Experiment(run=n, status=status, cause=word, timestamp=1, **experiment),
            records.Lesson(experiment=n, lesson=word, retry_if=word, timestamp=1),
        ]  # fmt: skip
    lines.append(records.Proposal(id=99, base="b" * 40, sha="d" * 40, agent="claude", description=word, timestamp=1))
    for line in lines:
        history.feed(0, records.encode(line).rstrip(b"\n"))
    assert not history.problems
    return Dossier(
        session="nov20",
        config=configs.loads(TOML),
        history=history,
        limits=Limits(),
        program=word,
        files=(SourceFile("train.py", len(word), word), SourceFile(f"model/{word[:50]}.py", 10, word + TRAIN)),
        words={n: Words(word, word, word) for n in range(1, 16)},
        feedback=(Output(3, word[:40], word),),
        tails=(Output(2, "output.log", word),),
        mend=Mend(2, "debug", word, 1, 2),
        mend_diff=word,
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(word=forged, chars=st.integers(0, 60_000), for_cli=st.booleans())
def test_no_words_of_others_pass_for_a_section_and_the_budget_holds(word: str, chars: int, for_cli: bool) -> None:
    word = word.encode("utf-8", "replace").decode()  # a journal line cannot hold a lone surrogate
    brief = render(untrusted(word), chars, for_cli=for_cli)
    assert len(brief) <= chars
    assert not CONTROLS.search(brief)
    shown = headings(brief)
    if chars >= 1000:
        assert set(shown) <= OURS
        assert len(shown) == len(set(shown))
    assert brief == render(untrusted(word), chars, for_cli=for_cli)


# -- the budget


def test_the_least_useful_is_cut_first_and_said_so(told: Night) -> None:
    whole = told.brief(48_000)
    tight = told.brief(len(whole) - 1)
    assert len(tight) < len(whole)
    assert "left out" in tight
    assert section(tight, "Where we stand") == section(whole, "Where we stand")
    small = told.brief(4000)
    assert len(small) <= 4000
    assert "STAGNATION" in small or "differences under" in small
    assert "the tool `show`" in small or "No room for:" in small
    assert "autoresearch show N -s nov20" in told.brief(4500, for_cli=True)


def test_more_room_never_shows_fewer_sections(told: Night) -> None:
    counts = [len(headings(told.brief(chars))) for chars in (1000, 2000, 4000, 8000, 16_000, 48_000)]
    assert counts == sorted(counts)
