"""The fold: what screens, limits and the verdict read is exactly what the lines say."""

from __future__ import annotations

import dataclasses
import math
import random
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.state.journal import History, Journal, dead_ends_in, list_of, worked
from autoresearch.state.journal import records as r

BASE = "b" * 40


def sha(number: int) -> str:
    return f"{number:040x}"


def fold(*lines: r.Record) -> History:
    history, at = History(), 0
    for record in lines:
        line = r.encode(record)
        history.feed(at, line[:-1])
        at += len(line)
    assert not history.problems
    return history


def sample(n: int | None, value: float | None, arm: Any = "candidate", k: int = 1, commit: str = "") -> r.Sample:
    cause = None if value is not None else "nonzero_exit"
    return r.Sample(
        experiment=n, sha=commit or sha(n or 0), arm=arm, k=k, seed=k, metric=value, cause=cause, duration_s=2.0
    )


def baseline(values: list[float]) -> list[r.Record]:
    samples = [sample(1, value, k=k, commit=BASE) for k, value in enumerate(values, 1)]
    done = r.Experiment(
        run=1, commit=BASE[:7], metric=sum(values) / len(values), status="keep", cause="baseline", sha=BASE, parent=BASE
    )
    return [r.Header(base=BASE), r.Intent(experiment=1, proposal=None, parent=BASE, sha=BASE), *samples, done]


def proposed(id: int, **more: Any) -> r.Proposal:
    return r.Proposal(id=id, base=BASE, sha=sha(id + 1), description=f"change {id}", **more)


def tried(
    id: int, values: list[float], status: Any, cause: str, fresh: tuple[float, ...] = (), **more: Any
) -> list[r.Record]:
    n = id + 1
    return [
        proposed(id, **more),
        r.Intent(experiment=n, proposal=id, parent=BASE, sha=sha(n)),
        *(sample(n, value, k=k) for k, value in enumerate(values, 1)),
        *(sample(n, value, "fresh", k=k) for k, value in enumerate(fresh, len(values) + 1)),
        r.Experiment(
            run=n, commit=sha(n)[:7], metric=(fresh or values or [0.0])[0], status=status, cause=cause, sha=sha(n),
            parent=BASE, proposal=id, estimate=0.5, description=f"change {id}",
        ),
    ]  # fmt: skip


def test_a_baseline_makes_the_incumbent_and_the_noise() -> None:
    history = fold(*baseline([1.0, 2.0, 3.0]))
    assert history.incumbent
    assert (history.incumbent.number, history.incumbent.sha, history.incumbent.metric) == (1, BASE, 2.0)
    assert (history.spread.ss, history.spread.nu, history.spread.identical) == (2.0, 2, False)
    assert history.incumbent_values() == [1.0, 2.0, 3.0]
    assert history.baseline_duration_s == 2.0
    assert history.next_number() == 2


def test_a_winner_counts_by_its_fresh_samples_only() -> None:
    history = fold(*baseline([5.0, 5.1, 5.2]), *tried(1, [1.0, 1.1], "keep", "better", fresh=(2.0, 2.1, 2.2)))
    assert history.incumbent_values() == [2.0, 2.1, 2.2], "its race was selected for being lucky"
    assert history.spread.nu == 2 + 1 + 2


def test_an_unconfirmed_keep_counts_by_its_one_run() -> None:
    history = fold(*baseline([5.0]), *tried(1, [1.0], "keep", "better"))
    assert history.incumbent_values() == [1.0]


def test_incumbent_reruns_inform_the_mean_but_not_the_noise() -> None:
    lines = [
        *baseline([5.0, 5.0, 5.0]),
        proposed(1),
        r.Intent(experiment=2, proposal=1, parent=BASE, sha=sha(2)),
        sample(2, 9.0),
        sample(2, 7.0, "incumbent", k=4, commit=BASE),
    ]
    history = fold(*lines)
    assert history.incumbent_values() == [5.0, 5.0, 5.0, 7.0]
    assert history.next_k(BASE) == 5
    assert history.next_k(sha(2)) == 2
    assert (history.spread.ss, history.spread.nu) == (0.0, 2)
    assert not history.spread.identical, "any difference ends the claim that there is no noise"


