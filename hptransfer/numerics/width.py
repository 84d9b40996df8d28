"""How something moves with width: bowls in the LR, straight lines in logs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

FloatArray = NDArray[np.float64]
Failure = Literal["too-few", "edge-low", "edge-high", "edge-diverged"]

DIVERGED_RATIO = 1.2  # a loss above this many times the best is no part of the bowl
HALF_WINDOW = 2  # LRs on either side of the best that the bowl is fitted to


@dataclass(frozen=True)
class Optimum:
    """The LR of the lowest loss in log2, or why there is none; `std` from the residuals, None without any."""

    log2_lr: float | None
    std: float | None
    loss: float  # lowest mean loss seen; NaN without a finite one
    levels: int  # LRs with a usable loss
    failure: Failure | None


def optimum(log2_lr: FloatArray, loss: FloatArray) -> Optimum:
    """Vertex of a parabola through the lowest mean losses of an LR sweep at one width.

    Losses of one LR (repeats, seeds) are averaged. The parabola goes through the best LR and up to two
    neighbours on either side: few, because bowls are skewed.

    Args:    log2_lr: finite, shape (n_runs,); loss: positive, NaN or inf where diverged, shape (n_runs,).

    >>> x = np.arange(-9.0, -1.0)
    >>> optimum(x, 2.0 + 0.1 * (x + 5.25) ** 2).log2_lr
    -5.25
    """
    levels, mean = _level_means(log2_lr, loss)
    lowest = np.nanmin(mean) if np.isfinite(mean).any() else np.nan
    usable = np.isfinite(mean) & (mean <= DIVERGED_RATIO * lowest)
    count = int(usable.sum())
    if count < 3:
        return Optimum(None, None, float(lowest), count, "too-few")
    best = int(np.argmin(np.where(usable, mean, np.inf)))
    failure = _edge(best, usable)
    if failure is not None:
        return Optimum(None, None, float(lowest), count, failure)
    index = np.arange(len(usable))
    near = index[usable & (np.abs(index - best) <= HALF_WINDOW)]
    vertex, std = _vertex(levels[near], mean[near])
    if vertex is None:  # the wide window is no bowl: the best and its neighbours always are
        near = np.array([best - 1, best, best + 1])
        vertex, std = _vertex(levels[near], mean[near])
    return Optimum(levels[best] if vertex is None else vertex, std, float(lowest), count, None)


def _level_means(log2_lr: FloatArray, loss: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Distinct LRs in order, and the mean loss of each (NaN where any repeat diverged)."""
    levels, index = np.unique(np.round(log2_lr, 6), return_inverse=True)
    finite = np.where(np.isfinite(loss), loss, np.nan)
    total = np.bincount(index, weights=finite, minlength=len(levels))
    return levels, total / np.bincount(index, minlength=len(levels))


def _edge(best: int, usable: NDArray[np.bool_]) -> Failure | None:
    """Why the best LR has no neighbour on one side, if so."""
    if best == 0:
        return "edge-low"
    if best == len(usable) - 1:
        return "edge-high"
    return None if usable[best - 1] and usable[best + 1] else "edge-diverged"


def _vertex(x: FloatArray, y: FloatArray) -> tuple[float | None, float | None]:
    """Vertex of the least-squares parabola and its standard deviation; None where it has none inside."""
    origin = float(x.mean())
    design = np.vander(x - origin, 3)
    coefficients, *_ = np.linalg.lstsq(design, y, rcond=None)
    curvature, slope, _ = coefficients
    if curvature <= 0:
        return None, None
    at = -slope / (2 * curvature)
    if not x.min() <= at + origin <= x.max():
        return None, None
    freedom = len(x) - 3
    if freedom == 0:
        return float(at + origin), None
    residual = y - design @ coefficients
    covariance = np.linalg.inv(design.T @ design) * (residual @ residual) / freedom
    gradient = np.array([slope / (2 * curvature**2), -1 / (2 * curvature), 0.0])
    return float(at + origin), float(np.sqrt(gradient @ covariance @ gradient))


@dataclass(frozen=True)
class Slopes:
    """Slopes of a straight line, shape (n_inputs,), with 90 % intervals; the scatter about it."""

    slopes: FloatArray
    half_widths: FloatArray
    scatter: float


def slopes(inputs: FloatArray, target: FloatArray, *, level: float = 0.9) -> Slopes | None:
    """Least-squares slopes with Student's t intervals from the scatter about the line.

    Args:    inputs: (n, n_inputs); target: (n,); all finite.
    Returns: None where the inputs do not vary enough or no degree of freedom is left.
    """
    design = np.column_stack([np.ones(len(target)), inputs])
    freedom = len(target) - design.shape[1]
    if freedom < 1 or np.linalg.matrix_rank(design) < design.shape[1]:
        return None
    coefficients, *_ = np.linalg.lstsq(design, target, rcond=None)
    residual = target - design @ coefficients
    variance = float(residual @ residual) / freedom
    inverse = np.linalg.inv(design.T @ design)
    half = student.ppf(0.5 + level / 2, freedom) * np.sqrt(variance * np.diag(inverse))
    return Slopes(np.asarray(coefficients[1:]), np.asarray(half[1:]), float(np.sqrt(variance)))
