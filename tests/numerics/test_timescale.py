"""Minima between a few settings, and the line through them."""

from __future__ import annotations

import numpy as np
import pytest

from hptransfer.numerics.timescale import bracketed_minimum, fit_line


@pytest.mark.parametrize("vertex", [0.9, 1.0, 1.7])
def test_a_parabola_gives_its_vertex(vertex: float) -> None:
    x = np.array([3.0, -1.0, 0.0, 1.5])
    assert bracketed_minimum(x, 2.0 + 0.3 * (x - vertex) ** 2) == pytest.approx(vertex)


def test_the_best_on_an_edge_brackets_nothing_and_repeats_are_averaged() -> None:
    assert bracketed_minimum(np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])) is None
    x, loss = np.array([0.0, 1.0, 1.0, 2.0]), np.array([1.0, -0.5, 0.5, 1.0])
    assert bracketed_minimum(x, loss) == pytest.approx(1.0)
    assert bracketed_minimum(np.arange(3.0), np.array([1.0, 1.0, 1.0])) is None  # the first is as low as any


def test_a_line_has_the_textbook_uncertainty() -> None:
    line = fit_line(np.array([-1.0, 0.0, 1.0]), np.array([1.0, -2.0, 1.0]))  # residuals 1, -2, 1
    assert (line.intercept, line.slope) == pytest.approx((0.0, 0.0))
    assert line.residual_std == pytest.approx(6**0.5)
    assert line.covariance == pytest.approx(np.diag([2.0, 3.0]))  # 6 / 3 and 6 / 2
    assert line.quantile == pytest.approx(6.3138, rel=1e-4)  # Student's t, one degree, tables