def test_the_incumbents_runs_fall_out_of_the_window() -> None:
    lines = baseline([5.0, 5.1, 5.2])
    for id in range(1, 29):
        lines += tried(id, [6.0], "discard", "worse")
    assert fold(*lines).incumbent_values() == [5.1, 5.2]


def test_streaks_counts_and_the_unproven_pool() -> None:
    history = fold(
        *baseline([5.0, 5.1, 5.2]),
        *tried(1, [4.9], "discard", "unproven"),
        *tried(2, [4.8], "discard", "unproven"),
        *tried(3, [9.0], "discard", "worse"),
        *tried(4, [], "crash", "timeout"),
        *tried(5, [], "crash", "no_change"),
        *tried(6, [], "crash", "nonzero_exit"),
    )
    assert history.counts == {"discard": 3, "unproven": 2, "crash": 3}, "a baseline is no keep"
    assert history.baselines == 1
    assert history.crash_streak == 2, "a proposal that changes nothing says nothing about the environment"
    assert history.since_keep == 6
    assert set(history.unproven) == {2, 3}
    history = fold(*baseline([5.0, 5.1]), *tried(1, [4.9], "discard", "unproven"), proposed(2, bundle=(2,)))
    assert history.unproven == {}, "kept or not, what was bundled leaves the pool"


def test_a_bundle_that_fails_is_not_bundled_again() -> None:
    history = fold(*baseline([5.0, 5.1]), *tried(1, [4.9], "discard", "unproven", bundle=(8, 9)))
    assert history.unproven == {}


def test_a_new_segment_starts_afresh_and_numbers_go_on() -> None:
    history = fold(*baseline([5.0, 6.0]), *tried(1, [4.0], "discard", "worse"), r.Header(base=BASE, reason="host"))
    assert (history.segment, history.incumbent, history.baseline) == (1, None, None)
    assert history.incumbent_values() == []
    assert history.spread.nu == 0
    assert history.next_number() == 3


def test_waiting_proposals_are_those_without_a_number_or_withdrawal() -> None:
    history = fold(
        *baseline([5.0]), proposed(1), proposed(2), proposed(3), r.Withdrawn(proposal=2),
        r.Intent(experiment=2, proposal=1, parent=BASE, sha=sha(2)),
    )  # fmt: skip
    assert list(history.waiting) == [3]
    assert history.open
    assert history.opened_proposal
    assert history.opened_proposal.id == 1
    assert history.next_proposal == 4


def test_a_stop_leaves_the_experiment_open_and_clean_and_a_death_does_not() -> None:
    opened = [
        *baseline([5.0]),
        proposed(1),
        r.Intent(experiment=2, proposal=1, parent=BASE, sha=sha(2)),
        sample(2, 4.0),
    ]
    stopped = fold(*opened, r.Stop(reason="asked"))
    assert stopped.open
    assert stopped.open.clean
    assert stopped.control.state == "stopped"
    resumed = fold(*opened, r.Stop(reason="asked"), r.Resume())
    assert resumed.open
    assert not resumed.open.clean
    assert resumed.control.state == "running"
    assert len(resumed.open.samples) == 1


def test_ideas_live_through_edit_veto_restore_and_trial() -> None:
    history = fold(
        r.Header(base=BASE), r.Idea(id="i1", text="one"), r.Idea(id="i2", text="two"), r.Idea(id="i1", text="one!"),
        r.Veto(id="i2", reason="no"), r.Idea(id="i3", text="three", first=True),
    )  # fmt: skip
    assert [(i.id, i.text, i.state) for i in history.ideas.values()] == [
        ("i3", "three", "open"), ("i1", "one!", "open"), ("i2", "two", "vetoed"),
    ]  # fmt: skip
    assert history.free_id("i", history.ideas) == "i4"
    again = fold(
        r.Header(base=BASE), r.Idea(id="i1", text="one"), r.Veto(id="i1", reason="x"), r.Idea(id="i1", text="one")
    )
    assert (again.ideas["i1"].state, again.ideas["i1"].reason) == ("open", "")
    moved = fold(
        r.Header(base=BASE), r.Idea(id="i1", text="one"), r.Veto(id="i1", reason="no"),
        r.Idea(id="i1", text="one", first=True),
    )  # fmt: skip
    assert (moved.ideas["i1"].state, moved.ideas["i1"].reason) == ("vetoed", "no")
    used = fold(*baseline([1.0]), r.Idea(id="i1", text="x"), *tried(1, [2.0], "discard", "worse", idea="i1"))
    assert (used.ideas["i1"].state, used.ideas["i1"].experiments) == ("tried", [2])


