"""How the best LR moves with the batch when params and tokens are fixed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hptransfer.numerics.bracketing import LEAST_WEIGHT, NEAR
from hptransfer.numerics.near_optimal import near_optimal_weights

MIN_BATCHES = 3
"""Batches with an interior LR optimum that a cell needs to take part."""

WIDER = 4.0
"""How much further up than `NEAR` the runs lie that show whether a slice is a parabola."""


@dataclass(frozen=True)
class Slices:
    """LR optima at given cell and batch: one entry a slice, shape (n_slices,); natural logs."""

    cell: NDArray[np.int64]
    log_batch: NDArray[np.float64]
    log_lr: NDArray[np.float64]


def slice_optima(
    log_lr: NDArray[np.float64],
    log_batch: NDArray[np.float64],
    *,
    loss: NDArray[np.float64],
    cell: NDArray[np.int64],
    threshold: float,
) -> Slices:
    """Mean log LR of the near-optimal runs of every (cell, batch) slice whose best run is interior in LR.

    A best run at the lowest or highest LR of its slice says only on which side the optimum lies, so the
    slice is left out; so are cells with fewer than MIN_BATCHES slices left.

    Args: one entry a run, shape (n_runs,); natural logs; loss finite and positive.
    """
    keys, slice_of = np.unique(np.column_stack([cell, log_batch]), axis=0, return_inverse=True)
    order = np.lexsort((log_lr, loss, slice_of.ravel()))
    slice_of, log_lr, loss = slice_of.ravel()[order], log_lr[order], loss[order]
    starts = np.flatnonzero(np.diff(slice_of, prepend=-1))
    best = log_lr[starts]  # runs of a slice are sorted by loss
    low, high = (f.reduceat(log_lr, starts) for f in (np.minimum, np.maximum))
    weights = near_optimal_weights(loss, slice_of, threshold=threshold)[0]
    mean = np.bincount(slice_of, weights * log_lr) / np.bincount(slice_of, weights)
    cell_of = keys[:, 0].astype(np.int64)
    interior = (low < best) & (best < high)
    enough = np.bincount(cell_of[interior], minlength=int(cell.max()) + 1) >= MIN_BATCHES
    keep = interior & enough[cell_of]
    return Slices(cell_of[keep], keys[keep, 1], mean[keep])


@dataclass(frozen=True)
class SliceVertices(Slices):
    """Bottoms of slices, and how far the grid leaves each open: one entry a slice, natural logs.

    `width` is 0 where a parabola shows the bottom, else that of the LRs it may lie at: the near-optimal runs'
    with half a step of the grid to either side. `others` (2, n_slices) are the bottoms by runs further up as
    well, and by the best run and its neighbours alone; they differ where the slice is no parabola.
    """

    others: NDArray[np.float64]
    width: NDArray[np.float64]


def slice_vertices(
    log_lr: NDArray[np.float64],
    log_batch: NDArray[np.float64],
    *,
    loss: NDArray[np.float64],
    cell: NDArray[np.int64],
    threshold: float,
) -> SliceVertices:
    """LR at the bottom of every (cell, batch) slice, by a parabola through the runs near its best one.

    Which slices take part: as in `slice_optima`. Of the runs at one LR the lowest loss counts. Where no
    parabola rises by `threshold` over half the LRs it goes through, the mean log LR of the near-optimal runs
    stands in for its vertex.

    Args: as in `slice_optima`.
    """
    keys, slice_of = np.unique(np.column_stack([cell, log_batch]), axis=0, return_inverse=True)
    order = np.lexsort((loss, log_lr, slice_of.ravel()))
    order = order[_changes(slice_of.ravel()[order]) | _changes(log_lr[order])]
    index, x, y = slice_of.ravel()[order], log_lr[order], np.log(loss[order])
    starts = np.flatnonzero(_changes(index))
    lowest = np.minimum.reduceat(y, starts)
    at = np.lexsort((x, y, index))[starts]  # of each slice's best run
    ends = np.append(starts[1:], len(x)) - 1
    cell_of = keys[:, 0].astype(np.int64)
    interior = (starts < at) & (at < ends)
    enough = np.bincount(cell_of[interior], minlength=int(cell.max()) + 1) >= MIN_BATCHES
    keep = interior & enough[cell_of]
    rows = keep[index]
    kept = np.cumsum(keep) - 1
    position = np.arange(len(x)) - at[index]
    index, x, excess, position = kept[index][rows], x[rows], (y - lowest[index])[rows], position[rows]
    best = x[position == 0]
    beside = np.abs(position) <= 1
    mean, width = _near_mean(index, x, excess=excess, threshold=threshold)
    found = [
        _vertices(index[use], x[use], best=best, excess=excess[use], near=near, least_rise=least)
        for use, near, least in (
            (beside | (excess <= NEAR), NEAR, threshold),
            (beside, NEAR, threshold),
            (beside | (excess <= WIDER * NEAR), WIDER * NEAR, threshold),
            (beside, NEAR, np.finfo(float).eps),
        )
    ]
    vertex = np.where(np.isfinite(found[0]), found[0], found[1])
    shown = np.isfinite(vertex)
    log_lr = np.where(shown, vertex, mean)
    others = np.where(shown & np.isfinite(found[2:]), found[2:], log_lr)
    return SliceVertices(cell_of[keep], keys[keep, 1], log_lr, others, np.where(shown, 0.0, width))


def _changes(values: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Where a value differs from the one before it; True for the first."""
    return np.append(True, values[1:] != values[:-1])[: len(values)]


