"""The simulated runs that every sample of a tracker's format holds. Simulated: nothing here was trained.

Standard library only: `make_samples.py` runs where the trackers are installed and nothing of ours is.
"""

from __future__ import annotations

import math
from typing import Any

SEQ_LEN = 2048
SIZES = (60_000_000, 120_000_000, 250_000_000)  # params
HORIZONS = (2_000_000_000, 4_000_000_000)  # tokens, roughly: a run has whole steps
RATES = (0.0005, 0.001, 0.002, 0.004)
BATCHES = (32, 64)  # sequences

Run = dict[str, Any]


def simulated_runs() -> list[Run]:
    """Return a full noise-free grid, 48 runs in 6 cells: a quadratic bowl in log LR and log batch."""
    return [
        simulated_run(params, horizon, lr, batch)
        for params in SIZES
        for horizon in HORIZONS
        for lr in RATES
        for batch in BATCHES
    ]


def simulated_run(params: int, horizon: int, lr: float, batch: int) -> Run:
    """Return one run: what was set, and its loss (nats per token)."""
    steps = round(horizon / (batch * SEQ_LEN))
    best_lr = 1.5e-3 * (params / 1.2e8) ** -0.4
    bowl = 0.02 * math.log(lr / best_lr) ** 2 + 0.016 * math.log(batch / 50) ** 2
    loss = 1.7 + 400 * params**-0.34 + 410 * horizon**-0.28 + bowl
    return {
        "run": f"simulated-n{params}-d{horizon}-lr{lr}-b{batch}",
        "params": params,
        "tokens": steps * batch * SEQ_LEN,
        "lr": lr,
        "batch_tokens": batch * SEQ_LEN,
        "seq_len": SEQ_LEN,
        "steps": steps,
        "optimizer": "adamw",
        "loss": round(loss, 6),
    }