def test_running_time_leaves_out_the_time_without_an_engine() -> None:
    hour = 3_600_000
    history = fold(
        r.Header(base=BASE, timestamp=1 * hour),
        r.Resume(timestamp=1 * hour),
        sample(None, 1.0).__class__(experiment=None, sha=BASE, arm="candidate", k=1, seed=1, timestamp=2 * hour),
        r.Pause(reason="p", timestamp=3 * hour),
        r.Idea(id="i1", text="t", timestamp=50 * hour),
        r.Resume(timestamp=100 * hour),
        r.Warn(text="w", timestamp=101 * hour),
    )
    assert history.running_ms == 3 * hour


def test_requests_are_remembered_by_id() -> None:
    assert fold(r.Header(base=BASE), r.Steer(text="t", request="q1")).requests == {"q1"}


def test_one_bad_line_hides_none_after_it(tmp_path: Path) -> None:
    path = tmp_path / "j"
    journal = Journal(path)
    journal.append(*baseline([5.0, 6.0]))
    journal.close()
    with path.open("ab") as file:
        file.write(b'garbage\n[1]\n{"type":"sample"}\n{"type":"proposal","id":"x","base":1,"sha":2}\n\n')
        for record in tried(1, [4.0], "discard", "worse"):
            file.write(r.encode(record))
    history = History().load(path)
    assert [row.number for row in history.rows] == [1, 2]
    assert [number for number, _ in history.problems] == [6, 7, 8, 9]


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_no_bytes_break_the_fold(lines: list[bytes]) -> None:
    history = History()
    for line in lines:
        history.feed(0, line.replace(b"\n", b""))


KINDS = st.sampled_from(
    ["idea", "veto", "sample", "intent", "experiment", "proposal", "config", "resume", "pause", "settings"]
)
VALUES = st.none() | st.integers(-3, 3) | st.text(max_size=3) | st.lists(st.integers(0, 2), max_size=2) | st.floats()


@given(st.lists(st.tuples(KINDS, st.dictionaries(st.sampled_from(
    "id run experiment sha arm k metric text changes proposal parent base timestamp lines tokens".split()
), VALUES)), max_size=12))  # fmt: skip
def test_no_json_breaks_the_fold(lines: list[tuple[str, dict[str, Any]]]) -> None:
    import orjson

    history = History()
    for kind, data in lines:
        line = data if kind == "experiment" else {**data, "type": kind}
        history.feed(0, orjson.dumps(line))


def test_a_fold_in_pieces_is_the_fold_at_once(tmp_path: Path) -> None:
    draw = random.Random(4)
    lines = baseline([5.0, 5.1, 5.2])
    for id in range(1, 40):
        kept = draw.random() < 0.2
        values = [draw.gauss(5, 0.1) for _ in range(draw.randint(1, 4))]
        cause = draw.choice(["worse", "unproven"])
        lines += tried(id, values, "keep" if kept else "discard", "better" if kept else cause, fresh=(5.0, 5.1) * kept)
    path = tmp_path / "j"
    journal, growing = Journal(path), History()
    for record in lines:
        journal.append(record)
        growing.load(path)
    whole = History().load(path)
    assert growing.incumbent_values() == whole.incumbent_values()
    assert growing.spread == whole.spread
    assert growing.unproven == whole.unproven
    assert [row.line_at for row in growing.rows] == [row.line_at for row in whole.rows]
    assert math.isclose(growing.spread.ss, whole.spread.ss)


@pytest.mark.parametrize(
    ("status", "cause", "where"),
    [("keep", "better", "worked"), ("discard", "worse", "refuted"), ("discard", "unproven", "unproven"),
     ("discard", "over_constraint", "refuted"), ("crash", "timeout", "crashed"), ("checks_failed", "guard", "crashed")],
)  # fmt: skip
def test_where_an_experiment_stands_in_the_notebook(status: Any, cause: str, where: str) -> None:
    history = fold(*baseline([5.0]), *tried(1, [4.0], status, cause))
    assert list_of(history.rows[-1]) == where
    assert [row.number for row in worked(history)] == ([2] if where == "worked" else [])
    assert [(end.where, end.row) for end in dead_ends_in(history)] == (
        [] if where == "worked" else [(where, history.rows[-1])]
    )


