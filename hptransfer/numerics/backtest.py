"""Judging laws inside the rows being fitted: what they lose on cells and whole scales left out of their fit.

A planned point is priced by a smoothed reference of the left-out cell (mean surface plus a kriged residual):
the best single run of a cell is lucky, and pricing by it would reward fitting luck.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hptransfer.numerics.arrays import BoolArray, FloatArray, IntArray
from hptransfer.numerics.cells import CellRuns
from hptransfer.numerics.polynomials import monomial_values
from hptransfer.numerics.reweighting import Rounds
from hptransfer.numerics.surface import N_LAW, OWN_OFFSETS, cell_bowls, law_optima, layout

MAX_GROUPS = 32
"""Cells are left out one by one up to this many, in that many groups beyond: bounds the number of refits."""

TOP_SHARE = 1 / 3
"""The upper third by params, by tokens and by their product is left out as a whole: a plan extrapolates."""

MAX_REFERENCE_RUNS = 256
"""Runs per cell, those nearest the optimum, that carry the kriging: bounds its memory."""

LEAST_NEAR = 1e-3  # weight below which a run's residual says nothing about the bottom
CLEARLY_NEAR = 0.3  # weight of runs at which the reference may have its lowest point
LEAST_LENGTH = 1e-3  # kernel length, natural logs
LEAST_WEIGHT = 1e-6
LEAST_EXCESS = 1e-6  # log loss: members better than this are equally good
BLENDS = np.linspace(0.0, 1.0, 5)
"""Shares of the centroid family that are tried."""

BLEND_DRAWS = 400
UNIT_QUANTILE = 0.25
FALLBACK_UNIT = 0.01  # log loss, for cells with a single run each


@dataclass(frozen=True)
class CellReference:
    """Smoothed loss of one cell: runs that carry it, their kernel weights, and the kernel's lengths."""

    log_lr: FloatArray  # (n_carrying,)
    log_batch: FloatArray
    weight: FloatArray
    length: FloatArray  # (2,) natural logs


@dataclass(frozen=True)
class Scores:
    """Mean log loss lost on left-out cells above the cells' own floors, and the weights that follow.

    Attributes:
        surface, centroid: (n_members,) excess of each member.
        blend:             (len(BLENDS),) excess of the families' blends.
        surface_weights, centroid_weights: (n_members,), of the final average; all together they sum to one.
    """

    surface: FloatArray
    centroid: FloatArray
    blend: FloatArray
    surface_weights: FloatArray
    centroid_weights: FloatArray

    @property
    def centroid_share(self) -> float:
        """Weight of the centroid family."""
        return float(self.centroid_weights.sum())


def excess_unit(runs: CellRuns) -> float:
    """Lower quartile of the runs' excess over their cell's best: the sweep's own scale of near-optimal."""
    positive = runs.excess[runs.excess > 0]
    return float(np.quantile(positive, UNIT_QUANTILE)) if positive.size else FALLBACK_UNIT


def hold_out_folds(scale: FloatArray) -> BoolArray:
    """What to leave out, (n_folds, n_cells): each cell (or group of cells) once, then the upper thirds."""
    groups = own_fold(len(scale))
    folds = [groups == group for group in range(int(groups.max()) + 1)]
    for value in (scale[:, 0], scale[:, 1], scale.sum(axis=1)):
        top = value >= np.quantile(value, 1 - TOP_SHARE) - 1e-9
        if top.all():
            top = value > value.min() + 1e-9
        if (~top).sum() >= 2 and top.any():
            folds.append(top)
    return np.array(folds)


def own_fold(n_cells: int) -> IntArray:
    """The fold in which each cell is left out with its group, (n_cells,)."""
    return np.arange(n_cells) % min(n_cells, MAX_GROUPS)


