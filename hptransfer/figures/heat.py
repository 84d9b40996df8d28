"""Loss over a cell's grid of LRs and batches, coarse enough for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hptransfer.estimators.common import split_by_cell
from hptransfer.sweep import BoolArray, FloatArray, IntArray, Sweep

MOST_LRS = 14
MOST_BATCHES = 8
FEWEST_LRS, FEWEST_BATCHES = 3, 2
SAME_LEVEL = 0.02  # natural logs


@dataclass(frozen=True)
class HeatMap:
    """One cell on a grid: `lr` (n_lr,) by `batch_tokens` (n_batch,), both rising.

    `excess` (n_batch, n_lr): the best run of each place over the best of the cell, a fraction; NaN where none
    finished. `diverged`: places where runs were made and none finished. `best`: its row and column.
    """

    params: float
    tokens: float
    lr: FloatArray
    batch_tokens: FloatArray
    excess: FloatArray
    diverged: BoolArray
    best: tuple[int, int]


def heat_maps(sweep: Sweep, *, most: int) -> list[HeatMap]:
    """The cells with most compute that searched LR and batch together, at most so many."""
    if not sweep.has_batch:
        return []
    rows = split_by_cell(np.arange(sweep.n_runs), sweep.cell, n_cells=sweep.n_cells)
    largest = np.argsort(-sweep.cell_params * sweep.cell_tokens, kind="stable")
    found: list[HeatMap] = []
    for cell in largest:
        if len(found) < most and (one := _heat_map(sweep, int(cell), rows[cell])) is not None:
            found.append(one)
    return found


def _heat_map(sweep: Sweep, cell: int, runs: IntArray) -> HeatMap | None:
    finished = runs[~sweep.diverged[runs]]
    lr, column = _levels(sweep.lr[runs], MOST_LRS)
    batch, row = _levels(sweep.batch_tokens[runs], MOST_BATCHES)
    if len(lr) < FEWEST_LRS or len(batch) < FEWEST_BATCHES or len(finished) == 0:
        return None
    best = sweep.loss[finished].min()
    excess = np.full((len(batch), len(lr)), np.inf)
    tried = np.zeros(excess.shape, dtype=bool)
    tried[row, column] = True
    done = ~sweep.diverged[runs]
    np.minimum.at(excess, (row[done], column[done]), sweep.loss[finished] / best - 1.0)
    known = np.isfinite(excess)
    at = np.unravel_index(int(np.argmin(excess)), excess.shape)
    return HeatMap(
        params=float(sweep.cell_params[cell]),
        tokens=float(sweep.cell_tokens[cell]),
        lr=lr,
        batch_tokens=batch,
        excess=np.where(known, excess, np.nan),
        diverged=tried & ~known,
        best=(int(at[0]), int(at[1])),
    )


def _levels(values: FloatArray, most: int) -> tuple[FloatArray, IntArray]:
    """Distinct values and which of them each is; more than `most` are put into bins, even in logs.

    Returns: levels, shape (n_levels,), and the level of each value, shape (n_values,).
    """
    logs = np.log(values)
    ordered = np.unique(logs)
    starts = np.concatenate([[True], np.diff(ordered) > SAME_LEVEL])
    if starts.sum() <= most:
        levels = ordered[starts]
        return np.exp(levels), np.searchsorted(levels, logs + 1e-9, side="right") - 1
    edges = np.linspace(ordered[0], ordered[-1], most + 1)
    index = np.clip(np.searchsorted(edges, logs, side="right") - 1, 0, most - 1)
    return np.exp((edges[:-1] + edges[1:]) / 2), index


def sampled(curve: tuple[FloatArray, FloatArray], points: int) -> Sequence[float]:
    """A curve, x and y of shape (n,), at evenly spread x from its first to its last."""
    x, y = curve
    at: list[float] = np.interp(np.linspace(x[0], x[-1], points), x, y).tolist()
    return at
