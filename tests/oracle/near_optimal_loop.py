"""The near-optimal recipe as one would write it on a blackboard: the truth for the batched version."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def near_optimal_line(
    inputs: NDArray[np.float64],
    target: NDArray[np.float64],
    *,
    loss: NDArray[np.float64],
    cell: NDArray[np.int64],
    threshold: float,
    counts: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Intercept and slopes for one draw, by a loop over cells and runs and scipy-free least squares (SVD).

    `counts` (n_runs,) says how often each run was drawn.
    """
    rows: list[list[float]] = []
    targets: list[float] = []
    for c in sorted(set(cell.tolist())):
        drawn = [i for i in range(len(loss)) if cell[i] == c for _ in range(int(counts[i]))]
        if not drawn:
            continue
        best = min(loss[i] for i in drawn)
        for i in drawn:
            if loss[i] < best * (1 + threshold):
                rows.append([1.0, *inputs[i]])
                targets.append(float(target[i]))
    return np.asarray(np.linalg.lstsq(np.array(rows), np.array(targets), rcond=None)[0])


def bootstrap_lines(
    inputs: NDArray[np.float64],
    target: NDArray[np.float64],
    *,
    loss: NDArray[np.float64],
    cell: NDArray[np.int64],
    threshold: float,
    counts: NDArray[np.int64],
) -> NDArray[np.float64]:
    """`near_optimal_line` for every row of `counts` (n_draws, n_runs), one after the other."""
    return np.array(
        [
            near_optimal_line(inputs, target, loss=loss, cell=cell, threshold=threshold, counts=c)
            for c in counts
        ]
    )
