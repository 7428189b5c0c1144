"""One change against the best, run by run: what is kept, dropped, parked, and which run is next."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from autoresearch.engine.verdict.contest import LOOK, WARM, Contest, Decision, Known, Run, Seen, Terms
from autoresearch.engine.verdict.rule import judge, visible

KNOWN = Known(
    best=[(10.0, 1), (10.1, 2), (9.9, 3), (10.0, 4)], neighbours=[(10.0, 10.1), (10.1, 9.9), (9.9, 10.0), (10.0, 9.9)]
)
"""A best that runs 10 with an sd of about 0.1."""
SILENT = Known(best=[(10.0, 1), (10.0, 2)], neighbours=[(10.0, 10.0)] * 3)
"""No two runs of one commit have differed."""
DEAR = Terms(odds=9.0)
CHEAP = Terms(odds=1000.0, looks=False, cheap=True)


def contest(terms: Terms = DEAR, known: Known = KNOWN, **more: object) -> Contest:
    return Contest(2, "parent", "secret", terms, known, **more)  # type: ignore[arg-type]


def seen(run: Run, value: float) -> Seen:
    return Seen(run.mine, run.block, run.place, run.seed, value, run.basis)


def played(
    start: Contest,
    change: Callable[[int], float] | float,
    best: Callable[[int], float] | float = 10.0,
    *,
    waiting: bool = False,
) -> tuple[Decision, list[Seen]]:
    """Until it is decided; the k-th run of each arm gives what its function says."""
    runs: list[Seen] = []
    while not (decision := judge(replace(start, seen=runs), waiting=waiting)).final:
        assert decision.run is not None
        arm = change if decision.run.mine else best
        k = sum(run.mine is decision.run.mine for run in runs)
        runs.append(seen(decision.run, arm(k) if callable(arm) else arm))
    return decision, runs


def jitter(level: float) -> Callable[[int], float]:
    return lambda k: level + (0.0, 0.07, -0.06, 0.02, -0.09, 0.1, -0.03)[k % 7]


def test_it_begins_with_one_look_at_the_change_beside_the_best_s_level() -> None:
    decision = judge(contest(), waiting=False)
    assert decision.run == Run(True, LOOK, 1, 4, {"s": pytest.approx(0.1, rel=0.1), "level": 10.0, "runs": 4})


def test_a_best_that_has_not_run_for_long_is_run_first() -> None:
    for known in (replace(KNOWN, since_best=25), replace(KNOWN, best=[])):
        decision = judge(contest(known=known), waiting=False)
        assert decision.run is not None
        assert (decision.run.mine, decision.run.block) == (False, LOOK)
    assert judge(contest(known=replace(KNOWN, since_best=24)), waiting=False).run.mine  # type: ignore[union-attr]


def test_what_is_clearly_worse_is_dropped_by_its_look() -> None:
    decision, runs = played(contest(), 10.5)
    assert (decision.action, decision.cause, len(runs)) == ("discard", "worse", 1)
    assert decision.reason.startswith("worse by 0.5")
    assert decision.estimate == pytest.approx(-0.5)


def test_what_may_be_better_is_raced_in_blocks_of_six_in_the_order_drawn() -> None:
    decision, runs = played(contest(), jitter(9.4), jitter(10.0))
    assert decision.action == "keep"
    assert decision.cause == "better"
    block = [run for run in runs if run.block == 1]
    assert len(block) == 6
    assert [run.place for run in block] == [1, 2, 3, 4, 5, 6]
    assert sum(run.mine for run in block) == 3
    assert [bool(run.basis) for run in block] == [True] + [False] * 5, "the spread is fixed when a block begins"
    assert "in random order, 3 runs of it beat 3 of the best in 9 of 9 comparisons (" in decision.reason
    assert decision.verdict["log_evidence"] > math.log(9)
    assert decision.verdict["version"] == 3
    assert 0 < (decision.estimate or 0) < 0.62, "a stopped race overstates"


def test_high_odds_need_several_blocks() -> None:
    decision, runs = played(contest(CHEAP), jitter(9.4), jitter(10.0))
    assert decision.action == "keep"
    assert max(run.block for run in runs) == 3
    assert decision.log_evidence > math.log(1000)


def test_where_runs_are_cheap_it_begins_with_a_warm_up_that_counts_for_nothing() -> None:
    _, runs = played(contest(CHEAP), lambda k: 900.0 if k == 0 else 9.4, lambda k: 900.0 if k == 0 else 10.0)
    assert [run.block for run in runs[:3]] == [WARM, WARM, 1]
    assert {run.mine for run in runs[:2]} == {True, False}


def test_a_race_that_is_resumed_comes_to_the_same() -> None:
    start = contest(CHEAP)
    decision, runs = played(start, jitter(9.6), jitter(10.0))
    for cut in range(len(runs)):
        step = judge(replace(start, seen=runs[:cut]), waiting=False)
        assert step.run is not None
        assert (step.run.mine, step.run.block, step.run.place) == (runs[cut].mine, runs[cut].block, runs[cut].place)
    assert judge(replace(start, seen=runs), waiting=False) == decision


def test_while_a_proposal_waits_an_unpromising_change_leaves_the_slot() -> None:
    look = judge(contest(), waiting=True).run
    assert look is not None
    at = {value: judge(contest(seen=[seen(look, value)]), waiting=True) for value in (9.7, 9.9, 9.99)}
    assert at[9.7].action == "run"
    assert (at[9.9].action, at[9.9].cause) == ("discard", "unproven")
    assert (at[9.99].action, at[9.99].cause) == ("discard", "worse")
    assert judge(contest(seen=[seen(look, 9.9)]), waiting=False).action == "run", "when none waits, it is raced"
    cheap = contest(replace(DEAR, cheap=True), seen=[seen(look, 9.9)])
    assert judge(cheap, waiting=True).action == "park"


def test_in_its_race_it_leaves_for_a_proposal_after_30_runs_or_when_it_looks_small() -> None:
    small, runs = played(contest(CHEAP), 9.93, 10.0, waiting=True)
    assert small.action == "park"
    assert len(runs) < 10
    fair, runs = played(contest(replace(CHEAP, odds=1e12)), jitter(9.8), jitter(10.0), waiting=True)
    assert fair.action == "park"
    assert len([run for run in runs if run.block > 0]) == 30
    step = judge(contest(CHEAP, seen=runs[:9]), waiting=True, resumed=True)
    assert step.action == "park", "what goes on in thinking time makes room at once"
    assert step.promise > 0


def test_a_race_ends_after_its_most_runs() -> None:
    decision, runs = played(contest(replace(CHEAP, odds=1e300), most_runs=24), jitter(9.9), jitter(10.0))
    assert decision.action == "discard"
    assert len([run for run in runs if run.block > 0]) == 24


def test_a_gain_below_the_smallest_that_matters_is_no_keep() -> None:
    decision, _ = played(contest(CHEAP, min_effect=2.0), jitter(9.4), jitter(10.0))
    assert (decision.action, decision.cause) == ("discard", "unproven")
    assert "less than the smallest effect that matters (2)" in decision.reason


def test_flagged_changes_need_two_blocks() -> None:
    _, plain = played(contest(), jitter(9.4), jitter(10.0))
    decision, flagged = played(contest(flags=("seed",)), jitter(9.4), jitter(10.0))
    assert (max(run.block for run in plain), max(run.block for run in flagged)) == (1, 2)
    assert decision.verdict["flags"] == ["seed"]


def test_a_jump_is_flagged() -> None:
    known = replace(KNOWN, earlier=[0.01, -0.02, 0.0, 0.03, -0.01, 0.02, 0.01, -0.03])
    decision, runs = played(contest(known=known), jitter(2.0), jitter(10.0))
    assert decision.jump is not None
    assert decision.action == "keep"
    assert max(run.block for run in runs) == 2


def test_a_keep_that_breaks_a_constraint_is_none() -> None:
    decision, _ = played(contest(violated="mem 9 is above its limit of 8"), jitter(9.4), jitter(10.0))
    assert (decision.action, decision.cause) == ("discard", "over_constraint")
    assert decision.reason.endswith("but mem 9 is above its limit of 8")


def test_a_bundle_is_kept_as_one() -> None:
    decision, _ = played(contest(bundle=True), jitter(9.4), jitter(10.0))
    assert decision.cause == "bundle"


def test_a_change_that_only_removes_lines_may_cost_nothing() -> None:
    free, _ = played(contest(CHEAP, removed=12), jitter(10.0), jitter(10.0))
    assert (free.action, free.cause) == ("keep", "simpler")
    assert free.reason.startswith("12 lines shorter without a real loss: ")
    costly, _ = played(contest(CHEAP, removed=12), jitter(10.12), jitter(10.0))
    assert costly.action == "discard"
    without, _ = played(contest(CHEAP), jitter(10.0), jitter(10.0))
    assert without.action == "discard"


# -- without noise


def test_where_all_runs_agree_three_are_proof() -> None:
    decision, runs = played(contest(known=SILENT), 9.0)
    assert (decision.action, decision.verdict["rule"]) == ("keep", "exact")
    assert [run.mine for run in runs] == [True, False, True]
    assert decision.reason == "better by 1 (2 runs of it agree, and so does the best's once more: no noise)"
    assert decision.estimate == 1
    worse, runs = played(contest(known=SILENT), 10.0)
    assert (worse.action, worse.reason, len(runs)) == ("discard", "no difference (1 run)", 1)
    shorter, _ = played(contest(known=SILENT, removed=3), 10.0)
    assert (shorter.action, shorter.cause) == ("keep", "simpler")


def test_any_difference_makes_it_a_race() -> None:
    look = judge(contest(known=SILENT), waiting=False).run
    assert look is not None
    noisy = replace(SILENT, best=[(10.0, 1), (10.3, 2)], neighbours=[*SILENT.neighbours, (10.0, 10.3)])
    step = judge(contest(known=noisy, seen=[seen(look, 9.0)]), waiting=False)
    assert step.run is not None
    assert step.run.block == 1


# -- seeds


def by_seed(value: float) -> Known:
    """One seed always gives one value."""
    return Known(
        best=[(value, 1), (value + 0.4, 2), (value - 0.3, 3)],
        neighbours=[(value, value + 0.4), (value + 0.4, value - 0.3)] * 4,
        twins=[(value, value)] * 4,
    )


def test_the_same_value_at_the_same_seed_is_no_effect_in_one_run() -> None:
    known = by_seed(10.0)
    assert known.seeds_decide("linear", "lower")
    terms = replace(DEAR, paired=True)
    same, runs = played(contest(terms, known), 9.7)
    assert runs[0].seed == 3
    assert (same.action, same.cause, same.reason) == ("discard", "worse", "no effect: same value at the same seed")
    assert judge(contest(terms, known, seen=[replace(runs[0], value=9.6)]), waiting=False).action == "run"


def test_where_seeds_decide_both_arms_run_the_same_ones() -> None:
    terms = replace(CHEAP, paired=True, odds=18.0)
    runs: list[Seen] = []
    while not (decision := judge(contest(terms, by_seed(10.0), seen=runs), waiting=False)).final:
        run = decision.run
        assert run is not None
        runs.append(seen(run, run.seed % 100 / 10 - 0.8 * run.mine))  # the seed moves it far more than the change does
    assert decision.action == "keep"
    assert "it beat the best at 6 of 6 seeds" in decision.reason
    assert decision.estimate == pytest.approx(0.8, rel=0.3)


def test_a_change_that_no_longer_depends_on_the_seed_is_not_kept_by_the_engine_alone() -> None:
    terms = replace(CHEAP, paired=True, odds=18.0)
    decision, _ = played(contest(terms, by_seed(10.0)), 2.0, jitter(10.0))
    assert (decision.action, decision.cause) == ("discard", "seedless")


# -- words and scales


def test_on_a_scale_of_ratios_gains_are_told_in_percent() -> None:
    known = Known(
        best=[(0.32, 1), (0.33, 2), (0.31, 3)], neighbours=[(0.32, 0.33), (0.33, 0.31), (37.0, 38.2), (38.2, 36.9)]
    )
    lower, _ = played(contest(replace(DEAR, scale="ratio"), known), jitter_of(0.25), jitter_of(0.32))
    assert lower.reason.startswith("better by 21.7% ±5.2%: ")
    assert lower.estimate == pytest.approx(0.07, abs=0.01)
    higher, _ = played(
        contest(replace(DEAR, scale="ratio"), known, direction="higher"), jitter_of(0.40), jitter_of(0.32)
    )
    assert higher.reason.startswith("better by 25.")
    assert higher.estimate == pytest.approx(0.08, abs=0.01)


def jitter_of(level: float) -> Callable[[int], float]:
    return lambda k: level * (1.0, 1.01, 0.99, 1.005)[k % 4]


def test_what_cannot_be_seen_is_too_noisy_to_tell() -> None:
    wild = Known(best=[(10.0, 1), (3.0, 2), (16.0, 3)], neighbours=[(10.0, 3.0), (3.0, 16.0), (16.0, 10.0)])
    decision, _ = played(contest(known=wild), 9.0, waiting=True)
    assert (decision.action, decision.cause) == ("discard", "too_noisy")
    assert decision.reason.startswith("too noisy to tell: 1 run can only show a gain of ")
    told, _ = played(contest(known=wild, min_effect=40.0), 9.0, waiting=True)
    assert told.cause != "too_noisy", "nothing less than 40 matters, and that would have been seen"


@pytest.mark.parametrize(
    ("odds", "blocks", "gain"), [(9, 1, 3.2), (18, 2, 2.5), (9, 8, 1.0), (1000, 9, 1.5), (1000, 60, 0.5)]
)
def test_the_gain_that_can_be_seen(odds: float, blocks: int, gain: float) -> None:
    assert visible(odds, blocks) == pytest.approx(gain, rel=0.2)


# -- other modes


def test_fast_takes_one_confirming_run_and_single_none() -> None:
    def modes(mode: str, change: Callable[[int], float] | float, flags: Sequence[str] = ()) -> tuple[str, int]:
        decision, runs = played(contest(mode=mode, flags=tuple(flags)), change)
        return f"{decision.action} {decision.cause}", len(runs)

    assert modes("fast", 9.9) == ("keep better", 2)
    assert modes("fast", lambda k: 9.9 + 0.2 * k) == ("discard worse", 2)
    assert modes("fast", 9.9, ["seed"]) == ("keep better", 4)
    assert modes("single", 9.9) == ("keep better", 1)
    assert modes("single", 10.1) == ("discard worse", 1)
