"""Where losses at a few settings of one quantity have their minimum, and a line through such minima."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student


def bracketed_minimum(x: NDArray[np.float64], loss: NDArray[np.float64]) -> float | None:
    """Vertex of the parabola through the lowest loss and its two neighbours; None on an edge.

    The vertex lies between the neighbours' midpoints with the best x, so it never extrapolates.

    Args:    x, loss: shape (n,), finite; losses at one x are averaged.

    >>> bracketed_minimum(np.array([0.0, 1.0, 3.0]), np.array([1.0, 0.0, 4.0]))
    1.0
    """
    levels, index = np.unique(x, return_inverse=True)
    mean = np.bincount(index.ravel(), loss) / np.bincount(index.ravel())
    best = int(mean.argmin())
    if not 0 < best < len(levels) - 1:
        return None
    left, right = levels[best] - levels[best - 1], levels[best + 1] - levels[best]
    rise_left, rise_right = mean[best - 1] - mean[best], mean[best + 1] - mean[best]
    curvature = rise_left * right + rise_right * left
    if curvature <= 0:  # three equal losses: the middle is as good as any
        return float(levels[best])
    return float(levels[best] + (rise_left * right**2 - rise_right * left**2) / (2 * curvature))


@dataclass(frozen=True)
class Line:
    """y = intercept + slope x by least squares; the covariance is of (intercept, slope), (2, 2)."""

    intercept: float
    slope: float
    covariance: NDArray[np.float64]
    residual_std: float
    quantile: float  # 95 % of Student's t at n - 2 degrees of freedom


def fit_line(x: NDArray[np.float64], y: NDArray[np.float64]) -> Line:
    """Ordinary least squares with its textbook uncertainty.

    Args:    x, y: shape (n,), n >= 3, x not constant.
    """
    design = np.column_stack([np.ones(len(x)), x])
    (intercept, slope), *_ = np.linalg.lstsq(design, y, rcond=None)
    degrees = len(x) - 2
    variance = float(np.sum((y - intercept - slope * x) ** 2)) / degrees
    covariance = variance * np.linalg.inv(design.T @ design)
    quantile = float(student.ppf(0.95, degrees))
    return Line(float(intercept), float(slope), covariance, variance**0.5, quantile)
