"""One change against the best: keep it, drop it, let it wait, or which of the two to run next. Pure.

A change gets one *first look*, which can only drop or park it. What may be better is raced in blocks (`blocks`), and
kept when the odds are reached. While a proposal waits a race must look promising to hold the slot; parked ones go on in
thinking time. After every run:

    block complete, E >= odds, gain > 0 and >= min_effect              keep (flagged: and at least 2 blocks)
    d + 2 se < max(.25, min_effect / s)                                drop: worse (d < .35), else unproven
    a proposal waits, and d < line before the race,
        d < 1.2 or 30 runs in it                                       park: unproven (d >= .35), else worse
    400 runs                                                           drop
    else                                                               the next run of the block

A change that removes lines may also be kept because it costs nothing: the same blocks, on values made better by a
margin of max(min_effect, s), so that "worse by the margin" is what is ruled out. Where all repeats of all commits
agree, three runs are proof: the change, the best once more, the change once more.
"""

from __future__ import annotations

import math

from autoresearch.engine.verdict import spread as spreads
from autoresearch.engine.verdict.blocks import draw, shrunk
from autoresearch.engine.verdict.case import Case
from autoresearch.engine.verdict.contest import LEAVE, LOOK, VERSION, WARM, Action, Contest, Decision, Run
from autoresearch.state.text import numbers

LOOK_AGAIN = 24
"""Before a look the best is run once more when its last run is so many measurements old."""
LEAVE_SIMPLER = 0.1
"""The same where a change only has to cost nothing: it is its own margin that it beats."""
BUSY_RUNS = 30
LEAST = 0.25
"""A change is given up when twice the standard error above its estimate is still below this."""
UNPROVEN = 0.35
"""At least so many sd better by its estimate: it waits for thinking time, or for a bundle."""
FLAGGED_BLOCKS = 2
FLAGGED_RUNS = 4
"""Runs of a flagged change where the rule needs no block: in `fast`, `single` and without noise."""
MATTERS = 0.1
"""Gains of this part of the level matter, where `min_effect` does not say."""
_SEEDLESS = "it gives one value at all seeds and the best does not; overrule this if that is meant"


def judge(contest: Contest, *, waiting: bool, resumed: bool = False) -> Decision:
    """What the contest's runs so far mean.

    `waiting`: a proposal waits for the slot. `resumed`: it had been parked and goes on in thinking time; then it leaves
    as soon as a proposal waits.
    """
    case = Case(contest)
    if not case.changes and (contest.terms.looks or case.exact or contest.mode != "blocks"):
        known = contest.known
        fresh = known.since_best <= LOOK_AGAIN or contest.mode == "single"
        return _outside(case, mine=bool(known.best) and fresh)
    if contest.mode == "fast":
        return _fast(case)
    if contest.mode == "single":
        return _single(case)
    return _exact(case) if case.exact else _race(case, waiting, resumed)


def visible(odds: float, blocks: int) -> float:
    """The gain, in sd of one run, that so many blocks show at these odds in about four of five cases.

    Fitted to simulated races on Gaussian noise, from 1 to 60 blocks and odds of 9 to 5000; off by at most a fifth.
    """
    return float(((4.5 + 1.7 * math.log(odds)) / max(blocks, 1)) ** 0.6)


def _race(case: Case, waiting: bool, resumed: bool) -> Decision:
    contest, race, terms = case.contest, case.race, case.contest.terms
    if case.no_effect:
        return _without_effect(case)
    if (kept := _proven(case)) is not None:
        return kept
    d, least, leave, line = case.d, LEAST, LEAVE, terms.line
    if case.margin is not None:
        line = max(case.margin / case.s, 1.0) if case.s > 0 else 1.0  # of a look: no worse than the best
        d, leave = d + line, LEAVE_SIMPLER
    elif case.s > 0:
        least = max(LEAST, case.least_gain / case.s)
    if d + 2 * case.se < least:
        return _lose(case, decided=True)
    if race.runs:
        unpromising = race.runs >= BUSY_RUNS or (d < leave and math.isfinite(case.se))
    else:
        unpromising = terms.looks and d < line
    if waiting and (resumed or unpromising):
        can_wait = terms.cheap and (d > 0 or not math.isfinite(case.se)) and not contest.bundle
        return _lose(case, "park" if can_wait else "discard", decided=False)
    if race.runs >= contest.most_runs:
        return _lose(case, decided=False)
    return _next_of_block(case)


