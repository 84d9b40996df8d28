"""Expected information of runs, and the greedy choice by it, against closed forms and brute force."""

from __future__ import annotations

import numpy as np
import pytest

from hptransfer.numerics.design import (
    COST_EXPONENT,
    N_LOCAL,
    Assumptions,
    Candidates,
    Knowledge,
    Question,
    choose_runs,
    expected_variances,
    gather,
    optimum_information,
    run_information,
    space_filling,
)

HESSIAN = np.array([[0.04, -0.02], [-0.02, 0.032]])
ASSUMED = Assumptions(
    hessian=HESSIAN, curvature_std=0.4, own_variance=np.full(2, 0.02), noise_std=0.001, misfit=0.25
)
EXACT = Assumptions(
    hessian=HESSIAN, curvature_std=1e-9, own_variance=np.zeros(2), noise_std=0.001, misfit=0.0
)
SCALE = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
ASKED = Question(SCALE, np.array([3.0, 3.0]), np.diag([1.0, 11.0, 11.0, 1.0, 44.0, 44.0]))
STAR = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0], [0.0, 0.0]])


def nothing_known(n_cells: int = 4) -> Knowledge:
    return Knowledge(np.zeros((n_cells, N_LOCAL, N_LOCAL)), np.zeros(n_cells, dtype=np.int64))


def all_candidates() -> Candidates:
    cell = np.repeat(np.arange(4), len(STAR))
    cost = np.array([1.0, 4.0, 4.0, 16.0])[cell]
    return Candidates(cell, np.tile(STAR, (4, 1)), cost)


def test_known_curvature_gives_the_regression_on_slopes() -> None:
    """Floor eliminated: the information is the scatter of H x over the runs, by noise variance."""
    offset = np.random.default_rng(0).normal(size=(9, 2))
    local = run_information(offset, EXACT).sum(axis=0)[None]
    got = optimum_information(local, EXACT, floor_known=np.array([False]))[0]
    slopes = offset @ HESSIAN
    centred = slopes - slopes.mean(axis=0)
    np.testing.assert_allclose(got, centred.T @ centred / 0.001**2, rtol=1e-4)


def test_a_run_at_the_optimum_tells_nothing_of_where_it_is() -> None:
    local = run_information(np.zeros((1, 2)), ASSUMED)
    np.testing.assert_allclose(optimum_information(local, ASSUMED, floor_known=np.array([True])), 0.0)


def test_both_sides_tell_more_than_one_where_the_curvature_is_unknown() -> None:
    """Two runs on one side could as well be a steeper bowl."""

    def information(offsets: list[float]) -> float:
        runs = np.column_stack([offsets, np.zeros(len(offsets))])
        local = run_information(runs, ASSUMED).sum(axis=0)[None]
        return float(optimum_information(local, ASSUMED, floor_known=np.array([False]))[0, 0, 0])

    assert information([-1.0, 0.0, 1.0]) > 1.5 * information([0.0, 1.0, 2.0])


def test_a_cells_own_offset_bounds_what_it_tells() -> None:
    local = 1e6 * run_information(STAR, ASSUMED).sum(axis=0)[None]
    got = optimum_information(local, ASSUMED, floor_known=np.array([False]))[0]
    np.testing.assert_allclose(np.diag(got), 1 / ASSUMED.own_variance, rtol=1e-2)


def test_without_runs_the_variance_is_the_priors() -> None:
    expected = [1.0 + 9 / 11 + 9 / 11, 1.0 + 9 / 44 + 9 / 44]
    np.testing.assert_allclose(expected_variances(ASKED, nothing_known(), ASSUMED), expected)