def test_an_engine_that_follows_a_dead_one_counts_its_attempt_once() -> None:
    begun = [*baseline([1.0, 1.1]), proposed(1), r.Intent(experiment=2, proposal=1, parent=BASE, sha=sha(2))]
    again = r.Intent(experiment=2, proposal=1, parent=BASE, sha=sha(2), attempt=2)

    def known(*lines: r.Record) -> tuple[int, bool]:
        opened = fold(*begun, *lines).open
        assert opened is not None
        return opened.attempt, opened.died

    assert known() == (1, False)
    assert known(r.Resume()) == (1, True)
    assert known(r.Resume(), r.Resume()) == (1, True), "it said nothing in between"
    assert known(r.Resume(), again) == (2, False)
    assert known(r.Resume(), again, r.Resume()) == (2, True)
    assert known(r.Stop(), r.Resume()) == (1, False), "it was stopped on purpose"
    assert known(r.Fault(text="odd", experiment=2), r.Stop(), r.Resume()) == (1, True)


def test_an_experiment_at_which_the_engine_failed_was_not_stopped_on_purpose() -> None:
    """Else a candidate at which the engine fails would be measured again at every start, for ever."""
    before = [*baseline([1.0, 1.1]), proposed(1), r.Intent(experiment=2, proposal=1, parent=BASE, sha=sha(2))]
    ended = [r.Stop(reason="the engine failed", by="engine")]
    for fault, clean in ((r.Fault(text="a full disk"), True), (r.Fault(text="odd", experiment=2), False)):
        history = fold(*before, fault, *ended)
        assert history.open is not None
        assert history.open.clean is clean
    history = fold(*before, r.Fault(text="odd", experiment=2), *ended, r.Resume(), r.Stop(reason="by a person"))
    assert history.open is not None
    assert history.open.clean


# -- what people do to the notebook and to verdicts


def test_an_idea_moves_behind_another_and_back_to_the_head() -> None:
    ideas = [r.Idea(id=f"i{n}", text=f"idea {n}") for n in (1, 2, 3)]
    history = fold(*ideas, r.Idea(id="i1", text="idea 1", after="i2"))
    assert list(history.ideas) == ["i2", "i1", "i3"]
    history = fold(*ideas, r.Idea(id="i1", text="idea 1", after="i3"), r.Idea(id="i3", text="idea 3", first=True))
    assert list(history.ideas) == ["i3", "i2", "i1"]
    same = fold(*ideas, r.Idea(id="i1", text="other", after="i1"), r.Idea(id="i2", text="idea 2", after="i9"))
    assert list(same.ideas) == ["i1", "i2", "i3"], "an unknown place, or its own, moves nothing"
    assert same.ideas["i1"].text == "other"


def test_a_dead_end_gives_its_idea_up_and_an_idea_line_brings_it_back() -> None:
    lines = [r.Idea(id="i1", text="GQA"), r.DeadEnd(id="d1", text="GQA: too few heads", idea="i1", retry_if="wider")]
    history = fold(*lines)
    assert (history.ideas["i1"].state, history.ideas["i1"].reason) == ("vetoed", "given up as d1")
    assert fold(*lines, r.Idea(id="i1", text="GQA")).ideas["i1"].state == "open"


def test_a_message_is_read_by_the_first_brief_that_held_it() -> None:
    history = fold(
        *baseline([1.0, 1.0, 1.0]),
        r.Steer(text="a"),
        r.Steer(text="b"),
        r.Proposal(id=1, base=BASE, sha=sha(1), heard=1, briefed=70),
        r.Proposal(id=2, base=BASE, sha=sha(2), heard=2, briefed=90),
        r.Proposal(id=3, base=BASE, sha=sha(3), agent="tuner"),
        r.Steer(text="c"),
    )
    assert [(steer.read_by, steer.read_ms) for steer in history.steers] == [(1, 70), (2, 90), (None, 0)]


def test_a_retry_of_the_incumbent_is_one_more_run_of_it() -> None:
    lines = [*baseline([1.0, 1.1, 0.9]), r.Retry(experiment=1), r.Retry(experiment=1)]
    history = fold(*lines)
    assert (history.again, history.retries) == (2, [])
    history = fold(*lines, sample(None, 1.05, "incumbent", 4, BASE))
    assert history.again == 1
    assert history.incumbent_values()[-1] == 1.05


