"""Slopes inside cells: levels drop out, errors shared by a cell widen the interval."""

from __future__ import annotations

import numpy as np
import pytest

from hptransfer.numerics.within import within_slopes

CELL = np.repeat(np.arange(6), 5)
X = np.tile(np.arange(5.0), 6)


def test_levels_of_cells_drop_out() -> None:
    found = within_slopes(X[:, None], 0.3 * X + 10.0 * CELL, cell=CELL)
    assert found is not None
    assert found.slopes[0] == pytest.approx(0.3)
    assert found.interval(0) == pytest.approx((0.3, 0.3))
    assert found.degrees == 5


def test_cells_that_differ_in_slope_decide_the_interval() -> None:
    """With one slope a cell and the same inputs, it is the t interval of the mean slope (5 df: 2.015)."""
    slopes = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    found = within_slopes(X[:, None], slopes[CELL] * X, cell=CELL)
    assert found is not None
    half = 2.015048 * slopes.std(ddof=1) / 6**0.5
    assert found.slopes[0] == pytest.approx(0.35)
    assert found.interval(0) == pytest.approx((0.35 - half, 0.35 + half), rel=1e-5)


def test_a_curvature_beside_a_slope() -> None:
    v = X - X.mean()
    found = within_slopes(np.column_stack([v, v**2]), 0.5 * v - 0.1 * v**2 + CELL, cell=CELL)
    assert found is not None
    assert found.slopes == pytest.approx([0.5, -0.1])


@pytest.mark.parametrize("cell", [np.zeros(30, dtype=np.int64), CELL // 3], ids=["one cell", "two cells"])
def test_too_few_cells_say_nothing(cell: np.ndarray) -> None:
    assert within_slopes(X[:, None], X, cell=cell) is None


def test_inputs_that_do_not_vary_inside_cells_say_nothing() -> None:
    assert within_slopes(CELL[:, None].astype(float), X, cell=CELL) is None
    assert within_slopes(np.column_stack([X, 2 * X]), X, cell=CELL) is None


def test_90_percent_intervals_hold_90_percent_of_the_time() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        slopes = 0.3 + 0.1 * rng.standard_normal(6)
        found = within_slopes(X[:, None], slopes[CELL] * X + 0.1 * rng.standard_normal(30), cell=CELL)
        assert found is not None
        low, high = found.interval(0)
        held += low <= 0.3 <= high
    assert 0.85 < held / 400 < 0.95
