"""Slopes that hold inside every cell: what differs between cells is left out, cells are what is sampled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hptransfer.numerics.arrays import FloatArray, IntArray

MIN_CELLS = 3
"""Cells that an interval needs: it rests on how much they differ."""

UNIFORM = 12.0  # variance of a uniform draw is width^2 / 12
LEAST_SPREAD = 1e-3  # natural logs: smallest standard deviation of a combination of inputs inside cells


@dataclass(frozen=True)
class WithinSlopes:
    """Slopes (n_inputs,), their covariance (n_inputs, n_inputs) and its degrees of freedom."""

    slopes: FloatArray
    covariance: FloatArray
    degrees: int

    def interval(self, which: int) -> tuple[float, float]:
        """90 % interval of one slope, by Student's t."""
        from scipy.special import stdtrit

        half = float(stdtrit(self.degrees, 0.95)) * float(self.covariance[which, which]) ** 0.5
        return float(self.slopes[which]) - half, float(self.slopes[which]) + half


def within_slopes(inputs: FloatArray, target: FloatArray, *, cell: IntArray) -> WithinSlopes | None:
    """Least squares of target on inputs with a level of its own for every cell.

    The covariance is clustered by cell (Liang and Zeger 1986, with the factor G / (G - 1) for G cells), so
    that points of one cell may share an error.

    Args:    inputs: (n_points, n_inputs); target, cell: (n_points,).
    Returns: None with fewer than MIN_CELLS cells in which the inputs vary, or where they vary together.

    >>> x = np.array([0.0, 1.0, 0.0, 1.0, 0.0, 1.0])
    >>> found = within_slopes(x[:, None], 2 * x + [5, 5, 7, 7, 9, 9], cell=np.array([0, 0, 1, 1, 2, 2]))
    >>> found.slopes, found.degrees
    (array([2.]), 2)
    """
    _, index = np.unique(cell, return_inverse=True)
    count = np.bincount(index)
    x = inputs - _cell_means(inputs, index, count)
    y = target - _cell_means(target[:, None], index, count)[:, 0]
    moment = x.T @ x
    varies = np.bincount(index, (x**2).sum(axis=1)) > len(x) * np.finfo(float).eps
    n_cells = int(varies.sum())
    if n_cells < MIN_CELLS or np.linalg.eigvalsh(moment / len(x))[0] < LEAST_SPREAD**2:
        return None
    slopes: FloatArray = np.asarray(np.linalg.solve(moment, x.T @ y), dtype=np.float64)
    score = np.stack([np.bincount(index, column) for column in (x * (y - x @ slopes)[:, None]).T], axis=1)
    inverse = np.linalg.inv(moment)
    covariance = inverse @ (score.T @ score) @ inverse * n_cells / (n_cells - 1)
    return WithinSlopes(slopes, covariance, n_cells - 1)


def grid_covariance(inputs: FloatArray, width: FloatArray, *, cell: IntArray, shared: IntArray) -> FloatArray:
    """Covariance of `within_slopes` from targets known up to a width, (n_inputs, n_inputs).

    Errors are uniform within their width, the same but for that width at points of one `shared` index and
    independent between indices.

    Args:    as in `within_slopes`, which determines the slopes; width, shared: (n_points,).
    """
    _, index = np.unique(cell, return_inverse=True)
    x = inputs - _cell_means(inputs, index, np.bincount(index))
    inverse = np.linalg.inv(x.T @ x)
    together = np.stack([np.bincount(shared, column) for column in (x * width[:, None]).T], axis=1)
    return np.asarray(inverse @ (together.T @ together) @ inverse / UNIFORM)


def _cell_means(values: FloatArray, index: IntArray, count: IntArray) -> FloatArray:
    """Mean of each point's cell, (n_points, n_columns)."""
    sums = np.stack([np.bincount(index, column) for column in values.T], axis=1)
    return np.asarray((sums / count[:, None])[index])
