"""Simulated sweeps: demo data whose truth is known and is not the form that is fitted to it.

The optimum follows power laws, but the loss around it is a skewed and tilted valley with noise that grows
with the excess loss, and the grid has what real ones have: labels rounded in two ways, a missing corner, a
diverged corner and a cell that stops short of its optimum. Every row says that it is simulated.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hptransfer.numerics.bowls import tilted_valley

SEQ_LEN = 2048
SIZES = (62_914_560, 131_072_000, 268_435_456, 566_231_040)  # params, non-embedding
HORIZONS = (1.6e9, 4e9, 1e10, 2.5e10)  # tokens
MAX_FLOPS = 4e19  # cells dearer than this were not run
LR_STEP = 2**0.5
LEVELS = (9, 6)  # LRs and batches tried in a cell
EDGE_CELL = 5  # this cell's grid of LRs stops short of its optimum
SETTING: Mapping[str, str | float] = {
    "schedule": "cosine",
    "optimizer": "adamw",
    "weight_decay": 0.1,
    "dataset": "simulated",
}


@dataclass(frozen=True)
class Truth:
    """What the simulated training obeys. Exponents are this project's own, no published law's.

    Optimum: peak_lr = lr_coefficient * params**lr_params * tokens**lr_tokens, and likewise the batch
    (tokens). Loss at the optimum, nats: floor + params_term / params**params_power + the same in tokens.
    Valley: see `tilted_valley`; its depths are those of real grids, about 0.02 nats per squared log LR.
    Noise, nats: noise + noise_growth * excess loss. Runs diverge where LR exceeds the best LR at their
    batch by `diverges_at`.
    """

    lr_coefficient: float = 1.15
    lr_params: float = -0.52
    lr_tokens: float = 0.17
    batch_coefficient: float = 1.9
    batch_tokens: float = 0.53
    floor: float = 1.85
    params_term: float = 430.0
    params_power: float = 0.345
    tokens_term: float = 1900.0
    tokens_power: float = 0.365
    lr_depth: float = 0.02
    batch_depth: float = 0.016
    tilt: float = 0.45
    lr_skew: float = 1.3
    batch_skew: float = 0.5
    noise: float = 0.0015
    noise_growth: float = 0.05
    diverges_at: float = 5.0


TRUTH = Truth()


def true_optimum(params: Any, tokens: Any, *, truth: Truth = TRUTH) -> tuple[Any, Any]:
    """Best peak LR and batch (tokens) of the simulated training; floats or arrays that broadcast.

    >>> lr, batch = true_optimum(1e9, 2e10)
    >>> round(lr, 6), round(batch)
    (0.001355, 547393)
    """
    peak_lr = truth.lr_coefficient * params**truth.lr_params * tokens**truth.lr_tokens
    return peak_lr, truth.batch_coefficient * tokens**truth.batch_tokens


def best_loss(params: Any, tokens: Any, *, truth: Truth = TRUTH) -> Any:
    """Loss at the optimum, nats, without noise."""
    by_params = truth.params_term / params**truth.params_power
    return truth.floor + by_params + truth.tokens_term / tokens**truth.tokens_power


def simulate(*, seed: int = 0, truth: Truth = TRUTH) -> dict[str, NDArray[Any]]:
    """Run the simulated sweep: columns by name, one entry a run, shape (n_runs,).

    Columns: run, params, tokens, lr (peak), batch_tokens, seq_len, steps, loss (nats, NaN where the run
    diverged), and the setting. Tokens are steps * batch_tokens, so that they differ a little within a cell.
    The same seed gives the same numbers.
    """
    rng = np.random.default_rng(seed)
    grid = _grid(truth)
    optimum_lr, optimum_batch = true_optimum(grid["params"], grid["tokens"], truth=truth)
    log_lr, log_batch = np.log(grid["lr"] / optimum_lr), np.log(grid["batch_tokens"] / optimum_batch)
    excess = tilted_valley(
        log_lr,
        log_batch,
        lr_depth=truth.lr_depth,
        batch_depth=truth.batch_depth,
        tilt=truth.tilt,
        lr_skew=truth.lr_skew,
        batch_skew=truth.batch_skew,
    )
    noise = (truth.noise + truth.noise_growth * excess) * rng.standard_normal(len(excess))
    loss = best_loss(grid["params"], grid["tokens"], truth=truth) + excess + noise
    diverged = log_lr - truth.tilt * log_batch > np.log(truth.diverges_at)
    never_run = (log_lr < -3 * np.log(LR_STEP)) & (
        log_batch > np.log(2)
    )  # plainly hopeless: low LR, large batch
    rows = rng.permutation(np.flatnonzero(~never_run))
    steps = np.maximum(1, np.rint(grid["tokens"] / grid["batch_tokens"]))
    columns = {
        "run": np.array([f"simulated-{i:04d}" for i in range(len(rows))]),
        "params": grid["params"][rows],
        "tokens": (steps * grid["batch_tokens"])[rows],
        "lr": _rounded_labels(grid["lr"][rows], rng),
        "batch_tokens": grid["batch_tokens"][rows],
        "seq_len": np.full(len(rows), SEQ_LEN),
        "steps": steps[rows],
        "loss": np.where(diverged, np.nan, np.round(loss, 5))[rows],
    }
    return columns | {name: np.full(len(rows), value) for name, value in SETTING.items()}


def simulate_csv(*, seed: int = 0, truth: Truth = TRUTH) -> str:
    """Write the simulated sweep as CSV text: a header, one line a run, `nan` where the run diverged."""
    columns = simulate(seed=seed, truth=truth)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(_cells(column) for column in columns.values()), strict=True))
    return text.getvalue()


def _grid(truth: Truth) -> dict[str, NDArray[np.float64]]:
    """Every run that one might have made, shape (n_runs,): per cell LRs and batches around the optimum.

    All cells share one lattice of LRs (steps of sqrt 2) and batches (powers of two), and each takes the
    window of it around its optimum, as a careful person would after a first look.
    """
    params, tokens = (a.ravel() for a in np.meshgrid(SIZES, HORIZONS, indexing="ij"))
    params, tokens = (a[6 * params * tokens <= MAX_FLOPS].astype(np.float64) for a in (params, tokens))
    optimum_lr, optimum_batch = true_optimum(params, tokens, truth=truth)
    n_lr, n_batch = LEVELS
    lr_index = np.rint(np.log(optimum_lr) / np.log(LR_STEP))[:, None] + np.arange(n_lr) - n_lr // 2
    lr_index[EDGE_CELL] -= n_lr // 2 + 1
    batch_index = np.rint(np.log2(optimum_batch / SEQ_LEN))[:, None] + np.arange(n_batch) - n_batch // 2
    shape = (len(params), n_lr, n_batch)
    columns = {
        "params": params[:, None, None],
        "tokens": tokens[:, None, None],
        "lr": LR_STEP ** lr_index[:, :, None],
        "batch_tokens": SEQ_LEN * 2.0 ** batch_index[:, None, :],
    }
    return {name: np.broadcast_to(column, shape).ravel() for name, column in columns.items()}


def _rounded_labels(lr: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Round half of the labels to three digits and half to four, as two exports would."""
    digits = np.where(rng.random(len(lr)) < 0.5, 3, 4)
    scale = 10.0 ** (digits - 1 - np.floor(np.log10(lr)))
    return np.asarray(np.rint(lr * scale) / scale)


def _cells(column: NDArray[Any]) -> list[str]:
    """Write a column as text: counts without a point, other floats with up to six digits."""
    if column.dtype.kind != "f":
        return [str(value) for value in column.tolist()]
    return [f"{value:.0f}" if value >= 1e3 else f"{value:.6g}" for value in column.tolist()]
