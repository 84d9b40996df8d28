"""(model, batch, tokens, loss) points of well-tuned runs: what a critical batch is fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hptransfer.sweep import BoolArray, FloatArray, IntArray


@dataclass(frozen=True)
class BatchPoints:
    """Runs whose LR is the best for their batch, one entry a point, (n_points,).

    Attributes:
        params: of the model, count; one value where the input tells no models apart.
        batch_tokens, tokens: of a step, and seen until the loss was reached; tokens.
        loss:   nats, or proportional to them; positive.
        model:  index of the model: points of one share a curve of loss against tokens.
        run:    index of what may share an error: a cell of a sweep, or one run read at several steps.
    """

    params: FloatArray
    batch_tokens: FloatArray
    tokens: FloatArray
    loss: FloatArray
    model: IntArray
    run: IntArray

    def __len__(self) -> int:
        """Return the number of points."""
        return len(self.loss)

    def take(self, rows: BoolArray) -> BatchPoints:
        """Return the marked points only."""
        return BatchPoints(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def points_from_runs(
    *, params: FloatArray, batch_tokens: FloatArray, tokens: FloatArray, loss: FloatArray
) -> BatchPoints:
    """Points of runs that were tuned already; runs of one model and batch count as readings of one run.

    Args:    (n_runs,) each, positive and finite.
    """
    _, model = np.unique(params, return_inverse=True)
    _, run = np.unique(np.column_stack([params, batch_tokens]), axis=0, return_inverse=True)
    return BatchPoints(params, batch_tokens, tokens, loss, model.ravel(), run.ravel())
