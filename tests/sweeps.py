"""Sweeps built in memory for tests of estimators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hptransfer.sweep import Sweep, SweepSource, sweep_from_arrays

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

GRID_PARAMS = (6e7, 1.2e8, 2.4e8, 4.8e8, 9.6e8)
GRID_TOKENS = (2e9, 8e9, 3.2e10, 1.28e11)

LAW = {"log_coefficient": 0.6, "params": -0.55, "tokens": 0.21}
BATCH_LAW = {"log_coefficient": -0.3, "tokens": 0.56}


def evaluate(law: dict[str, float], *, params: Any, tokens: Any) -> Any:
    """Value of a power law given as a dictionary."""
    log = law["log_coefficient"] + law.get("params", 0.0) * np.log(params)
    return np.exp(log + law.get("tokens", 0.0) * np.log(tokens))


def grid_cells(
    params: Sequence[float] = GRID_PARAMS, tokens: Sequence[float] = GRID_TOKENS
) -> list[tuple[float, float]]:
    """All pairs of params and tokens."""
    return [(n, d) for n in params for d in tokens]


def exact_sweep(
    cells: Sequence[tuple[float, float]],
    *,
    law: dict[str, float] = LAW,
    batch_law: dict[str, float] = BATCH_LAW,
    steps: Sequence[float] = (0.25, 0.5, 1.0, 2.0, 4.0),
    batches: bool = True,
    **about: Any,
) -> Sweep:
    """A noise-free sweep whose near-optimal set is exactly one run a cell, on the law.

    Every cell has LRs and batches at `steps` times its optimum; loss rises 2 % per doubling away from it.
    """
    rows = [
        (n, d, a, b, 2.5 * 1.02 ** (abs(np.log2(a)) + abs(np.log2(b))))
        for n, d in cells
        for a in steps
        for b in (steps if batches else (1.0,))
    ]
    params, tokens, lr_factor, batch_factor, loss = np.array(rows).T
    batch = evaluate(batch_law, params=params, tokens=tokens) * batch_factor
    about.setdefault("sources", [SweepSource(file="exact.csv", sha256="ab" * 32, columns={"lr": "lr"})])
    return sweep_from_arrays(
        params=params,
        tokens=tokens,
        lr=evaluate(law, params=params, tokens=tokens) * lr_factor,
        batch_tokens=batch if batches else np.full(len(params), np.nan),
        loss=loss,
        **about,
    )


def noisy_sweep(
    *, seed: int = 0, cells: Sequence[tuple[float, float]] | None = None, noise: float = 0.004
) -> Sweep:
    """A sweep with a smooth bowl on a common lattice of LRs and batches, and noise in the loss."""
    rng = np.random.default_rng(seed)
    where = np.array(cells or grid_cells(GRID_PARAMS[:3], GRID_TOKENS[:3]))
    lr, batch = np.exp2(np.arange(-13, -5.5, 0.5)), np.exp2(np.arange(15.0, 22.0))
    params, tokens = (np.repeat(column, len(lr) * len(batch)) for column in where.T)
    lr, batch = (np.tile(a.ravel(), len(where)) for a in np.meshgrid(lr, batch))
    across = np.log(lr / evaluate(LAW, params=params, tokens=tokens))
    along = np.log(batch / evaluate(BATCH_LAW, params=params, tokens=tokens))
    loss = 2.5 + 0.02 * (across - 0.4 * along) ** 2 + 0.016 * along**2
    loss = loss + noise * rng.standard_normal(len(loss))
    return sweep_from_arrays(params=params, tokens=tokens, lr=lr, batch_tokens=batch, loss=loss)


def rebuilt(sweep: Sweep, **arrays: FloatArray) -> Sweep:
    """A sweep of the same runs with some columns replaced."""
    return sweep_from_arrays(
        params=arrays.get("params", sweep.params),
        tokens=arrays.get("tokens", sweep.tokens),
        lr=arrays.get("lr", sweep.lr),
        batch_tokens=arrays.get("batch_tokens", sweep.batch_tokens),
        loss=arrays.get("loss", sweep.loss),
    )


def chosen(sweep: Sweep, rows: NDArray[Any]) -> Sweep:
    """A sweep of some runs, by mask or index, which may repeat."""
    return sweep_from_arrays(
        params=sweep.params[rows],
        tokens=sweep.tokens[rows],
        lr=sweep.lr[rows],
        batch_tokens=sweep.batch_tokens[rows],
        loss=sweep.loss[rows],
    )


def lopsided_sweep(cells: Sequence[tuple[float, float]], **about: Any) -> Sweep:
    """`exact_sweep` with a loss that rises a little faster with the LR and slower with the batch.

    No two runs of a cell have the same loss then, as in any real sweep.
    """
    sweep = exact_sweep(cells, **about)
    tilt = 1e-4 * np.log(sweep.lr) - 0.7e-4 * np.log(np.nan_to_num(sweep.batch_tokens, nan=1.0))
    return rebuilt(sweep, loss=sweep.loss * (1 + tilt))


def reordered(sweep: Sweep, order: NDArray[np.int64], *, params_unit: float = 1.0) -> Sweep:
    """The same runs in another order, params counted in another unit."""
    return sweep_from_arrays(
        params=sweep.params[order] / params_unit,
        tokens=sweep.tokens[order],
        lr=sweep.lr[order],
        batch_tokens=sweep.batch_tokens[order],
        loss=sweep.loss[order],
        line=sweep.line[order],
        sources=sweep.sources,
    )
