"""Where each cell's own optimum lies, how well its runs show it, how noisy a full grid's would be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hptransfer.numerics.arrays import FloatArray
from hptransfer.numerics.cells import CellRuns
from hptransfer.numerics.polynomials import basis, monomial_values

OWN_CUBIC = basis(3, variables=2).powers
"""A cell's own correction to the shared bowl: monomials of degree one to three."""

OWN_SLOPES = 2
"""The first two of them tilt the bowl, which is what moves an optimum."""

FREE_TILT_STD = 4.0
"""Prior of the own tilt, in fades per bowl length: all but free."""

OWN_SHAPE_STD = 0.5
"""Prior of the own quadratic and cubic terms, relative to the bowl where it reaches one fade."""

GRID_POINTS = 41
CHUNK_POINTS = 1 << 17  # points whose bowls are held at once
NEAR = np.exp(-1.0)  # weight above which a run spans the box that an optimum is searched in
SAME_LEVEL = 0.02  # natural logs: labels of one level differ by rounding
STEP_QUANTILE = 0.25  # thinning a grid doubles gaps, it never halves them
DEFAULT_STEP = float(np.log(2.0))
UNIFORM = 12.0  # variance of a uniform draw is width^2 / 12
TINY = 1e-12

BowlValues = Callable[[FloatArray, FloatArray], FloatArray]


@dataclass(frozen=True)
class CellOptima:
    """Cells' own optima: departure (n_cells, 2) from a law, and its error covariance (n_cells, 2, 2)."""

    departure: FloatArray
    covariance: FloatArray


def cell_optima(
    runs: CellRuns,
    *,
    departure: FloatArray,
    optimum: FloatArray,
    weight: FloatArray,
    bowl: BowlValues,
    curvature: FloatArray,
    noise_variance: float,
    fade: float,
) -> CellOptima:
    """Each cell's own smoothed optimum: the shared bowl plus a cubic of its own, shrunk towards nothing.

    A full grid shows its own optimum; from a handful of runs the shared bowl's remains.

    Args:
        departure: (n_cells, 2), of the surface's optimum of each cell from the law.
        optimum:   (n_cells, 2), that optimum, log LR and log batch.
        weight:    (n_runs,), 1 at the optimum.
        bowl:      u, v (n_cells, n) -> log loss of each cell's shared bowl.
        curvature: (2, 2), its second derivatives at the bottom.
        noise_variance, fade: of log loss, and log loss.
    """
    n_cells = runs.n_cells
    length = np.sqrt(2 * fade / np.diagonal(curvature))
    offset = np.column_stack([runs.log_lr, runs.log_batch]) - optimum[runs.cell]
    residual = runs.excess - _bowl_at_runs(runs, offset, bowl)
    own, covariance = _own_terms(
        runs, offset / length, residual, weight=weight, noise_variance=noise_variance, fade=fade
    )
    low, high = _near_box(runs, offset, weight)
    ticks = np.linspace(0, 1, GRID_POINTS)
    grid = [t.ravel() for t in np.meshgrid(ticks, ticks, indexing="ij")]
    u, v = (low[:, [q]] + (high - low)[:, [q]] * grid[q] for q in (0, 1))
    correction = np.einsum("kcg,ck->cg", monomial_values(OWN_CUBIC, u / length[0], v / length[1]), own)
    best = (bowl(u, v) + correction).argmin(axis=1)
    at = np.column_stack([u[np.arange(n_cells), best], v[np.arange(n_cells), best]])
    slope = _slopes(at / length) / length  # (n_cells, n_terms, 2)
    inverse = np.linalg.inv(curvature)
    error = inverse @ (slope.swapaxes(1, 2) @ covariance @ slope) @ inverse
    # No noisier than a uniform draw over the box it was searched in, plus the search's own resolution.
    box = (high - low) ** 2 / UNIFORM + (length / GRID_POINTS) ** 2
    shrink = 1 / np.sqrt(1 + np.diagonal(error, axis1=1, axis2=2) / box)
    return CellOptima(departure + at, error * shrink[:, :, None] * shrink[:, None, :])


