"""Ordinary least squares against closed forms and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import linregress

from hptransfer.numerics.ordinary import fit_ordinary


def test_a_line_has_the_textbook_uncertainty() -> None:
    x = np.array([-1.0, 0.0, 1.0])
    line = fit_ordinary(np.column_stack([np.ones(3), x]), np.array([1.0, -2.0, 1.0]))  # residuals 1, -2, 1
    assert line is not None
    assert line.coefficients == pytest.approx([0.0, 0.0])
    assert line.residual_std == pytest.approx(6**0.5)
    assert line.covariance == pytest.approx(np.diag([2.0, 3.0]))  # 6 / 3 and 6 / 2
    assert line.quantile == pytest.approx(6.3138, rel=1e-4)  # Student's t, one degree, tables


def test_slope_error_and_chance_are_those_of_scipy() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, 12))
    line, truth = fit_ordinary(np.column_stack([np.ones(12), x]), y), linregress(x, y)
    assert line is not None
    assert (line.coefficients[1], line.std_error(1), line.p_value(1)) == pytest.approx(
        (truth.slope, truth.stderr, truth.pvalue)
    )
    low, high = line.interval(1)
    assert (low + high) / 2 == pytest.approx(truth.slope)
    assert high - low == pytest.approx(2 * 1.812461 * truth.stderr, rel=1e-5)  # ten degrees, tables


def test_what_the_rows_do_not_determine_is_not_fitted() -> None:
    x = np.array([1.0, 2.0, 3.0])
    assert fit_ordinary(np.column_stack([np.ones(2), x[:2]]), x[:2]) is None
    assert fit_ordinary(np.column_stack([x, 2 * x]), x) is None
