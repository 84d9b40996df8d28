"""The loss of one cell's grid of runs: at a planned point, and at the cell's own smoothed optimum.

Coordinates are natural logs of LR and batch. Cells are few and each needs a triangulation of its own, so the
functions here take one cell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import QhullError

Floats = NDArray[np.float64]

SMOOTH_WITHIN = 0.10  # excess loss of the runs that shape the smoothed optimum, fraction
SMOOTH_FADE = 0.02  # excess loss at which a run's weight has faded to 1 / e, fraction
NEAR_OPTIMAL = 0.01  # the smoothed optimum lies in the box of runs this near the best, fraction
MIN_RUNS_TO_SMOOTH = 12  # a cubic in two coordinates has ten coefficients
GRID = 101


@dataclass(frozen=True)
class Reading:
    """What a cell's runs say about a point: excess loss over the cell's best run (fraction), and
    whether the point had to be moved to the edge of the grid.
    """

    excess: float
    clamped: bool


def excess_at(point: Floats, log_lr: Floats, log_batch: Floats, loss: Floats) -> Reading:
    """Excess loss at a point, piecewise linear between runs, at the edge of their box beyond it.

    Args:    point: (2,), log LR and log batch; the others (n_runs,), finite. Where log_batch is constant the
             sweep is one of the LR alone, and the batch of the point does not matter.
    """
    runs = np.column_stack([log_lr, log_batch])
    varies = np.ptp(runs, axis=0) > 0
    runs, point = runs[:, varies], point[varies]
    low, high = runs.min(axis=0), runs.max(axis=0)
    inside = np.clip(point, low, high)
    value = _interpolated(inside, runs, loss)
    return Reading(float(value / loss.min() - 1.0), bool((inside != point).any()))


def _interpolated(point: Floats, runs: Floats, loss: Floats) -> float:
    """Piecewise linear loss at a point; the nearest run's where the point lies outside their hull."""
    if runs.shape[1] == 1:
        levels, level = np.unique(runs[:, 0], return_inverse=True)
        best = np.full(len(levels), np.inf)
        np.minimum.at(best, level, loss)
        return float(np.interp(point[0], levels, best))
    value = np.nan
    if len(runs) > 3:
        try:
            value = float(LinearNDInterpolator(runs, loss)(*point))
        except QhullError:  # all runs on one line
            value = np.nan
    if np.isnan(value):
        distance = ((runs - point) / np.maximum(np.ptp(runs, axis=0), 1e-12)) ** 2
        value = float(loss[distance.sum(axis=1).argmin()])
    return value


def smoothed_optimum(log_lr: Floats, log_batch: Floats, loss: Floats) -> Floats | None:
    """The minimum of a cubic through the runs, weighted towards the best, inside the near-optimal box; (2,).

    None where the cell has too few runs to say: less than `MIN_RUNS_TO_SMOOTH`, or one level of LR or batch.
    """
    excess = loss / loss.min() - 1.0
    use = excess < SMOOTH_WITHIN
    runs = np.column_stack([log_lr, log_batch])
    if use.sum() < MIN_RUNS_TO_SMOOTH or (np.ptp(runs[use], axis=0) == 0).any():
        return None
    centre = runs[loss.argmin()]
    weights = np.exp(-excess[use] / SMOOTH_FADE)
    features = _cubic(runs[use] - centre) * weights[:, None]
    terms = np.linalg.lstsq(features, np.log(loss[use]) * weights, rcond=None)[0]
    near = runs[excess < NEAR_OPTIMAL]
    axes = [np.linspace(near[:, k].min(), near[:, k].max(), GRID) for k in (0, 1)]
    candidates = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    best: Floats = candidates[(_cubic(candidates - centre) @ terms).argmin()]
    return best


def _cubic(points: Floats) -> Floats:
    """All ten monomials of two coordinates to the third degree, (n, 10)."""
    x, y = points[:, 0], points[:, 1]
    return np.column_stack(
        [x**i * y**j for total in range(4) for i, j in ((total - k, k) for k in range(total + 1))]
    )