def _proven(case: Case) -> Decision | None:
    """The keep that the complete blocks have earned."""
    contest, race, enough = case.contest, case.race, math.log(case.contest.terms.odds)
    if race.under_way is not None or len(race.complete) < (FLAGGED_BLOCKS if case.flags else 1):
        return None
    if case.log_evidence >= enough and case.difference > 0 and case.gain >= contest.min_effect:
        if case.seedless:
            return _decide(case, "discard", "seedless", f"{case.compared}, but {_SEEDLESS}", "blocks")
        return _keep(case, "better", f"{case.compared}: {case.proof} ({numbers.odds(case.log_evidence)})")
    if case.margin is None or (unharmed := race.log_evidence(case.margin)) < enough:
        return None
    ruled_out = f"{numbers.odds(unharmed)} against worse by {case.told(max(case.margin, case.s))}"
    reason = f"{case.shorter}: {case.compared} in {_runs(race.runs)} ({ruled_out})"
    return _keep(case, "simpler", reason, log_evidence=unharmed)


def _exact(case: Case) -> Decision:
    """All repeats of all commits have agreed: the change, the best again, the change again. If any differs, it is a
    race.

    The best is run again because scores such as 20 of 20 agree by luck.
    """
    better = case.difference > 0 and case.gain >= case.contest.min_effect
    simpler = case.contest.removed > 0 and case.difference >= 0
    if not better and not simpler:
        return _lose(case, rule="exact", decided=True)
    count = len(case.changes)
    if case.looked[-1].mine and count == 1:
        return _outside(case, mine=False)
    if count < (FLAGGED_RUNS if case.flags else 2):
        return _outside(case, mine=True)
    reason = f"{case.compared} ({_runs(count)} of it agree, and so does the best's once more: no noise)"
    if better:
        return _keep(case, "better", reason, "exact")
    return _keep(case, "simpler", f"{case.shorter}: {reason}", "exact")


def _without_effect(case: Case) -> Decision:
    """One seed always gives one value, and the change gave the best's: shorter code is as good, at another seed too."""
    if not case.contest.removed:
        return _decide(case, "discard", "worse", "no effect: same value at the same seed", "exact")
    if len(case.changes) < 2:
        return _outside(case, mine=True)
    return _keep(
        case, "simpler", f"{case.shorter}: same value at the same seeds in {_runs(len(case.changes))}", "exact"
    )


def _fast(case: Case) -> Decision:
    """Better than the best's level, then one confirming run. For big effects, when trying more ideas beats checking."""
    count = len(case.changes)
    if not _each_better(case):
        return _lose(case, rule="fast", decided=True)
    if count < (FLAGGED_RUNS if case.flags else 2):
        return _outside(case, mine=True)
    return _keep(case, "better", f"{case.compared} (in each of {_runs(count)})", "fast")


def _single(case: Case) -> Decision:
    count = len(case.changes)
    if not _each_better(case):
        return _lose(case, rule="single", decided=True)
    if case.flags and count < FLAGGED_RUNS:
        return _outside(case, mine=True)
    known = "1 run, unconfirmed" if count == 1 else _runs(count)
    return _keep(case, "better", f"{case.compared} ({known})", "single")


def _each_better(case: Case) -> bool:
    least = case.contest.min_effect
    return all(value < case.level and case.in_unit(case.level - value) >= least for value in case.changes)


# -- which run is next


