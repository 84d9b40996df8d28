"""What each cell says by itself: its optimum, the loss there and the noise, without any law or other cell.

A surface that is fitted to all cells at once pulls a wrong cell towards the others and hides what is wrong
with it. These points know nothing of the others, so that a cell can be held against them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hptransfer.numerics.arrays import FloatArray, IntArray
from hptransfer.numerics.polynomials import monomial_values, monomials

DEGREE = 3
SPARE_RUNS = 2  # beyond the coefficients, for a residual to speak of
WITHIN = 0.10  # log loss above the cell's best of the runs that take part
FADE = 0.02  # log loss over which a run's weight falls by e
NEAR = 0.01  # log loss above the best of the runs that span the box where an optimum is looked for
NEAR_OPTIMAL = 0.0025  # the same, of the runs that are averaged where a cell has too few for a polynomial
TICKS = 101
LEAST_EXTENT = 1e-9


@dataclass(frozen=True)
class OwnPoints:
    """One entry a cell, (n_cells,); natural logs.

    Attributes:
        log_lr, log_batch: the cell's own optimum; log_batch NaN where the cell tried one batch.
        log_loss: there.
        log_variance: of log loss about the cell's own polynomial; NaN where too few runs show it.
        residual: (n_runs,), log loss minus that polynomial; NaN where there is none or the run is far above.
    """

    log_lr: FloatArray
    log_batch: FloatArray
    log_loss: FloatArray
    log_variance: FloatArray
    residual: FloatArray


def own_points(
    *, log_lr: FloatArray, log_batch: FloatArray, log_loss: FloatArray, cell: IntArray
) -> OwnPoints:
    """Find each cell's point.

    Args:    (n_runs,) each, sorted by cell, every cell 0 .. n - 1 present; log_batch finite, constant where
             it was not searched.
    """
    starts = np.flatnonzero(np.diff(cell, prepend=-1))
    ends = np.append(starts[1:], len(cell))
    points = np.full((len(starts), 4), np.nan)
    residual = np.full(len(cell), np.nan)
    for k, (start, end) in enumerate(zip(starts, ends, strict=True)):
        rows = slice(start, end)
        points[k], residual[rows] = _one_cell(log_lr[rows], log_batch[rows], log_loss[rows])
    return OwnPoints(points[:, 0], points[:, 1], points[:, 2], points[:, 3], residual)


def _one_cell(
    log_lr: FloatArray, log_batch: FloatArray, log_loss: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """(log LR, log batch, log loss, log variance) of one cell, and its runs' residuals (n_runs,)."""
    excess = log_loss - log_loss.min()
    use = excess < WITHIN
    runs = np.column_stack([log_lr, log_batch])
    searched = np.ptp(runs, axis=0) > LEAST_EXTENT
    varied = np.ptp(runs[use], axis=0) > LEAST_EXTENT
    residual = np.full(len(runs), np.nan)
    n_terms = 1 + len(monomials(DEGREE, variables=int(varied.sum())))
    if not varied.any() or (varied != searched).any() or use.sum() < n_terms + SPARE_RUNS:
        near = runs[excess <= NEAR_OPTIMAL].mean(axis=0)
        return np.array([near[0], near[1] if searched[1] else np.nan, log_loss.min(), np.nan]), residual
    x = runs[:, varied] - runs[excess.argmin(), varied]
    weight = np.exp(-excess[use] / FADE)
    root = np.sqrt(weight)
    terms = np.linalg.lstsq(_features(x[use]) * root[:, None], log_loss[use] * root, rcond=None)[0]
    residual[use] = log_loss[use] - _features(x[use]) @ terms
    variance = float((weight * residual[use] ** 2).sum() / weight.sum() * use.sum() / (use.sum() - n_terms))
    box = x[excess < NEAR]
    axes = [np.linspace(low, high, TICKS) for low, high in zip(box.min(axis=0), box.max(axis=0), strict=True)]
    candidates = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, x.shape[1])
    value = _features(candidates) @ terms
    optimum = runs[excess.argmin()].copy()
    optimum[varied] += candidates[value.argmin()]
    batch = optimum[1] if searched[1] else np.nan
    log_variance = np.log(variance) if variance > 0 else np.nan
    return np.array([optimum[0], batch, value.min(), log_variance]), residual


def _features(x: FloatArray) -> FloatArray:
    """All monomials of (n, 1 or 2) coordinates to the third degree, the constant included, (n, n_terms)."""
    powers = monomials(DEGREE, variables=x.shape[1])
    y = x[:, 1] if x.shape[1] == 2 else np.zeros(len(x))
    return np.column_stack([np.ones(len(x)), monomial_values(powers, x[:, 0], y).T])
