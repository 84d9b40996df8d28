"""What a weighted fit of polynomials needs of the runs: sums per cell, and nothing else.

With the weights of the runs fixed, a resample or a fold changes these sums only, so its fit costs nothing
per run beyond one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hptransfer.numerics.arrays import FloatArray
from hptransfer.numerics.cells import CellRuns
from hptransfer.numerics.polynomials import Basis, monomial_values

CHUNK_RUNS = 1 << 15
"""Runs whose features are held at once: bounds memory at some ten megabytes."""

TINY_WEIGHT = 1e-300
"""Total weight of a cell that takes no part; keeps its means finite."""


@dataclass(frozen=True)
class Moments:
    """Weighted sums over the runs of each cell, for n_variants rows of weights.

    Attributes:
        gram:         (n_variants, n_cells, n_monomials, n_monomials), about the cell's means, which
                      eliminates the cell's floor.
        cross:        (n_variants, n_cells, n_monomials), monomials with excess, about the means.
        square:       (n_variants,), squared excess about the means, summed over cells.
        total:        (n_variants, n_cells), weight.
        first:        (n_variants, n_cells, n_monomials), monomials.
        excess_first: (n_variants, n_cells), excess.
    """

    gram: FloatArray
    cross: FloatArray
    square: FloatArray
    total: FloatArray
    first: FloatArray
    excess_first: FloatArray

    def floors(self, coefficients: FloatArray) -> FloatArray:
        """Best level of each cell under polynomials (n_variants, n_cells, n_monomials)."""
        return np.asarray((self.excess_first - (self.first * coefficients).sum(axis=-1)) / self.total)

    def repeated(self, times: int) -> Moments:
        """The same moments `times` over, variant after variant."""
        fields = (self.gram, self.cross, self.square, self.total, self.first, self.excess_first)
        return Moments(*(np.concatenate([field] * times) for field in fields))


def moments(form: Basis, runs: CellRuns, weights: FloatArray, *, reference: FloatArray) -> Moments:
    """Moments of polynomials about a point of each cell.

    Args:    weights: (n_variants, n_runs), >= 0; reference: (n_cells, 2), log LR and log batch.
    """
    sums = _cell_sums(form, runs, weights, reference)  # (n_variants, n_cells, n_features)
    size = 1 + len(form.powers)
    products, with_excess, square = sums[..., form.product], sums[..., -size - 1 : -1], sums[..., -1]
    total = np.maximum(products[..., 0, 0], TINY_WEIGHT)
    first, excess_first = products[..., 0, 1:], with_excess[..., 0]
    mean = first / total[..., None]
    return Moments(
        gram=products[..., 1:, 1:] - first[..., :, None] * mean[..., None, :],
        cross=with_excess[..., 1:] - mean * excess_first[..., None],
        square=(square - excess_first**2 / total).sum(axis=-1),
        total=total,
        first=first,
        excess_first=excess_first,
    )


def _cell_sums(form: Basis, runs: CellRuns, weights: FloatArray, reference: FloatArray) -> FloatArray:
    """Weighted sums of all features over each cell: one matrix product a cell (and chunk)."""
    ends = np.append(runs.starts, runs.n_runs)
    n_features = len(form.doubled) + 2 + len(form.powers)
    sums = np.zeros((len(weights), runs.n_cells, n_features))
    for first in range(0, runs.n_runs, CHUNK_RUNS):
        last = min(first + CHUNK_RUNS, runs.n_runs)
        features = _features(form, runs, slice(first, last), reference)
        for cell in range(runs.cell[first], runs.cell[last - 1] + 1):
            here = slice(max(ends[cell], first), min(ends[cell + 1], last))
            sums[:, cell] += weights[:, here] @ features[:, here.start - first : here.stop - first].T
    return sums


def _features(form: Basis, runs: CellRuns, rows: slice, reference: FloatArray) -> FloatArray:
    """Monomials to twice the degree, excess times monomials, excess squared; (n_features, n_rows)."""
    x = runs.log_lr[rows] - reference[runs.cell[rows], 0]
    y = runs.log_batch[rows] - reference[runs.cell[rows], 1]
    excess = runs.excess[rows]
    values = monomial_values(form.doubled, x, y)
    low = values[form.product[0]]
    return np.concatenate([values, low * excess, (excess**2)[None]])