def _outside(case: Case, *, mine: bool) -> Decision:
    """A run before the blocks; the change's at a seed of the best's last ones."""
    contest, known, place = case.contest, case.contest.known, len(case.looked) + 1
    if not mine:
        return Decision("run", run=Run(False, LOOK, place, _seed(contest, LOOK, place)))
    seed = known.best[-1 - min(len(case.changes), len(known.best) - 1)][1]
    if case.changes:
        return Decision("run", run=Run(True, LOOK, place, seed))
    paired = contest.terms.paired
    middle, count = spreads.level([case.scaled(value) for value, at in known.best if at == seed or not paired])
    basis = {"s": case.s_now, "level": middle, "runs": 0.0 if paired else float(count)}
    return Decision("run", run=Run(True, LOOK, place, seed, basis))


def _next_of_block(case: Case) -> Decision:
    """The next run of the block under way, or the first of a new one."""
    race, contest = case.race, case.contest
    warm = sum(run.block == WARM for run in contest.seen)
    if not race.blocks and not contest.terms.looks and warm < 2:
        place = warm + 1
        return Decision("run", run=Run(place == 1, WARM, place, _seed(contest, WARM, place)))
    block, place = len(race.blocks), 1
    if race.under_way is None:
        block += 1
    else:
        place += len(race.under_way.values)
    mine, seed = case.drawn(block)[place - 1]
    run = Run(mine, block, place, seed, {"s": case.s_now} if place == 1 else {})
    reason = f"undecided ({numbers.odds(case.log_evidence)} after {_runs(race.runs)})"
    return Decision("run", reason, run=run, log_evidence=case.log_evidence, promise=case.promise)


def _seed(contest: Contest, block: int, place: int) -> int:
    """Of a run in no block."""
    drawn = draw(f"{contest.secret}:{place}", contest.experiment, contest.parent, block)
    return drawn[0].seed


# -- what it comes to


def _keep(case: Case, cause: str, reason: str, rule: str = "blocks", log_evidence: float | None = None) -> Decision:
    if case.contest.violated:
        return _decide(case, "discard", "over_constraint", f"{reason}, but {case.contest.violated}", rule)
    if cause == "better" and case.contest.bundle:
        cause = "bundle"
    return _decide(case, "keep", cause, reason, rule, log_evidence)


def _lose(case: Case, action: Action = "discard", rule: str = "blocks", *, decided: bool) -> Decision:
    """A change that is not kept. `decided`: it cannot be better; else it was given up, or must wait."""
    contest = case.contest
    runs = _runs(len(case.changes) + case.race.runs)
    shown = visible(contest.terms.odds, len(case.race.complete)) * case.s
    if action == "discard" and not decided and shown > _least_that_matters(case):
        reason = f"too noisy to tell: {runs} can only show a gain of {case.told(shown)} and more"
        return _decide(case, action, "too_noisy", reason, rule)
    if not case.changes and not case.race.change:
        return _decide(case, action, "unproven", "not raced yet", rule)
    if case.d < UNPROVEN or case.difference <= 0:
        return _decide(case, action, "worse", f"{case.compared} ({runs})", rule)
    if decided and case.difference < case.least_gain:
        least = numbers.metric(contest.min_effect)
        reason = f"{case.compared}, less than the smallest effect that matters ({least})"
    else:
        reason = f"may be a gain of {case.amount}, not proven in {runs}"
    if contest.violated:
        return _decide(case, action, "over_constraint", f"{reason}, and {contest.violated}", rule)
    return _decide(case, action, "unproven", reason, rule)


def _least_that_matters(case: Case) -> float:
    """On the scale."""
    level = 1.0 if case.contest.terms.scale == "ratio" else abs(case.level)
    return case.least_gain or MATTERS * level


def _decide(
    case: Case, action: Action, cause: str, reason: str, rule: str, log_evidence: float | None = None
) -> Decision:
    estimate, found = case.gain, case.log_evidence if log_evidence is None else log_evidence
    if action == "keep" and rule == "blocks":
        estimate = case.in_unit(shrunk(case.difference, case.s, min(len(case.race.change), len(case.race.best))))
    figures = {"version": VERSION, **case.figures(rule, found)}
    return Decision(
        action, reason, cause, estimate, case.interval, figures, case.jump, None, found, case.promise
    )  # fmt: skip


def _runs(count: int) -> str:
    return numbers.plural(count, "run")
