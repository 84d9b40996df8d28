"""Bootstrap draws as counts: how often each run appears in each draw."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def cell_then_run_counts(
    cell: NDArray[np.int64], *, n_draws: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Resample whole cells, then runs inside each drawn cell.

    Cells are drawn with replacement; for every time a cell is drawn, as many runs as it has are drawn
    from it with replacement. Resampling runs alone would take the cells as given and understate how much
    a law may be off at a scale that is not among them.

    Args:    cell: (n_runs,), index of each run's cell, runs of one cell adjacent, every index 0..max used.
    Returns: counts, (n_draws, n_runs).

    >>> cell_then_run_counts(np.array([0, 0, 1, 1]), n_draws=3, rng=np.random.default_rng(0)).sum(axis=1)
    array([4, 4, 4])
    """
    size = np.bincount(cell)  # (n_cells,)
    start = np.concatenate([[0], np.cumsum(size)[:-1]])
    drawn = rng.integers(len(size), size=(n_draws, len(size)))  # which cells, one row a draw
    picks_per_cell = size[drawn].ravel()
    first, span = (np.repeat(a[drawn].ravel(), picks_per_cell) for a in (start, size))
    run = first + rng.integers(span)
    draw = np.repeat(np.arange(n_draws), size[drawn].sum(axis=1))
    counts = np.bincount(draw * len(cell) + run, minlength=n_draws * len(cell))
    return counts.reshape(n_draws, len(cell))
