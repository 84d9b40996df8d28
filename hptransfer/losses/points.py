"""(params, tokens, loss) points: what a loss law is fitted to."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hptransfer.sweep import BoolArray, FloatArray, IntArray, LossUnit, Sweep


@dataclass(frozen=True)
class LossPoints:
    """Finished, well-tuned runs: params (count), tokens, loss in `unit`; each shape (n_points,), positive."""

    params: FloatArray
    tokens: FloatArray
    loss: FloatArray
    unit: LossUnit = "nats"

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.params)

    @property
    def log_flops(self) -> FloatArray:
        """Natural log of compute, C = 6 N D, (n_points,)."""
        return np.asarray(math.log(6.0) + np.log(self.params) + np.log(self.tokens))

    def take(self, rows: BoolArray | IntArray) -> LossPoints:
        """Return the named points only."""
        return LossPoints(self.params[rows], self.tokens[rows], self.loss[rows], self.unit)


def sweep_points(sweep: Sweep, floors: FloatArray | None = None) -> LossPoints:
    """One point a cell: its floor, the loss of a well-tuned run there.

    Args:    floors: loss of each cell in the sweep's unit, (n_cells,), NaN where unknown; by default the best
             loss of each cell, which is low by about one standard deviation of the noise where many runs
             lie near the optimum.
    """
    if floors is None:
        floors = np.full(sweep.n_cells, np.inf)
        finished = ~sweep.diverged
        np.minimum.at(floors, sweep.cell[finished], sweep.loss[finished])
    known = np.isfinite(floors) & (floors > 0)
    return LossPoints(sweep.cell_params[known], sweep.cell_tokens[known], floors[known], sweep.loss_unit)
