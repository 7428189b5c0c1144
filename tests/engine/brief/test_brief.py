"""The brief: what stands in it, what never does, and that it keeps to its budget, on real journals and commits."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from hostile import forged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nights import EXAMPLE, TOML, TRAIN, Night, example, example_page
from repos import git

from autoresearch.engine.agents.tuner.trials import params_of
from autoresearch.engine.brief import Mend, render
from autoresearch.engine.brief.dossier import Dossier, Output, SourceFile, Words
from autoresearch.engine.workspace import trees_folder
from autoresearch.state.config import Limits
from autoresearch.state.config import config as configs
from autoresearch.state.journal import History, records
from autoresearch.tui.cli import cli


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    """The example night; tests that share it only read."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
        yield example(tmp_path_factory.mktemp("night") / "repo")


def section(brief: str, title: str) -> str:
    """The body of a section; "" when it is not in the brief."""
    return brief.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def headings(brief: str) -> list[str]:
    return [line for line in brief.split("\n") if re.match(r"\s{0,3}#{1,2}(\s|$)", line)]


# -- what stands in it


def test_the_example_of_the_docs_is_what_is_rendered(told: Night) -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == example_page(told.brief(for_cli=True)), (
        "run `python tests/support/nights.py`"
    )


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


def test_a_message_is_new_until_a_brief_has_surely_held_it(tmp_path: Path) -> None:
    """It may arrive while a proposal is being written, whose line then follows it."""
    night = Night(tmp_path / "repo")
    night.baseline()
    night.discard("first", 3.2, "worse")
    night.steer("look at the data")
    night.discard("second, begun before the message", 3.2, "worse")
    assert "- new: look at the data" in night.brief()
    night.discard("by the tuner", 3.2, "worse", agent="tuner")
    assert "- new: look at the data" in night.brief()
    night.discard("third", 3.2, "worse")
    assert "- earlier: look at the data" in night.brief()


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


def test_feedback_of_the_incumbent_is_quoted_and_a_link_is_not_followed(tmp_path: Path) -> None:
    night = Night(tmp_path / "repo")
    night.baseline()
    night.output(1, "kept/report.txt", "first quarter 3.61\n")
    secret = tmp_path / "secret"
    secret.write_text("SECRET")
    night.discard("a", 3.2, "worse")
    (night.session.run(2) / "kept").mkdir(parents=True)
    (night.session.run(2) / "kept" / "report.txt").symlink_to(secret)
    brief = night.brief()
    assert "`report.txt` of #1, the best:\n\n| first quarter 3.61" in brief
    assert "SECRET" not in brief


def test_the_program_is_read_afresh_from_the_persons_tree(tmp_path: Path) -> None:
    night = Night(tmp_path / "repo")
    night.brief()
    (night.repo / "program.md").write_text("Try something bold today.\n")
    assert "> Try something bold today." in night.brief()
    (night.repo / "program.md").unlink()
    assert "`program.md`, which is missing or empty" in night.brief()
    (tmp_path / "id_rsa").write_text("a private key\n")
    for private in (tmp_path / "id_rsa", night.repo / ".git" / "config"):
        (night.repo / "program.md").symlink_to(private)
        assert "`program.md`, which is missing or empty" in night.brief(), (
            "a link came with a pull, and says not where to"
        )
        (night.repo / "program.md").unlink()
    (night.repo / "notes.md").write_text("Try something old.\n")
    (night.repo / "program.md").symlink_to("notes.md")
    assert "> Try something old." in night.brief()


def test_a_target_in_a_folder_names_its_files_from_there(tmp_path: Path) -> None:
    night = Night(tmp_path / "repo", {"apps/a/autoresearch.toml": TOML, "apps/a/train.py": "LR = 5\n"})
    place = dataclasses.replace(night.place, prefix="apps/a")
    night.place = place
    files = section(night.brief(), "Files in scope")
    assert "### train.py\n\n1\tLR = 5" in files
    assert "0.003" not in files, "the train.py of the top is another target's"


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


# -- what never stands in it


def test_the_holdout_is_never_told(tmp_path: Path) -> None:
    night = example(tmp_path / "repo")
    night.write(
        records.Sample(experiment=6, sha=night.incumbent, arm="holdout", k=9, seed=9, metric=7.7777,
                       metrics={"secret_loss": 7.7777})
    )  # fmt: skip
    night.output(6, "holdout.log", "secret_loss: 7.7777\n")
    for for_cli in (True, False):
        brief = night.brief(for_cli=for_cli, mend=Mend(11, "rework", "failed", 1, 2))
        assert "secret" not in brief
        assert "7.7777" not in brief
        assert "holdout" not in brief.lower()


def test_places_of_this_machine_are_taken_out_of_what_runs_printed(tmp_path: Path) -> None:
    night = Night(tmp_path / "repo")
    night.baseline()
    tree = trees_folder(night.place, "nov20") / "autoresearch-nov20-measure"
    number = night.crash("x", f"it said {tree}/train.py:3 boom", f'  File "{tree}/train.py", line 3\n{night.repo}/a\n')
    brief = night.brief(mend=Mend(number, "debug", f"{tree}/model/net.py:7 boom", 1, 2))
    assert "| model/net.py:7 boom" in brief
    assert "«it said train.py:3 boom»" in brief
    for text in (brief, night.brief()):
        assert str(tmp_path) not in text
        assert str(tree.parent) not in text
    assert '|   File "train.py", line 3' in night.brief()


def test_the_same_state_gives_the_same_bytes_anywhere(tmp_path: Path, told: Night) -> None:
    other = example(tmp_path / "elsewhere" / "deep" / "repo")
    for chars in (3000, 48_000):
        assert other.brief(chars, for_cli=True) == told.brief(chars, for_cli=True)
    code = "import sys; from autoresearch.tui.cli import main; sys.argv = ['autoresearch', 'brief']; main()"
    said_by = {
        subprocess.run([sys.executable, "-c", code], cwd=told.repo, capture_output=True, check=True, text=True,
                       env={"PATH": "/usr/bin:/bin", "PYTHONHASHSEED": seed, "GIT_CONFIG_GLOBAL": "/dev/null"}).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert said_by == {told.brief()}


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


# -- the command


def test_the_command_prints_the_brief_and_its_length(told: Night) -> None:
    result = CliRunner().invoke(cli, ["brief", "-C", str(told.repo)])
    assert result.exit_code == 0, result.output
    assert result.output == told.brief()
    answer = json.loads(CliRunner().invoke(cli, ["brief", "-C", str(told.repo), "--json", "--chars", "5000"]).output)
    assert answer == {"text": told.brief(5000), "chars": len(told.brief(5000))}


def test_the_command_changes_nothing(told: Night) -> None:
    before = git(told.repo, "status", "--porcelain", "--ignored"), told.session.journal.read_bytes()
    CliRunner().invoke(cli, ["brief", "-C", str(told.repo)])
    assert (git(told.repo, "status", "--porcelain", "--ignored"), told.session.journal.read_bytes()) == before
