"""Is the best LR linear in the batch here, does it go with the square root, or neither? The runs say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hptransfer.errors import RefusalError
from hptransfer.estimators.common import Runs, usable_runs
from hptransfer.law import ExponentTest
from hptransfer.numerics.arrays import FloatArray
from hptransfer.numerics.conditional import MIN_BATCHES, Slices, SliceVertices, slice_vertices
from hptransfer.numerics.within import MIN_CELLS, WithinSlopes, grid_covariance, within_slopes
from hptransfer.sweep import Sweep

LINEAR, SQRT = 1.0, 0.5
ROUNDING = 1e-6
THRESHOLD = 0.0025  # relative excess loss of a near-optimal run of a slice


def lr_batch_test(sweep: Sweep, *, threshold: float = THRESHOLD) -> ExponentTest:
    """Exponent of the batch in the best LR at fixed params and tokens, with its 90 % interval and a verdict.

    From the LR optima of (cell, batch) slices that lie inside their LR grid, in cells with at least three of
    them. Every cell has a level of its own, so that no law in params and tokens is assumed; the interval is
    clustered by cell.

    Raises:  RefusalError (no-batch, one-batch, too-few-batches) saying what the sweep lacks.
    """
    if not sweep.has_batch:
        msg = "no-batch: not every run says its batch. Add a column batch_tokens, or batch_seqs and seq_len."
        raise RefusalError(msg)
    runs, _ = usable_runs(sweep)
    if len(runs.row) and np.ptp(runs.log_batch) == 0:
        msg = (
            "one-batch: all runs have one batch, so they cannot say how the best LR moves with it. Add runs "
            f"at {MIN_BATCHES - 1} or more other batches, each with several LRs."
        )
        raise RefusalError(msg)
    slices = slice_vertices(runs.log_lr, runs.log_batch, loss=runs.loss, cell=runs.cell, threshold=threshold)
    found = _slopes(slices, slices.log_batch[:, None])
    if found is None:
        raise RefusalError(_too_few(runs, slices))
    value, interval = float(found.slopes[0]), found.interval(0)
    return ExponentTest(
        value=value,
        interval=interval,
        cells=found.degrees + 1,
        slices=len(slices.cell),
        flattens=_flattens(slices),
        verdict=verdict(value, interval),
    )


def _too_few(runs: Runs, slices: Slices) -> str:
    n_slices = len(np.unique(np.column_stack([runs.cell, runs.log_batch]), axis=0))
    inside = len(np.unique(slices.cell))
    return (
        f"too-few-batches: {inside} of {len(runs.cells)} cells have {MIN_BATCHES} or more batches whose best "
        f"LR lies inside their LR grid ({n_slices} batches were tried in all), a test needs {MIN_CELLS} such "
        "cells. Add LRs beyond the edges, or batches."
    )


def _slopes(slices: SliceVertices, inputs: FloatArray) -> WithinSlopes | None:
    """Slopes of the bottoms on inputs, (n_slices, n_inputs), with what their grid and shape leave open.

    Grids often lie alike about the optimum in every cell. What they leave open is then one error for all
    slices at the same place among their cell's batches, and more cells do not shrink it. The same goes for
    what a bottom that is no parabola shifts: the change of slopes when more or fewer runs take part, as far
    as it exceeds its own noise.
    """
    found = within_slopes(inputs, slices.log_lr, cell=slices.cell)
    changes = [within_slopes(inputs, other - slices.log_lr, cell=slices.cell) for other in slices.others]
    if found is None:
        return None
    starts = np.flatnonzero(np.diff(slices.cell, prepend=-1))
    place = np.arange(len(slices.cell)) - np.repeat(starts, np.diff(np.append(starts, len(slices.cell))))
    grid = grid_covariance(inputs, slices.width, cell=slices.cell, shared=place)
    beyond = [c.slopes**2 - np.diagonal(c.covariance) for c in changes if c is not None]
    shape = np.diag(np.max([np.zeros(inputs.shape[1]), *beyond], axis=0))
    return replace(found, covariance=found.covariance + grid + shape)


def _flattens(slices: SliceVertices) -> tuple[float, float, float] | None:
    """How the exponent changes with log batch, and its 90 % interval; None where too few batches show it."""
    means = np.bincount(slices.cell, slices.log_batch) / np.maximum(np.bincount(slices.cell), 1)
    v = slices.log_batch - means[slices.cell]
    found = _slopes(slices, np.column_stack([v, v**2]))
    if found is None:
        return None
    low, high = found.interval(1)
    return 2 * float(found.slopes[1]), 2 * low, 2 * high


def allows(interval: tuple[float, float], exponent: float) -> bool:
    """Whether an exponent lies in its interval, which runs without noise shrink to rounding errors."""
    return interval[0] - ROUNDING <= exponent <= interval[1] + ROUNDING


def verdict(value: float, interval: tuple[float, float]) -> str:
    """Say what an interval of the exponent leaves of the two rules.

    >>> verdict(0.32, (0.25, 0.39))
    'B^0.32 (90 %: 0.25 to 0.39), so neither linear nor square root'
    """
    low, high = interval
    linear, root = allows(interval, LINEAR), allows(interval, SQRT)
    kept = {
        (True, True): "which does not tell linear from square root",
        (True, False): "so linear, not square root",
        (False, True): "so square root, not linear",
        (False, False): "so neither linear nor square root",
    }[linear, root]
    still = ", and perhaps none at all" if low <= 0 <= high else ""
    return f"B^{value:.2f} (90 %: {low:.2f} to {high:.2f}), {kept}{still}"
