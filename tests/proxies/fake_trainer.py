"""A trainer without torch: a moment of arithmetic in place of training, the same result every time."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from examples.proxies.runs import Run

COLUMNS = ("run", "lr", "loss", "wall_s")
SLOW_S = 0.05
LR_THAT_KILLS_ITS_WORKER = 666.0


def train(run: Run) -> dict[str, Any]:
    """A result that depends on the run only, after SLOW_S."""
    started = time.perf_counter()
    if run.lr == LR_THAT_KILLS_ITS_WORKER:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(SLOW_S)
    loss = (run.lr - 0.01) ** 2 + 1.0 / run.seed if run.seed else float("nan")
    return {"run": run.name, "lr": run.lr, "loss": loss, "wall_s": f"{time.perf_counter() - started:.3f}"}
