"""Ideas, dead ends and families as plain values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import sessions
from click.testing import CliRunner
from journals import Told, told

from autoresearch.engine.control import inbox
from autoresearch.state.journal import History, records
from autoresearch.tui.cli import cli
from autoresearch.tui.facts import ideas as facts
from autoresearch.tui.facts.pending import pending


@pytest.fixture
def night(tmp_path: Path) -> sessions.Writer:
    return sessions.rich(tmp_path)


def history_of(writer: sessions.Writer) -> History:
    return writer.session.history()


def test_many_values_of_a_knob_are_one_line_with_range_and_best(night: sessions.Writer) -> None:
    found = facts.dead_ends(history_of(night))
    knobs = [entry for entry in found["refuted"] if entry.kind == "knob"]
    assert [entry.text for entry in knobs] == ["LR: 6 values 0.0001–0.03, best 0.003 (−0.3%)"]
    assert len(knobs[0].experiments) == 6
    assert not any("LR" in entry.text for entry in found["refuted"] if entry.kind == "experiment")


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([0.1], "x: 1 value 0.1, best 0.1 (−1.0%)"),
        ([1, 4], "x: 2 values 1–4, best 1 (−1.0%)"),
        (["relu", "gelu"], "x: 2 values relu, gelu, best relu (−1.0%)"),
        ([True, False], "x: 2 values True, False, best True (−1.0%)"),
        ([4, 4, 2, 4], "x: 2 values 2–4, best 4 (−1.0%)"),
        ([float("nan"), 2.0], "x: 2 values 2, best ? (−1.0%)"),
    ],
)
def test_a_knobs_line_whatever_its_values_are(tmp_path: Path, values: list[Any], line: str) -> None:
    writer = sessions.Writer(tmp_path)
    writer.begin()
    writer.baseline()
    for at, value in enumerate(values):
        writer.turn("x", value, gain=-0.01 * (at + 1))
    writer.flush()
    history = history_of(writer)
    assert facts.knob_line(history.rows[1:], facts.knob_names(history)) == line


def test_knobs_of_one_name_in_two_files_are_told_apart(tmp_path: Path) -> None:
    writer = sessions.Writer(tmp_path)
    writer.begin()
    writer.baseline()
    for value in (3, 4, 5):
        writer.turn("DEPTH", value)
        writer.turn("DEPTH", value, file="small.py")
        writer.turn("WIDTH", value)
    writer.flush()
    texts = {entry.text.partition(" ")[0] for entry in facts.dead_ends(history_of(writer))["refuted"]}
    assert texts == {"train.py:DEPTH:", "small.py:DEPTH:", "WIDTH:"}
    assert {each.called for each in facts.families(history_of(writer))} == {"train.py:DEPTH", "small.py:DEPTH", "WIDTH"}


def test_replayed_changes_are_no_knob(tmp_path: Path) -> None:
    writer = sessions.Writer(tmp_path)
    writer.begin()
    writer.baseline()
    for name in ("1.patch", "2.patch", "3.patch"):
        writer.turn("", name)
    writer.lines = [re.sub(rb'"params":{.*?}}', b'"params":{"replay":"x"}', line) for line in writer.lines]
    writer.flush()
    assert [entry.kind for entry in facts.dead_ends(history_of(writer))["refuted"]] == ["experiment"] * 3


def test_three_lists_with_estimates_reasons_and_conditions(night: sessions.Writer) -> None:
    found = facts.dead_ends(history_of(night))
    assert list(found) == ["refuted", "unproven", "crashed"]
    assert found["refuted"][0].id == "d1"
    assert found["refuted"][0].retry_if == "the model is above 200M parameters"
    assert found["unproven"]
    assert all("±0.0012" in entry.estimate for entry in found["unproven"])
    assert {entry.cause for entry in found["crashed"]} >= {"nonzero_exit", "guard"}
    assert all(entry.estimate == "" for entry in found["crashed"])


def test_a_failure_that_was_mended_is_told_by_its_last_link_alone(night: sessions.Writer) -> None:
    history = history_of(night)
    mended = {row.mends for row in history.rows if row.mends is not None}
    assert mended
    shown = {entry.id for entries in facts.dead_ends(history).values() for entry in entries}
    assert not shown & {f"#{number}" for number in mended}


def test_filters_by_words_category_list_and_reason(night: sessions.Writer) -> None:
    history = history_of(night)

    def ids(**chosen: str) -> list[str]:
        return [entry.id for entries in facts.dead_ends(history, facts.Filter(**chosen)).values() for entry in entries]

    everything = ids()
    assert set(ids(category="optimizer")) < set(everything)
    assert ids(where="unproven") == [entry.id for entry in facts.dead_ends(history)["unproven"]]
    assert {history.by_number[int(id[1:])].cause for id in ids(cause="nonzero_exit")} == {"nonzero_exit"}
    assert ids(words="VOCABULARIES larger") == ["d1"]
    assert ids(words="no such words") == []
    assert facts.Filter(words="warm up", cause="over_budget").said() == "“warm up”, over budget"


@pytest.mark.parametrize("chosen", [{"where": "crashed"}, {"where": "refuted"}, {"cause": "worse"}, {"words": "width"},
                                    {"where": "unproven"}, {"category": "optimizer", "where": "refuted"}])  # fmt: skip
def test_a_filter_holds_in_every_list(night: sessions.Writer, chosen: dict[str, str]) -> None:
    """Families by their experiments, ideas by what their last experiment came to."""
    history = history_of(night)
    some = facts.Filter(**chosen)
    left = facts.families(history, some)
    assert 0 < len(left) < len(facts.families(history))
    for family in left:
        for row in (history.by_number[number] for number in family.experiments):
            assert some.may_pass(row)
            assert chosen.get("words", "") in f"{row.description} {history.lessons.get(row.number)}".lower()
    ideas = [entry for entries in facts.ideas(history, chosen=some).values() for entry in entries]
    assert {entry.id for entry in ideas} == ({"i5"} if chosen == {"where": "unproven"} else set())


def test_a_knob_whose_values_failed_in_several_ways_is_found_by_each(tmp_path: Path) -> None:
    writer = sessions.Writer(tmp_path)
    writer.begin()
    writer.baseline()
    for value in (3, 4, 5, 6):
        writer.turn("DEPTH", value)
    writer.lines = [line.replace(b'"worse"', b'"over_constraint"', 1) if b'"run":3' in line else line
                    for line in writer.lines]  # fmt: skip
    writer.flush()

    def texts(cause: str) -> list[str]:
        return [entry.id for entry in facts.dead_ends(history_of(writer), facts.Filter(cause=cause))["refuted"]]

    assert texts("worse") == ["=train.py:DEPTH"]
    assert texts("over_constraint") == ["#3"]


def test_families_count_every_fate_and_the_most_tried_comes_first(night: sessions.Writer) -> None:
    history = history_of(night)
    found = facts.families(history)
    assert [family.tried for family in found] == sorted((family.tried for family in found), reverse=True)
    for family in found:
        assert (
            family.kept + family.refuted + family.unproven + family.crashed == family.tried == len(family.experiments)
        )
    assert sum(family.tried for family in found) == sum(row.cause != "baseline" for row in history.rows)


def test_ideas_keep_their_order_and_show_what_waits_in_the_inbox(night: sessions.Writer) -> None:
    night.session.ask("idea", text="a new one")
    night.session.ask("veto", id="i2", reason="")
    history = history_of(night)
    found = facts.ideas(history, pending(night.session.asked(), history))
    assert [entry.id for entry in found["open"]] == ["i1", "i2", "i3", ""]
    assert [bool(entry.pending) for entry in found["open"]] == [False, True, False, True]
    assert [entry.id for entry in found["vetoed"]] == ["i4"]


def test_moving_ends_at_the_ends_of_the_list(night: sessions.Writer) -> None:
    history = history_of(night)
    assert facts.moved(history, "i1", -1) is None
    assert facts.moved(history, "i2", -1) == {"id": "i2", "first": True}
    assert facts.moved(history, "i3", -1) == {"id": "i3", "after": "i1"}
    assert facts.moved(history, "i1", 1) == {"id": "i1", "after": "i2"}
    assert facts.moved(history, "i3", 1) is None
    assert facts.moved(history, "i4", 1) is None, "a vetoed idea has no place"


# -- the commands


@pytest.fixture
def session(tmp_path: Path) -> Told:
    return told(tmp_path / "repo")


def call(session: Told, *args: str, code: int = 0) -> str:
    result = CliRunner().invoke(cli, [args[0], "-C", str(session.repo), *args[1:]])
    assert result.exit_code == code, result.output
    return result.output


def test_ideas_are_ordered_edited_given_up_and_brought_back(session: Told) -> None:
    def order() -> list[str]:
        return [idea.id for idea in session.session.history().ideas.values() if idea.state == "open"]

    call(session, "idea", "a", "third")
    call(session, "order", "i3", "--first")
    assert order() == ["i3", "i1", "i2"]
    call(session, "order", "i3", "--down")
    call(session, "order", "i2", "--up")
    assert order() == ["i1", "i2", "i3"]
    call(session, "order", "i1", "--after", "i2")
    assert order() == ["i2", "i1", "i3"]
    assert "that end" in call(session, "order", "i2", "--up")
    call(session, "idea", "--id", "i2", "turn it blue")
    assert session.session.history().ideas["i2"].text == "turn it blue"
    call(session, "dead-end", "the spring breaks", "--idea", "i2", "--retry-if", "there is a new spring")
    history = session.session.history()
    end = history.dead_ends["d2"]
    assert (end.text, end.retry_if, end.idea) == ("turn it blue: the spring breaks", "there is a new spring", "i2")
    assert order() == ["i1", "i3"]
    call(session, "restore", "i2")
    assert order() == ["i2", "i1", "i3"]
    assert "not vetoed" in call(session, "restore", "i2")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("order", "i1"), "Say where to"),
        (("order", "i1", "--up", "--after", "i2"), "Say where to"),
        (("order", "i9", "--up"), "no idea 'i9'"),
        (("order", "i1", "--after", "i9"), "no idea 'i9'"),
        (("restore", "i9"), "no idea 'i9'"),
        (("idea", "--id", "i9", "x"), "no idea 'i9'"),
        (("dead-end",), "needs a text"),
        (("dead-end", "--idea", "i1"), "needs a reason"),
        (("dead-end", "x", "--experiment", "9"), "no finished experiment 9"),
        (("dead-end", "x", "--list", "boring"), "--list"),
        (("search",), "Say what to search for"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(session: Told, args: tuple[str, ...], says: str) -> None:
    before = session.session.journal.read_bytes()
    assert says in call(session, *args, code=2)
    assert session.session.journal.read_bytes() == before


@pytest.mark.parametrize(
    ("kind", "args"),
    [
        ("idea", {"id": "i9", "first": True}),
        ("idea", {"text": "  "}),
        ("idea", {"id": "i1", "after": "i9"}),
        ("dead_end", {"text": "x", "list": "worked"}),
        ("dead_end", {"text": "x", "idea": "i9"}),
    ],
)
def test_a_bad_request_in_the_inbox_is_refused_too(session: Told, kind: str, args: dict[str, Any]) -> None:
    before = session.session.journal.read_bytes()
    session.session.ask(kind, **args)
    assert len(inbox.drain(session.session)) == 1
    assert session.session.journal.read_bytes() == before
    assert session.session.requests() == []


def test_steer_lists_what_was_said(session: Told) -> None:
    assert "No message" in call(session, "steer", "--list")
    call(session, "steer", "think of \x1b[31mred")
    assert "think of red\n    Not read yet" in call(session, "steer", "--list")
    session.write(records.Proposal(id=9, base=session.base, sha="a" * 40, heard=1, briefed=1_763_600_000_000))
    assert "for proposal p9" in call(session, "steer", "--list")


def test_search_filters(session: Told) -> None:
    assert "#4" in call(session, "search", "--cause", "unproven")
    assert "#5" in call(session, "search", "knob", "--status", "crash")
    assert "#3" not in call(session, "search", "knob", "--status", "crash")
    assert "Nothing" in call(session, "search", "knob", "--category", "optimizer")
