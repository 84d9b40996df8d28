"""Sweeps whose loss surface is known, as arrays, for tests of the surface's numerics."""

from __future__ import annotations

import numpy as np

from hptransfer.numerics.arrays import FloatArray
from hptransfer.numerics.cells import CellRuns, cell_runs

LR_LAW = np.array([-3.5, -0.45, 0.15])
BATCH_LAW = np.array([1.0, -0.05, 0.5])
PARAMS = (5e7, 1e8, 2e8)
TOKENS = (2e9, 8e9, 3.2e10)


def cubic_bowl(u: FloatArray, v: FloatArray) -> FloatArray:
    """A skewed, tilted bowl of degree three, log loss."""
    return np.asarray(0.012 * u**2 - 0.009 * u * v + 0.011 * v**2 + 0.001 * u**3 - 0.0012 * u * v**2)


def known_runs(
    *,
    noise: float = 0.0,
    seed: int = 0,
    keep: float = 1.0,
    loss_scale: float = 1.0,
    step: float = 0.5,
    params: tuple[float, ...] = PARAMS,
    variables: int = 2,
) -> CellRuns:
    """Runs on a lattice around the optimum of each cell, optionally noisy and thinned."""
    rng = np.random.default_rng(seed)
    scale = np.array([(np.log(n), np.log(d)) for n in params for d in TOKENS])
    optimum = np.column_stack([np.ones(len(scale)), scale]) @ np.stack([LR_LAW, BATCH_LAW]).T
    u, v = (a.ravel() for a in np.meshgrid(np.arange(-1.5, 1.6, step), np.arange(-1.5, 1.6, step)))
    if variables == 1:
        u, v = np.arange(-1.5, 1.6, step / 4), np.zeros(len(np.arange(-1.5, 1.6, step / 4)))
    cell = np.repeat(np.arange(len(scale)), len(u))
    # Lattices do not sit on the optima.
    shift = rng.uniform(-step / 2, step / 2, (len(scale), 2))[cell] * [1, variables - 1]
    u, v = np.tile(u, len(scale)) + shift[:, 0], np.tile(v, len(scale)) + shift[:, 1]
    excess = cubic_bowl(u, v)
    log_loss = np.log(2.5 + cell / 50) + loss_scale * (excess + noise * rng.standard_normal(len(u)))
    kept = np.flatnonzero(rng.random(len(u)) < keep)
    return cell_runs(
        scale[:, 0],
        scale[:, 1],
        cell=cell[kept],
        log_lr=optimum[cell[kept], 0] + u[kept],
        log_batch=optimum[cell[kept], 1] + v[kept] if variables == 2 else None,
        log_loss=log_loss[kept],
    )
