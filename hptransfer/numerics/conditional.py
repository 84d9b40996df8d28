"""How the best LR moves with the batch when params and tokens are fixed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hptransfer.numerics.near_optimal import near_optimal_weights

MIN_BATCHES = 3
"""Batches with an interior LR optimum that a cell needs to take part."""


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
