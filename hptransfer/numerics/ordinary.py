"""One ordinary least-squares fit with its textbook uncertainty."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from hptransfer.numerics.arrays import FloatArray


@dataclass(frozen=True)
class Ordinary:
    """target = design @ coefficients + noise of one variance; the covariance is of the coefficients."""

    coefficients: FloatArray  # (n_terms,)
    covariance: FloatArray  # (n_terms, n_terms)
    residual_std: float
    degrees: int  # of freedom

    @property
    def quantile(self) -> float:
        """95 % quantile of Student's t: a 90 % interval is the value and so many standard errors."""
        return float(stdtrit(self.degrees, 0.95))

    def interval(self, which: int) -> tuple[float, float]:
        """90 % interval of one coefficient."""
        value, half = float(self.coefficients[which]), self.quantile * self.std_error(which)
        return value - half, value + half

    def std_error(self, which: int) -> float:
        """Standard error of one coefficient."""
        return math.sqrt(self.covariance[which, which])

    def p_value(self, which: int) -> float:
        """Chance of a coefficient this far from zero, either way, if it were zero."""
        error = self.std_error(which)
        t = abs(float(self.coefficients[which])) / error if error > 0 else np.inf
        return float(2 * stdtr(self.degrees, -t))


def fit_ordinary(design: FloatArray, target: FloatArray) -> Ordinary | None:
    """Least squares; None where the rows do not exceed the terms, or the terms move together.

    Args:    design: (n, n_terms), the constant included where one is meant; target: (n,).

    >>> fit = fit_ordinary(np.column_stack([np.ones(3), [0.0, 1.0, 2.0]]), np.array([1.0, 3.0, 5.0]))
    >>> fit.coefficients.round(6), fit.degrees
    (array([1., 2.]), 1)
    """
    rows, terms = design.shape
    if rows <= terms or np.linalg.matrix_rank(design) < terms:
        return None
    coefficients: FloatArray = np.asarray(np.linalg.lstsq(design, target, rcond=None)[0], dtype=np.float64)
    variance = float(np.sum((target - design @ coefficients) ** 2)) / (rows - terms)
    covariance: FloatArray = np.asarray(variance * np.linalg.inv(design.T @ design), dtype=np.float64)
    return Ordinary(coefficients, covariance, variance**0.5, rows - terms)
