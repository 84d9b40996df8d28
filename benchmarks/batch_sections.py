"""Evidence on LR, batch and tokens together: fixed against re-tuned batch, and the Power Scheduler's form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hptransfer import read_sweep
from hptransfer.estimators.common import Runs, usable_runs
from hptransfer.numerics.conditional import Slices, slice_optima
from hptransfer.numerics.least_squares import fit_lines
from hptransfer.numerics.near_optimal import near_optimal_weights

STEP_LAW = Path(__file__).resolve().parents[1].parent / "shared/data/steplaw/dense_lr_bs_loss_upto_537M.csv"
THRESHOLD = 0.0025  # relative excess loss of a near-optimal run
DRAWS = 2000
SEED = 0

Row = tuple[str, str, str]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def fixed_and_retuned_batch() -> Iterator[Row]:
    """How the best LR moves with tokens: batch held, batch re-tuned; is it linear in batch?"""
    if not STEP_LAW.exists():
        yield ("fixed and re-tuned batch", "not here: needs ../shared/data", "")
        return
    runs, _ = usable_runs(read_sweep(STEP_LAW, columns={"loss": "smooth loss"}))
    slices = slice_optima(runs.log_lr, runs.log_batch, loss=runs.loss, cell=runs.cell, threshold=THRESHOLD)
    held = np.column_stack([runs.log_params[slices.cell], runs.log_tokens[slices.cell], slices.log_batch])
    of_held = _draws(held, slices.log_lr, slices.cell)
    what = f"{len(slices.cell)} (cell, batch) optima inside their LR grid"
    yield ("LR at fixed batch: exponent of tokens", _with_interval(of_held[:, 2]), what)
    yield ("LR at fixed batch: exponent of params", _with_interval(of_held[:, 1]), "")
    yield (
        "LR at fixed batch: exponent of batch",
        _with_interval(of_held[:, 3]),
        "Power Scheduler: 1; sqrt: 0.5",
    )
    retuned = _retuned(runs)
    yield ("LR with the batch re-tuned: exponent of tokens", _with_interval(retuned[:, 2]), "Step Law: 0.307")
    yield (
        "LR with the batch re-tuned: exponent of params",
        _with_interval(retuned[:, 1]),
        "Step Law: -0.713",
    )
    yield from _power_scheduler(runs, slices)


def _retuned(runs: Runs) -> Floats:
    near = near_optimal_weights(runs.loss, runs.cell, threshold=THRESHOLD)[0] > 0
    cell = runs.cell[near]
    inputs = np.column_stack([runs.log_params[cell], runs.log_tokens[cell]])
    return _draws(inputs, runs.log_lr[near], cell)


def _power_scheduler(runs: Runs, slices: Slices) -> Iterator[Row]:
    """LR / batch = a tokens^b, params by params: does b agree across sizes, as under muP it should?"""
    per_batch = slices.log_lr - slices.log_batch
    for size in np.unique(np.round(runs.log_params[slices.cell], 3)):
        of_size = np.round(runs.log_params[slices.cell], 3) == size
        tokens = runs.log_tokens[slices.cell][of_size]
        if len(np.unique(np.round(tokens, 2))) < 3:
            continue
        draws = _draws(tokens[:, None], per_batch[of_size], slices.cell[of_size])
        yield (
            f"LR / batch = a tokens^b at {np.exp(size):.3g} params: b",
            _with_interval(draws[:, 1]),
            "-0.51",
        )


def _draws(inputs: Floats, target: Floats, cell: Ints) -> Floats:
    """Least squares, the cells resampled: the fit itself first, (1 + n_draws, 1 + n_inputs)."""
    cells, index = np.unique(cell, return_inverse=True)
    counts = np.random.default_rng(SEED).multinomial(len(cells), np.full(len(cells), 1 / len(cells)), DRAWS)
    weights = np.vstack([np.ones(len(cells)), counts])[:, index]
    lines = fit_lines(inputs, target, weights=weights, min_spread=1e-3)
    return lines.coefficients[lines.determined]


def _with_interval(draws: Floats) -> str:
    low, high = np.quantile(draws[1:], [0.05, 0.95])
    return f"{draws[0]:+.3f} (90 %: {low:+.3f} to {high:+.3f})"


SECTIONS: dict[str, Callable[[], Iterator[Row]]] = {"fixed-and-retuned-batch": fixed_and_retuned_batch}
