"""The evidence of randomised blocks: its mean is exactly 1 where a change makes no difference, whatever the values."""

from __future__ import annotations

import math
from itertools import combinations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch.engine.verdict.blocks import HALF, SIZE, Race, block_evidence, draw, pair_evidence, shrunk, stakes

FIRST_THREE = (True, True, True, False, False, False)
ORDERS = [tuple(place in chosen for place in range(SIZE)) for chosen in combinations(range(SIZE), HALF)]

value = st.one_of(st.floats(-5, 5), st.sampled_from([0.0, 1.0, 2.0]))
six = st.tuples(*[value] * SIZE)
spreads = st.sampled_from([0.0, 0.01, 1.0, 50.0])


def expected(found: list[tuple[float, ...]]) -> list[float]:
    return [math.fsum(math.exp(log) for log in logs) / len(found) for logs in zip(*found, strict=True)]


@given(six, spreads)
def test_the_mean_over_the_orders_is_1(values: tuple[float, ...], s: float) -> None:
    assert expected([block_evidence(values, order, s) for order in ORDERS]) == pytest.approx([1] * 4, abs=1e-12)


@given(st.tuples(*[value] * HALF), spreads)
def test_the_mean_over_the_ways_to_draw_pairs_is_1(differences: tuple[float, ...], s: float) -> None:
    ways = [tuple(a * b for a, b in zip(signs, differences, strict=True)) for signs in product((1, -1), repeat=HALF)]
    assert expected([pair_evidence(way, s) for way in ways]) == pytest.approx([1] * 4, abs=1e-12)


@given(six, st.tuples(*[st.floats(0, 3)] * SIZE))
def test_a_change_that_makes_each_run_worse_gets_no_more(values: tuple[float, ...], harm: tuple[float, ...]) -> None:
    found = [
        block_evidence(tuple(v + h * mine for v, h, mine in zip(values, harm, order, strict=True)), order, 1.0)
        for order in ORDERS
    ]
    assert max(expected(found)) <= 1 + 1e-12


def test_what_one_clean_block_gives() -> None:
    clean = block_evidence((0, 0, 0, 5, 5, 5), FIRST_THREE, 1.0)
    assert [math.exp(log) for log in clean] == pytest.approx([8.38, 17.13, 19.94, 20.0], abs=0.01)
    assert max(math.exp(log) for log in block_evidence((5, 5, 5, 0, 0, 0), FIRST_THREE, 1.0)) < 0.2
    assert block_evidence((7, 7, 7, 12, 12, 12), FIRST_THREE, 1.0) == pytest.approx(clean), "no level enters"
    assert math.exp(pair_evidence((5, 5, 5), 1.0)[-1]) == pytest.approx(8, abs=0.01)


def test_a_margin_makes_the_change_better_first() -> None:
    values = (1.0, 1.2, 0.9, 0.0, 0.1, -0.1)
    shifted = tuple(v - 2 * mine for v, mine in zip(values, FIRST_THREE, strict=True))
    assert block_evidence(values, FIRST_THREE, 1.0, 2.0) == block_evidence(shifted, FIRST_THREE, 1.0)
    assert pair_evidence((0.0, -0.5, 0.5), 1.0, 2.0) == pytest.approx(pair_evidence((2.0, 1.5, 2.5), 1.0))


def test_the_orders_are_drawn_evenly_from_the_secret() -> None:
    drawn = [draw("secret", 3, "abc", block) for block in range(4000)]
    counts = [sum(tuple(place.mine for place in each) == order for each in drawn) for order in ORDERS]
    assert min(counts) > 130
    assert max(counts) < 280
    assert draw("secret", 3, "abc", 1) == draw("secret", 3, "abc", 1)
    others = [draw("other", 3, "abc", 1), draw("secret", 4, "abc", 1), draw("secret", 3, "abd", 1)]
    assert draw("secret", 3, "abc", 1) not in others
    assert all(len({place.seed for place in each}) == SIZE for each in drawn), "seeds belong to places"


def test_pairs_run_each_seed_once_with_either_arm() -> None:
    firsts = set()
    for block in range(100):
        drawn = draw("secret", 3, "abc", block, paired=True)
        for a, b in zip(drawn[::2], drawn[1::2], strict=True):
            assert a.seed == b.seed
            assert a.mine is not b.mine
        assert len({place.seed for place in drawn}) == HALF
        firsts.add(tuple(place.mine for place in drawn[::2]))
    assert len(firsts) == 8


def test_stakes_follow_the_first_look() -> None:
    assert stakes(None, 0) == (0.25,) * 4
    assert stakes(4.0, 6)[3] > 0.7
    assert stakes(0.0, 6)[0] > 0.4
    assert all(math.isclose(sum(stakes(z, 6)), 1) and min(stakes(z, 6)) >= 0.05 for z in (-4.0, 1.0, 8.0))


def raced(*blocks: tuple[float, ...], paired: bool = False) -> Race:
    race = Race(look=2.5, look_runs=6, paired=paired)
    for number, values in enumerate(blocks):
        race.begin(FIRST_THREE if not paired else [p.mine for p in draw("s", 1, "p", number, paired=True)], 1.0)
        for each in values:
            race.add(each)
    return race


def test_blocks_multiply_and_a_block_under_way_says_nothing_yet() -> None:
    one, two = raced((0, 0, 0, 5, 5, 5)), raced((0, 0, 0, 5, 5, 5), (0, 0, 0, 5, 5, 5))
    assert math.exp(one.log_evidence()) == pytest.approx(18, abs=2)
    assert math.exp(two.log_evidence()) == pytest.approx(330, abs=60)
    going_on = raced((0, 0, 0, 5, 5, 5), (9, 9))
    assert going_on.log_evidence() == one.log_evidence()
    assert sum(two.comparisons()) / 2 == 18


def test_an_incomplete_block_is_never_redrawn() -> None:
    race = raced((1, 2))
    with pytest.raises(ValueError, match="completed, never replaced"):
        race.begin(FIRST_THREE, 1.0)


def test_the_estimate_is_the_race_s_and_before_its_first_block_the_look_s_too() -> None:
    assert raced().estimate(1.0) == (pytest.approx(2.5), pytest.approx(math.sqrt(7 / 6)))
    d, se = raced((0, 0, 0, 2)).estimate(1.0)
    assert 2 < d < 2.5
    assert se == pytest.approx((1 / (1 / 3 + 1) + 6 / 7) ** -0.5)
    assert raced((0, 0, 0, 2, 2, 2)).estimate(1.0) == (pytest.approx(2), pytest.approx(math.sqrt(2 / 3)))
    assert Race().estimate(1.0) == (0, math.inf)


def test_pairs_are_compared_within_their_seed() -> None:
    values = []
    for place in draw("s", 1, "p", 0, paired=True):
        values.append(100 * place.seed % 7 - 3.0 * place.mine)  # seeds decide: 0 to 6, the change gains 3
    race = raced(tuple(values), paired=True)
    assert race.difference() == pytest.approx(3)
    assert list(race.comparisons()) == [2, 2, 2]
    assert math.exp(race.log_evidence()) == pytest.approx(8, abs=0.5)


def test_what_is_reported_of_a_stopped_race_is_less_than_it_found() -> None:
    assert shrunk(2.0, 1.0, 3) == pytest.approx(2 / (1 + 4 / 12))
    assert shrunk(2.0, 1.0, 3000) == pytest.approx(2, rel=1e-3)
    assert shrunk(0.0, 1.0, 3) == 0