def test_the_last_decision_against_a_verdict_is_known_with_what_carries_it_out() -> None:
    history = fold(
        *baseline([1.0, 1.0, 1.0]),
        r.Overrule(experiment=1, action="discard", note="no", by="ann"),
        r.Proposal(id=1, base=BASE, sha=sha(1), agent="overrule"),
    )
    decided = history.decisions[1]
    assert (decided.action, decided.note, decided.by, decided.proposal) == ("discard", "no", "ann", 1)


def test_the_last_start_is_known() -> None:
    history = fold(r.Resume(timestamp=5), *baseline([1.0, 1.0, 1.0]), r.Stop(timestamp=8), r.Resume(timestamp=9))
    assert (history.resumed_ms, history.rows_before) == (9, 1)


WRONG: list[Any] = [5, True, "x", ["x"], [[1]], {"a": "x"}, {"a": [1]}, None]
LINES: list[r.Record] = [
    *baseline([1.0]),
    *tried(1, [1.0], "discard", "worse", files=("a.py",)),
    r.Withdrawn(proposal=9),
    r.Lesson(experiment=1, lesson="l"),
    r.Idea(id="i1", text="t"),
    r.Veto(id="i1"),
    r.DeadEnd(id="d1", text="t"),
    r.Note(id="n1", text="t"),
    r.Steer(text="t"),
    r.Pause(reason="r"),
    r.Stop(),
    r.Resume(),
    r.Settings(changes={}),
    r.Retry(experiment=1),
    r.Overrule(experiment=1, action="keep", note="n"),
    r.Warn(text="t"),
    r.Fault(text="t"),
    r.AgentEvent(event="began"),
]


@pytest.mark.parametrize("record", LINES, ids=r.name_of)
def test_a_value_of_the_wrong_type_makes_a_line_malformed(record: r.Record) -> None:
    """Whatever kind of line, whatever key: what came in has the type that its record declares, or stays out."""
    good = orjson.loads(r.encode(record))
    declared = {f.metadata.get("key", f.name): str(f.type) for f in dataclasses.fields(record)}
    for key in good.keys() - {"type", "run"}:
        for value in WRONG:
            history = fold(*(r.Header(base=BASE), r.Resume()))
            before = repr(history.ideas), repr(history.notices), len(history.rows), repr(history.settings)
            history.feed(0, orjson.dumps({**good, key: value}))
            if _fits(value, declared[key]):
                assert not any("wrong type" in text for _, text in history.problems), (key, value)
            else:
                assert history.problems, (key, value)
                assert before == (
                    repr(history.ideas),
                    repr(history.notices),
                    len(history.rows),
                    repr(history.settings),
                )


def _fits(value: Any, declared: str) -> bool:
    if value is None:
        return "None" in declared or declared == "float"
    if isinstance(value, bool):
        return declared == "bool"
    if isinstance(value, int):
        return declared.startswith(("int", "float"))
    if isinstance(value, str):
        return not declared.startswith(("int", "float", "bool", "tuple", "dict"))
    if isinstance(value, list):
        return declared == "tuple[str, ...]" and value == ["x"]
    return declared.startswith("dict") and ("Any" in declared or ("| float" in declared and value == {"a": "x"}))


@pytest.mark.parametrize("figures", [{"s": "x"}, {"log_evidence": [1]}, {"flags": "x"}, {"rule": 5}, {"nu": True}])
def test_figures_of_the_wrong_type_make_a_line_malformed(figures: dict[str, Any]) -> None:
    history, line = fold(r.Header(base=BASE)), orjson.loads(r.encode(baseline([1.0])[-1]))
    history.feed(0, orjson.dumps({**line, "verdict": figures}))
    assert [len(history.problems), len(history.rows)] == [1, 0]


def test_a_time_that_no_date_can_say_makes_a_line_malformed() -> None:
    history = fold(r.Header(base=BASE))
    for stamp in (-1, 10**18, 1e300):
        history.feed(0, orjson.dumps({"type": "note", "id": "n1", "text": "t", "timestamp": stamp}))
    assert [len(history.problems), len(history.notes)] == [3, 0]
