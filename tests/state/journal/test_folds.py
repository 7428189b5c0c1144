"""What each kind of line does to the read model."""

from __future__ import annotations

from journal_lines import BASE, baseline, fold, proposed, sample, sha, tried

from autoresearch.state.journal import records as r


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