def _bowl_at_runs(runs: CellRuns, offset: FloatArray, bowl: BowlValues) -> FloatArray:
    """Shared bowl at every run, (n_runs,); cell by cell because cells differ in runs."""
    ends = np.append(runs.starts, runs.n_runs)
    out = np.empty(runs.n_runs)
    width = int(np.diff(ends).max())
    slot = np.arange(runs.n_runs) - ends[runs.cell]
    chunk = max(1, CHUNK_POINTS // runs.n_cells)
    for first in range(0, width, chunk):
        padded = np.zeros((2, runs.n_cells, min(chunk, width - first)))
        here = (slot >= first) & (slot < first + chunk)
        padded[:, runs.cell[here], slot[here] - first] = offset[here].T
        out[here] = bowl(padded[0], padded[1])[runs.cell[here], slot[here] - first]
    return out


def _own_terms(
    runs: CellRuns,
    scaled: FloatArray,
    residual: FloatArray,
    *,
    weight: FloatArray,
    noise_variance: float,
    fade: float,
) -> tuple[FloatArray, FloatArray]:
    """Ridge fit of each cell's own cubic to its residuals: terms (n_cells, n_terms) and their covariance."""
    columns = np.concatenate([monomial_values(OWN_CUBIC, *scaled.T), residual[None]])
    total = np.maximum(runs.sum_cells(weight), TINY)
    mean = runs.sum_cells(weight * columns) / total
    centred = columns - mean[:, runs.cell]
    second = np.stack([runs.sum_cells(weight * centred * row) for row in centred], axis=0)
    moment = second.transpose(2, 0, 1)  # (n_cells, n_terms + 1, n_terms + 1)
    n_terms = len(OWN_CUBIC)
    prior_std = fade * np.where(np.arange(n_terms) < OWN_SLOPES, FREE_TILT_STD, OWN_SHAPE_STD)
    precision = moment[:, :n_terms, :n_terms] / noise_variance + np.diag(prior_std**-2)
    covariance: FloatArray = np.asarray(np.linalg.inv(precision), dtype=np.float64)
    own = (covariance @ moment[:, :n_terms, n_terms:])[..., 0] / noise_variance
    return own, covariance


def _near_box(runs: CellRuns, offset: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Bounding box (low, high), each (n_cells, 2), of a cell's near runs and its fitted optimum."""
    near = weight > NEAR
    low, high = np.zeros((runs.n_cells, 2)), np.zeros((runs.n_cells, 2))
    np.minimum.at(low, runs.cell[near], offset[near])
    np.maximum.at(high, runs.cell[near], offset[near])
    return low, high


def _slopes(at: FloatArray) -> FloatArray:
    """Gradients of the own terms at (n_cells, 2), (n_cells, n_terms, 2)."""
    form = basis(3, variables=2)
    values = np.concatenate([np.ones((1, len(at))), monomial_values(OWN_CUBIC, *at.T)])
    place = {power: k for k, power in enumerate(((0, 0), *OWN_CUBIC))}
    out = np.zeros((len(at), len(OWN_CUBIC), 2))
    for k, (i, j) in enumerate(form.powers):
        if i:
            out[:, k, 0] = i * values[place[i - 1, j]]
        if j:
            out[:, k, 1] = j * values[place[i, j - 1]]
    return out


def typical_grid(runs: CellRuns, *, law_optimum: FloatArray) -> FloatArray:
    """The grid a cell of this sweep has when complete: offsets (n_points, 2) from its optimum.

    Step: lower quartile of the gaps between neighbouring levels of a cell. Extent: median over cells.

    Args:    law_optimum: (n_cells, 2), log LR and log batch of the law.
    """
    axes = [
        _typical_axis(runs, values, law_optimum[:, q])
        for q, values in enumerate((runs.log_lr, runs.log_batch)[: runs.variables])
    ]
    if runs.variables == 1:
        axes.append(np.zeros(1))
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)


def _typical_axis(runs: CellRuns, values: FloatArray, optimum: FloatArray) -> FloatArray:
    order = np.lexsort((values, runs.cell))
    gap, same = np.diff(values[order]), np.diff(runs.cell[order]) == 0
    gap = gap[same & (gap > SAME_LEVEL)]
    step = float(np.quantile(gap, STEP_QUANTILE)) if gap.size else DEFAULT_STEP
    away = values - optimum[runs.cell]
    low, high = (float(np.median(f.reduceat(away, runs.starts))) for f in (np.minimum, np.maximum))
    return np.asarray(low + step * np.arange(max(round((high - low) / step), 2) + 1))


def grid_noise(
    grid: FloatArray, excess: FloatArray, curvature: FloatArray, *, noise_variance: float, fade: float
) -> FloatArray:
    """Variance (2,) of the optimum that one such grid shows when a weighted cubic of its own is fitted to it.

    Delta method, saturating at the variance of a uniform draw over the region within `fade` of the bottom.

    Args:    grid (n_points, 2) and excess (n_points,): offsets, and log loss there above the bottom.
    """
    weight = np.exp(-np.maximum(excess, 0) / fade)
    terms = np.concatenate([np.ones((1, len(grid))), monomial_values(OWN_CUBIC, *grid.T)]).T
    inverse_gram = np.linalg.pinv(terms.T @ (weight[:, None] * terms))
    spread = inverse_gram @ (terms.T @ (weight[:, None] ** 2 * terms)) @ inverse_gram
    tilt = spread[1 : 1 + OWN_SLOPES, 1 : 1 + OWN_SLOPES] * noise_variance
    inverse = np.linalg.inv(curvature)
    free = np.maximum(np.diagonal(inverse @ tilt @ inverse), TINY)
    near = excess < fade
    extent = np.ptp(grid[near], axis=0) if near.any() else np.zeros(2)
    box = np.maximum(extent + _largest_steps(grid.T), TINY**0.5)
    return np.asarray(1 / (1 / free + UNIFORM / box**2))


def _largest_steps(axes: Sequence[FloatArray] | FloatArray) -> FloatArray:
    return np.array([np.diff(np.unique(axis)).max(initial=0.0) for axis in axes])
