"""Which of a segment's runs are compared with each other."""

from __future__ import annotations

from autoresearch.state.journal import Repeats


def told(*runs: tuple[float, int]) -> Repeats:
    repeats = Repeats()
    repeats.baseline(runs)
    return repeats


def test_few_runs_of_a_baseline_are_compared_with_each_other_and_many_with_the_next() -> None:
    few = told((1.0, 1), (2.0, 2), (3.0, 3), (4.0, 4))
    assert len(few.neighbours) == 6
    many = told(*((float(k), k) for k in range(10)))
    assert list(many.neighbours) == [(float(k), float(k + 1)) for k in range(9)]
    assert [value for value, _ in many.best] == [4, 5, 6, 7, 8, 9]


def test_runs_of_one_seed_are_twins() -> None:
    few = told((1.0, 1), (2.0, 2), (1.1, 1), (2.1, 2))
    assert list(few.twins) == [(1.0, 1.1), (2.0, 2.1)]
    assert len(few.neighbours) == 4
    many = told(*((float(k), k % 4) for k in range(8)))
    assert list(many.twins) == [(0.0, 4.0), (1.0, 5.0), (2.0, 6.0), (3.0, 7.0)]


def test_the_best_run_again_is_compared_with_its_run_before() -> None:
    repeats = told((1.0, 1), (2.0, 2))
    repeats.other_ran()
    assert repeats.since_best == 1
    repeats.best_ran((3.0, 7))
    assert repeats.since_best == 0
    assert repeats.neighbours[-1] == (2.0, 3.0)
    assert repeats.best[-1] == (3.0, 7)


def test_a_block_compares_the_runs_of_each_arm() -> None:
    repeats = told((0.0, 0))
    repeats.block(
        [(True, (1.0, 1)), (False, (5.0, 2)), (True, (2.0, 3)), (False, (6.0, 4)), (True, (3.0, 5)), (False, (7.0, 6))]
    )
    assert list(repeats.neighbours) == [(1.0, 2.0), (2.0, 3.0), (5.0, 6.0), (6.0, 7.0)]
    assert not repeats.twins


def test_a_block_of_pairs_compares_their_differences_too() -> None:
    repeats = told((0.0, 0))
    repeats.block(
        [(True, (1.0, 1)), (False, (5.0, 1)), (False, (6.0, 2)), (True, (2.0, 2)), (True, (3.0, 3)), (False, (7.0, 3))]
    )
    assert list(repeats.twins) == [(5.0, 1.0, 6.0, 2.0), (6.0, 2.0, 7.0, 3.0)]


def test_after_a_keep_the_level_is_the_new_best_s_alone() -> None:
    raced = [(float(k), k) for k in range(9)]
    repeats = told((50.0, 1), (51.0, 2))
    repeats.kept(raced, [])
    assert [value for value, _ in repeats.best] == [3, 4, 5, 6, 7, 8]
    repeats.kept(raced, [(1.0, 1), (2.0, 2)])
    assert list(repeats.best) == [(1.0, 1), (2.0, 2)]
    assert repeats.neighbours[-1] == (1.0, 2.0)