@pytest.mark.parametrize("seed", range(3))
def test_the_next_run_is_brute_forces(seed: int) -> None:
    """With every cell opened, each pick is the candidate whose refit variance falls most for its cost."""
    rng = np.random.default_rng(seed)
    cell = np.repeat(np.arange(4), 4)
    known = gather(cell, rng.normal(size=(16, 2)), ASSUMED, n_cells=4)
    candidates = all_candidates()
    now = expected_variances(ASKED, known, ASSUMED).sum()
    gains = []
    for c, offset, cost in zip(candidates.cell, candidates.offset, candidates.cost, strict=True):
        extra = gather(np.array([c]), offset[None], ASSUMED, n_cells=4)
        after = Knowledge(known.local + extra.local, known.runs + extra.runs)
        gains.append((now - expected_variances(ASKED, after, ASSUMED).sum()) / cost**COST_EXPONENT)
    chosen = choose_runs(candidates, ASKED, known, ASSUMED, budget=100.0, n_runs=1, most_per_cell=9)
    assert chosen.tolist() == [int(np.argmax(gains))]


def test_a_choice_keeps_to_its_limits_and_lowers_the_variance() -> None:
    candidates = all_candidates()
    chosen = choose_runs(candidates, ASKED, nothing_known(), ASSUMED, budget=75.0, n_runs=12, most_per_cell=3)
    assert len(set(chosen.tolist())) == len(chosen) == 12
    assert candidates.cost[chosen].sum() <= 75.0
    assert np.bincount(candidates.cell[chosen], minlength=4).tolist() == [3, 3, 3, 3]
    known = gather(candidates.cell[chosen], candidates.offset[chosen], ASSUMED, n_cells=4)
    before = expected_variances(ASKED, nothing_known(), ASSUMED)
    assert (expected_variances(ASKED, known, ASSUMED) < before).all()


def test_a_budget_that_buys_nothing_chooses_nothing() -> None:
    assert len(choose_runs(
        all_candidates(), ASKED, nothing_known(), ASSUMED, budget=0.5, n_runs=12, most_per_cell=3
    )) == 0  # fmt: skip


def test_a_run_is_chosen_once_however_many_are_asked_for() -> None:
    few = Candidates(np.zeros(2, dtype=np.int64), STAR[:2], np.ones(2))
    chosen = choose_runs(few, ASKED, nothing_known(), ASSUMED, budget=9.0, n_runs=5, most_per_cell=9)
    assert sorted(chosen.tolist()) == [0, 1]


@pytest.mark.parametrize("first", [0, 7, 1000])
def test_points_fill_the_square_from_any_index_on(first: int) -> None:
    """Each of the nine equal boxes gets its share of 90 points, within 30 %."""
    points = space_filling(first + np.arange(90))
    counts = np.histogram2d(points[:, 0], points[:, 1], bins=3, range=[[0, 1], [0, 1]])[0]
    assert np.abs(counts - 10).max() <= 3


def test_a_cell_that_was_begun_is_opened_before_another_is() -> None:
    cell = np.repeat(np.arange(4), N_LOCAL + 2)
    offset = np.random.default_rng(1).normal(size=(len(cell), 2))
    candidates = Candidates(cell, offset, np.ones(len(cell)))
    chosen = choose_runs(
        candidates, ASKED, nothing_known(), ASSUMED, budget=1e3, n_runs=2 * N_LOCAL, most_per_cell=N_LOCAL
    )
    assert sorted(np.bincount(cell[chosen], minlength=4).tolist()) == [0, 0, N_LOCAL, N_LOCAL]


def test_a_third_cell_is_of_another_size_however_little_that_tells() -> None:
    """Sizes so close that the prior on their exponent leaves nothing to gain from the second."""
    scale = np.array([[0.0, -2.0], [0.0, 0.0], [0.0, 2.0], [0.1, 0.0]])
    asked = Question(scale, np.array([3.0, 3.0]), np.diag([1.0, 1e6, 11.0, 1.0, 1e6, 44.0]))
    cell = np.repeat(np.arange(4), 2 * len(STAR))
    offset = np.tile(np.concatenate([STAR, 0.5 * STAR]), (4, 1))
    candidates = Candidates(cell, offset, np.array([1.0, 1.0, 1.0, 1e3])[cell])
    chosen = choose_runs(
        candidates, asked, nothing_known(), ASSUMED, budget=1e6, n_runs=3 * N_LOCAL, most_per_cell=N_LOCAL
    )
    assert candidates.cell[chosen[-1]] == 3
