"""The batched near-optimal recipe against the clear loop, and its bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hptransfer.numerics import near_optimal
from hptransfer.numerics.near_optimal import Regression, bootstrap, fit_near_optimal, near_optimal_weights
from hptransfer.numerics.resample import cell_then_run_counts
from tests.oracle.near_optimal_loop import bootstrap_lines

N_CELLS, RUNS = 9, 12


def _problem(
    seed: int,
) -> tuple[Regression, NDArray[np.float64], NDArray[np.int64]]:
    """A 3 x 3 grid of cells with RUNS runs each: regression, loss, cell."""
    rng = np.random.default_rng(seed)
    cells = np.array([(n, d) for n in np.log([1e8, 3e8, 9e8]) for d in np.log([2e9, 8e9, 3.2e10])])
    cell = np.repeat(np.arange(N_CELLS), RUNS)
    inputs = cells[cell]
    target = 0.5 - 0.6 * inputs[:, 0] + 0.2 * inputs[:, 1] + rng.normal(0, 0.7, len(cell))
    loss = 2.5 + rng.uniform(0, 0.05, len(cell))
    return Regression(inputs, target, np.ones(len(cell), dtype=np.bool_)), loss, cell


@given(seed=st.integers(0, 2**32 - 1), threshold=st.sampled_from([0.0005, 0.0025, 0.01]))
@settings(max_examples=25, deadline=None)
def test_batched_equals_looped(seed: int, threshold: float) -> None:
    regression, loss, cell = _problem(seed)
    counts = cell_then_run_counts(cell, n_draws=20, rng=np.random.default_rng(seed))
    (batched,) = fit_near_optimal([regression], loss=loss, cell=cell, threshold=threshold, counts=counts)
    good = np.isfinite(batched).all(axis=1)
    looped = bootstrap_lines(
        regression.inputs, regression.target, loss=loss, cell=cell, threshold=threshold, counts=counts[good]
    )
    np.testing.assert_allclose(batched[good], looped, rtol=1e-10, atol=1e-10)


def test_near_optimal_is_relative_to_the_best_run_drawn() -> None:
    loss, cell = np.array([2.000, 2.004, 2.006, 3.0]), np.array([0, 0, 0, 1])
    counts = np.array([[1, 1, 1, 1], [0, 2, 1, 1], [0, 0, 3, 0]])
    weights = near_optimal_weights(loss, cell, threshold=0.0025, counts=counts)
    assert weights.tolist() == [[1, 1, 0, 1], [0, 2, 1, 1], [0, 0, 3, 0]]


def test_a_run_exactly_at_the_threshold_is_left_out() -> None:
    """The recipe keeps relative excess *below* the threshold."""
    assert near_optimal_weights(np.array([1.0, 1.25]), np.zeros(2, dtype=int), threshold=0.25).tolist() == [
        [1, 0]
    ]


def test_runs_that_say_nothing_about_a_target_do_not_enter() -> None:
    regression, loss, cell = _problem(3)
    use = cell != 4
    wild = np.where(use, regression.target, 1e6)
    (masked,) = fit_near_optimal(
        [Regression(regression.inputs, wild, use)], loss=loss, cell=cell, threshold=0.01
    )
    (left_out,) = fit_near_optimal(
        [Regression(regression.inputs[use], regression.target[use], use[use])],
        loss=loss[use],
        cell=np.unique(cell[use], return_inverse=True)[1],
        threshold=0.01,
    )
    np.testing.assert_allclose(masked, left_out, rtol=1e-10)


def test_draws_are_deterministic_by_seed_and_complete() -> None:
    regression, loss, cell = _problem(0)
    first, second, other = (
        bootstrap(
            [regression], loss=loss, cell=cell, threshold=0.0025, n_draws=50, rng=np.random.default_rng(seed)
        )
        for seed in (0, 0, 1)
    )
    assert first.draws[0].shape == (50, 3)
    assert np.isfinite(first.draws[0]).all()
    np.testing.assert_array_equal(first.draws[0], second.draws[0])
    assert not np.array_equal(first.draws[0], other.draws[0])


def test_memory_bound_splits_the_work_and_keeps_the_number_of_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    regression, loss, cell = _problem(0)
    monkeypatch.setattr(near_optimal, "CHUNK_ELEMENTS", 7 * len(loss))
    drawn = bootstrap(
        [regression], loss=loss, cell=cell, threshold=0.0025, n_draws=50, rng=np.random.default_rng(0)
    )
    assert drawn.draws[0].shape == (50, 3)


def test_degenerate_draws_are_redrawn_and_counted() -> None:
    """Two cells and one input: half of the draws hold one cell only."""
    cell = np.repeat([0, 1], 3)
    regression = Regression(cell[:, None].astype(float), np.arange(6.0), np.ones(6, dtype=np.bool_))
    drawn = bootstrap(
        [regression],
        loss=np.full(6, 2.0),
        cell=cell,
        threshold=0.01,
        n_draws=400,
        rng=np.random.default_rng(0),
    )
    assert drawn.draws[0].shape == (400, 2)
    assert np.isfinite(drawn.draws[0]).all()
    assert 300 < drawn.redrawn < 500


def test_a_hopeless_design_ends_without_draws() -> None:
    cell = np.zeros(3, dtype=np.int64)
    regression = Regression(np.zeros((3, 1)), np.arange(3.0), np.ones(3, dtype=np.bool_))
    drawn = bootstrap(
        [regression],
        loss=np.full(3, 2.0),
        cell=cell,
        threshold=0.01,
        n_draws=30,
        rng=np.random.default_rng(0),
    )
    assert drawn.draws[0].shape == (0, 2)
    assert drawn.redrawn == 30 * near_optimal.MAX_TRIES_PER_DRAW
