"""Batched bootstrap against the reference loop: how the ratio moves with runs and resamples.

Run from the root of the repository: python benchmarks/numerics/bench_near_optimal.py
Read the ratios, not the seconds. The loop is timed on LOOPED resamples and scaled up.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the oracle lives in tests/

from hptransfer.numerics.near_optimal import Regression, bootstrap, fit_near_optimal
from hptransfer.numerics.resample import cell_then_run_counts
from tests.oracle.near_optimal_loop import bootstrap_lines

THRESHOLD = 0.0025
LOOPED = 10
CASES = ((15, 40, 200), (15, 40, 1000), (15, 120, 200), (15, 120, 1000), (40, 120, 1000))


def problem(n_cells: int, runs_per_cell: int) -> tuple[Regression, NDArray[np.float64], NDArray[np.int64]]:
    """A random sweep: regression of LR on params and tokens, loss, cell."""
    rng = np.random.default_rng(0)
    cell = np.repeat(np.arange(n_cells), runs_per_cell)
    inputs = np.log(np.column_stack([rng.uniform(6e7, 1e9, n_cells), rng.uniform(2e9, 1e11, n_cells)]))[cell]
    target = 0.5 + inputs @ np.array([-0.6, 0.2]) + rng.normal(0, 0.7, len(cell))
    return (
        Regression(inputs, target, np.ones(len(cell), dtype=np.bool_)),
        2.5 + rng.uniform(0, 0.05, len(cell)),
        cell,
    )


def seconds(function: Callable[[], object], repeats: int = 3) -> float:
    """Least of a few wall-clock times."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def time_case(n_cells: int, runs_per_cell: int, resamples: int) -> tuple[float, float, float]:
    """Seconds of the batched bootstrap, of the loop, and the largest gap between their coefficients."""
    regression, loss, cell = problem(n_cells, runs_per_cell)
    counts = cell_then_run_counts(cell, n_draws=LOOPED, rng=np.random.default_rng(0))

    def batched() -> object:
        rng = np.random.default_rng(0)
        return bootstrap([regression], loss=loss, cell=cell, threshold=THRESHOLD, n_draws=resamples, rng=rng)

    def looped() -> NDArray[np.float64]:
        about = regression.inputs, regression.target
        return bootstrap_lines(*about, loss=loss, cell=cell, threshold=THRESHOLD, counts=counts)

    (same,) = fit_near_optimal([regression], loss=loss, cell=cell, threshold=THRESHOLD, counts=counts)
    gap = float(np.abs(same - looped()).max())
    return seconds(batched), seconds(looped, repeats=1) * resamples / LOOPED, gap


def main() -> None:
    """Print one line a case."""
    print(
        f"{'cells':>5} {'runs':>6} {'resamples':>9} {'batched s':>10} {'looped s':>9} {'ratio':>7} {'gap':>8}"
    )
    for n_cells, runs_per_cell, resamples in CASES:
        fast, slow, gap = time_case(n_cells, runs_per_cell, resamples)
        runs = n_cells * runs_per_cell
        print(
            f"{n_cells:5d} {runs:6d} {resamples:9d} {fast:10.3f} {slow:9.2f} {slow / fast:6.0f}x {gap:8.1e}"
        )


if __name__ == "__main__":
    main()
