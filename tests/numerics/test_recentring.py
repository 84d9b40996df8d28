"""The posterior of where optima are: closed forms, finite differences, and runs that all lie on one side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hptransfer.numerics.arrays import FloatArray
from hptransfer.numerics.recentring import Belief, Observed, _Problem, updated

SCALE = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
BOWL = np.array([np.log(0.02), np.log(0.011), 0.5])
PRIOR = Belief(
    laws=np.array([[-6.0, -0.5, 0.2], [13.0, 0.0, 0.5]]),
    covariance=np.diag([0.67, 0.3, 0.3, 0.67, 0.15, 0.15]) ** 2,
    bowl=BOWL,
    bowl_std=np.array([0.67, 0.67, 0.3]),
    own_std=np.full(2, 0.15),
    depth_std=0.25,
    noise_std=0.001,
    misfit=0.25,
)
TRUTH = np.array([[-5.0, -0.6, 0.25], [12.3, 0.05, 0.55]])


def runs_about(
    middle: FloatArray, *, per_cell: int, reach: float, noise: float = 0.0, seed: int = 0
) -> Observed:
    """Runs in a square about laws `middle` (2, 3), of bowls about `TRUTH`."""
    rng = np.random.default_rng(seed)
    cell = np.repeat(np.arange(4), per_cell)
    design = np.column_stack([np.ones(4), SCALE])[cell]
    point = design @ middle.T + rng.uniform(-reach, reach, (len(cell), 2))
    u, v = (point - design @ TRUTH.T).T
    excess = 0.02 * (u - 0.5 * v) ** 2 + 0.011 * v**2
    log_loss = 1.0 - 0.05 * SCALE[cell].sum(axis=1) + excess + noise * rng.standard_normal(len(cell))
    return Observed(SCALE, cell, point, log_loss)


def test_the_jacobian_is_that_of_finite_differences() -> None:
    problem = _Problem(PRIOR, runs_about(PRIOR.laws, per_cell=4, reach=1.5))
    at = problem.mean + 0.1 * np.random.default_rng(3).standard_normal(len(problem.mean))
    step = 1e-6
    numeric = [
        (problem.residuals(at + step * row) - problem.residuals(at - step * row)) / (2 * step)
        for row in np.eye(len(at))
    ]
    np.testing.assert_allclose(problem.jacobian(at), np.transpose(numeric), atol=1e-5)


def test_the_floors_of_cells_do_not_matter() -> None:
    seen = runs_about(PRIOR.laws, per_cell=5, reach=1.5)
    moved = replace(seen, log_loss=seen.log_loss + np.array([0.3, -1.0, 2.0, 0.0])[seen.cell])
    np.testing.assert_allclose(updated(PRIOR, moved).laws, updated(PRIOR, seen).laws, atol=1e-5)


def test_many_runs_give_the_truth() -> None:
    found = updated(PRIOR, runs_about(PRIOR.laws, per_cell=40, reach=2.0))
    np.testing.assert_allclose(found.optima(SCALE), np.column_stack([np.ones(4), SCALE]) @ TRUTH.T, atol=0.05)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_runs_on_one_side_move_the_guess_towards_the_optimum_and_not_beyond_all_bounds(sign: float) -> None:
    """All LRs on one side, two standard deviations off: half of the way is made good, and doubt stays."""
    off = PRIOR.laws.copy()
    off[0, 0] = TRUTH[0, 0] + 1.3 * sign
    prior = replace(PRIOR, laws=off)
    found = updated(prior, runs_about(off, per_cell=3, reach=0.8, noise=0.001))
    error = found.optima(SCALE)[:, 0] - (np.column_stack([np.ones(4), SCALE]) @ TRUTH[0])
    assert np.abs(error).mean() < 0.65
    assert np.abs(error).max() < 1.0
    assert (found.optima_std(SCALE)[:, 0] > 0.1).all()


def test_a_run_a_cell_says_nothing() -> None:
    found = updated(PRIOR, runs_about(PRIOR.laws, per_cell=1, reach=1.0))
    np.testing.assert_allclose(found.laws, PRIOR.laws, atol=1e-6)
    np.testing.assert_allclose(found.covariance, PRIOR.covariance, atol=1e-6)


def test_doubt_is_that_of_the_laws_at_the_scale() -> None:
    expected = np.sqrt([[0.67**2 + 4 * 0.3**2, 0.67**2 + 4 * 0.15**2]])
    np.testing.assert_allclose(PRIOR.optima_std(np.array([[2.0, 0.0]])), expected)


def test_noisier_runs_than_expected_raise_the_noise() -> None:
    quiet, loud = (
        updated(PRIOR, runs_about(TRUTH, per_cell=20, reach=0.5, noise=noise)) for noise in (0.0005, 0.01)
    )
    assert quiet.noise_std == PRIOR.noise_std
    assert loud.noise_std > 2 * PRIOR.noise_std
    assert (loud.optima_std(SCALE) > quiet.optima_std(SCALE)).all()


@pytest.mark.parametrize("seed", range(5))
def test_the_posterior_covers(seed: int) -> None:
    """Levels within three standard deviations of the truth, runs noisy and few."""
    seen = runs_about(PRIOR.laws, per_cell=4, reach=1.8, noise=0.001, seed=seed)
    found = updated(PRIOR, seen)
    away = np.abs(found.laws[:, 0] - TRUTH[:, 0]) / np.sqrt(np.diagonal(found.covariance)[[0, 3]])
    assert (away < 3).all()