def _vertices(
    index: NDArray[np.int64],
    x: NDArray[np.float64],
    *,
    best: NDArray[np.float64],
    excess: NDArray[np.float64],
    near: float,
    least_rise: float,
) -> NDArray[np.float64]:
    """Vertex of each slice's weighted parabola; NaN where it is flat or lies beyond the runs.

    Args:    index, x, excess: (n_runs,), slices adjacent and three or more runs each; best: (n_slices,).
    """
    starts = np.flatnonzero(_changes(index))
    low, high = (f.reduceat(x, starts) - best for f in (np.minimum, np.maximum))
    half = (high - low) / 2
    u = (x - best[index]) / half[index]
    weight = np.exp(-excess / near) + LEAST_WEIGHT
    sums = np.stack([np.bincount(index, weight * u**k) for k in range(5)])
    moment = sums[np.add.outer(np.arange(3), np.arange(3))].transpose(2, 0, 1)
    target = np.stack([np.bincount(index, weight * u**k * excess) for k in range(3)], axis=1)
    _, slope, bend = (np.linalg.pinv(moment, hermitian=True) @ target[..., None])[..., 0].T
    bent = bend >= least_rise  # the rise over `half`
    vertex = -slope / (2 * np.where(bent, bend, 1.0)) * half
    return np.where(bent & (low < vertex) & (vertex < high), best + vertex, np.nan)


def _near_mean(
    index: NDArray[np.int64], x: NDArray[np.float64], *, excess: NDArray[np.float64], threshold: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean log LR of each slice's near-optimal runs, and the width of the LRs nearer to them than to others.

    Args:    runs sorted by slice and LR, those with the lowest and highest LR of a slice not the best.
    """
    near = excess < np.log1p(threshold)
    mean = np.bincount(index, near * x) / np.bincount(index, near)
    last = np.append(_changes(index)[1:], True)
    below = np.where(_changes(index), x, (x + np.roll(x, 1)) / 2)
    above = np.where(last, x, (x + np.roll(x, -1)) / 2)
    starts = np.flatnonzero(_changes(index))
    low = np.minimum.reduceat(np.where(near, below, np.inf), starts)
    high = np.maximum.reduceat(np.where(near, above, -np.inf), starts)
    return mean, high - low
