"""A law through the centres of each cell's good runs: crude, robust, and right where a bowl's form is not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hptransfer.numerics.arrays import FloatArray
from hptransfer.numerics.cells import CellRuns
from hptransfer.numerics.surface import Normal

CENTROID_NOISE = 0.3
"""Scatter of one cell's centroid, natural logs, against which the prior is weighed: a step of most grids."""

FLAT_STD = 3.0
"""Standard deviation on an exponent that carries no prior: keeps a regression on few cells finite."""

LEVEL_PRECISION = 1e-9
NOTHING = 1e-12  # total weight of a cell that takes no part


@dataclass(frozen=True)
class LawPrior:
    """Normal priors of exponents; None where there is none. Levels carry none.

    Attributes:
        lr_params, lr_tokens, batch_params, batch_tokens: exponents of LR* and batch* on params and tokens.
        ridge: d log LR* / d log batch at fixed params and tokens.
    """

    lr_params: Normal | None = None
    lr_tokens: Normal | None = None
    batch_params: Normal | None = None
    batch_tokens: Normal | None = None
    ridge: Normal | None = None

    def rows(self) -> tuple[tuple[Normal | None, Normal | None], tuple[Normal | None, Normal | None]]:
        """Priors on (params, tokens), for LR and for batch."""
        return (self.lr_params, self.lr_tokens), (self.batch_params, self.batch_tokens)

    def precision_and_mean(self) -> tuple[FloatArray, FloatArray]:
        """Precision and mean of the six law coefficients, (6,) each; precision 0 where there is no prior."""
        precision, mean = np.zeros((2, 3)), np.zeros((2, 3))
        for q, row in enumerate(self.rows()):
            for k, normal in enumerate(row, start=1):
                if normal is not None:
                    precision[q, k], mean[q, k] = normal.std**-2, normal.mean
        return precision.ravel(), mean.ravel()


def centroid_laws(runs: CellRuns, counts: FloatArray, fade: float, prior: LawPrior) -> FloatArray:
    """Regressions of the cells' weighted centres, shrunk to the prior.

    Cells whose batch was chosen and not searched say nothing about the best batch, and their best LR is that
    of their batch: they take no part.

    Args:    counts: (n_variants, n_runs); fade: log loss, weight exp(-excess / fade).
    Returns: (n_variants, 2, 3): log LR and log batch on (1, log params, log tokens), centred.
    """
    weight = counts * (np.exp(-runs.excess / fade) * runs.searched[runs.cell])
    total = runs.sum_cells(weight)  # (n_variants, n_cells)
    design = runs.design
    here = design.T * (total > NOTHING)[:, None, :]
    laws = []
    for values, row in zip((runs.log_lr, runs.log_batch), prior.rows(), strict=True):
        centre = runs.sum_cells(weight * values) / np.maximum(total, NOTHING)
        normals = [normal or Normal(0.0, FLAT_STD) for normal in row]
        precision = np.array([LEVEL_PRECISION, *((CENTROID_NOISE / n.std) ** 2 for n in normals)])
        mean = np.array([0.0, *(n.mean for n in normals)])
        target = here @ centre[..., None] + (precision * mean)[:, None]
        laws.append(np.linalg.solve(here @ design + np.diag(precision), target)[..., 0])
    return np.stack(laws, axis=1)