def mean_bowl(
    runs: CellRuns, fits: Sequence[Rounds], cell: IntArray, log_lr: FloatArray, log_batch: FloatArray
) -> FloatArray:
    """Mean over fits (their first variant) of the shared bowl about each cell's own optimum, (n_points,)."""
    where = layout(runs.variables)
    total = np.zeros(len(cell))
    for fit in fits:
        parameters = fit.solution.parameters[:1]
        own = law_optima(parameters, runs.scale)[0] + fit.solution.own[0, :, :OWN_OFFSETS]
        shared = np.zeros((1, runs.n_cells, where.n_own))
        bowls = cell_bowls(where, fit.site, parameters, shared)
        terms = bowls.amplitude[0][:, None] * bowls.terms[0]
        values = monomial_values(where.form.powers, log_lr - own[cell, 0], log_batch - own[cell, 1])
        total += np.einsum("kn,nk->n", values, terms[cell])
    return total / len(fits)


def mean_near(fits: Sequence[Rounds]) -> FloatArray:
    """Mean weight of each run over fits (their first variant), (n_runs,)."""
    return np.asarray(np.mean([fit.near[0] * fit.robust[0] for fit in fits], axis=0))


class Reference:
    """The smoothed loss of every cell, to price planned points with."""

    def __init__(self, runs: CellRuns, fits: Sequence[Rounds]) -> None:
        self._runs, self._fits = runs, fits
        self.near = mean_near(fits)
        residual = runs.excess - mean_bowl(runs, fits, runs.cell, runs.log_lr, runs.log_batch)
        ends = np.append(runs.starts, runs.n_runs)
        self._cells = [
            _cell_reference(*(a[low:high] for a in (runs.log_lr, runs.log_batch, residual, self.near)))
            for low, high in itertools.pairwise(ends)
        ]

    def at(self, log_lr: FloatArray, log_batch: FloatArray) -> FloatArray:
        """Smoothed log loss (its level is the cell's own) at points of each cell, (..., n_cells)."""
        cell = np.broadcast_to(np.arange(self._runs.n_cells), log_lr.shape)
        bowl = mean_bowl(self._runs, self._fits, cell.ravel(), log_lr.ravel(), log_batch.ravel())
        kriged = [
            _kernel(log_lr[..., c].ravel(), log_batch[..., c].ravel(), cell_of) @ cell_of.weight
            for c, cell_of in enumerate(self._cells)
        ]
        return np.asarray(bowl.reshape(log_lr.shape) + np.stack(kriged, axis=-1).reshape(log_lr.shape))

    def of_laws(self, laws: FloatArray) -> FloatArray:
        """Smoothed log loss where laws (..., 2, 3) plan each cell, clamped to its runs; (..., n_cells)."""
        runs = self._runs
        planned = runs.design @ laws.swapaxes(-1, -2)  # (..., n_cells, 2)
        points = []
        for q, values in enumerate((runs.log_lr, runs.log_batch)):
            low, high = (f.reduceat(values, runs.starts) for f in (np.minimum, np.maximum))
            points.append(np.clip(planned[..., q], low, high))
        return self.at(*points)

    def lowest_at_runs(self) -> FloatArray:
        """Lowest smoothed log loss of each cell at its good runs, (n_cells,); infinite where it has none."""
        runs = self._runs
        smooth = mean_bowl(runs, self._fits, runs.cell, runs.log_lr, runs.log_batch)
        ends = np.append(runs.starts, runs.n_runs)
        lowest = np.full(runs.n_cells, np.inf)
        for c, cell in enumerate(self._cells):
            rows = np.arange(ends[c], ends[c + 1])
            rows = rows[self.near[rows] > CLEARLY_NEAR]
            if len(rows):
                kriged = _kernel(runs.log_lr[rows], runs.log_batch[rows], cell) @ cell.weight
                lowest[c] = (smooth[rows] + kriged).min()
        return lowest


def _cell_reference(
    log_lr: FloatArray, log_batch: FloatArray, residual: FloatArray, near: FloatArray
) -> CellReference:
    """Krige the residuals of one cell: signal as large as noise, which grows as the weight falls."""
    total = near.sum()
    residual = np.where(near > LEAST_NEAR, residual - (near * residual).sum() / total, 0.0)
    centres = [(near * v).sum() / total for v in (log_lr, log_batch)]
    spread = [
        np.sqrt((near * (v - c) ** 2).sum() / total)
        for v, c in zip((log_lr, log_batch), centres, strict=True)
    ]
    length: FloatArray = np.maximum(np.array(spread), LEAST_LENGTH)
    top = np.argsort(-near, kind="stable")[:MAX_REFERENCE_RUNS]
    cell = CellReference(log_lr[top], log_batch[top], np.empty(0), length)
    noise = np.diag(1 / np.maximum(near[top], LEAST_WEIGHT))
    smoothing = _kernel(log_lr[top], log_batch[top], cell) + noise
    weight = np.asarray(np.linalg.solve(smoothing, residual[top]), dtype=np.float64)
    return CellReference(log_lr[top], log_batch[top], weight, length)


