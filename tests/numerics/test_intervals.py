"""The parts of a prediction's variance, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from hptransfer.numerics.arrays import FloatArray
from hptransfer.numerics.cell_optima import CellOptima
from hptransfer.numerics.intervals import (
    LITERATURE_RMSE,
    Blocks,
    LawSpread,
    law_spread,
    scale_blocks,
    scale_levels,
    soft_bend,
)

POINTS = np.array([(n, d) for n in (18.0, 19.0, 20.0) for d in (21.0, 22.0, 23.0, 24.0)])
LAW = np.array([[2.0, -0.4, 0.1], [1.0, 0.0, 0.5]])


def _refits(optimum: FloatArray, blocks: Blocks) -> FloatArray:
    """Ordinary least squares without each block, (n_blocks, 2, 3)."""
    design = np.column_stack([np.ones(len(POINTS)), POINTS])
    return np.array([np.linalg.lstsq(design[~m], optimum[~m], rcond=None)[0].T for m in blocks.left_out])


def _spread(departure: FloatArray, error: float = 1e-4) -> LawSpread:
    design = np.column_stack([np.ones(len(POINTS)), POINTS])
    optimum = design @ LAW.T + departure
    law = np.linalg.lstsq(design, optimum, rcond=None)[0].T
    blocks = scale_blocks(*POINTS.T)
    optima = CellOptima(optimum - design @ law.T, np.tile(error * np.eye(2), (len(POINTS), 1, 1)))
    return law_spread(
        POINTS,
        law,
        _refits(optimum, blocks),
        optima=optima,
        blocks=blocks,
        prior=(np.zeros(6), np.zeros(6)),
        grid_noise=np.array([0.01, 0.02]),
        between=np.zeros((6, 6)),
    )


def test_levels_join_close_neighbours() -> None:
    assert scale_levels(np.log([1.0, 1.05, 2.0, 2.5, 8.0])).tolist() == [0, 0, 1, 1, 2]


def test_blocks_are_levels_and_upper_tails_sharing_an_axis_weight() -> None:
    blocks = scale_blocks(*POINTS.T)
    assert blocks.left_out.shape[1] == 12
    assert ((~blocks.left_out).sum(axis=1) >= 4).all()
    assert blocks.weight.sum() == pytest.approx(2 + 3)


def test_a_soft_bend_is_quadratic_near_and_straight_far() -> None:
    middle, scale = np.zeros(2), np.full(2, 2.0)
    near = soft_bend(np.array([[0.1, 0.2]]), middle, scale)
    np.testing.assert_allclose(near, [[0.1**2 / 4, 0.2**2 / 4]], rtol=0.01)
    far = soft_bend(np.array([[100.0, 101.0]]), middle, scale)
    assert far[0, 1] - far[0, 0] == pytest.approx(1.0, abs=1e-3)


def test_the_coefficients_covariance_is_least_squares_with_the_cells_scatter() -> None:
    """Same error in every cell: (X'X)^-1 times the variance of a cell's optimum around the law."""
    rng = np.random.default_rng(0)
    spread = _spread(0.1 * rng.standard_normal((12, 2)))
    design = np.column_stack([np.ones(12), POINTS - POINTS.mean(axis=0)])
    effect = spread.cell - np.array([0.01, 0.02])
    for q in (0, 1):
        expected = (effect[q] + 1e-4) * np.linalg.inv(design.T @ design)
        np.testing.assert_allclose(np.diagonal(spread.coefficients[q]), np.diagonal(expected), rtol=0.05)


def test_the_scatter_of_the_cells_lies_between_the_literature_and_what_was_drawn() -> None:
    """Mean over 20 sweeps of 12 cells with a variance of 0.04: most of the way from the prior to it."""
    rng = np.random.default_rng(1)
    effects = [_spread(0.2 * rng.standard_normal((12, 2))).cell - [0.01, 0.02] for _ in range(20)]
    mean = np.mean(effects, axis=0)
    assert (mean > (LITERATURE_RMSE**2 / 3 + 0.04) / 2).all()
    assert (mean < 0.04).all()


def test_a_bend_is_measured_with_its_sign_and_raises_structure() -> None:
    departure = np.zeros((12, 2))
    departure[:, 0] = 0.3 * (POINTS[:, 0] - 19) ** 2 / 2
    rng = np.random.default_rng(2)
    noise = 0.005 * rng.standard_normal((12, 2))
    bent, straight = _spread(departure + noise), _spread(noise)
    assert bent.curvature[0, 0] == pytest.approx(0.3, abs=0.05)
    assert abs(straight.curvature[0, 0]) < 2 * straight.curvature_std[0, 0]
    assert bent.bend_variance[0, 0] > 2 * straight.bend_variance[0, 0]
    assert bent.bend_variance[1, 0] == pytest.approx(straight.bend_variance[1, 0], rel=0.5)
