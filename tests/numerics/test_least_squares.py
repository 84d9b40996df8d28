"""Batched weighted lines against numpy's SVD, and where they are not determined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hptransfer.numerics.least_squares import fit_lines


@given(seed=st.integers(0, 2**32 - 1), n_inputs=st.integers(0, 3))
def test_every_line_equals_numpys_svd(seed: int, n_inputs: int) -> None:
    """Weighted rows are repeated rows."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(20, 1, (30, n_inputs))
    target = rng.normal(-6, 1, 30)
    weights = rng.integers(0, 4, (7, 30)).astype(float)
    lines = fit_lines(inputs, target, weights=weights)
    assert lines.determined.all()
    for row, line in zip(weights.astype(int), lines.coefficients, strict=True):
        design = np.column_stack([np.ones(row.sum()), np.repeat(inputs, row, axis=0)])
        expected = np.linalg.lstsq(design, np.repeat(target, row), rcond=None)[0]
        np.testing.assert_allclose(line, expected, rtol=1e-9, atol=1e-9)


@given(seed=st.integers(0, 2**32 - 1))
def test_a_noise_free_line_comes_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    inputs = np.log(np.column_stack([rng.uniform(6e7, 1e9, 40), rng.uniform(2e9, 1e11, 40)]))
    truth = rng.normal(0, 1, 3)
    target = truth[0] + inputs @ truth[1:]
    lines = fit_lines(inputs, target, weights=rng.uniform(0.1, 1, (5, 40)))
    np.testing.assert_allclose(lines.coefficients, np.tile(truth, (5, 1)), atol=1e-11)


def test_accuracy_on_a_nearly_collinear_design() -> None:
    """Inputs on one line up to 1e-5: normal equations without the refinement are off by more than 1e-8."""
    rng = np.random.default_rng(0)
    x = rng.uniform(18, 22, 50)
    inputs = np.column_stack([x, x + 3 + 1e-5 * rng.standard_normal(50)])
    target = 2.0 - 0.7 * inputs[:, 0] + 0.3 * inputs[:, 1]
    lines = fit_lines(inputs, target, weights=np.ones((1, 50)))
    np.testing.assert_allclose(lines.coefficients[0], [2.0, -0.7, 0.3], atol=1e-9)


@pytest.mark.parametrize(
    "weights",
    [[0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 1.0]],
    ids=["no rows", "one row", "second input constant", "first input constant"],
)
def test_undetermined_lines_are_marked_and_leave_the_others_alone(weights: list[float]) -> None:
    inputs = np.array([[1.0, 1.0], [2.0, 1.0], [3.0, 1.0], [3.0, 2.0]])
    lines = fit_lines(inputs, np.array([1.0, 2.0, 3.0, 4.0]), weights=np.array([weights, [1.0] * 4]))
    assert lines.determined.tolist() == [False, True]
    assert np.isnan(lines.coefficients[0]).all()
    np.testing.assert_allclose(lines.coefficients[1], [-1.0, 1.0, 1.0], atol=1e-12)


def test_min_spread_is_in_the_unit_of_the_inputs() -> None:
    inputs = np.array([[0.0], [0.2]])  # standard deviation 0.1
    for min_spread, determined in ((0.099, True), (0.101, False)):
        lines = fit_lines(inputs, np.zeros(2), weights=np.ones((1, 2)), min_spread=min_spread)
        assert lines.determined.tolist() == [determined]


def test_inputs_are_not_modified() -> None:
    arrays = [np.arange(4.0)[:, None], np.arange(4.0), np.ones((2, 4))]
    for a in arrays:
        a.setflags(write=False)
    fit_lines(arrays[0], arrays[1], weights=arrays[2])
