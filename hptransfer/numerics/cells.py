"""Runs sorted into the cells of a sweep, in the coordinates that a surface is fitted in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hptransfer.numerics.arrays import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class CellRuns:
    """Runs of one cell adjacent; natural logs throughout.

    Attributes:
        scale:     (n_cells, 2), log params and log tokens about their mean over cells.
        centre:    (2,), those means.
        cell:      (n_runs,), never decreasing, every cell present.
        log_lr, log_batch: (n_runs,); log_batch is zero everywhere when the batch was not searched.
        excess:    (n_runs,), log loss above the cell's best run.
        best:      (n_cells,), log loss of that run.
        searched:  (n_cells,), cells that tried more than one batch; all True where no cell did.
        variables: 2 with a search over LR and batch, 1 over LR alone.
    """

    scale: FloatArray
    centre: FloatArray
    cell: IntArray
    log_lr: FloatArray
    log_batch: FloatArray
    excess: FloatArray
    best: FloatArray
    searched: BoolArray
    variables: int

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return len(self.scale)

    @property
    def n_runs(self) -> int:
        """Number of runs."""
        return len(self.cell)

    @property
    def starts(self) -> IntArray:
        """First run of each cell, (n_cells,)."""
        return np.flatnonzero(np.diff(self.cell, prepend=-1))

    @property
    def design(self) -> FloatArray:
        """(1, log params, log tokens) of each cell, (n_cells, 3), centred."""
        return np.column_stack([np.ones(self.n_cells), self.scale])

    def sum_cells(self, values: FloatArray) -> FloatArray:
        """Sum values (..., n_runs) over each cell, (..., n_cells)."""
        return np.asarray(np.add.reduceat(values, self.starts, axis=-1))


def cell_runs(
    log_params: FloatArray,
    log_tokens: FloatArray,
    *,
    cell: IntArray,
    log_lr: FloatArray,
    log_batch: FloatArray | None,
    log_loss: FloatArray,
) -> CellRuns:
    """Bring runs into fitting coordinates.

    Args:
        log_params, log_tokens: (n_cells,), natural logs.
        cell, log_lr, log_batch, log_loss: (n_runs,), sorted by cell, every cell present; `log_batch` None
            where the batch was not searched.
    """
    scale = np.column_stack([log_params, log_tokens])
    starts = np.flatnonzero(np.diff(cell, prepend=-1))
    best = np.minimum.reduceat(log_loss, starts)
    searched = np.ones(len(scale), dtype=np.bool_)
    if log_batch is not None:
        searched = np.maximum.reduceat(log_batch, starts) > np.minimum.reduceat(log_batch, starts)
    return CellRuns(
        scale=scale - scale.mean(axis=0),
        centre=scale.mean(axis=0),
        cell=cell,
        log_lr=log_lr,
        log_batch=np.zeros(len(cell)) if log_batch is None else log_batch,
        excess=log_loss - best[cell],
        best=best,
        searched=searched,
        variables=1 if log_batch is None else 2,
    )


def thinned(runs: CellRuns, *, n_runs: int) -> IntArray:
    """Runs of a systematic sample that keeps each cell's distribution of loss and never its best run out.

    Every k-th run of a cell in order of loss, k the same for all cells and so that about `n_runs` remain.
    """
    order = np.lexsort((runs.log_batch, runs.log_lr, runs.excess, runs.cell))
    rank = np.arange(runs.n_runs) - runs.starts[runs.cell[order]]
    step = max(1, -(-runs.n_runs // n_runs))
    return np.sort(order[rank % step == 0])


def subset(runs: CellRuns, rows: IntArray) -> CellRuns:
    """The runs `rows` (sorted, every cell present, the best run of each among them)."""
    return CellRuns(
        scale=runs.scale,
        centre=runs.centre,
        cell=runs.cell[rows],
        log_lr=runs.log_lr[rows],
        log_batch=runs.log_batch[rows],
        excess=runs.excess[rows],
        best=runs.best,
        searched=runs.searched,
        variables=runs.variables,
    )
