"""The near-optimal set of a sweep, and lines through it: the recipe of the Step Law paper, vectorized.

Per cell the runs within a threshold of the cell's best are kept; a line in natural logs goes through
what is kept. Source: Li et al. 2025, arXiv:2503.04715, and its released code (threshold 0.25 %, ordinary
least squares in natural logs). The bootstrap differs on purpose: see `bootstrap`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hptransfer.numerics.least_squares import fit_lines
from hptransfer.numerics.resample import cell_then_run_counts

MIN_DRAW_SPREAD = 0.02
"""A draw counts when its inputs spread by this much in every direction, natural logs. Labels inside one
cell may differ by as much: less is rounding, not a design."""

MAX_TRIES_PER_DRAW = 20
CHUNK_ELEMENTS = 2_000_000
"""Memory bound: draws times runs held at once."""


@dataclass(frozen=True)
class Regression:
    """One line to fit through the near-optimal runs.

    Attributes:
        inputs: (n_runs, n_inputs), natural logs.
        target: (n_runs,), natural log.
        use:    (n_runs,), False for runs that say nothing about this target.
    """

    inputs: NDArray[np.float64]
    target: NDArray[np.float64]
    use: NDArray[np.bool_]


@dataclass(frozen=True)
class Bootstrap:
    """Draws of every regression's coefficients.

    Attributes:
        draws:   one array a regression, (n_draws, 1 + n_inputs), intercept first. Fewer rows than asked
                 for when the tries ran out.
        redrawn: draws that were thrown away because their cells could not determine every line.
    """

    draws: tuple[NDArray[np.float64], ...]
    redrawn: int


def near_optimal_weights(
    loss: NDArray[np.float64],
    cell: NDArray[np.int64],
    *,
    threshold: float,
    counts: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """Weight of each run in each draw: its count where it is near-optimal within that draw, else 0.

    A run is near-optimal when its loss exceeds the best loss *drawn* in its cell by less than `threshold`,
    as a fraction of that best loss.

    Args:
        loss:   (n_runs,), finite and positive.
        cell:   (n_runs,), runs of one cell adjacent, every index 0..max used.
        counts: (n_draws, n_runs); without it one draw with every run once.
    Returns: (n_draws, n_runs).

    >>> near_optimal_weights(np.array([2.0, 2.1, 3.0]), np.array([0, 0, 1]), threshold=0.01)
    array([[1., 0., 1.]])
    """
    if counts is None:
        counts = np.ones((1, len(loss)), dtype=np.int64)
    starts = np.flatnonzero(np.diff(cell, prepend=-1))
    best = np.minimum.reduceat(np.where(counts > 0, loss, np.inf), starts, axis=1)  # (n_draws, n_cells)
    return np.where(loss < best[:, cell] * (1 + threshold), counts, 0).astype(np.float64)


def fit_near_optimal(
    regressions: Sequence[Regression],
    *,
    loss: NDArray[np.float64],
    cell: NDArray[np.int64],
    threshold: float,
    counts: NDArray[np.int64] | None = None,
    min_spread: float = 1e-6,
) -> tuple[NDArray[np.float64], ...]:
    """Coefficients of every regression for every draw, (n_draws, 1 + n_inputs), intercept first.

    Rows are NaN where a draw cannot determine that line. Arguments as in `near_optimal_weights`.
    """
    weights = near_optimal_weights(loss, cell, threshold=threshold, counts=counts)
    return tuple(
        fit_lines(r.inputs, r.target, weights=weights * r.use, min_spread=min_spread).coefficients
        for r in regressions
    )


def bootstrap(
    regressions: Sequence[Regression],
    *,
    loss: NDArray[np.float64],
    cell: NDArray[np.int64],
    threshold: float,
    n_draws: int,
    rng: np.random.Generator,
) -> Bootstrap:
    """Resample cells, then runs, select the near-optimal set anew in every draw, and refit every line.

    The released code of the Step Law paper resamples the near-optimal runs only: it takes both the cells
    and the selection as given, and its intervals are too narrow at scales outside the sweep. A draw whose
    cells cannot determine every line is redrawn and counted.

    Args: as in `near_optimal_weights`; n_draws >= 1. Memory is bounded by CHUNK_ELEMENTS.
    """
    chunk = max(1, min(n_draws, CHUNK_ELEMENTS // max(1, len(loss))))
    kept: list[tuple[NDArray[np.float64], ...]] = []
    found = tried = 0
    while found < n_draws and tried < n_draws * MAX_TRIES_PER_DRAW:
        counts = cell_then_run_counts(cell, n_draws=chunk, rng=rng)
        fits = fit_near_optimal(
            regressions, loss=loss, cell=cell, threshold=threshold, counts=counts, min_spread=MIN_DRAW_SPREAD
        )
        good = np.all([np.isfinite(f).all(axis=1) for f in fits], axis=0)
        # Only draws up to the last one needed count as tried.
        needed = np.flatnonzero(good)[: n_draws - found]
        tried += int(needed[-1]) + 1 if found + len(needed) == n_draws else chunk
        found += len(needed)
        kept.append(tuple(f[needed] for f in fits))
    return Bootstrap(tuple(np.concatenate(parts) for parts in zip(*kept, strict=True)), redrawn=tried - found)