def _kernel(log_lr: FloatArray, log_batch: FloatArray, cell: CellReference) -> FloatArray:
    """Gaussian kernel between points (n,) and the runs that carry a cell, (n, n_carrying)."""
    across = (log_lr[:, None] - cell.log_lr) / cell.length[0]
    along = (log_batch[:, None] - cell.log_batch) / cell.length[1]
    return np.asarray(np.exp(-0.5 * (across**2 + along**2)))


def left_out_loss(smoothed: FloatArray, folds: BoolArray) -> FloatArray:
    """Loss of each cell where it took no part in the fit, (..., n_cells).

    Half of it when the cell (or its group) alone is left out, half when it is in a left-out scale.

    Args:    smoothed: (..., 1 + n_folds, n_cells), the first of nothing left out; folds: (n_folds, n_cells).
    """
    n_cells = folds.shape[1]
    fold = own_fold(n_cells)
    n_groups = int(fold.max()) + 1
    alone = smoothed[..., 1 + fold, np.arange(n_cells)]
    scales = folds[n_groups:]
    in_scale = (smoothed[..., 1 + n_groups :, :] * scales).sum(axis=-2) / np.maximum(scales.sum(axis=0), 1)
    return np.where(scales.any(axis=0), (alone + in_scale) / 2, alone)


def bootstrap_shares(scores: FloatArray, *, draws: int = BLEND_DRAWS) -> FloatArray:
    """Share of Bayesian bootstraps over cells in which each of scores (n, n_cells) is least; (n,)."""
    mix = np.random.default_rng(0).dirichlet(np.ones(scores.shape[1]), draws)
    return np.bincount((mix @ scores.T).argmin(axis=1), minlength=len(scores)) / draws


def weigh_members(
    runs: CellRuns, folds: BoolArray, surfaces: Sequence[Rounds], centroids: Sequence[FloatArray]
) -> Scores:
    """Weigh the members by what they lose on left-out cells.

    Within a family a member weighs 1 / (mean excess): the excess of an unbiased estimate is proportional to
    its variance, so this is inverse-variance weighting. Between the families the blend itself is scored.

    Args:
        surfaces:  fits of 1 + n_folds variants, the first with nothing left out.
        centroids: laws (1 + n_folds, 2, 3) in the same order.
    """
    families = [
        np.stack([fit.solution.parameters[:, :N_LAW].reshape(-1, 2, 3) for fit in surfaces]),
        np.stack(list(centroids)),
    ]
    reference = Reference(runs, surfaces)
    smoothed = [reference.of_laws(family) for family in families]  # (n_members, 1 + n_folds, n_cells)
    floor = np.minimum(reference.lowest_at_runs(), np.concatenate([s[:, 0] for s in smoothed]).min(axis=0))
    excess, shares = [], []
    for values in smoothed:
        mean = np.maximum((left_out_loss(values, folds) - floor).mean(axis=-1), LEAST_EXCESS)
        mean = np.where(np.isfinite(mean), mean, np.inf)
        excess.append(mean)
        shares.append((1 / mean) / (1 / mean).sum())
    surface, centroid = (
        np.einsum("k,k...->...", share, family) for share, family in zip(shares, families, strict=True)
    )
    blends = (1 - BLENDS)[:, None, None, None] * surface + BLENDS[:, None, None, None] * centroid
    lost = left_out_loss(reference.of_laws(blends), folds) - floor
    share = float(bootstrap_shares(lost) @ BLENDS)
    return Scores(
        surface=excess[0],
        centroid=excess[1],
        blend=lost.mean(axis=1),
        surface_weights=(1 - share) * shares[0],
        centroid_weights=share * shares[1],
    )
